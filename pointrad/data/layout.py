"""What every layout of captures is, to the rest of the program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator

from pointrad.data.photo import Listing, Photo
from pointrad.data.picture_files import SUFFIXES, is_picture, pictures_in
from pointrad.data.scene import Background, Split
from pointrad.errors import UserError
from pointrad.schema import Config, Count, GivenPath

_SHOWN = 12  # names of files that an error quotes


class Layout(Config, ABC):
    """Where scenes are found, and how: the keys of `dataset=`, with the reader of what lists the photographs.

    downscale: images are averaged over so many pixels along each axis. max_size: and over more, where the longer side
    would have more pixels than that; None for any size. background: what masks composite images on.
    """

    name: str
    downscale: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    max_size: Count | None
    background: Background

    @abstractmethod
    def folder(self, scene_name: str) -> Path:
        """The folder that holds the scene's files. Raises UserError if there is no such scene."""
        ...

    @abstractmethod
    def listing(self, scene_name: str, split: Split) -> Listing:
        """The photographs of this split of the scene. No picture is opened.

        Raises UserError naming the file or key that is wrong, what was found there and what is expected.
        """
        ...

    def decisive(self) -> dict[str, Any]:
        """The values that decide what is loaded, beside what the files contain."""
        return self.model_dump(mode="json", exclude={"root"})


class FolderLayout(Layout, ABC):
    """A layout of a user's own folders: `root` holds one per scene, or is the scene's itself.

    sign_files: one of them tells that a folder is in this layout.
    """

    root: GivenPath
    sign_files: ClassVar[tuple[str, ...]] = ()

    @field_validator("root", mode="before")
    @classmethod
    def _root_is_set(cls, root: object) -> object:
        if root is None:
            raise ValueError(
                "not set; give dataset.root=FOLDER (the capture, or the folder that holds the scenes; for "
                "dataset=blender, the variable POINTRAD_DATA may name it)"
            )
        return root

    @property
    def signs(self) -> str:
        """The files that tell a scene in this layout, in words."""
        return " or ".join(self.sign_files)

    def is_in(self, folder: Path) -> bool:
        """Whether the folder looks like a scene in this layout."""
        return any((folder / name).is_file() for name in self.sign_files)

    def folder(self, scene_name: str) -> Path:
        inside = self.root / scene_name
        return self.root if self.is_in(self.root) and not self.is_in(inside) else inside

    def scenes(self) -> tuple[str, ...]:
        """The names of the scenes in `root`, sorted: its own where it is one, else of its folders that are.

        Raises UserError if there is none.
        """
        if self.is_in(self.root):
            return (self.root.resolve().name,)
        folders = sorted(self.root.iterdir()) if self.root.is_dir() else ()
        names = tuple(folder.name for folder in folders if folder.is_dir() and self.is_in(folder))
        if not names:
            raise UserError(
                f"dataset.root: found no scene in {self.root}, {_holding(self.root)}; expected folders that hold "
                f"{self.signs}"
            )
        return names

    def found(self, scene_name: str) -> Path:
        """`folder`, which is in this layout. Raises UserError where it is not."""
        folder = self.folder(scene_name)
        if self.is_in(folder):
            return folder
        below = sorted(path.name for path in self.root.glob("*/") if self.is_in(path))
        hint = f"; it is in {' and '.join(below[:3])}: scene.name={below[0]}" if below else ""
        raise UserError(
            f"dataset.root: found {self.root}, {_holding(self.root)}; expected {self.signs} there or in {folder}{hint}"
        )


def _holding(folder: Path) -> str:
    """What is in a folder, as the end of a sentence about it."""
    if not folder.is_dir():
        return "which is no folder"
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"which holds {', '.join(names[:_SHOWN]) or 'nothing'}{more}"


class CaptureLayout(FolderLayout, ABC):
    """A layout without splits of its own: every `holdout`-th photograph, by name, is held out for evaluation; none if
    that is None."""

    holdout: Annotated[int, Field(ge=2)] | None

    def held_out(self, photos: tuple[Photo, ...], split: Split) -> tuple[Photo, ...]:
        """The photographs of the split, `train` or `test`, sorted by name. Raises UserError if it has none."""
        if split not in (Split.TRAIN, Split.TEST):
            raise UserError(f"eval.split: found {split}; a capture has no such split, expected test or train")
        if len(photos) == 1:
            raise UserError(f"dataset.root: found 1 photograph in {self.root}; expected at least 2, as one is held out")
        ordered = sorted(photos, key=lambda photo: photo.name)
        tested = () if self.holdout is None else range(0, len(ordered), self.holdout)
        wanted = [photo for n, photo in enumerate(ordered) if (n in tested) == (split == Split.TEST)]
        if not wanted:
            raise UserError(
                f"dataset.holdout: found {'null' if self.holdout is None else self.holdout}, which leaves no "
                f"photograph of {len(ordered)} for {split}; expected "
                + ("a number, or eval.split=train" if self.holdout is None else "a smaller number, or more photographs")
            )
        return tuple(wanted)


class ImagesLayout(CaptureLayout, ABC):
    """A layout whose photographs lie in one folder.

    images: that folder, below the capture's; None for the one that the layout says.
    """

    images: str | None
    usual_images: ClassVar[str]

    def images_in(self, folder: Path) -> Path:
        """The folder of the photographs of the capture in `folder`. Raises UserError if it is not there."""
        images = folder / (self.images or self.usual_images)
        if not images.is_dir():
            raise UserError(
                f"dataset.images: found no folder {images}; expected that of the photographs of {folder}, "
                f"{_holding(folder)}"
            )
        return images

    def pictures_for(self, file: Path, cameras: int, found: str) -> tuple[Path, ...]:
        """The photographs beside `file`, sorted by name, which has so many cameras in their order.

        found: those cameras, in the words of the error. Raises UserError unless there are as many photographs.
        """
        images = self.images_in(file.parent)
        pictures = pictures_in(images)
        if len(pictures) != cameras:
            names = sorted(path.name for path in images.iterdir() if not is_picture(path) and path.name[0] != ".")
            others = f"; it also holds {', '.join(names[:3])}{' and others' * (len(names) > 3)}" if names else ""
            raise UserError(
                f"{file}: found {found}; expected one for each of the {len(pictures)} photographs ("
                f"{', '.join(SUFFIXES)}) in {images}, in the order of their names{others}"
            )
        return pictures

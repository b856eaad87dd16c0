"""A capture: posed photographs and their masks as they come, and how they become a scene."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from pointrad.data.layout import Layout
from pointrad.data.moving import STILL, MovingLayout, chosen
from pointrad.data.photo import Listing, Photo
from pointrad.data.photographs import Reader
from pointrad.data.picture_files import check_headers
from pointrad.data.poses import refuse_world_to_camera
from pointrad.data.remarks import remark, remark_pictures
from pointrad.data.scene import BACKGROUNDS, Scene, Shot, Split
from pointrad.errors import UserError
from pointrad.masks.base import Masks
from pointrad.masks.config import MasksConfig
from pointrad.masks.silhouettes import with_silhouettes
from pointrad.progress import announce


@dataclass(frozen=True)
class Capture:
    """The scene that `name` is in a layout, with masks of some source.

    What lies in its folder is looked for once, and then known: files that change later are told by their content. Of a
    scene that moves, this is what its layout shows at once (`shown`); `frames` are its instants, one by one.

    frame: the number of the instant that it stands for; None for the first that it shows.
    """

    dataset: Layout
    masks: MasksConfig
    name: str
    frame: int | None = None
    _said: set[str] = field(default_factory=set, repr=False, compare=False)  # of all its instants, once
    _found: dict[Split, _Found] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def folder(self) -> Path:
        """Where it lies. Raises UserError if there is no such scene."""
        return self.dataset.folder(self.name)

    @property
    def time(self) -> float:
        """When it was taken, in the unit of its files; 0 where nothing moves."""
        if not isinstance(self.dataset, MovingLayout):
            return STILL[0]
        return self.dataset.times(self.name)[self._number(self.dataset)]

    def _number(self, dataset: MovingLayout) -> int:
        """Of the instant that it stands for, among all."""
        return chosen(dataset.frames, dataset.times(self.name))[0] if self.frame is None else self.frame

    def frames(self, window: int = 0) -> tuple[Capture, ...]:
        """A capture for each instant that is chosen, in order of time; itself where nothing moves.

        window: how many instants before and after it a capture has training views of, too, as if nothing moved
        meanwhile; for scenes of one view an instant.

        Each loads its own scene when it is asked, which may have no views for evaluation (`blender`, where none of them
        was taken then). Raises UserError for what is wrong with the files that say when photographs were taken, or if
        `dataset.frames` is none of the instants.
        """
        dataset = self.dataset
        if not isinstance(dataset, MovingLayout):
            return (self,)
        times = dataset.times(self.name)
        numbers = chosen(dataset.frames, times)
        if len(times) == 1:
            return (self,)
        if window and (views := len(self._photos_at(dataset, 0))) > 1:
            raise UserError(f"schedule.next.window: found {window}, and {views} views of an instant; expected 0")
        return tuple(replace(self, dataset=dataset.at(number, window), frame=number) for number in numbers)

    def files(self, split: Split) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """All files that loading this split reads: those of training views, and those of its own. The files that name
        the others come first, then those of one photograph after another; a result is known by what they contain.

        Raises UserError if one is missing.
        """
        found = self._find(split)
        return found.files(Split.TRAIN), found.files(split)

    def photos(self, split: Split) -> tuple[Photo, ...]:
        """The photographs of the training views, then those of this split that are none of them."""
        listings = self._find(split).listings
        return tuple(photo for part in dict.fromkeys((Split.TRAIN, split)) for photo in listings[part].photos)

    def given_masks(self, split: Split) -> Masks:
        """The masks that these photographs come with."""
        return self._find(split).given

    def load(self, split: Split) -> Scene:
        """The scene with its train views and, for evaluation, those of `split`; no other picture is read.

        Images are on the background, masks soft. Raises UserError naming the file or key that is wrong, what was found
        there and what is expected.
        """
        found = self._find(split)
        for said in found.remarks:
            if said not in self._said:
                announce(f"{self.name}: {said}")
        self._said.update(found.remarks)
        photos = [photo for listed in found.listings.values() for photo in listed.photos]
        remark_pictures(self.name, self.dataset, photos, check_headers([photo.path for photo in photos]))
        reader = Reader(self.dataset, found.given, found.reference)
        views = {part: reader.views(listed.photos, part) for part, listed in found.listings.items()}
        return Scene(self.name, views[Split.TRAIN], views[split], BACKGROUNDS[self.dataset.background])

    def prepare(self, scene: Scene) -> Scene:
        """The scene as it was loaded, made ready to work on: its masks hard, views without a usable mask left out, and
        remarked upon. Views for evaluation that have no mask are cut out by the silhouette of the training masks' hull.

        Raises UserError if most masks are unusable, or poses are world-to-camera.
        """
        refuse_world_to_camera([view.camera for view in scene.train])
        remark(scene, self.dataset.background)
        hard = self.masks.harden(replace(scene, shots=self._shots()), self.dataset.background)
        return with_silhouettes(hard, self._lacking(scene), cut=self.dataset.background != "published")

    def _shots(self) -> dict[str, Shot] | None:
        dataset = self.dataset
        if not isinstance(dataset, MovingLayout) or len(times := dataset.times(self.name)) == 1:
            return None
        numbers = chosen(dataset.frames, times)
        if self.frame is not None and len(numbers) > 1:  # a window: each instant has one view, by a camera of its own
            taken = {photo.name: number for number in numbers for photo in self._photos_at(dataset, number)}
            return {name: Shot(number, number) for name, number in taken.items()}
        photos = self._find(Split.TRAIN).listings[Split.TRAIN].photos
        return {photo.name: Shot(place, self._number(dataset)) for place, photo in enumerate(photos)}

    def _photos_at(self, dataset: MovingLayout, number: int) -> tuple[Photo, ...]:
        return dataset.at(number).listing(self.name, Split.TRAIN).photos

    def _lacking(self, scene: Scene) -> set[str]:
        """The names of views for evaluation that no mask is of."""
        splits = {view.split for view in scene.evaluation}
        return {name for split in splits for name in self._find(split).lacking(split)}

    def _find(self, split: Split) -> _Found:
        if split not in self._found:
            listings = {part: self._listed(part) for part in dict.fromkeys((Split.TRAIN, split))}
            photos = tuple(photo for listed in listings.values() for photo in listed.photos)
            given, reference = self.masks.find(photos, self.folder), self.masks.find_reference(photos, self.folder)
            self._found[split] = _Found(listings, given, reference)
        return self._found[split]

    def _listed(self, split: Split) -> Listing:
        dataset = self.dataset
        if self.frame is not None and split != Split.TRAIN and isinstance(dataset, MovingLayout):
            dataset = dataset.at(self.frame)  # it is scored as it was then
        listed = dataset.listing(self.name, split)
        if listed.refusal is not None:
            raise UserError(listed.refusal)
        names = [photo.name for photo in listed.photos]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"{listed.index[0]}: found {twice!r} more than once; expected each photograph once")
        return listed


def load_scene(capture: Capture, split: Split | str) -> Scene:
    """The scene ready to work on (`Capture.prepare`), its evaluation views being those of `split`.

    Raises UserError naming the file, key or view that is wrong.
    """
    if split not in [part.value for part in Split]:
        raise UserError(f"split: found {split!r}; expected one of {', '.join(Split)}")
    return capture.prepare(capture.load(Split(split)))


@dataclass(frozen=True)
class _Found:
    """What a folder holds of the training views and of another split: photographs and masks, yet to be read."""

    listings: dict[Split, Listing]
    given: Masks
    reference: Masks | None

    @property
    def remarks(self) -> tuple[str, ...]:
        said = [remark for listed in self.listings.values() for remark in listed.remarks]
        return tuple(dict.fromkeys([*said, *([f"masks: {self.given.said}"] if self.given.said else [])]))

    def lacking(self, part: Split) -> tuple[str, ...]:
        """The names of the photographs of a split that have no mask of the kind that is looked at there."""
        masks = self.given if self.reference is None or part == Split.TRAIN else self.reference
        return tuple(photo.name for photo in self.listings[part].photos if masks.lacks(photo))

    def files(self, part: Split) -> tuple[Path, ...]:
        listed = self.listings[part]
        return *listed.index, *(path for photo in listed.photos for path in self._files_of(photo))

    def _files_of(self, photo: Photo) -> list[Path]:
        ignored = None if photo.ignore is None else photo.ignore.path
        masks = (self.given,) if self.reference is None else (self.given, self.reference)
        return [path for path in (photo.path, ignored, *(of.file(photo) for of in masks)) if path is not None]

"""A capture: posed photographs and their masks as they come, and how they become a scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pointrad.data.layout import Layout
from pointrad.data.photo import Listing
from pointrad.data.photographs import Reader
from pointrad.data.poses import refuse_world_to_camera
from pointrad.data.remarks import remark
from pointrad.data.scene import BACKGROUNDS, Scene, Split
from pointrad.errors import UserError
from pointrad.masks.config import MasksConfig
from pointrad.progress import announce


@dataclass(frozen=True)
class Capture:
    """The scene that `name` is in a layout, with masks of some source."""

    dataset: Layout
    masks: MasksConfig
    name: str

    @property
    def folder(self) -> Path:
        """Where it lies. Raises UserError if there is no such scene."""
        return self.dataset.folder(self.name)

    def files(self, split: Split) -> tuple[Path, ...]:
        """All files that loading this split reads, those that name the others first; a result is known by what they
        contain. Raises UserError if one is missing."""
        listed = self._listed(split)
        given = self.masks.find(listed.photos, self.folder)
        reference = self.masks.find_reference(listed.photos, self.folder)
        photos = [photo.path for photo in listed.photos]
        ignored = [photo.ignore.path for photo in listed.photos if photo.ignore is not None]
        return *listed.index, *photos, *ignored, *given.files, *(reference.files if reference else ())

    def load(self, split: Split) -> Scene:
        """The scene with its train views and, for evaluation, those of `split`; no other picture is read.

        Images are on the background, masks soft. Raises UserError naming the file or key that is wrong, what was found
        there and what is expected.
        """
        listings = {part: self._listed(part) for part in dict.fromkeys((Split.TRAIN, split))}
        photos = tuple(photo for listed in listings.values() for photo in listed.photos)
        given, reference = self.masks.find(photos, self.folder), self.masks.find_reference(photos, self.folder)
        remarks = [remark for listed in listings.values() for remark in listed.remarks]
        for said in dict.fromkeys([*remarks, *([f"masks: {given.said}"] if given.said else [])]):
            announce(f"{self.name}: {said}")
        reader = Reader(self.dataset, given, reference)
        views = {part: reader.views(listed.photos, part) for part, listed in listings.items()}
        return Scene(self.name, views[Split.TRAIN], views[split], BACKGROUNDS[self.dataset.background])

    def prepare(self, scene: Scene) -> Scene:
        """The scene as it was loaded, made ready to work on: its masks hard, views without a usable mask left out, and
        remarked upon.

        Raises UserError if most masks are unusable, or poses are world-to-camera.
        """
        refuse_world_to_camera([view.camera for view in scene.train])
        remark(scene, self.dataset.background)
        return self.masks.harden(scene, self.dataset.background)

    def _listed(self, split: Split) -> Listing:
        listed = self.dataset.listing(self.name, split)
        names = [photo.name for photo in listed.photos]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"{listed.index[0]}: found {twice!r} more than once; expected each photograph once")
        return listed

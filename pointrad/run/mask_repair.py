"""The masks of a run, put right by the clouds that it trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from pointrad.camera import Camera
from pointrad.config import RunConfig
from pointrad.data.capture import Capture
from pointrad.data.frame import SceneFrame
from pointrad.data.scene import Float32Array, Scene, View
from pointrad.init.start import TrainingViews
from pointrad.model.base import Cloud
from pointrad.render.base import Renderer
from pointrad.render.opacity import weighed_opacities
from pointrad.repair.again import agreed_on, with_repaired_mask
from pointrad.repair.artifact import write_repaired_masks
from pointrad.repair.put_right import ByCloud, PutRight, Source, each_put_right
from pointrad.repair.rounds import Rounds
from pointrad.repair.subjects import TrainedOn, subjects
from pointrad.repair.table import Ranking
from pointrad.repair.votes import Voted, voted_for
from pointrad.run.job import render_function


@dataclass(frozen=True)
class Findings:
    """What a cloud says of the masks. views: the training views with masks put right, those left out whose masks still
    say nothing. agreement: the mean IoU of these masks and the cloud's silhouettes. agreed_on: the views that the first
    training had, as far as given masks and these agree."""

    views: TrainingViews
    agreement: float
    agreed_on: tuple[View, ...]


class MaskRepair:
    """The photographs of a capture and the masks that training had of them.

    loaded: all views, in world units. given: those that training had. frame: that of clouds.
    """

    def __init__(self, config: RunConfig, capture: Capture, loaded: Scene, given: TrainingViews, frame: SceneFrame,
                 renderer: Renderer) -> None:  # fmt: skip
        self._loaded, self._given, self._frame, self._renderer = loaded, given, frame, renderer
        spoilt, cuts = config.corruption.level > 0, config.corruption.targets == "masked"
        self._composited = cuts or not spoilt  # the images, by the masks that training had
        masks, images = ({view.name: view for view in of} for of in (given.corrupted, given.targets))
        self._images = images
        split = config.eval.split
        trained = TrainedOn(masks, images, spoilt, spoilt and cuts)
        self._source = Source.of(capture, split, loaded.background)
        self._subjects = list(subjects(capture, split, frame.scene(loaded), trained, self._source.threshold))

    def write(self, folder: Path, cloud: Cloud, trained_on: Sequence[View], rounds: Rounds) -> Ranking:
        """Masks of all photographs, their ranking and its page. trained_on: the views that the cloud comes from."""
        return write_repaired_masks(folder, self._loaded.name, [self.by(cloud, trained_on)], rounds)

    def by(self, cloud: Cloud, trained_on: Sequence[View]) -> ByCloud:
        """All photographs, and the cloud, which comes from these views."""
        voted = voted_for(cloud, self._frame.views(trained_on), self._renderer)
        render = render_function(self._renderer, voted.cloud)
        return ByCloud(self._source, self._subjects, render, partial(_coverage, voted, self._renderer))

    def findings(self, cloud: Cloud, trained_on: Sequence[View]) -> Findings:
        """What to train on next."""
        ranked = replace(self.by(cloud, trained_on), subjects=self._subjects[: len(self._loaded.train)])
        views = {view.name: view for view in self._loaded.train}

        def heard(found: PutRight) -> tuple[View, View | None, float]:
            name = found.subject.photo.name
            had = self._images.get(name)
            agreed = None if had is None else agreed_on(had, found)
            return self._next(views[name], found), agreed, found.agreement

        following, agreed, agreement = zip(*each_put_right(ranked, heard), strict=True)
        usable = tuple(view for view in following if view.mask.any() and not view.mask.all())
        cut = any(subject.image is not None for subject in ranked.subjects)
        anew = TrainingViews(usable, usable, self._loaded.background, masks_alone=self._composited and cut)
        return Findings(anew, float(np.mean(agreement)), tuple(view for view in agreed if view is not None))

    def _next(self, view: View, found: PutRight) -> View:
        image = self._images.get(view.name, view).image
        return with_repaired_mask(replace(view, image=image), found, self._composited, self._loaded.background)


def _coverage(
    voted: Voted, renderer: Renderer, cameras: Sequence[Camera]
) -> Iterator[tuple[Float32Array, Float32Array]]:
    for opacity, votes in weighed_opacities(renderer, voted.cloud, voted.shares, cameras):
        yield opacity.cpu().numpy(), votes.cpu().numpy()

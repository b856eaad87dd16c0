"""The photographs of a capture, each with its mask put right by a trained cloud."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numba
import numpy as np

from pointrad.camera import Camera
from pointrad.data.capture import Capture
from pointrad.data.photo import Lens
from pointrad.data.photographs import mask_of_view, uncut
from pointrad.data.picture_files import read_picture
from pointrad.data.scene import Float32Array, Split
from pointrad.evaluation import OPAQUE, Render
from pointrad.init.evidence import Colour
from pointrad.masks.base import Masks, SoftMask
from pointrad.masks.iou import Mask, iou
from pointrad.repair.decision import Repaired, Seen, repair
from pointrad.repair.subjects import Subject

T = TypeVar("T")

# Of each camera two [H, W] in [0, 1]: opacity, and the same with splats weighed by the votes that they have.
Coverage = Callable[[Sequence[Camera]], Iterable[tuple[Float32Array, Float32Array]]]


@dataclass(frozen=True)
class Source:
    """Where photographs and their masks come from. threshold: of masks. background: that the cloud was trained on."""

    name: str
    folder: Path
    masks: Masks
    threshold: float
    background: Colour

    @classmethod
    def of(cls, capture: Capture, split: Split, background: Colour) -> Source:
        threshold = capture.masks.threshold_on(capture.dataset.background)
        return cls(capture.name, capture.folder, capture.given_masks(split), threshold, background)


@dataclass(frozen=True)
class ByCloud:
    """Photographs, and what the trained cloud that puts their masks right shows to cameras."""

    source: Source
    subjects: Sequence[Subject]
    render: Render
    coverage: Coverage


@dataclass(frozen=True)
class PutRight:
    """A photograph and its mask put right.

    stored: [H, W] uint8, the mask that the capture has of it, of the photograph's size. given: [h, w], the one that
    training had, or of a photograph that was held out the stored one, of the view's size; None: none that could be
    used. photograph: [h, w, 3], what is known of it. silhouette: [h, w], what the cloud covers.
    """

    subject: Subject
    lens: Lens
    stored: SoftMask
    given: Mask | None
    photograph: Float32Array
    silhouette: Mask
    repaired: Repaired

    @property
    def agreement(self) -> float:
        """The IoU of the repaired mask and the cloud's silhouette."""
        return iou(self.repaired.mask, self.silhouette)


def put_right(
    source: Source, subject: Subject, render: Float32Array, coverage: tuple[Float32Array, Float32Array]
) -> PutRight:
    """render: [h, w, 3], coverage: of the cloud from the photograph's camera."""
    picture = read_picture(subject.photo.path)
    stored = source.masks.of(subject.photo, picture)
    height, width = stored.shape
    lens = subject.photo.lens(width, height)
    size = subject.camera.width, subject.camera.height
    given = mask_of_view(stored, lens, *size) > source.threshold if subject.held_out else subject.given
    photograph = uncut(picture.rgb, lens, *size) if subject.image is None else subject.image
    opacity, votes = coverage
    nothing = np.zeros(opacity.shape, bool)
    repaired = repair(nothing if given is None else given, Seen(opacity, votes, render, photograph), source.background)
    return PutRight(subject, lens, stored, given, photograph, opacity >= OPAQUE, repaired)


def each_put_right(these: ByCloud, then: Callable[[PutRight], T]) -> Iterator[T]:
    """What `then` makes of each photograph, in order; a thread each."""

    def work(subject: Subject, image: Float32Array, coverage: tuple[Float32Array, Float32Array]) -> T:
        return then(put_right(these.source, subject, image, coverage))

    cameras = [subject.camera for subject in these.subjects]
    threads = numba.get_num_threads()
    waiting = deque[Future[T]]()
    with ThreadPoolExecutor(threads) as pool:
        shown = zip(these.subjects, these.render(cameras), these.coverage(cameras), strict=True)
        for subject, image, coverage in shown:
            waiting.append(pool.submit(work, subject, image, coverage))
            if len(waiting) > 2 * threads:  # renders wait in memory
                yield waiting.popleft().result()
        for one in waiting:
            yield one.result()

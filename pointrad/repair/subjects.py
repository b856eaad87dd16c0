"""What is put right: each photograph of a capture with the mask that training had of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pointrad.camera import Camera
from pointrad.data.capture import Capture
from pointrad.data.photo import Photo
from pointrad.data.scene import Float32Array, Scene, Split, View
from pointrad.masks.alpha import AlphaMasks
from pointrad.masks.iou import Mask


@dataclass(frozen=True)
class Subject:
    """A photograph and what is known of it, at a view's size.

    camera: in the frame of the cloud. given: the mask that training had; None: none that it could use. spoilt: that is
    another than the capture's. reference: the one known to be right, if there is one. image: [H, W, 3] what is known of
    the photograph, the background's colour elsewhere; None: all that its file shows. held_out: training had neither.
    """

    photo: Photo
    camera: Camera
    given: Mask | None = None
    spoilt: bool = False
    reference: Mask | None = None
    image: Float32Array | None = None
    held_out: bool = False


@dataclass(frozen=True)
class TrainedOn:
    """The training views that a cloud comes from.

    given: as their masks went into training, by name. images: what they show of their photographs. spoilt: the masks
    are other ones than the capture's, and those are the reference. cut: the images have been cut by them.
    """

    given: Mapping[str, View]
    images: Mapping[str, View]
    spoilt: bool
    cut: bool


def subjects(capture: Capture, split: Split, loaded: Scene, trained: TrainedOn, threshold: float) -> Iterator[Subject]:
    """The photographs of the training views, in order, and then those held out for `split`.

    loaded: the scene with all its views, their masks soft, in the cloud's frame. threshold: of masks.
    """
    photos = {photo.name: photo for photo in capture.photos(split)}
    is_cut = trained.cut or isinstance(capture.given_masks(split), AlphaMasks)
    for view in loaded.train:
        yield _of_training(photos[view.name], view, trained, is_cut, threshold)
    names = {view.name for view in loaded.train}
    yield from (Subject(photos[view.name], view.camera, held_out=True) for view in _others(loaded.evaluation, names))


def _of_training(photo: Photo, view: View, trained: TrainedOn, is_cut: bool, threshold: float) -> Subject:
    right = view.mask if trained.spoilt and view.reference is None else view.reference
    reference = None if right is None else right > threshold
    if view.name not in trained.given:
        return Subject(photo, view.camera, reference=reference, image=view.image if is_cut else None)
    given, image = trained.given[view.name].mask > 0, trained.images[view.name].image
    return Subject(photo, view.camera, given, trained.spoilt, reference, image if is_cut else None)


def _others(views: Sequence[View], names: set[str]) -> Iterator[View]:
    return (view for view in views if view.name not in names)

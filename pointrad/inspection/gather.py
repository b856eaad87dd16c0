"""Whatever can be read of a capture. What cannot is a finding, and the rest is inspected all the same."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
from tqdm import tqdm

from pointrad.camera import Camera
from pointrad.data.auto import AutoDatasetConfig
from pointrad.data.capture import Capture
from pointrad.data.layout import FolderLayout, Layout
from pointrad.data.photo import Lens, Photo
from pointrad.data.photographs import Reader
from pointrad.data.picture_files import check_headers
from pointrad.data.scene import Float32Array, Split
from pointrad.errors import UserError
from pointrad.inspection.findings import Finding, Severity, named
from pointrad.inspection.hull import Mask, overlap
from pointrad.masks.base import Masks
from pointrad.masks.none import NoMasksConfig, WholePictures

_SPLITS = (Split.TRAIN, Split.TEST)


@dataclass(frozen=True)
class Shot:
    """A photograph as the inspection sees it.

    lens: the optics of the file. camera: without distortion, for the pixels of `image`. image: [H, W, 3] float32, the
    photograph with its surroundings. mask: [H, W], hard; None if it has none. reference: the one known to be right.
    """

    name: str
    lens: Lens
    camera: Camera
    image: Float32Array
    mask: Mask | None
    reference: Mask | None

    @property
    def mask_iou(self) -> float | None:
        """IoU of the given and the reference mask; None where there is only one."""
        return None if self.mask is None or self.reference is None else overlap(self.mask, self.reference)


@dataclass(frozen=True)
class Gathered:
    """layout: what the folder was taken for, in a few words. masks: which masks they are; None where there are none.
    shots: in the order of their names. findings: what could not be read, and what the layout says of itself."""

    layout: str
    masks: str | None
    shots: tuple[Shot, ...]
    findings: tuple[Finding, ...]


def gather(capture: Capture, max_size: int) -> Gathered:
    """What can be read of a capture, in pictures of at most `max_size` pixels along the longer side.

    Raises UserError if no photograph can be read, or nothing says where the cameras are.
    """
    findings: list[Finding] = []
    layout, *others = _layouts(capture)
    listed = _listed(layout, capture.name, findings)
    broken = {photo.name: why for photo in listed if (why := _why_broken(photo))}
    photos = [photo for photo in listed if photo.name not in broken]
    masks = _masks(capture, photos, findings)
    reference = capture.masks.find_reference(photos, capture.folder)
    size = min(capture.dataset.max_size or max_size, max_size)
    dataset = capture.dataset.model_copy(update={"background": "published", "max_size": size})
    threshold = capture.masks.threshold_on(capture.dataset.background)

    def shot(photo: Photo) -> Shot | tuple[str, str]:
        """The photograph, or its name and why it cannot be used."""
        reader = Reader(dataset, masks.get(photo.name, WholePictures()), reference, enough=size)
        try:
            lens = photo.lens(*check_headers([photo.path])[0].upright)
            view = reader.view(photo, Split.TRAIN)
        except UserError as error:
            return photo.name, str(error)
        right = None if view.reference is None else view.reference > threshold
        given = view.mask > threshold if photo.name in masks and not masks[photo.name].lacks(photo) else None
        return Shot(photo.name, lens, view.camera, view.image, given, right)

    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        shown = pool.map(shot, photos)
        found = list(tqdm(shown, "photographs", len(photos), unit="image", leave=False, disable=None))
    refused = [*broken.items(), *(one for one in found if not isinstance(one, Shot))]
    shots = tuple(one for one in found if isinstance(one, Shot))
    if not shots:
        also = f"; dataset={others[0].name} would fit the folder as well" if others else ""
        raise UserError(f"{refused[0][1]}{also}")
    if refused:
        findings.append(_unreadable(refused, len(listed)))
    said = next((masks[one.name].said or "the alpha of the pictures" for one in shots if one.name in masks), None)
    return Gathered(_described(layout, *others), said, shots, tuple(findings))


def _layouts(capture: Capture) -> list[Layout]:
    """The one that the capture is read in, and others that its folder is in as well."""
    dataset = capture.dataset
    return [*dataset.fitting(capture.name)] if isinstance(dataset, AutoDatasetConfig) else [dataset]


def _described(layout: Layout, *others: Layout) -> str:
    if not isinstance(layout, FolderLayout):
        return layout.name
    also = f"; {', '.join(other.name for other in others)} would fit as well" if others else ""
    return f"{layout.name} (holds {layout.signs}{also})"


def _listed(layout: Layout, name: str, findings: list[Finding]) -> tuple[Photo, ...]:
    """The photographs of all splits by name."""
    photos: dict[str, Photo] = {}
    said: dict[str, None] = {}
    for split in _SPLITS:
        try:
            listed = layout.listing(name, split)
        except UserError as error:
            if not photos:
                raise
            findings.append(
                Finding("missing split", Severity.REMARK, 0.1, str(error), "eval.split names the split to evaluate on")
            )
            continue
        photos |= {photo.name: photo for photo in listed.photos}
        said |= dict.fromkeys(listed.remarks)
        if listed.refusal is not None and listed.refusal not in (found.text for found in findings):
            cure = "bring the files back, or remove what lists them"
            findings.append(Finding("missing pictures", Severity.FAULT, 0.9, listed.refusal, cure))
    findings += [Finding("files", Severity.REMARK, 0.2, text, "nothing, if that is as you meant it") for text in said]
    return tuple(photos[name] for name in sorted(photos))


def _masks(capture: Capture, photos: Sequence[Photo], findings: list[Finding]) -> dict[str, Masks]:
    """Where the mask of each photograph is, by its name; those that have none are left out."""
    if isinstance(capture.masks, NoMasksConfig):
        return {}
    try:
        return dict.fromkeys((photo.name for photo in photos), capture.masks.find(photos, capture.folder))
    except UserError as error:
        single = {photo.name: _mask_alone(capture, photo) for photo in photos}
        found = {name: masks for name, masks in single.items() if masks is not None}
        without = tuple(name for name in single if name not in found)
        cure = "bring the missing files back, or name the folder: masks=folder masks.folder=FOLDER"
        findings.append(Finding("missing masks", Severity.FAULT, 0.8, str(error), cure, without))
        return found


def _mask_alone(capture: Capture, photo: Photo) -> Masks | None:
    try:
        return capture.masks.find([photo], capture.folder)
    except UserError:
        return None


def _why_broken(photo: Photo) -> str | None:
    try:
        check_headers([photo.path])
    except UserError as error:
        return str(error)
    return None


def _unreadable(refused: Sequence[tuple[str, str]], photographs: int) -> Finding:
    name, why = refused[0]
    names = tuple(name for name, _ in refused)
    text = f"{len(refused)} of {photographs} photographs cannot be used ({named(names)}); of {name}: {why}"
    cure = "copy the files anew, or mend what the message names"
    return Finding("unusable pictures", Severity.FAULT, max(0.3, len(refused) / photographs), text, cure, names)

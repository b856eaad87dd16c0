"""A capture in COLMAP's layout, made of photographs or of a video."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pointrad.capturing.config import CapturingConfig
from pointrad.capturing.findings import field_of_view, findings
from pointrad.capturing.masks import Source, masks_in_folder, source_of_masks, write_masks
from pointrad.capturing.photographs import Photograph, photographs_in, write_upright
from pointrad.capturing.structure import Structure, reconstruct, require_pycolmap
from pointrad.capturing.video import is_video, write_frames
from pointrad.errors import UserError
from pointrad.files import replacing_folder, write_json
from pointrad.progress import announce

_RECORD = "capture.json"  # how a capture was made; a folder that has none was not made here


@dataclass(frozen=True)
class Made:
    """A capture that was made. findings: what a person should look at, worst first."""

    folder: Path
    photographs: tuple[Photograph, ...]
    structure: Structure
    findings: tuple[str, ...]

    @property
    def focal(self) -> float:
        """Pixels, the median."""
        return median(self.structure.focals.values())

    @property
    def field_of_view(self) -> float:
        """Degrees along the longer side, the median."""
        focals = self.structure.focals
        return median(field_of_view(one, focals[one.name]) for one in self.photographs if one.name in focals)


def make_capture(config: CapturingConfig) -> Made:
    """Make the capture's folder: `images/`, `masks/` if there are any, `sparse/0/` and a record of how it was made.

    It appears whole or not at all. Raises UserError for photographs or masks that cannot be used, for a folder that is
    there already, and where no cameras could be found.
    """
    require_pycolmap()
    _check_target(config)
    source = source_of_masks(config.masks, config.seed)
    paths = () if is_video(config.photos) else photographs_in(config.photos)
    folder = config.target
    announce(f"{folder.name}: {f'{len(paths)} photographs' if paths else 'a video'} in {config.photos}")
    with replacing_folder(folder) as building:
        images, work = building / "images", building / "work"
        if paths:
            photographs = write_upright(paths, images, config.jpeg_quality)
        else:
            photographs = write_frames(config.photos, config.every, images, config.jpeg_quality)
            announce(f"{folder.name}: {len(photographs)} frames, the sharpest of every {config.every}")
        useless = _write_masks(config, source, photographs, building, work)
        masks = None if config.masks.source == "none" else work / "masks"
        structure = reconstruct(config, photographs, images, masks, work, building / "sparse" / "0")
        shutil.rmtree(work)
        made = Made(folder, photographs, structure, (*findings(structure, photographs, config.flags), *useless))
        write_json(building / _RECORD, _record(config, made))
    return made


def _write_masks(
    config: CapturingConfig, source: Source | None, photographs: Sequence[Photograph], building: Path, work: Path
) -> list[str]:
    """Returns what is doubtful about them. Raises UserError if none is of use."""
    if config.masks.source == "none":
        return []
    # Masks of frames are named like these, which do not lie where the video does.
    folder = building / "images" if is_video(config.photos) else config.photos
    if source is None:
        source = masks_in_folder(config.masks, photographs, folder)
    else:
        announce(f"masks: by {config.masks.source}")
    useless = write_masks(source, photographs, building / "images", building / "masks", work / "masks",
                          config.masks.threshold)  # fmt: skip
    if len(useless) == len(photographs):
        raise UserError(
            f"masks: found {len(useless)} masks, all of them empty or full; expected white on the object, above "
            "masks.threshold, and black elsewhere"
        )
    return [f"{len(useless)} masks are empty or full: {', '.join(useless)}"] if useless else []


def _check_target(config: CapturingConfig) -> None:
    target = config.target.resolve()
    given = {"photos": config.photos} | ({"masks": found} if (found := Path(config.masks.source)).is_dir() else {})
    for key, path in given.items():
        if path.resolve().is_relative_to(target):
            raise UserError(f"folder: found {config.target}, which holds {key}={path}; expected another folder")
    if not target.exists():
        return
    if not target.is_dir():
        raise UserError(f"folder: found the file {config.target}; expected a folder that is not there yet")
    if not config.overwrite:
        raise UserError(f"folder: found {config.target}, which is there already; expected another, or overwrite=true")
    if not (target / _RECORD).is_file():
        raise UserError(
            f"folder: found {config.target}, which has no {_RECORD}, so that it is no capture made by this command; "
            "expected one, or a folder that is not there yet"
        )


def _record(config: CapturingConfig, made: Made) -> dict[str, object]:
    import pycolmap

    structure = made.structure
    return {
        "made_by": {"pycolmap": str(pycolmap.__version__), "configuration": config.model_dump(mode="json")},
        "photographs": len(made.photographs),
        "registered": len(structure.focals),
        "unregistered": [one.name for one in made.photographs if one.name not in structure.focals],
        "points": structure.points,
        "reprojection_error_px": structure.error,
        "focal_px": made.focal,
        "findings": list(made.findings),
    }

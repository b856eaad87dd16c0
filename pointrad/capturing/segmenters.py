"""Programs that tell an object from its background. What is not installed is an error; nothing is downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrad.capturing.config import Box, PhotographMasksConfig
from pointrad.data.picture_files import resized
from pointrad.errors import UserError

_USUAL_REMBG = "u2net"

Pixels = NDArray[np.uint8]
Segment = Callable[[Pixels], Pixels]  # of [H, W, 3] RGB, [H, W], 255 on the object


def grabcut(config: PhotographMasksConfig, seed: int) -> Segment:
    """OpenCV's GrabCut, from the same box in every picture: what is outside it is background."""
    import cv2

    assert config.box is not None  # as the config has checked
    box, size, iterations = config.box, config.grabcut.size, config.grabcut.iterations

    def segment(rgb: Pixels) -> Pixels:
        height, width = rgb.shape[:2]
        x0, y0, x1, y1 = _shares(box, width, height)
        scale = min(1.0, size / max(width, height))
        small = resized(rgb, max(1, round(width * scale)), max(1, round(height * scale)))
        rows, columns = small.shape[:2]
        rectangle = (round(x0 * columns), round(y0 * rows), round((x1 - x0) * columns), round((y1 - y0) * rows))
        labels = np.zeros((rows, columns), np.uint8)
        background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(seed)
        cv2.grabCut(
            cv2.cvtColor(small, cv2.COLOR_RGB2BGR), labels, rectangle, background, foreground, iterations,
            cv2.GC_INIT_WITH_RECT,
        )  # fmt: skip
        inside = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
        return resized(np.where(inside, np.uint8(255), np.uint8(0)), width, height)

    return segment


def _shares(box: Box, width: int, height: int) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    if max(box) > 1:
        x0, x1, y0, y1 = x0 / width, x1 / width, y0 / height, y1 / height
    if max(x1, y1) > 1:
        raise UserError(f"box: found {list(box)}; expected a box in the picture of {width}x{height} pixels")
    if (x0, y0, x1, y1) == (0, 0, 1, 1):
        raise UserError(f"box: found {list(box)}, the whole picture; expected one that leaves background outside")
    return x0, y0, x1, y1


def rembg(model: str | None) -> Segment:
    _require("rembg", "pip install 'rembg[cpu]'")
    name = model or _USUAL_REMBG
    home = Path(os.environ.get("U2NET_HOME") or Path(os.environ.get("XDG_DATA_HOME") or "~") / ".u2net").expanduser()
    if not (home / f"{name}.onnx").is_file():
        raise UserError(
            f"masks.model: found no {name}.onnx in {home}; expected it there, as this downloads it: "
            f"python -c \"from rembg import new_session; new_session('{name}')\""
        )
    os.environ.setdefault("MODEL_CHECKSUM_DISABLED", "1")  # else it downloads the file again if it differs
    library = _import("rembg")
    session = library.new_session(name)
    return lambda rgb: np.asarray(
        library.remove(Image.fromarray(rgb), session=session, only_mask=True).convert("L"), np.uint8
    )


def mediapipe(model: Path) -> Segment:
    """Its first category is the background, unless it has only one."""
    _require("mediapipe", "pip install mediapipe")
    if not model.is_file():
        raise UserError(
            f"masks.model: found no file {model}; expected an image segmenter of MediaPipe, such as "
            "selfie_multiclass_256x256.tflite or deeplab_v3.tflite, downloaded from its documentation"
        )
    library = _import("mediapipe")
    tasks = library.tasks
    options = tasks.vision.ImageSegmenterOptions(
        base_options=tasks.BaseOptions(model_asset_path=str(model)), output_confidence_masks=True
    )
    segmenter = tasks.vision.ImageSegmenter.create_from_options(options)

    def segment(rgb: Pixels) -> Pixels:
        image = library.Image(image_format=library.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
        first, *others = (mask.numpy_view() for mask in segmenter.segment(image).confidence_masks)
        inside = 1 - first if others else first
        return np.asarray(np.rint(255 * np.clip(inside.reshape(rgb.shape[:2]), 0, 1)), np.uint8)

    return segment


def _require(package: str, command: str) -> None:
    if find_spec(package) is None:
        raise UserError(f"masks: found {package}, which is not installed; expected it: {command}")


def _import(package: str) -> Any:
    from importlib import import_module

    return import_module(package)

"""Pages of one look, and pictures inside of them."""

from __future__ import annotations

import base64
import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrad.pages.template import rendered, resource

_QUALITY = 70  # of WebP


def filled(package: str, **values: object) -> str:
    """The page of a package, with the common style and the package's `page.css` after it. All values are escaped."""
    return rendered(package, resource(__package__, "common.css") + resource(package, "page.css"), **values)


def outlined(pixels: NDArray[np.uint8], mask: NDArray[np.bool_], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """[H, W, 3], with the outline of a mask [H, W] drawn on it, two pixels wide."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    edge = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, cross)  # the picture's border is none
    drawn = pixels.copy()
    drawn[edge > 0] = colour
    return drawn


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """[H, W, 3] as the address of a picture that is in it."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=_QUALITY, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"

"""Templates beside the modules that fill them, and pictures inside of pages."""

from __future__ import annotations

import base64
import io
from importlib.resources import files

import cv2
import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

_QUALITY = 70  # of WebP


def filled(package: str, **values: object) -> str:
    """The page of the template `page.html` of a package, with the common style and the package's `page.css` after it,
    and as `script` the package's `page.js`, if it has one. All values are escaped."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    style = Markup(_resource(__package__, "common.css") + _resource(package, "page.css"))
    script = Markup(_resource(package, "page.js")) if (files(package) / "page.js").is_file() else None
    return environment.from_string(_resource(package, "page.html")).render(style=style, script=script, **values)


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


def _resource(package: str, name: str) -> str:
    return (files(package) / name).read_text(encoding="utf-8")

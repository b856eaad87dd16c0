"""A sheet of one view's mask under every model of mask errors, at several levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pointrad.camera import Float64Array
from pointrad.data.scene import View
from pointrad.files import replacing

# Okabe and Ito's colours, which stay apart for every kind of colour blindness and in grey print.
_KEPT, _MISSED, _FALSE = "0.6", "#D55E00", "#0072B2"
_TINT = 0.75  # of a colour, over the photograph
_CELL = 1.45  # inches


@dataclass(frozen=True)
class Cell:
    """A corrupted view, and the mean intersection over union of all views corrupted like it."""

    corrupted: View
    iou: float


def write_contact_sheet(
    path: Path, clean: View, rows: Mapping[str, Sequence[Cell]], levels: Sequence[float], title: str
) -> None:
    """Draw, over the photograph in grey, what each corrupted mask keeps, misses and falsely adds, as a PNG.

    clean: the view with its true mask. rows: by model, one cell per level.
    """
    height = _CELL * clean.camera.height / clean.camera.width + 0.05  # with the IoU below
    # One more column is as wide as the models' names need; heading, title and legend take 1.1 inches.
    figure = Figure(figsize=(_CELL * len(levels) + 1, height * len(rows) + 1.1), dpi=150, layout="constrained")
    grid = figure.subplots(len(rows), len(levels), squeeze=False)
    for axes, level in zip(grid[0], levels, strict=True):
        axes.set_title(f"level {level:g}", fontsize=9)
    for line, (name, cells) in zip(grid, rows.items(), strict=True):
        line[0].set_ylabel(name, fontsize=10, rotation=0, ha="right", va="center")
        for axes, cell in zip(line, cells, strict=True):
            _draw(axes, clean, cell)
    keys = [Patch(facecolor=(colour, _TINT), edgecolor="0.2", linewidth=0.6) for colour in (_KEPT, _MISSED, _FALSE)]
    figure.legend(keys, ("kept", "missed", "false"), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=10)
    with replacing(path) as temporary:
        figure.savefig(temporary)


def _draw(axes: Axes, clean: View, cell: Cell) -> None:
    truth = clean.mask > 0
    axes.imshow(_overlay(clean, cell.corrupted), interpolation="antialiased")
    if truth.any() and not truth.all():
        axes.contour(truth, levels=[0.5], colors="0.2", linewidths=0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set(color="0.7", linewidth=0.6)
    axes.set_xlabel(f"IoU {cell.iou:.2f}", fontsize=8, labelpad=2)


def _overlay(clean: View, corrupted: View) -> Float64Array:
    """[H, W, 3] float64 in [0, 1]: the object in light grey on white paper, tinted where the masks disagree."""
    grey = clean.image.astype(np.float64) @ (0.2126, 0.7152, 0.0722)  # luminance of sRGB primaries
    alpha = clean.mask.astype(np.float64)
    picture = np.repeat((1 - alpha + alpha * (0.3 + 0.7 * grey))[..., None], 3, axis=-1)
    truth, found = clean.mask > 0, corrupted.mask > 0
    for area, colour in ((truth & ~found, _MISSED), (found & ~truth, _FALSE)):
        picture[area] = (1 - _TINT) * picture[area] + _TINT * np.array(to_rgb(colour))
    return picture

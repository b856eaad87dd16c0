"""The ranking as one HTML file: photographs with both outlines, worst first, and the table, all within."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pointrad.artifacts.pictures import as_bytes
from pointrad.data.picture_files import resized
from pointrad.data.scene import Float32Array
from pointrad.masks.iou import Mask
from pointrad.pages.page import data_uri, filled, outlined
from pointrad.repair.rounds import Rounds
from pointrad.repair.table import Ranking

# Okabe and Ito's colours, which stay apart for every kind of colour blindness.
_OF_GIVEN, _OF_REPAIRED = (213, 94, 0), (0, 114, 178)
_MOST_TILES = 150  # photographs on the page
_LARGEST = 400  # pixels: the longer side of one


@dataclass(frozen=True)
class Tile:
    """A photograph on the page. picture: as a data URI."""

    picture: str
    width: int
    height: int


def tile(photograph: Float32Array, given: Mask | None, repaired: Mask) -> Tile:
    """photograph: [H, W, 3] in [0, 1]. given, repaired: [H, W], whose outlines are drawn."""
    rows, columns = repaired.shape
    factor = min(1.0, _LARGEST / max(rows, columns))
    width, height = max(1, round(factor * columns)), max(1, round(factor * rows))
    pixels = as_bytes(resized(photograph, width, height))
    for mask, colour in ((given, _OF_GIVEN), (repaired, _OF_REPAIRED)):
        if mask is not None:
            pixels = outlined(pixels, resized(mask.astype(np.float32), width, height) >= 0.5, colour)
    return Tile(data_uri(pixels), width, height)


def html(name: str, ranking: Ranking, tiles: Mapping[str, Tile], rounds: Rounds) -> str:
    """name: of the scene. tiles: by view. rounds: of which the masks are one."""
    shown = [(row, tiles[row.view]) for row in ranking.rows[:_MOST_TILES]]
    kinds = Counter(row.comparison.kind.value for row in ranking.rows).most_common()
    hidden = len(ranking.rows) - len(shown)
    return filled(__package__, name=name, ranking=ranking, shown=shown, kinds=kinds, hidden=hidden, rounds=rounds)

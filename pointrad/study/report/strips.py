"""Picture strips: for each scene how masks are wrong and the renders of every setting along x, beside the truth."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from pointrad.run.status import RunState
from pointrad.study.report.cells import Axis, Cell, Run, gather
from pointrad.study.report.charts import Layout
from pointrad.study.report.labels import quantity
from pointrad.study.report.shots import MASKS, RENDERS, Kind, Picture, evenly

_LARGEST = 360  # pixels, across a tile
_QUALITY = 82
_MOST_PICTURES = 240  # of a kind, in a page: some 5 MB of renders
_FEWEST_ALONG_X = 6  # where a line has more, and not all can be shown


@dataclass(frozen=True)
class Shot:
    """A view of one repeat: a picture as a data URI and how good it is, else why there is none.

    view: which of the gallery's.
    """

    view: int
    repeat: int
    picture: str
    score: str
    why: str


@dataclass(frozen=True)
class Tile:
    """A setting's shots; where it has none a link to its picture, else why there is none."""

    caption: str
    shots: tuple[Shot, ...]
    link: str
    why: str


@dataclass(frozen=True)
class Strip:
    """The tiles of one line of the charts, along x."""

    name: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Gallery:
    """Strips of one kind of pictures, of which one view and repeat is shown at a time.

    truths: of each view as a data URI, where there is a truth.
    """

    title: str
    explanation: str
    views: tuple[str, ...]
    truths: tuple[str, ...]
    repeats: tuple[int, ...]
    width: int
    height: int
    strips: tuple[Strip, ...]


@dataclass(frozen=True)
class SceneStrips:
    """A scene's galleries."""

    scene: str
    galleries: tuple[Gallery, ...]


@dataclass(frozen=True)
class _Row:
    """The settings along x of a line, or of several that are alike."""

    names: tuple[str, ...]
    cells: tuple[Cell, ...]


def make_strips(study_dir: Path, layout: Layout, runs: Sequence[Run]) -> tuple[SceneStrips, ...]:
    """Strips of every scene that has pictures.

    As many pictures are in them as keep a page small: the first view and repeat of as many settings as there is room
    for, spread evenly over lines and along x, and then further views and repeats of all; links to the others.
    """
    cells: dict[str, list[Cell]] = {}
    for cell in gather(runs):
        cells.setdefault(cell.scene, []).append(cell)
    most = max(1, _MOST_PICTURES // max(1, len(cells)))
    scenes = [_scene(study_dir, layout, of_scene, most) for of_scene in list(cells.values())[:_MOST_PICTURES]]
    return tuple(scene for scene in scenes if scene.galleries)


def _scene(study_dir: Path, layout: Layout, cells: Sequence[Cell], most: int) -> SceneStrips:
    lines: dict[str, list[Cell]] = {}
    for cell in cells:
        lines.setdefault(layout.line_title(cell.labels), []).append(cell)
    rows = [
        _Row((name,), tuple(sorted(line, key=lambda cell: _position(cell, layout.x)))) for name, line in lines.items()
    ]
    makers = (
        _Maker(study_dir, layout, MASKS, _merged(study_dir, rows), most),
        _Maker(study_dir, layout, RENDERS, rows, most),
    )
    galleries = [maker.gallery() for maker in makers]
    return SceneStrips(cells[0].scene, tuple(gallery for gallery in galleries if gallery is not None))


@dataclass(frozen=True)
class _Maker:
    study_dir: Path
    layout: Layout
    kind: Kind
    rows: Sequence[_Row]
    most: int

    def gallery(self) -> Gallery | None:
        chosen = _spread([row.cells for row in self.rows], self.most)
        shown = self._first_pictures(chosen)
        if not shown:
            return None
        repeats = sorted({run.repeat for cell in chosen for run in cell.runs})
        choices = [(repeat, view) for repeat in repeats for view in range(len(shown))]
        choices = choices[: max(1, self.most // len(chosen))]
        of_chosen = {id(cell): self._shots(cell, shown, choices) for cell in chosen}
        strips = tuple(
            Strip("; ".join(row.names), tuple(self._tile(cell, of_chosen.get(id(cell), ())) for cell in row.cells))
            for row in self.rows
        )
        width, height = _small(shown[0].image).size
        views = [shown[view] for view in sorted({view for _, view in choices})]
        truths = tuple(_data_uri(picture.truth) for picture in views if picture.truth)
        return Gallery(
            self.kind.title, self.kind.explanation, tuple(picture.view for picture in views), truths,
            tuple(dict.fromkeys(repeat for repeat, _ in choices)), width, height, strips,
        )  # fmt: skip

    def _first_pictures(self, cells: Sequence[Cell]) -> list[Picture]:
        """Those of the first run that has some: their views are the gallery's."""
        runs = (run for cell in cells for run in cell.done)
        return next((pictures for run in runs if (pictures := self._pictures(run))), [])

    def _pictures(self, run: Run) -> list[Picture]:
        sheet = self.kind.file(self.study_dir / run.folder)
        return self.kind.read(sheet) if sheet else []

    def _shots(self, cell: Cell, shown: Sequence[Picture], choices: Sequence[tuple[int, int]]) -> tuple[Shot, ...]:
        if not cell.done:
            return ()
        found = []
        for run in cell.runs:
            views = [view for repeat, view in choices if repeat == run.repeat]
            pictures = self._pictures(run) if views and run.state is RunState.DONE else []
            found += [self._shot(run, view, pictures, shown) for view in views]
        return tuple(found) if any(shot.picture for shot in found) else ()

    def _shot(self, run: Run, view: int, pictures: Sequence[Picture], shown: Sequence[Picture]) -> Shot:
        if run.state is not RunState.DONE:
            return Shot(view, run.repeat, "", "", f"repeat {run.repeat}: {run.state.value}")
        if view >= len(pictures):
            return Shot(view, run.repeat, "", "", "no picture")
        picture, model = pictures[view], shown[view]
        # A picture of another view or size has nothing to do in this scene's strip.
        if (picture.view, picture.image.size) != (model.view, model.image.size):
            return Shot(view, run.repeat, "", "", "of another view")
        return Shot(view, run.repeat, _data_uri(picture.image), picture.score, "")

    def _tile(self, cell: Cell, shots: tuple[Shot, ...]) -> Tile:
        x = self.layout.x
        caption = self.layout.point_name(cell.labels)
        if isinstance(x, str) and cell.measure(x).values:
            caption = f"{quantity(x).name} {cell.measure(x).text(quantity(x))}" + (f" · {caption}" if caption else "")
        if not cell.done:
            return Tile(caption, (), "", f"no finished run ({cell.undone})")
        if shots:
            return Tile(caption, shots, "", "")
        folder = cell.done[0].folder
        sheet = self.kind.file(self.study_dir / folder)
        link = f"../{quote(f'{folder}/pictures/{sheet.name}')}" if sheet else ""
        return Tile(caption, (), link, "" if link else "no picture")


def _merged(study_dir: Path, rows: Sequence[_Row]) -> list[_Row]:
    """Lines whose runs were given the same masks as one; without a name where that is all of them."""
    groups: list[tuple[_Row, list[list[str]]]] = []
    for row in rows:
        digests = [[_digest(study_dir, run) for run in cell.runs] for cell in row.cells]
        place = next((n for n, (_, others) in enumerate(groups) if _alike(digests, others)), None)
        if place is None:
            groups.append((row, digests))
        else:
            other, others = groups[place]
            pairs = zip(other.cells, row.cells, strict=True)
            cells = tuple(max(pair, key=lambda cell: len(cell.done)) for pair in pairs)
            known = [[one or two for one, two in zip(*pair, strict=True)] for pair in zip(others, digests, strict=True)]
            groups[place] = (_Row(other.names + row.names, cells), known)
    return [_Row((), row.cells) for row, _ in groups] if len(groups) == 1 else [row for row, _ in groups]


def _alike(one: list[list[str]], two: list[list[str]]) -> bool:
    """Whether masks are the same as far as both are known."""
    return [*map(len, one)] == [*map(len, two)] and all(
        not (first and second) or first == second
        for firsts, seconds in zip(one, two, strict=True)
        for first, second in zip(firsts, seconds, strict=True)
    )


def _digest(study_dir: Path, run: Run) -> str:
    """Of the sheet of a finished run's masks; "" where there is none."""
    sheet = MASKS.file(study_dir / run.folder) if run.state is RunState.DONE else None
    return hashlib.sha256(sheet.read_bytes()).hexdigest() if sheet else ""


def _spread(rows: Sequence[Sequence[Cell]], most: int) -> list[Cell]:
    """About `most` of the cells: every so many lines, and of these every so many along x."""
    across = max(map(len, rows))
    if len(rows) * across <= most:
        return [cell for row in rows for cell in row]
    columns = min(across, _FEWEST_ALONG_X, most)
    return [cell for row in evenly(rows, max(1, most // columns)) for cell in evenly(row, columns)]


def _position(cell: Cell, x: Axis | str) -> float:
    if not isinstance(x, str):
        return x.position(cell.labels[x.name])
    measured = cell.measure(x)
    return measured.mean if measured.values else 0.0


def _small(image: Image.Image) -> Image.Image:
    """At most `_LARGEST` across; small pictures stay sharp as they are."""
    copy = image.convert("RGB")
    copy.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    return copy


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    _small(image).save(buffer, "WEBP", quality=_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"

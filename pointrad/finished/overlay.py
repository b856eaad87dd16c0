"""What a run started from, over the pictures of one browser: the hull of its masks and its initial points."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import viser

from pointrad.artifacts.pictures import as_bytes
from pointrad.data.frame import SceneFrame
from pointrad.errors import UserError
from pointrad.finished.beginning import Beginning, Mesh, Points

_HULL, _POINTS = "hull", "initial points"
_COLOUR, _OPACITY = (90, 170, 255), 0.45  # of the hull, through which one sees the cloud
_POINT = 0.008  # scene units


class Overlay:
    """Two checkboxes, and what they ask for. find: what a frame started from, which takes seconds at first."""

    def __init__(self, client: viser.ClientHandle, frame: SceneFrame, find: Callable[[int], Beginning]) -> None:
        self._client, self._frame, self._find = client, frame, find
        self._boxes = {name: client.gui.add_checkbox(name, False) for name in (_HULL, _POINTS)}
        self._told = client.gui.add_markdown("", visible=False)
        self._drawn: dict[tuple[str, int], viser.SceneNodeHandle] = {}
        self.asked = threading.Event()
        for box in self._boxes.values():
            box.on_update(lambda _: self.asked.set())

    def follow(self, shown: Callable[[], int], gone: threading.Event) -> None:
        """Show what is asked for of the frame that is shown, until the browser is gone."""
        threading.Thread(target=self._answer, args=(shown, gone), daemon=True).start()

    def _answer(self, shown: Callable[[], int], gone: threading.Event) -> None:
        while not gone.is_set():
            if self.asked.wait(timeout=1):
                self.asked.clear()
                self._show(shown(), gone)

    def _show(self, frame: int, gone: threading.Event) -> None:
        wanted = [name for name, box in self._boxes.items() if box.value]
        for (name, number), drawn in self._drawn.items():
            drawn.visible = name in wanted and number == frame
        missing = [name for name in wanted if (name, frame) not in self._drawn]
        self._tell(["Finding what training started from ..."] if missing else [])
        found = self._found(frame) if missing else {}
        if gone.is_set():
            return
        for name in missing:
            self._draw(name, frame, found[name])
        self._tell([f"No {name}: {found[name]}" for name in missing if isinstance(found[name], str)])

    def _found(self, frame: int) -> dict[str, Mesh | Points | str]:
        try:
            found = self._find(frame)
        except UserError as error:
            return dict.fromkeys((_HULL, _POINTS), str(error))
        return {_HULL: found.hull, _POINTS: found.points}

    def _draw(self, name: str, frame: int, part: Mesh | Points | str) -> None:
        scene, place = self._client.scene, f"/{name}/{frame}"
        match part:
            case Mesh(vertices, faces):
                vertices = self._frame.from_world(vertices)
                drawn = scene.add_mesh_simple(place, vertices, faces, color=_COLOUR, opacity=_OPACITY)
            case Points(positions, colours):
                positions, seen = self._frame.from_world(positions), as_bytes(colours)
                drawn = scene.add_point_cloud(place, positions, seen, point_size=_POINT, point_shape="circle")
            case _:
                return
        self._drawn[name, frame] = drawn

    def _tell(self, lines: Sequence[str]) -> None:
        self._told.content, self._told.visible = "  \n".join(lines), bool(lines)

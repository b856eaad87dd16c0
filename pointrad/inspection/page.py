"""An inspection as one HTML file: findings, the cameras around the hull, and a contact sheet, all within."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pointrad.artifacts.pictures import as_bytes
from pointrad.camera import Camera, Float64Array
from pointrad.data.poses import upward
from pointrad.inspection.findings import Finding, Severity
from pointrad.inspection.gather import Shot
from pointrad.inspection.hull import Fit
from pointrad.inspection.views import Judged
from pointrad.pages.page import data_uri, filled, outlined

# Okabe and Ito's colours, which stay apart for every kind of colour blindness.
_OF_MASK, _OF_HULL = (213, 94, 0), (0, 114, 178)
_MOST_TILES = 150  # photographs on the page
_MOST_POINTS = 2500  # of the hull
_FRUSTUM = 0.12  # of the cameras' distance: how deep one is drawn


@dataclass(frozen=True)
class Inspection:
    """What is known of a capture.

    facts: what it is, by a word or two. findings: worst first. views: each beside the hull, those that differ most
    first; none without masks. shots: the photographs, by name. hull: None if there is none.
    """

    name: str
    facts: dict[str, str]
    findings: tuple[Finding, ...]
    views: tuple[Judged, ...]
    shots: dict[str, Shot]
    hull: Fit | None

    @property
    def faults(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity is Severity.FAULT)

    @property
    def faulty(self) -> frozenset[str]:
        """The views that faults are about."""
        return frozenset(name for finding in self.faults for name in finding.views)


@dataclass(frozen=True)
class Tile:
    """A photograph of the contact sheet. picture: as a data URI."""

    name: str
    picture: str
    width: int
    height: int
    caption: str
    faulty: bool


def html(inspection: Inspection) -> str:
    """The page as text. Whatever it shows of files and keys is escaped."""
    tiles = list(_tiles(inspection))
    hidden = len(inspection.shots) - len(tiles)
    return filled(__package__, inspection=inspection, tiles=tiles, hidden=hidden, scene=_scene(inspection))


def _tiles(inspection: Inspection) -> Iterable[Tile]:
    """Photographs with the outlines of mask and hull, those that differ most first."""
    judged = {view.name: view for view in inspection.views}
    names = [*judged, *(name for name in inspection.shots if name not in judged)]
    first = sorted(names, key=lambda name: name not in inspection.faulty)
    for name in first[:_MOST_TILES]:
        shot, view = inspection.shots[name], judged.get(name)
        pixels = as_bytes(shot.image)
        caption = "no mask"
        if view is not None:
            caption = f"mask covers {view.coverage:.0%}"
            if view.silhouette is not None:
                pixels = outlined(pixels, view.silhouette, _OF_HULL)
                caption += f", IoU {view.iou:.2f}"
            pixels = outlined(pixels, view.look.mask, _OF_MASK)
        height, width = pixels.shape[:2]
        yield Tile(name, data_uri(pixels), width, height, caption, name in inspection.faulty)


def _scene(inspection: Inspection) -> dict[str, object]:
    """Cameras and hull for the script to draw: places about their middle, as parts of their extent.

    up: which way that is, a unit vector. points: of the hull. cameras: the five corners of each frustum, the camera's
    place first.
    """
    right = {view.name: view.look.camera for view in inspection.views}
    cameras = {name: right.get(name, shot.camera) for name, shot in inspection.shots.items()}
    places = np.stack([camera.position for camera in cameras.values()])
    middle = places.mean(axis=0) if inspection.hull is None else inspection.hull.centre
    extent = max(float(np.linalg.norm(places - middle, axis=1).max()), 1e-12)
    points = np.zeros((0, 3)) if inspection.hull is None else inspection.hull.points
    step = -(-len(points) // _MOST_POINTS) or 1
    return {
        "up": upward(list(cameras.values())).round(4).tolist(),
        "points": ((points[::step] - middle) / extent).round(4).tolist(),
        "cameras": [
            {
                "name": name,
                "faulty": name in inspection.faulty,
                "corners": ((_frustum(camera, _FRUSTUM * extent) - middle) / extent).round(4).tolist(),
            }
            for name, camera in cameras.items()
        ],
    }


def _frustum(camera: Camera, depth: float) -> Float64Array:
    """[5, 3] the camera's place, and the corners of its picture at this depth, world units."""
    ends = [(0, 0), (camera.width, 0), (camera.width, camera.height), (0, camera.height)]
    slopes = [((u - camera.cx) / camera.fx, -(v - camera.cy) / camera.fy) for u, v in ends]
    wide = max(1.0, max(abs(slope) for pair in slopes for slope in pair))
    corners = np.array([(0.0, 0.0, 0.0), *((depth * x / wide, depth * y / wide, -depth / wide) for x, y in slopes)])
    return corners @ camera.camera_to_world[:3, :3].T + camera.position

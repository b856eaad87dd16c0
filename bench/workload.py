"""What is benchmarked: a seeded cloud like one that training leaves, cameras around it, and the paper's settings."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numba
import numpy as np
import torch
import yaml
from numba import njit, prange
from torch import Tensor

from pointrad.camera import Camera, Float64Array
from pointrad.data.scene import Float32Array
from pointrad.model.base import Cloud
from pointrad.model.points import POINTS
from pointrad.render.base import SplatSettings
from pointrad.render.cpu.point_kernels import CELLS, TILE_COLUMNS, TILE_HEIGHT, TILE_WIDTH
from pointrad.render.cpu.points import CpuRenderer, Splatting
from pointrad.render.cpu.simd import CELL
from pointrad.training.config import ScheduleConfig
from pointrad.training.steps.points import FusedStep
from pointrad.training.target import Target

SEED = 526
SIZE = 400
RADIUS = 0.015  # NDC, as for hotdog: 3 pixels at 400x400
SETTINGS = SplatSettings(RADIUS, 15, "point", (0.0, 0.0, 0.0))
SCHEDULE = ScheduleConfig.model_validate(
    yaml.safe_load((Path(__file__).resolve().parents[1] / "conf" / "schedule" / "paper.yaml").read_text())
)
VIEWS = 8
STAGE = SCHEDULE.stages["refine_2"]
DECAY = dict.fromkeys(STAGE.lr, STAGE.decay(STAGE.length(VIEWS) // 2 * VIEWS, VIEWS, 1))  # half-way through the stage
CAMERA_ANGLE_X = 0.6911112  # NeRF-synthetic's
CAMERA_DISTANCE = 4.0311
LATTICE = 256  # cells per axis of the hull whose order the points keep
DEPTH = 0.03  # world units: how far trained points lie inside the surface


def cameras(size: int = SIZE) -> list[Camera]:
    """Cameras on a ring around the origin, at two elevations."""
    poses = [_look_at(2 * math.pi * n / VIEWS, 0.5 + 0.4 * (n % 2)) for n in range(VIEWS)]
    focal = 0.5 * size / math.tan(0.5 * CAMERA_ANGLE_X)
    return [Camera.centred(pose, focal, size, size) for pose in poses]


@cache
def cloud_parameters(count: int) -> Tensor:
    """[33, count]: points on a plate and two rolls (about hotdog's size), just below the surface, in lattice order.

    Colours vary smoothly, harmonics are small: a cloud late in training.
    """
    random = np.random.default_rng(SEED)
    parts = [(0.55, (1.15, 1.15, 0.08), 0.0), (0.225, (0.75, 0.22, 0.25), 0.28), (0.225, (0.75, 0.22, 0.25), -0.28)]
    numbers = [round(share * count) for share, _, _ in parts]
    numbers[0] = count - sum(numbers[1:])
    pieces = [
        _ellipsoid(random, number, radii) + np.array([0.0, y, 0.0 if y == 0 else 0.25])
        for number, (_, radii, y) in zip(numbers, parts, strict=True)
    ]
    points = np.concatenate(pieces)
    cell = np.floor((points + 1.5) / 3 * LATTICE).astype(np.int64)
    points = points[np.argsort((cell[:, 0] * LATTICE + cell[:, 1]) * LATTICE + cell[:, 2], kind="stable")]
    colours = 0.5 + 0.4 * np.sin(5 * points + np.array([0.0, 1.0, 2.0]))
    harmonics = random.normal(0, 0.05, (27, count))
    return torch.from_numpy(np.concatenate([points.T, colours.T, harmonics]).astype(np.float32)).contiguous()


def targets(count: int, size: int) -> list[Target]:
    """[3, size, size] per camera: the cloud's own renders with other colours, so that every step has a gradient."""
    parameters = cloud_parameters(count).clone()
    parameters[3:6] *= 0.9
    renderer = CpuRenderer(SETTINGS)
    with torch.no_grad():
        images = [renderer.render(parameters, camera) for camera in cameras(size)]
    return [Target.known(image.permute(2, 0, 1).contiguous()) for image in images]


def fresh_step(count: int) -> FusedStep:
    """The fused training step of the paper's last stage on a copy of the cloud."""
    return FusedStep(Cloud(POINTS, cloud_parameters(count).clone()), SETTINGS, STAGE, SCHEDULE.adam)


def splat(splatting: Splatting, count: int, camera: Camera) -> None:
    """The forward pass, from positions to the image."""
    splatting.forward(cloud_parameters(count).numpy(), camera, harmonics=True)


def image_gradient(size: int) -> Float32Array:
    """A seeded gradient of the loss with respect to the padded image [3, H', W']."""
    shape = (3, -(-size // TILE_HEIGHT) * TILE_HEIGHT, -(-size // TILE_WIDTH) * TILE_WIDTH)
    return np.random.default_rng(SEED).normal(0, 1e-5, shape).astype(np.float32)


def held_bytes(splatting: Splatting) -> int:
    """Bytes of all buffers that a splatting keeps between calls; most of `contributors` is never touched."""
    return sum(buffer.nbytes for buffer in splatting.buffers)


def count_visible(splatting: Splatting) -> int:
    """How many points touch the image of the last forward pass."""
    return int(np.count_nonzero(np.diff(splatting.buffers.slot_start)))


def count_hits(splatting: Splatting) -> int:
    """How many (splat, pixel) hits the last forward pass composited."""
    b, nearest = splatting.buffers, splatting.settings.points_per_pixel
    columns = b.composited.shape[2] // TILE_WIDTH
    return int(_count_hits(b.binned, b.tile_start, b.contributors, b.cell_start, columns, splatting.radius, nearest))


@njit(parallel=True)
def _count_hits(binned, tile_start, contributors, cell_start, columns, radius, nearest):
    hits = np.zeros(len(cell_start), np.int64)
    for tile in prange(len(cell_start)):
        left, top = (tile % columns) * TILE_WIDTH, (tile // columns) * TILE_HEIGHT
        of_tile = slice(tile_start[tile], tile_start[tile + 1])
        splats, places = binned[of_tile], contributors[of_tile].reshape(-1)
        for cell in range(CELLS):
            taken = np.zeros((CELL, CELL), np.int64)
            for k in range(cell_start[tile, cell], cell_start[tile, cell + 1]):
                u, v = splats[places[k], 0], splats[places[k], 1]
                for y in range(CELL):
                    for x in range(CELL):
                        across = left + cell % TILE_COLUMNS * CELL + x + 0.5 - u
                        down = top + cell // TILE_COLUMNS * CELL + y + 0.5 - v
                        if across**2 + down**2 < radius * radius and taken[y, x] < nearest:
                            taken[y, x] += 1
            hits[tile] += taken.sum()
    return hits.sum()


def thread_limit() -> int:
    return int(numba.config.NUMBA_NUM_THREADS)


def _ellipsoid(random: np.random.Generator, count: int, radii: tuple[float, float, float]) -> Float64Array:
    """[count, 3] points below an ellipsoid's surface, about evenly spread over it."""
    scale = np.array(radii)
    # Directions drawn evenly are denser where the surface is small: keep each in proportion to its share of the area.
    normals = random.normal(size=(8 * count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    stretch = np.linalg.norm(normals / scale, axis=1)
    kept = normals[random.random(len(normals)) < stretch * scale.min()][:count]
    if len(kept) < count:
        kept = np.concatenate([kept, random.choice(kept, count - len(kept))])
    depth = np.abs(random.normal(0, DEPTH, (count, 1)))
    return kept * scale - depth * (kept / scale) / np.linalg.norm(kept / scale, axis=1, keepdims=True)


def _look_at(azimuth: float, elevation: float) -> Float64Array:
    level = math.cos(elevation)
    back = np.array([level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)])
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(back, right), back, CAMERA_DISTANCE * back], axis=1)
    return pose

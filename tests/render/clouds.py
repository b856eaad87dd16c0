"""Random clouds before random cameras, made to hit the corners of splatting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from pointrad.camera import Camera, Float64Array
from pointrad.model.points import ROWS
from pointrad.render.base import SplatSettings
from tests.scenes import look_at, off_centre

EDGE = 3e-5  # pixels: float32 cannot tell on which side of a splat's edge a pixel centre nearer than this lies
BLACK = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Case:
    """A cloud, its view and how it is splatted."""

    parameters: Tensor
    camera: Camera
    settings: SplatSettings
    harmonics: bool


def settings(
    radius: float = 0.2,
    nearest: int = 15,
    view_direction: Literal["point", "pixel"] = "point",
    background: tuple[float, float, float] = BLACK,
) -> SplatSettings:
    return SplatSettings(radius, nearest, view_direction, background)


def cloud(camera: Camera, pixels: Any, colours: Any = None, seed: int = 0) -> Tensor:
    """[33, N] parameters of points given as rows (u, v, depth): pixels and world units.

    Colours are [N, 3], random without; harmonics are random and so small that no colour leaves (0, 1).
    """
    pixels = np.asarray(pixels, np.float64).reshape(-1, 3)
    u, v, depth = pixels.T
    right = (u - camera.cx) / camera.fx * depth
    down = (v - camera.cy) / camera.fy * depth
    world = np.stack([right, -down, -depth, np.ones_like(u)]).T @ camera.camera_to_world.T
    generator = np.random.default_rng(seed)
    parameters = np.zeros((ROWS, len(pixels)), np.float32)
    parameters[:3] = world[:, :3].T
    parameters[3:6] = generator.uniform(0.3, 0.7, (3, len(pixels))) if colours is None else np.asarray(colours).T
    parameters[6:] = generator.uniform(-0.05, 0.05, (27, len(pixels)))
    return torch.from_numpy(parameters)


def front_camera(width: int = 32, height: int = 24, focal: float = 40.0) -> Camera:
    """A camera 4 units above the origin that looks straight down: depth is 4 - z, exactly."""
    pose = np.eye(4)
    pose[2, 3] = 4.0
    return Camera.centred(pose, focal, width, height)


@st.composite
def cases(draw: st.DrawFn, most_points: int = 200, largest_side: int = 48) -> Case:
    """Points in and around the image, behind the camera and at shared depths, under all settings."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    in_pixels = draw(st.sampled_from([0.45, 0.7, 1.0, 1.5, 3.0, 6.5, 12.0, 20.0, 40.0]), label="radius in pixels")
    # A splat's weight is as exact as float32 pixel coordinates are for its radius: to 1e-5 up to some 25 radii.
    side = min(largest_side, int(25 * in_pixels))
    width = draw(st.integers(1, side), label="width")
    height = draw(st.integers(1, side), label="height")
    if draw(st.booleans(), label="straight down"):
        camera = front_camera(width, height, 1.3 * width)
    else:
        camera = Camera.centred(look_at(3 * _direction(generator)), 1.3 * width, width, height)
    if draw(st.booleans(), label="off centre"):
        camera = off_centre(camera)
    pixels = _points(generator, camera, draw(st.integers(0, most_points), label="points"))
    if draw(st.booleans(), label="few depths") and len(pixels):
        pixels[:, 2] = generator.choice(pixels[:3, 2], len(pixels))
    parameters = cloud(camera, pixels, seed=int(generator.integers(2**32)))
    if draw(st.booleans(), label="twice each"):
        parameters[:3] = parameters[:3, np.arange(len(pixels)) // 2]
    splats = settings(
        2 * in_pixels / width,
        draw(st.integers(1, 20), label="K"),
        draw(st.sampled_from(["point", "pixel"]), label="view direction"),
        draw(st.sampled_from([BLACK, (1.0, 1.0, 1.0), (0.1, 0.5, 0.9)]), label="background"),
    )
    parameters = parameters[:, _clear_of_edges(parameters, camera, splats)].contiguous()
    return Case(parameters, camera, splats, draw(st.booleans(), label="harmonics"))


def _direction(generator: np.random.Generator) -> Float64Array:
    direction = generator.normal(size=3)
    return direction / np.linalg.norm(direction)


def _points(generator: np.random.Generator, camera: Camera, count: int) -> Float64Array:
    """[count, 3] rows (u, v, depth): most in the image, some beyond its border, some behind the camera."""
    size = np.array([camera.width, camera.height])
    pixels = np.empty((count, 3))
    pixels[:, :2] = generator.uniform(-0.3, 1.3, (count, 2)) * size
    pixels[:, 2] = generator.uniform(1, 5, count) * np.where(generator.random(count) < 0.1, -1, 1)
    centred = generator.random(count) < 0.1
    pixels[centred, :2] = np.floor(pixels[centred, :2]) + 0.5
    return pixels


def _clear_of_edges(parameters: Tensor, camera: Camera, splats: SplatSettings) -> Tensor:
    """[N] bool, false for a point with a pixel centre on its edge, where rounding decides who is in."""
    homogeneous = torch.cat([parameters[:3], torch.ones_like(parameters[:1])]).double()
    x, y, z = torch.from_numpy(camera.world_to_image) @ homogeneous
    dx = torch.arange(camera.width) + 0.5 - (camera.fx * x / z + camera.cx)[:, None]
    dy = torch.arange(camera.height) + 0.5 - (camera.fy * y / z + camera.cy)[:, None]
    distance = (dx.square()[:, None, :] + dy.square()[:, :, None]).sqrt()
    return ((distance - splats.radius_in_pixels(camera)).abs() > EDGE).flatten(1).all(dim=1)

"""Make the bundled demo scene: a small still life, path-traced with Mitsuba 3.

A striped mug of tea with a brass spoon, a fluted vase with three tulips, an orange and a pair of
cherries stand on a round gingham tray. The scene has what a point-based radiance field has to
cope with: thin parts (stems, spoon), concavities (mug, vase, tulip cups), a hole (the mug's
handle), texture (gingham, zigzag) and glossy surfaces. All geometry and all textures are
computed in this file; nothing is downloaded.

With ``--moving`` the same still life moves, before cameras that stand still: the orange rolls
along the tray's edge, the tulips sway, the spoon goes round in the mug.

How to run (needs ``pip install mitsuba numpy pillow tqdm``, and for speed an LLVM >= 17 that
Dr.Jit finds, or ``DRJIT_LIBLLVM_PATH`` set to its ``libLLVM.so``)::

    python demo_scene/make_demo_scene.py                            # the bundled pictures
    python demo_scene/make_demo_scene.py --out /tmp/quick --spp 32  # a quick, noisy look
    python demo_scene/make_demo_scene.py --moving                   # the bundled moving scene

The result has the NeRF-synthetic layout: ``transforms_{train,val,test}.json`` and one folder of
RGBA pictures per split, with straight (not premultiplied) sRGB colour and coverage as alpha.
Of the moving scene, each picture has a ``time`` from 0 to 1, as D-NeRF's scenes have.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drjit as dr
import mitsuba as mi
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

Array = NDArray[np.float64]

# Camera distance and opening angle of the NeRF-synthetic scenes, so that settings tuned for
# those scenes carry over.
CAMERA_DISTANCE = 4.0311
CAMERA_ANGLE_X = 0.6911112070083618
VIEW_COUNTS = {"train": 100, "val": 20, "test": 20}
CAMERA_COUNTS = {"train": 12, "test": 4}  # of the moving scene
INSTANTS = 10

TABLE_Z = -0.60  # top of the tray; everything stands on it
TRAY_RADIUS = 1.06
# Dr.Jit loads LLVM 15 and 16 as well, but their x86 code generator aborts the whole process on an
# instruction that Mitsuba's kernels need.
MIN_LLVM = (17, 0, 0)
MAX_DEPTH = 6  # enough bounces for light inside the mug, few enough to stay quick
EXPOSURE = 0.92

# Palette, linear reflectances.
CREAM = (0.80, 0.72, 0.58)
TEAL = (0.02, 0.22, 0.24)
CORAL = (0.75, 0.16, 0.10)
DENIM = (0.085, 0.17, 0.36)
ORANGE = (0.85, 0.27, 0.02)
CHERRY = (0.42, 0.010, 0.022)
PINK = (0.78, 0.20, 0.30)
YELLOW = (0.88, 0.55, 0.06)
LEAF = (0.07, 0.24, 0.05)
STEM = (0.14, 0.32, 0.07)
TEA = (0.26, 0.075, 0.012)
BRASS = (0.80, 0.55, 0.22)


# --------------------------------------------------------------------------------------------
# Geometry: every part is a grid of points, made by revolving a profile or sweeping a section.
# --------------------------------------------------------------------------------------------


@dataclass
class Part:
    """A grid surface with texture coordinates and the name of its material."""

    name: str
    points: Array  # (rows, columns, 3)
    uv: Array  # (rows, columns, 2)
    material: str


def unit(vectors: Array) -> Array:
    """Scale vectors along the last axis to length one (zero vectors stay zero)."""
    length: Array = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(length, 1e-12)


def curve(knots: Sequence[tuple[float, ...]], samples: int) -> Array:
    """A Catmull-Rom curve through the knots, sampled at about equal arc length."""
    p = np.asarray(knots, dtype=float)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, 1, 32, endpoint=False)[:, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
               + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True)
    ]  # fmt: skip
    dense = np.vstack([*pieces, p[-2:-1]])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(dense, axis=0), axis=1))])
    at = np.linspace(0, length[-1], samples)
    return np.stack([np.interp(at, length, axis) for axis in dense.T], axis=1)


def grid_uv(rows: int, columns: int) -> Array:
    """Texture coordinates: u runs along the columns, v along the rows."""
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    return np.stack([u, v], axis=-1)


def revolve(
    name: str,
    material: str,
    profile: Array,
    at: tuple[float, float, float] = (0.0, 0.0, 0.0),
    flutes: int = 0,
    flute_depth: float = 0.0,
    twist: float = 0.0,
    segments: int = 144,
) -> Part:
    """Turn a profile of (radius, height) pairs about the vertical through `at`."""
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    t = np.linspace(0, 1, len(profile))
    # The flutes fade out at both ends so that foot and lip stay round.
    wave = np.sin(np.pi * t)[:, None] * np.cos(flutes * angle + twist * t[:, None])
    # A pole of exactly zero radius would have no normal.
    radius = np.maximum(profile[:, :1], 1e-3) * (1 + flute_depth * wave)
    height = np.broadcast_to(profile[:, 1:], radius.shape)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=-1)
    return Part(name, points + np.asarray(at), grid_uv(*radius.shape), material)


def sweep(
    name: str,
    material: str,
    path: Array,
    width: float | Array,
    thickness: float | Array,
    across: tuple[float, float, float],
    segments: int = 24,
) -> Part:
    """Sweep an ellipse along a path; its `width` half-axis lies along `across`."""
    tangent = unit(np.gradient(path, axis=0))
    reference = np.asarray(across, dtype=float)
    side = unit(reference - (tangent @ reference)[:, None] * tangent)
    other = np.cross(tangent, side)
    angle = np.linspace(0, 2 * np.pi, segments + 1)[None, :, None]
    w = np.broadcast_to(width, len(path))[:, None, None]
    h = np.broadcast_to(thickness, len(path))[:, None, None]
    offset = w * np.cos(angle) * side[:, None] + h * np.sin(angle) * other[:, None]
    return Part(name, path[:, None] + offset, grid_uv(len(path), segments + 1), material)


def tray() -> list[Part]:
    """A thick disc with a rounded, slightly raised rim."""
    r, z = TRAY_RADIUS, TABLE_Z
    top = [(0.0, z), (0.5 * r, z), (0.9 * r, z), (0.955 * r, z + 0.012), (0.985 * r, z + 0.03)]
    edge = [(r, z + 0.025), (r + 0.005, z - 0.02), (0.985 * r, z - 0.07), (0.95 * r, z - 0.09)]
    under = [(0.88 * r, z - 0.095), (0.75 * r, z - 0.095), (0.0, z - 0.095)]
    part = revolve("tray", "tray", curve([*top, *edge, *under][::-1], 140))
    # A planar map, so that the gingham lies flat like a cloth.
    part.uv = part.points[..., :2] / (2.2 * r) + 0.5
    return [part]


def turned(part: Part, angle: float, axis: Array, about: Array, shift: Array) -> Part:
    """A part turned by an angle (radians) about an axis (unit length) through a point, then shifted."""
    x = part.points - about
    cosine, sine = np.cos(angle), np.sin(angle)
    along = (x @ axis)[..., None] * axis
    points = about + shift + along + cosine * (x - along) + sine * np.cross(axis, x)
    return Part(part.name, points, part.uv, part.material)


def mug(x: float, y: float, stirred: float) -> list[Part]:
    """A mug of tea with a handle, and a spoon in it that was stirred by an angle (radians)."""
    at = (x, y, TABLE_Z)
    outside = curve([(0.0, 0.012), (0.2, 0.01), (0.25, 0.0), (0.285, 0.03), (0.315, 0.12),
                     (0.325, 0.28), (0.325, 0.42), (0.335, 0.54), (0.34, 0.565)], 120)  # fmt: skip
    surface = curve([(0.292, 0.44), (0.15, 0.44), (0.0, 0.44)], 20)
    inside = curve([(0.34, 0.565), (0.33, 0.585), (0.312, 0.575), (0.298, 0.54), (0.29, 0.4),
                    (0.285, 0.2), (0.24, 0.07), (0.1, 0.05), (0.0, 0.05)], 100)  # fmt: skip
    away = np.array([-0.94, -0.34, 0.0])  # the handle points out of the picture's middle
    loop = curve([(0.30, 0.46), (0.40, 0.475), (0.505, 0.43), (0.54, 0.32), (0.50, 0.20),
                  (0.41, 0.125), (0.29, 0.11)], 80)  # fmt: skip
    handle = np.asarray(at) + loop[:, :1] * away + loop[:, 1:] * np.array([0.0, 0.0, 1.0])
    spoon = np.asarray(at) + curve([(-0.12, -0.05, 0.1), (0.06, 0.10, 0.42), (0.20, 0.215, 0.70),
                                    (0.285, 0.29, 0.90)], 80)  # fmt: skip
    widen = np.linspace(0, 1, 80)
    spoon_width = 0.017 + 0.030 * np.exp(-(((widen - 0.9) / 0.09) ** 2))
    spoon_width[-6:] *= np.sqrt(np.linspace(1, 0, 6))  # a rounded, closed tip
    straight = sweep("spoon", "brass", spoon, spoon_width, np.minimum(spoon_width, 0.014),
                     (0.7, -0.7, 0))  # fmt: skip
    return [
        revolve("mug_outside", "mug", outside, at),
        revolve("mug_inside", "cream_glaze", inside, at),
        revolve("tea", "tea", surface, at),
        sweep("mug_handle", "teal_glaze", handle, 0.050, 0.030, (-away[1], away[0], 0.0)),
        turned(straight, stirred, np.array([0.0, 0.0, 1.0]), np.array(at), np.zeros(3)),
    ]


def vase(x: float, y: float) -> list[Part]:
    """A fluted vase, hollow, with a softly twisted wall."""
    at = (x, y, TABLE_Z)
    outside = curve([(0.0, 0.01), (0.12, 0.0), (0.165, 0.02), (0.25, 0.16), (0.27, 0.28),
                     (0.22, 0.43), (0.135, 0.55), (0.125, 0.62), (0.165, 0.70)], 140)  # fmt: skip
    inside = curve([(0.165, 0.70), (0.158, 0.712), (0.146, 0.702), (0.105, 0.62), (0.115, 0.55),
                    (0.17, 0.43), (0.15, 0.2), (0.0, 0.1)], 80)  # fmt: skip
    return [
        revolve("vase_outside", "vase", outside, at, flutes=10, flute_depth=0.045, twist=2.2,
                segments=240),
        revolve("vase_inside", "vase", inside, at),
    ]  # fmt: skip


def tulip(name: str, material: str, root: Array, head: Array, bend: Array) -> list[Part]:
    """A stem from `root` to `head`, bowed by `bend`, with a six-petalled cup on top."""
    middle = (root + head) / 2 + bend
    stem = curve([tuple(root), tuple(middle), tuple(head)], 60)
    t = np.linspace(0, 1, 60)[:, None]
    angle = np.linspace(0, 2 * np.pi, 145)[None, :]
    # Three outer petals overlap three inner ones: tips are high, the gaps between them low.
    tip = 0.5 + 0.5 * np.cos(3 * angle)
    height = 0.30 * t * (0.80 + 0.20 * tip**0.8 * t**2)
    radius = 0.125 * np.sin(np.pi * (0.03 + 0.97 * t**0.6) * 0.74) ** 0.9
    radius = radius * (1 + 0.07 * np.cos(3 * angle) * t) * (1 - 0.15 * tip * t**4)
    axis = unit(head - stem[-8])
    side = unit(np.cross(axis, np.array([0.0, 1.0, 0.2])))
    other = np.cross(axis, side)
    points = (head + radius[..., None] * np.cos(angle)[..., None] * side
              + radius[..., None] * np.sin(angle)[..., None] * other
              + height[..., None] * axis)  # fmt: skip
    return [
        sweep(f"{name}_stem", "stem", stem, 0.021, 0.021, (0.0, 1.0, 0.0)),
        Part(f"{name}_cup", points, grid_uv(60, 145), material),
    ]


def leaf(name: str, path: Array, width: float, across: tuple[float, float, float]) -> Part:
    """A narrow blade that swells towards its middle and ends in a point."""
    t = np.linspace(0, 1, len(path))
    blade = width * (0.25 + 0.75 * np.sin(np.pi * t**0.8)) * np.sqrt(np.clip(1 - t, 0, 1)) + 1e-3
    return sweep(name, "leaf", path, blade, 0.010 * np.sqrt(np.clip(1.001 - t, 0, 1)), across)


def bouquet(x: float, y: float, sway: Array) -> list[Part]:
    """Three tulips, their heads moved by `sway`, and two leaves in the vase at (x, y)."""
    foot = np.array([x, y, TABLE_Z + 0.25])
    heads = {
        "pink": ((-0.30, -0.06, 1.06), (0.06, 0.02, 0.05)),
        "yellow": ((0.05, 0.13, 1.27), (0.01, -0.05, 0.0)),
        "coral": ((0.33, -0.10, 0.96), (-0.07, 0.02, 0.06)),
    }
    parts: list[Part] = []
    for colour, (head, bend) in heads.items():
        top = np.array([x, y, TABLE_Z]) + np.array(head) + sway
        parts += tulip(f"tulip_{colour}", f"petal_{colour}", foot, top, np.array(bend))
    base = np.array([x, y, TABLE_Z])
    right = base + curve([(0.0, 0.0, 0.4), (0.06, 0.06, 0.70), (0.20, 0.18, 0.93),
                          (0.36, 0.28, 0.90)], 60)  # fmt: skip
    left = base + curve([(0.0, 0.0, 0.4), (-0.05, 0.06, 0.72), (-0.16, 0.20, 0.98),
                         (-0.24, 0.30, 1.12)], 60)  # fmt: skip
    parts.append(leaf("leaf_right", right, 0.085, (-0.6, 0.8, 0.0)))
    parts.append(leaf("leaf_left", left, 0.080, (0.8, 0.6, 0.0)))
    return parts


def fruit(name: str, material: str, centre: Array, radius: float, dimple: float) -> Part:
    """A nearly round fruit with a dimple where the stem sits."""
    angle = np.linspace(0, np.pi, 72)
    dent = dimple * np.exp(-((np.pi - angle) ** 2) / 0.10)
    profile = np.stack([np.sin(angle), -(0.94 - dent) * np.cos(angle)], axis=1) * radius
    return revolve(name, material, profile, tuple(centre), segments=96)


def cherries(x: float, y: float) -> list[Part]:
    """Two cherries whose thin stems meet above them."""
    r = 0.125
    first = np.array([x - 0.12, y + 0.02, TABLE_Z + 0.94 * r])
    second = np.array([x + 0.14, y + 0.06, TABLE_Z + 0.94 * r])
    joint = np.array([x + 0.05, y + 0.12, TABLE_Z + 0.60])
    parts = [
        fruit("cherry_1", "cherry", first, r, 0.22),
        fruit("cherry_2", "cherry", second, r, 0.22),
    ]
    for index, (berry, bow) in enumerate([(first, -0.06), (second, 0.06)], start=1):
        root = berry + np.array([0.0, 0.0, 0.6 * r])
        middle = (root + joint) / 2 + np.array([bow, 0.0, 0.02])
        path = curve([tuple(root), tuple(middle), tuple(joint)], 50)
        parts.append(sweep(f"cherry_stem_{index}", "stem", path, 0.014, 0.014, (0.0, 1.0, 0.0)))
    blade = joint + curve([(0.0, 0.0, 0.0), (0.09, 0.02, 0.035), (0.20, 0.03, -0.02)], 40)
    parts.append(leaf("cherry_leaf", blade, 0.070, (0.0, 1.0, 0.3)))
    return parts


def orange() -> list[Part]:
    """An orange with its calyx."""
    centre = np.array([0.30, -0.48, TABLE_Z + 0.94 * 0.22])
    calyx = curve([(0.0, 0.012), (0.03, 0.008), (0.045, -0.02)][::-1], 20)
    top = (0.30, -0.48, TABLE_Z + 0.94 * 0.22 + 0.22 * 0.86)
    return [
        fruit("orange", "orange", centre, 0.22, 0.10),
        revolve("orange_calyx", "stem", calyx, top, segments=48),
    ]


def rolled(parts: list[Part], share: float) -> list[Part]:
    """The orange after a share of its way, which it rolls without slipping."""
    centre = np.array([0.30, -0.48, TABLE_Z + 0.94 * 0.22])
    start, end = np.array([0.55, -0.50, TABLE_Z + 0.22]), np.array([0.0, -0.68, TABLE_Z + 0.22])
    way = end - start
    angle = share * float(np.linalg.norm(way)) / 0.22
    axis = unit(np.cross(np.array([0.0, 0.0, 1.0]), way))
    return [turned(part, angle, axis, centre, start + share * way - centre) for part in parts]


def build_parts(time: float | None) -> list[Part]:
    """All parts of the still life; of the one that moves, at a time from 0 to 1."""
    swing = 0.0 if time is None else 2 * np.pi * time
    return [
        *tray(),
        *mug(-0.36, -0.20, stirred=swing / 3),
        *vase(0.14, 0.36),
        *bouquet(0.14, 0.36, 0.12 * np.sin(swing) * np.array([1.0, 0.4, 0.0])),
        *(orange() if time is None else rolled(orange(), time)),
        *cherries(0.68, -0.08),
    ]


# --------------------------------------------------------------------------------------------
# Materials and light.
# --------------------------------------------------------------------------------------------


def mix(a: tuple[float, ...], b: tuple[float, ...], weight: Array) -> Array:
    """Blend two colours by a picture of weights."""
    blend: Array = np.asarray(a) + (np.asarray(b) - np.asarray(a)) * weight[..., None]
    return blend


def texture(pixels: Array) -> dict[str, Any]:
    """A Mitsuba bitmap texture from linear colours."""
    bitmap = mi.Bitmap(np.ascontiguousarray(pixels, dtype=np.float32))
    return {"type": "bitmap", "bitmap": bitmap, "raw": True, "wrap_mode": "repeat"}


def gingham(size: int = 512, checks: int = 15) -> dict[str, Any]:
    """Woven checks: two crossing sets of stripes whose overlap is darkest."""
    at = (np.arange(size) + 0.5) / size * checks * np.pi
    # A steep sigmoid, not a step: soft borders are kinder to point splats and to the eye.
    stripe = 1 / (1 + np.exp(-12 * np.sin(at)))
    weave = 0.5 * (stripe[:, None] + stripe[None, :])
    return texture(mix((0.72, 0.66, 0.56), DENIM, weave))


def zigzag(size: int = 512) -> dict[str, Any]:
    """The mug's outside: teal glaze, a cream band and a coral zigzag in the band."""
    u, v = np.meshgrid((np.arange(size) + 0.5) / size, (np.arange(size) + 0.5) / size)
    triangle = 2 * np.abs((u * 9) % 1 - 0.5)  # nine teeth go once around without a seam

    def band(distance: Array, half_width: float) -> Array:
        return 1 / (1 + np.exp((np.abs(distance) - half_width) / 0.004))

    colour = mix(TEAL, CREAM, band(v - 0.69, 0.135))
    coral = band(v - 0.69 - 0.11 * (triangle - 0.5), 0.035)[..., None]
    return texture(colour + (np.asarray(CORAL) - colour) * coral)


def glossy(colour: Any, roughness: float, specular: float = 0.5) -> dict[str, Any]:
    """A two-sided glazed surface: a diffuse base under a moderately rough highlight."""
    if isinstance(colour, tuple):
        colour = {"type": "rgb", "value": list(colour)}
    bsdf = {"type": "principled", "base_color": colour, "roughness": roughness,
            "specular": specular}  # fmt: skip
    return {"type": "twosided", "bsdf": bsdf}


def materials() -> dict[str, dict[str, Any]]:
    """All materials, by the names that the parts use."""
    brass = {"type": "principled", "base_color": {"type": "rgb", "value": list(BRASS)},
             "metallic": 0.85, "roughness": 0.35, "specular": 0.5}  # fmt: skip
    return {
        "tray": glossy(gingham(), 0.40),
        "mug": glossy(zigzag(), 0.25, 0.7),
        "teal_glaze": glossy(TEAL, 0.25, 0.7),
        "cream_glaze": glossy(CREAM, 0.30),
        "tea": glossy(TEA, 0.25),
        "vase": glossy((0.74, 0.72, 0.70), 0.25, 0.7),
        "orange": glossy(ORANGE, 0.32),
        "cherry": glossy(CHERRY, 0.22, 0.8),
        "stem": glossy(STEM, 0.45),
        "leaf": glossy(LEAF, 0.38),
        "petal_pink": glossy(PINK, 0.45),
        "petal_yellow": glossy(YELLOW, 0.45),
        "petal_coral": glossy(CORAL, 0.45),
        "brass": {"type": "twosided", "bsdf": brass},
    }


def studio_light(rows: int = 64) -> dict[str, Any]:
    """A dim sky with three soft boxes, as an environment map.

    Lights at infinity are never in the camera's way and never count in alpha; their soft edges
    make highlights that low-degree spherical harmonics can follow.
    """
    theta = (np.arange(rows) + 0.5) / rows * np.pi
    phi = (np.arange(2 * rows) + 0.5) / (2 * rows) * 2 * np.pi
    phi, theta = np.meshgrid(phi, theta)
    direction = np.stack([np.sin(theta) * np.sin(phi), np.sin(theta) * np.cos(phi), np.cos(theta)], axis=-1)
    up = 0.5 + 0.5 * direction[..., 2]
    sky = mix((0.17, 0.14, 0.12), (0.30, 0.33, 0.39), up)
    boxes = [  # direction, colour, angular radius in radians
        ((-0.65, -0.55, 0.75), (10.5, 9.2, 7.5), 0.32),  # warm key light
        ((0.85, -0.30, 0.45), (1.6, 1.9, 2.4), 0.45),  # cool fill light
        ((0.20, 0.90, 0.55), (3.2, 3.0, 2.9), 0.36),  # rim light from behind
    ]
    for towards, colour, radius in boxes:
        cosine = direction @ unit(np.asarray(towards))
        falloff = np.exp(-((np.arccos(np.clip(cosine, -1, 1)) / radius) ** 4))
        sky = sky + falloff[..., None] * np.asarray(colour)
    return {
        "type": "envmap",
        "bitmap": mi.Bitmap(np.ascontiguousarray(sky, dtype=np.float32)),
        # Mitsuba's environment maps have y up; this scene has z up.
        "to_world": mi.ScalarTransform4f().rotate([1, 0, 0], 90),
    }


# --------------------------------------------------------------------------------------------
# Mitsuba scene.
# --------------------------------------------------------------------------------------------


def choose_variant() -> str:
    """Take the vectorised LLVM back end where its library loads, else the scalar one."""
    for variant in ("llvm_ad_rgb", "scalar_rgb"):
        try:
            mi.set_variant(variant)
            if variant.startswith("llvm") and dr.detail.llvm_version() < MIN_LLVM:
                raise RuntimeError(f"LLVM {dr.detail.llvm_version()} is older than {MIN_LLVM}")
            mi.Float(0.0) + mi.Float(1.0)  # the library is loaded only on first use
            return variant
        except Exception as error:
            print(f"{variant} is not usable here: {error}")
    raise RuntimeError("no Mitsuba variant could be used")


def grid_normals(points: Array) -> Array:
    """Smooth normals of a grid whose columns close into a ring."""
    along = np.gradient(points, axis=0)
    ring = points[:, :-1]  # the last column repeats the first one
    around = np.roll(ring, -1, axis=1) - np.roll(ring, 1, axis=1)
    around = np.concatenate([around, around[:, :1]], axis=1)
    return unit(np.cross(around, along))


def grid_faces(rows: int, columns: int) -> NDArray[np.uint32]:
    """Two triangles for each cell of a grid."""
    index = np.arange(rows * columns, dtype=np.uint32).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    return np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)


def to_mesh(part: Part, bsdf: Any) -> Any:
    """Turn a grid surface into a Mitsuba mesh."""
    rows, columns = part.points.shape[:2]
    faces = grid_faces(rows, columns)
    props = mi.Properties()
    props["bsdf"] = bsdf
    mesh = mi.Mesh(part.name, rows * columns, len(faces), has_vertex_normals=True,
                   has_vertex_texcoords=True, props=props)  # fmt: skip
    params = mi.traverse(mesh)
    params["vertex_positions"] = part.points.astype(np.float32).ravel()
    params["vertex_texcoords"] = part.uv.astype(np.float32).ravel()
    params["faces"] = faces.ravel()
    params.update()
    # Set only now: an update of positions makes Mitsuba recompute the normals, and it would
    # leave a visible crease where the grid's first and last columns meet.
    params["vertex_normals"] = grid_normals(part.points).astype(np.float32).ravel()
    params.update()
    return mesh


def load_scene(parts: list[Part]) -> Any:
    """The Mitsuba scene with all parts and the light."""
    bsdfs = {name: mi.load_dict(spec) for name, spec in materials().items()}
    scene: dict[str, Any] = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": MAX_DEPTH, "hide_emitters": True},
        "light": studio_light(),
    }
    for part in parts:
        scene[part.name] = to_mesh(part, bsdfs[part.material])
    return mi.load_dict(scene)


def load_sensor(pose: Array, size: int, spp: int) -> Any:
    """A Mitsuba camera for an OpenGL camera-to-world matrix."""
    # OpenGL looks down -z with x to the right, Mitsuba down +z with x to the left.
    to_world = mi.ScalarTransform4f((pose @ np.diag([-1.0, 1.0, -1.0, 1.0])).tolist())
    film = {"type": "hdrfilm", "width": size, "height": size, "pixel_format": "rgba",
            "component_format": "float32",
            "rfilter": {"type": "gaussian", "stddev": 0.4}}  # fmt: skip
    return mi.load_dict({
        "type": "perspective", "fov_axis": "x", "fov": float(np.degrees(CAMERA_ANGLE_X)),
        "near_clip": 0.1, "far_clip": 100.0, "to_world": to_world, "film": film,
        "sampler": {"type": "multijitter", "sample_count": spp},
    })  # fmt: skip


# --------------------------------------------------------------------------------------------
# Views and pictures.
# --------------------------------------------------------------------------------------------


def look_at_origin(azimuth: float, elevation: float) -> Array:
    """OpenGL camera-to-world matrix of a camera that looks at the origin, world z up."""
    back = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth),
                     np.sin(elevation)])  # fmt: skip
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(back, right), back], axis=1)
    pose[:3, 3] = CAMERA_DISTANCE * back
    return pose


def random_poses(count: int, rng: np.random.Generator) -> list[Array]:
    """Cameras spread evenly over the hemisphere's area, from just below the tray to the top."""
    low, high = np.sin(np.radians([-5.0, 85.0]))
    azimuth = rng.uniform(0, 2 * np.pi, count)
    elevation = np.arcsin(rng.uniform(low, high, count))
    return [look_at_origin(a, e) for a, e in zip(azimuth, elevation, strict=True)]


def orbit_poses(count: int) -> list[Array]:
    """One turn around the scene that rises and falls smoothly between 10 and 50 degrees."""
    turn = np.arange(count) / count * 2 * np.pi
    elevation = np.radians(30 - 20 * np.cos(turn))
    return [look_at_origin(a - np.pi / 2, e) for a, e in zip(turn, elevation, strict=True)]


def spread_poses(count: int) -> list[Array]:
    """Cameras that stand around the scene, in three rows, none above another."""
    turn, rows = 2 * np.pi * np.arange(count) / count, np.radians([12.0, 38.0, 64.0])
    return [look_at_origin(a, rows[n % 3]) for n, a in enumerate(turn)]


def to_rgba8(linear: Array) -> NDArray[np.uint8]:
    """Premultiplied linear colour to straight 8-bit sRGB with coverage as alpha."""
    alpha = np.clip(linear[..., 3:], 0, 1)
    colour = EXPOSURE * linear[..., :3] / np.maximum(alpha, 1e-4)
    # A soft shoulder above 0.7 keeps highlights from burning out to flat white.
    colour = np.where(colour > 0.7, 0.7 + 0.3 * np.tanh((colour - 0.7) / 0.6), colour)
    colour = np.clip(colour, 0, 1)
    srgb = np.where(colour <= 0.0031308, 12.92 * colour, 1.055 * colour ** (1 / 2.4) - 0.055)
    alpha8 = np.round(alpha * 255)
    rgba = np.concatenate([np.round(srgb * 255) * (alpha8 > 0), alpha8], axis=-1)
    return rgba.astype(np.uint8)


def render(scene: Any, pose: Array, size: int, spp: int, seed: int) -> NDArray[np.uint8]:
    """Path-trace one view."""
    image = mi.render(scene, sensor=load_sensor(pose, size, spp), spp=spp, seed=mi.UInt32(seed))
    return to_rgba8(np.array(image, dtype=np.float64))


@dataclass
class View:
    """A picture to make: its name, where its camera stands and, of a scene that moves, when."""

    name: str
    pose: Array
    time: float | None = None


def still_views(seed: int) -> dict[str, list[View]]:
    """By split, the views of the still life."""
    rng = np.random.default_rng(seed)
    poses = {
        "train": random_poses(VIEW_COUNTS["train"], rng),
        "val": random_poses(VIEW_COUNTS["val"], rng),
        "test": orbit_poses(VIEW_COUNTS["test"]),
    }
    return {split: [View(f"r_{i}", at) for i, at in enumerate(poses[split])] for split in poses}


def moving_views() -> dict[str, list[View]]:
    """By split, the views of the moving scene: of each instant, those of all cameras."""
    poses = {"train": spread_poses(CAMERA_COUNTS["train"]), "test": orbit_poses(CAMERA_COUNTS["test"])}
    return {
        split: [
            View(f"r_{camera}_{n}", at, round(n / (INSTANTS - 1), 6))
            for n in range(INSTANTS)
            for camera, at in enumerate(poses[split])
        ]
        for split in poses
    }


def write_transforms(path: Path, split: str, views: list[View]) -> None:
    """Write one split's camera file."""
    frames = [
        {"file_path": f"./{split}/{view.name}"}
        | ({} if view.time is None else {"time": view.time})
        | {"transform_matrix": np.round(view.pose, 8).tolist()}
        for view in views
    ]
    content = {"camera_angle_x": CAMERA_ANGLE_X, "frames": frames}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write_preview(out: Path, names: list[str]) -> None:
    """Write a strip of test views over black, for the README."""
    views = [Image.open(out / "test" / f"{name}.png").convert("RGBA") for name in names]
    sheet = Image.new("RGBA", (sum(v.width for v in views), views[0].height), (0, 0, 0, 255))
    for i, view in enumerate(views):
        sheet.alpha_composite(view, (i * view.width, 0))
    sheet.convert("RGB").save(out / "preview.png", optimize=True)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Path-trace the demo scene with Mitsuba 3 in the NeRF-synthetic layout.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--moving", action="store_true", help="the moving scene")
    parser.add_argument("--out", type=Path, help="folder to write to; None for the bundled one")
    parser.add_argument("--spp", type=int, default=256, help="light paths per pixel")
    parser.add_argument("--seed", type=int, default=0, help="seed of the cameras and the noise")
    parser.add_argument("--size", type=int, help="width and height in pixels; None for 200, 100")
    return parser.parse_args()


def main() -> None:
    """Render every view of every split."""
    args = parse_args()
    print(f"Mitsuba {mi.__version__}, variant {choose_variant()}")
    here = Path(__file__).resolve().parent
    out = args.out or (here.with_name("demo_moving") if args.moving else here)
    size = args.size or (100 if args.moving else 200)
    splits = moving_views() if args.moving else still_views(args.seed)
    count = sum(map(len, splits.values()))
    seeds = iter(range(args.seed * 100_000, args.seed * 100_000 + count))
    times = sorted({view.time for views in splits.values() for view in views}, key=lambda time: time or 0.0)
    scenes = {time: load_scene(build_parts(time)) for time in times}
    with tqdm(total=count, unit="view") as progress:
        for split, views in splits.items():
            (out / split).mkdir(parents=True, exist_ok=True)
            write_transforms(out / f"transforms_{split}.json", split, views)
            for view in views:
                picture = render(scenes[view.time], view.pose, size, args.spp, next(seeds))
                Image.fromarray(picture).save(out / split / f"{view.name}.png", optimize=True)
                progress.update()
    if args.moving:
        write_preview(out, [f"r_0_{n}" for n in range(0, INSTANTS, 2)])
    else:
        write_preview(out, [f"r_{n}" for n in range(0, VIEW_COUNTS["test"], 4)])


if __name__ == "__main__":
    main()

"""The tiny scene as captures in every layout, and the layouts that read them."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from pointrad.camera import Camera, Float64Array
from pointrad.data.colmap import ColmapDatasetConfig
from pointrad.data.idr import IdrDatasetConfig
from pointrad.data.layout import FolderLayout
from pointrad.data.llff import LlffDatasetConfig
from pointrad.data.nerfstudio import NerfstudioDatasetConfig
from pointrad.data.panoptic import PanopticDatasetConfig
from pointrad.data.scene import View
from tests.scenes import sphere_views, write_tiny_scene

COUNT, HOLDOUT = 9, 4
WIDTH, HEIGHT = 32, 24
_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
_SPHERE_IN_WORLD = np.array([[2.5, 0, 0, 7.0], [0, 2.5, 0, -3.0], [0, 0, 2.5, 0.5], [0, 0, 0, 1]])
# As COLMAP numbers them.
MODELS = {"SIMPLE_PINHOLE": 0, "PINHOLE": 1, "SIMPLE_RADIAL": 2, "RADIAL": 3, "OPENCV": 4, "OPENCV_FISHEYE": 5,
          "FULL_OPENCV": 6, "FOV": 7, "SIMPLE_RADIAL_FISHEYE": 8, "RADIAL_FISHEYE": 9}  # fmt: skip


def of(layout: str, root: Path, **keys: Any) -> FolderLayout:
    """The layout of this name, for captures in `root`."""
    common: dict[str, Any] = {"name": layout, "root": root, "downscale": 1, "max_size": None, "background": "black",
                              "holdout": HOLDOUT}  # fmt: skip
    match layout:
        case "nerfstudio":
            return NerfstudioDatasetConfig(**{"frames": None} | common | keys)
        case "colmap":
            return ColmapDatasetConfig(**{"images": None, "model": None} | common | keys)
        case "idr":
            return IdrDatasetConfig(**{"images": None} | common | keys)
        case "llff":
            return LlffDatasetConfig(**{"images": None} | common | keys)
        case "panoptic":
            del common["holdout"]
            return PanopticDatasetConfig(**{"frames": None} | common | keys)
        case _:
            raise ValueError(layout)


def views() -> tuple[View, ...]:
    """A sphere of radius 0.6 about the origin, in photographs of 32x24 pixels."""
    return sphere_views(COUNT, WIDTH, HEIGHT)


def name_of(n: int) -> str:
    return f"r_{n:02}.png"


def write_pictures(folder: Path, images: str = "images", masks: str = "masks") -> None:
    """Photographs without alpha, on grey, and their masks."""
    for n, view in enumerate(views()):
        on_grey = np.where(view.mask[..., None] > 0, view.image, 0.5)
        for part, pixels in ((images, on_grey), (masks, view.mask)):
            (folder / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.rint(255 * pixels).astype(np.uint8)).save(folder / part / name_of(n))


def write_nerfstudio(folder: Path, of_frame: Mapping[int, Mapping[str, Any]] | None = None, **of_file: Any) -> Path:
    """of_frame: keys of the frames of these numbers; of_file: those of the file, beside its lens."""
    write_pictures(folder)
    at = views()[0].camera
    lens = {"fl_x": at.fx, "fl_y": at.fy, "cx": at.cx, "cy": at.cy, "w": at.width, "h": at.height}
    frames = [
        {"file_path": f"images/{name_of(n)}", "transform_matrix": view.camera.camera_to_world.tolist()}
        | dict((of_frame or {}).get(n, {}))
        for n, view in enumerate(views())
    ]
    said = lens | {"applied_transform": [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]], "frames": frames} | of_file
    (folder / "transforms.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def write_colmap(
    folder: Path, binary: bool = True, model: str = "PINHOLE", parameters: Sequence[float] | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT), place: str = "sparse/0",
) -> Path:  # fmt: skip
    """One camera took all photographs; they are not in the order of their names, and see a point each but the first."""
    write_pictures(folder)
    at = views()[0].camera
    values = list(parameters or (at.fx, at.fy, at.cx, at.cy))
    images = [(9 - n, *_quaternion_and_translation(view.camera), name_of(n)) for n, view in enumerate(views())]
    (folder / place).mkdir(parents=True, exist_ok=True)
    write = _write_binary if binary else _write_text
    write(folder / place, model, values, size, images[::-1])
    return folder


_Image = tuple[int, list[float], list[float], str]


def _quaternion_and_translation(camera: Camera) -> tuple[list[float], list[float]]:
    world_to_camera = np.linalg.inv(camera.camera_to_world @ _OPENCV)
    quaternion = Rotation.from_matrix(world_to_camera[:3, :3]).as_quat(scalar_first=True)
    return quaternion.tolist(), world_to_camera[:3, 3].tolist()


def _write_binary(
    folder: Path, model: str, parameters: Sequence[float], size: tuple[int, int], images: Sequence[_Image]
) -> None:
    camera = struct.pack(f"<QiiQQ{len(parameters)}d", 1, 5, MODELS[model], *size, *parameters)
    (folder / "cameras.bin").write_bytes(camera)
    written = [struct.pack("<Q", len(images))]
    for n, (number, quaternion, translation, name) in enumerate(images):
        points = [(1.0 + point, 2.0, -1) for point in range(n)]
        written.append(struct.pack("<I7dI", number, *quaternion, *translation, 5) + name.encode() + b"\0")
        written.append(struct.pack("<Q", len(points)) + b"".join(struct.pack("<ddq", *point) for point in points))
    (folder / "images.bin").write_bytes(b"".join(written))
    points3d = [struct.pack("<Q3d3Bd", n, *point, 9, 9, 9, 0.5) + struct.pack("<Qii", 1, 3, 0)
                for n, point in enumerate(POINTS)]  # fmt: skip
    (folder / "points3D.bin").write_bytes(struct.pack("<Q", len(POINTS)) + b"".join(points3d))


def _write_text(
    folder: Path, model: str, parameters: Sequence[float], size: tuple[int, int], images: Sequence[_Image]
) -> None:
    (folder / "cameras.txt").write_text(f"# Cameras\n5 {model} {size[0]} {size[1]} {_words(parameters)}\n")
    lines = ["# Images"]
    for n, (number, quaternion, translation, name) in enumerate(images):
        lines.append(f"{number} {_words(quaternion)} {_words(translation)} 5 {name}")
        lines.append(" ".join(f"{1.0 + point} 2.0 -1" for point in range(n)))
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    points = [f"{n} {_words(point)} 9 9 9 0.5 3 0" for n, point in enumerate(POINTS)]
    (folder / "points3D.txt").write_text("\n".join(["# Points", *points]) + "\n")


POINTS = [(0.25, -0.5, 0.125), (0.0, 0.5, -0.25)]


def _words(values: Sequence[float]) -> str:
    return " ".join(map(repr, values))


def projection(camera: Camera) -> Float64Array:
    """[4, 4] from the world to pixels whose centres are at whole numbers."""
    matrix = np.eye(4)
    matrix[:3, :3] = [[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1]]
    world_to_camera: Float64Array = np.linalg.inv(camera.camera_to_world @ _OPENCV)
    return matrix @ world_to_camera


def write_idr(folder: Path, name: str = "cameras_sphere.npz", **changed: Any) -> Path:
    """The scene's world is that of the unit sphere, the file's is larger and lies elsewhere. changed: other arrays."""
    write_pictures(folder, "image", "mask")
    arrays: dict[str, Any] = {}
    for n, view in enumerate(views()):
        arrays[f"world_mat_{n}"] = projection(view.camera) @ np.linalg.inv(_SPHERE_IN_WORLD)
        arrays[f"scale_mat_{n}"] = _SPHERE_IN_WORLD
    np.savez(folder / name, **arrays | changed)
    return folder


def llff_rows(factor: float = 1) -> Float64Array:
    """[N, 17]. factor: how many times larger the pictures are that sizes and focal lengths belong to."""
    rows = []
    for view in views():
        right, up, back, position = view.camera.camera_to_world[:3].T
        size = factor * np.array([view.camera.height, view.camera.width, view.camera.fx])
        rows.append([*np.stack([-up, right, back, position, size], axis=1).ravel(), 2.0, 4.0])
    return np.array(rows)


def write_llff(folder: Path, rows: Float64Array | None = None) -> Path:
    write_pictures(folder)
    np.save(folder / "poses_bounds.npy", llff_rows() if rows is None else rows)
    return folder


FRAMES, HELD_OUT = 3, (0, 5)


def write_panoptic(folder: Path, **of_train: Any) -> Path:
    """A sphere that shrinks from frame to frame, in photographs on grey. Cameras HELD_OUT have no masks.

    of_train: other keys of train_meta.json.
    """
    by_camera = [sphere_views(COUNT, WIDTH, HEIGHT, radius=0.6 - 0.1 * frame) for frame in range(FRAMES)]
    for frame, shown in enumerate(by_camera):
        for camera, view in enumerate(shown):
            on_grey = np.where(view.mask[..., None] > 0, view.image, 0.5)
            _save(folder / "ims" / _shot(camera, frame), np.rint(255 * on_grey).astype(np.uint8))
            if camera not in HELD_OUT:
                _save(folder / "seg" / _shot(camera, frame), view.mask > 0)
    for split, cameras in (("train", [n for n in range(COUNT) if n not in HELD_OUT]), ("test", list(HELD_OUT))):
        meta = _meta([[(n, shown[n].camera) for n in cameras] for shown in by_camera])
        (folder / f"{split}_meta.json").write_text(json.dumps(meta | (of_train if split == "train" else {})))
    return folder


def _shot(camera: int, frame: int) -> str:
    return f"{camera}/{frame:06}.png"


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _meta(frames: Sequence[Sequence[tuple[int, Camera]]]) -> dict[str, Any]:
    return {
        "w": WIDTH,
        "h": HEIGHT,
        "k": [[[[at.fx, 0, at.cx], [0, at.fy, at.cy], [0, 0, 1]] for _, at in frame] for frame in frames],
        "w2c": [[np.linalg.inv(at.camera_to_world @ _OPENCV).tolist() for _, at in frame] for frame in frames],
        "fn": [[_shot(camera, n) for camera, _ in frame] for n, frame in enumerate(frames)],
        "cam_id": [[camera for camera, _ in frame] for frame in frames],
    }


def timed(root: Path, **times: list[float | None]) -> Path:
    """The tiny scene in `root`, its views taken at these times."""
    write_tiny_scene(root)
    for split, of_views in times.items():
        file = root / "tiny" / f"transforms_{split}.json"
        said = json.loads(file.read_text())
        for frame, time in zip(said["frames"], of_views, strict=True):
            frame |= {} if time is None else {"time": time}
        file.write_text(json.dumps(said))
    return root


def real_capture(name: str) -> Path:
    """The folder of a real capture. Skips the test where there is none."""
    beside = Path(__file__).parents[3] / "shared" / "data" / "captures"
    folder = Path(os.environ.get("POINTRAD_CAPTURES") or beside) / name
    if not folder.is_dir():
        pytest.skip(f"no capture in {folder}; POINTRAD_CAPTURES names the folder of captures")
    return folder

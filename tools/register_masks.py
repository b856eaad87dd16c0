#!/usr/bin/env python3
"""Masks moved to where a cloud of the whole photographs shows the object: an experiment (docs/notes/masks.md).

    python train.py dataset=auto dataset.root=CAPTURE masks=none init=random schedule=gaussians_fast hydra.run.dir=RUN
    python tools/register_masks.py RUN MASKS OUT

The cloud of RUN was trained without masks. The masks in the folder MASKS vote for its splats, and each mask is then
moved by the affine map that fits it best to the splats with most votes; then they vote again. OUT gets a mask of each
training photograph that was moved, at the size of training, and the others as they are.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pointrad.data.capture import Capture, load_scene
from pointrad.data.scene import View
from pointrad.finished.load import FinishedRun, load_run
from pointrad.masks.folder import FolderMasksConfig
from pointrad.masks.iou import Mask, iou
from pointrad.training.contributions import contributions

ROUNDS = 2  # of votes and moves; more change little
ENOUGH = 0.5  # of what a splat shows must lie in masks
BLUR = 3  # pixels, before masks are compared


def main(run_folder: str, masks_folder: str, out: str) -> None:
    """Read the run and the masks, and write the moved ones."""
    run = load_run(Path(run_folder))
    masks = FolderMasksConfig(name="folder", folder=masks_folder, invert=False, threshold=None, reference=None)
    scene = load_scene(Capture(run.config.dataset, masks, run.config.scene.name), "test")
    views = [replace(view, camera=run.frame.camera(view.camera)) for view in scene.train]
    moved = views
    for _ in range(ROUNDS):
        silhouettes = shown(run, voted_for(run, moved), views)
        moved = [
            replace(view, mask=registered(view.mask > 0, silhouette).astype(np.float32))
            for view, silhouette in zip(views, silhouettes, strict=True)
        ]
    for view in (*scene.evaluation, *moved):
        path = Path(out) / f"{view.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.where(view.mask > 0, np.uint8(255), np.uint8(0))).save(path)


def voted_for(run: FinishedRun, views: list[View]) -> NDArray[np.bool_]:
    """[N] of each splat, whether enough of what it shows the views lies in their masks."""

    def pixels(view: View) -> torch.Tensor:
        return torch.stack([torch.from_numpy(view.mask), torch.ones(view.mask.shape)])

    in_masks, everywhere, _ = contributions(run.cloud, views, run.renderer, pixels)
    return ((everywhere > 0) & (in_masks >= ENOUGH * everywhere)).numpy()


def shown(run: FinishedRun, chosen: NDArray[np.bool_], views: list[View]) -> list[Mask]:
    """Of each view, where it sees a chosen splat rather than one of the others, which may hide it."""
    painted = run.cloud.changed(base=torch.from_numpy(chosen).float().expand(3, -1).contiguous())
    cameras = [view.camera for view in views]
    images = run.renderer.render_views(painted.parameters, cameras, harmonics=False)
    return [(image[..., 0] >= 0.5).numpy() for image in images]


def registered(mask: Mask, silhouette: Mask) -> Mask:
    """The mask, moved by an affine map, if that makes it agree better with the silhouette; else as it is."""
    wanted, given = (cv2.GaussianBlur(of.astype(np.float32), (0, 0), BLUR) for of in (silhouette, mask))
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-5)
    start = np.eye(2, 3, dtype=np.float32)
    try:
        _, warp = cv2.findTransformECC(wanted, given, start, cv2.MOTION_AFFINE, stop, None, 5)
    except cv2.error:  # the two have too little in common
        return mask
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = mask.shape[::-1]
    moved: Mask = cv2.warpAffine(mask.astype(np.float32), warp, size, flags=how, borderMode=cv2.BORDER_REPLICATE) > 0.5
    return moved if iou(moved, silhouette) > iou(mask, silhouette) else mask


if __name__ == "__main__":
    main(*sys.argv[1:])

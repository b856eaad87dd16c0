"""What the numbers of a study are called, in which unit, and how many digits they deserve: one table for it all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """A number's name and unit as figures and tables show them.

    scale: what a value is multiplied by to be in `unit`. decimals: how many are shown; None for as many as it takes.
    """

    name: str
    unit: str | None = None
    scale: float = 1.0
    decimals: int | None = None

    @property
    def label(self) -> str:
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def text(self, value: float) -> str:
        """`value`, in `unit` already, without it."""
        return f"{value:.10g}" if self.decimals is None else f"{value:,.{self.decimals}f}"


_LEVEL = Quantity("corruption level", "%", 100)
_CONSISTENCY = Quantity("consistency ratio")

# By key of summary.json, and by config key for the axes of a study.
_KNOWN = {
    "psnr_db": Quantity("PSNR", "dB", decimals=2),
    "ssim": Quantity("SSIM", decimals=4),
    "lpips": Quantity("LPIPS", decimals=4),
    "psnr_object_db": Quantity("PSNR of the object", "dB", decimals=2),
    "silhouette_iou": Quantity("silhouette IoU", decimals=4),
    "flicker": Quantity("flicker", "1/255", 255, decimals=2),
    "flicker_photographs": Quantity("flicker of the photographs", "1/255", 255, decimals=2),
    "frames": Quantity("frames", decimals=0),
    "frame_seconds": Quantity("time of a frame", "s", decimals=1),
    "frame_cpu_seconds": Quantity("CPU time of a frame", "s", decimals=1),
    "frame_mb": Quantity("size of a frame", "MB", decimals=2),
    "model_mb": Quantity("model size", "MB", decimals=2),
    "train_seconds": Quantity("training time", "s", decimals=1),
    "render_fps": Quantity("rendering speed", "frames/s", decimals=1),
    "mask_iou": Quantity("mask IoU", decimals=3),
    "given_repaired_iou": Quantity("IoU of given and repaired masks", decimals=3),
    "repaired_iou": Quantity("repaired masks' IoU", decimals=4),
    "ranking_precision": Quantity("average precision of the masks' ranking", decimals=2),
    "points": Quantity("points", decimals=0),
    "initial_points": Quantity("initial points", decimals=0),
    "hull_points": Quantity("points in the hull", decimals=0),
    "target_bits": Quantity("bits of a training image's values", decimals=0),
    "peak_memory_mb": Quantity("peak memory", "MB", decimals=0),
    "level": _LEVEL,
    "consistency": _CONSISTENCY,
    "corruption": Quantity("corruption model"),
    "corruption.level": _LEVEL,
    "corruption.targets": Quantity("training targets"),
    "init.consistency": _CONSISTENCY,
    "init.kept_share": Quantity("share of hull points kept"),
    "init.jitter": Quantity("initial jitter"),
    "model.splat_radius": Quantity("splat radius", "NDC"),
    "model.points_per_pixel": Quantity("points per pixel"),
    "dataset.downscale": Quantity("downscaling of images"),
}


def quantity(key: str) -> Quantity:
    """What the table says of `key`, else its own words."""
    return _KNOWN.get(key) or Quantity(key.rpartition(".")[2].replace("_", " "))


def is_known(key: str) -> bool:
    """Whether the table has `key`."""
    return key in _KNOWN

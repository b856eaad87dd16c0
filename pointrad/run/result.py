"""What a finished run says of itself."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class RunResult:
    """What a finished run says in `summary.json`, all of `evaluation.Scores` included; units: docs/configuration.md."""

    scene: str
    split: str
    seed: int
    corruption: str
    level: float
    targets: str
    consistency: float
    mask_iou: float
    psnr_db: float
    ssim: float | None
    lpips: float | None
    psnr_object_db: float | None
    silhouette_iou: float | None
    given_repaired_iou: float | None
    repaired_iou: float | None
    ranking_precision: float | None
    round: int
    round_of_masks: int
    agreement_by_round: list[float]
    flicker: float | None
    flicker_photographs: float | None
    train_seconds: float
    frames: int
    frame_seconds: float | None
    frame_cpu_seconds: float | None
    frame_mb: float | None
    render_fps: float
    model_mb: float
    points: int
    points_by_stage: dict[str, int]
    initial_points: int
    hull_points: int
    target_bits: int
    peak_memory_mb: float
    renderer: str
    device: str
    identity: str
    status: str

    def published_lines(self) -> str:
        """The four lines that the published program ends with."""
        return (
            f"Training time: {self.train_seconds:.2f} s\n"
            f"Rendering quality: {self.psnr_db:.2f} dB\n"
            f"Rendering speed: {self.render_fps:.2f} fps\n"
            f"Model size: {self.model_mb:.2f} MB"
        )


# What can be plotted: the keys of summary.json that hold numbers, some of them only where they were measured.
NUMBERS = tuple(field.name for field in fields(RunResult) if {"int", "float"} & set(str(field.type).split(" | ")))

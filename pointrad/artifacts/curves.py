"""Training curves: loss, PSNR and number of points over epochs, with the stages marked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from pointrad.files import replacing
from pointrad.training.record import EpochRecord

# Okabe and Ito's colours, which stay apart for every kind of colour blindness and in grey print.
_BLUE, _VERMILLION, _GREEN = "#0072B2", "#D55E00", "#009E73"
_Stages = list[list[EpochRecord]]


def write_curves(path: Path, records: Sequence[EpochRecord]) -> None:
    """Draw the epochs as a PNG, atomically. Curves break between stages, whose losses and resolutions may differ."""
    stages = [list(epochs) for _, epochs in groupby(records, key=lambda record: record.stage)]
    figure = Figure(figsize=(8, 7), dpi=150, layout="constrained")
    loss, psnr, points = figure.subplots(3, 1, sharex=True)
    _plot(loss, stages, "loss", _VERMILLION, "loss")
    loss.set_yscale("log")
    _plot(psnr, stages, "psnr_db", _BLUE, "training PSNR (dB)")
    _plot(points, stages, "points", _GREEN, "points")
    points.set_ylim(bottom=0)
    points.yaxis.set_major_formatter(EngFormatter(sep=""))
    points.set_xlabel("epoch")
    points.xaxis.set_major_locator(MaxNLocator(integer=True))
    _name_stages(loss, stages)
    figure.align_ylabels()
    with replacing(path) as temporary:
        figure.savefig(temporary)


def _plot(axes: Axes, stages: _Stages, value: str, colour: str, label: str) -> None:
    for index, stage in enumerate(stages):
        start, end = stage[0].epoch - 0.5, stage[-1].epoch + 0.5
        if index % 2:
            axes.axvspan(start, end, color="0.94", linewidth=0, zorder=0)
        if index > 0:
            axes.axvline(start, color="0.6", linewidth=0.8)
        epochs = [record.epoch for record in stage]
        values = [getattr(record, value) for record in stage]
        axes.plot(epochs, values, color=colour, linewidth=1.8, marker="o", markersize=2.5)
    if stages:
        axes.set_xlim(stages[0][0].epoch - 0.5, stages[-1][-1].epoch + 0.5)
    axes.set_ylabel(label)
    axes.grid(axis="y", color="0.85", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _name_stages(axes: Axes, stages: _Stages) -> None:
    for stage in stages:
        axes.annotate(
            stage[0].stage.replace("_", " "),
            xy=((stage[0].epoch + stage[-1].epoch) / 2, 1.02),
            xycoords=("data", "axes fraction"),
            rotation=25,
            rotation_mode="anchor",
            ha="left",
            va="bottom",
            fontsize=9,
            parse_math=False,  # a name, dollars included
        )

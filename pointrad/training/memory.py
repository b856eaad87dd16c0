"""What a stage needs of a GPU's memory: said before it is loaded, and again if it was not enough after all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from pointrad.camera import Camera
from pointrad.errors import UserError
from pointrad.model.base import Cloud
from pointrad.render.base import Settings

# Parameters, gradient, Adam's two moments and what autograd and Adam hold in between.
_CLOUDS = 8
# CUDA graphs keep what a step takes, for up to a quarter more intersections; the next one's warm-up takes it anew.
_GRAPHS_RENDERINGS = 1.5


@dataclass(frozen=True)
class Need:
    """What a stage needs: values of its training images and their dtype; bytes of the rest.

    cloud: of the cloud with its optimiser. rendering: of rendering a view with its gradient. graphs: of CUDA graphs.
    weights: of how much pixels count.
    """

    values: int
    cloud: int
    rendering: int
    graphs: int = 0
    weights: int = 0
    dtype: torch.dtype = torch.float32

    @property
    def views(self) -> int:
        """Bytes of the training images and the weights of their pixels."""
        return self.values * self.dtype.itemsize + self.weights

    @property
    def total(self) -> int:
        return self.views + self.cloud + self.rendering + self.graphs

    def __str__(self) -> str:
        views, cloud, rendering, total = map(_megabytes, (self.views, self.cloud, self.rendering, self.total))
        bits = 8 * self.dtype.itemsize
        graphs = f", {_megabytes(self.graphs)} of CUDA graphs" if self.graphs else ""
        parts = f"{views} of views as {bits} bits a value, {cloud} of points, {rendering} to render{graphs}"
        return f"about {total} MB ({parts})"


def estimate(cameras: Sequence[Camera], weighted: Sequence[bool], cloud: Cloud, settings: Settings) -> Need:
    """What a stage needs that trains `cloud` on views of these cameras, on a device.

    weighted: which of the views have weights of their own; all others of a size share one.
    """
    pixels = [camera.width * camera.height for camera in cameras]
    shared = sum(width * height for width, height in {(camera.width, camera.height) for camera in cameras})
    return Need(
        values=3 * sum(pixels),
        weights=4 * (sum(size for size, own in zip(pixels, weighted, strict=True) if own) + shared),
        cloud=cloud.parameters.nbytes * _CLOUDS,
        rendering=max(settings.rendering_bytes(len(cloud), camera) for camera in cameras),
    )


def fitted(need: Need, free: int | None) -> Need:
    """`need`, with images of 8 bits a value where it is more than the `free` bytes; None is as much as one likes."""
    if free is None or need.total <= free:
        return need
    return replace(need, dtype=torch.uint8)


def with_graphs(need: Need) -> Need:
    """`need` of a stage whose steps are CUDA graphs. Graphs change no result, so `fitted` is asked before."""
    return replace(need, graphs=need.cloud + round(_GRAPHS_RENDERINGS * need.rendering))


@contextmanager
def within(need: Need, device: torch.device, key: str) -> Iterator[None]:
    """Raises UserError where a GPU has less than `need` free, or runs out all the same; CPUs are not asked. key: of the
    stage that needs it."""
    left = free(device)
    if left is not None and need.total > left:
        raise UserError(_shortage(need, left, device, key))
    try:
        yield
    except torch.OutOfMemoryError:
        raise UserError(f"out of memory: {_shortage(need, free(device), device, key)}") from None


def free(device: torch.device) -> int | None:
    """Bytes that torch can still give out on a GPU, those it holds unused included; None for a CPU."""
    if device.type != "cuda":
        return None
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused


def _shortage(need: Need, left: int | None, device: torch.device, key: str) -> str:
    where = "" if left is None else f", where {_megabytes(left)} MB are free"
    graphless = "set renderer.graphs=false, " if need.graphs else ""
    return (
        f"stage {key.rpartition('.')[2]} needs {need} on {device}{where}; {graphless}raise dataset.downscale or "
        f"{key}.downscale, lower init.kept_share, or share the GPU with fewer runs"
    )


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f}"

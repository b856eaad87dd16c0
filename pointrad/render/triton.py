"""The Triton renderer: points are binned and sorted by torch, tiles composited by `triton_kernels`. See docs/gpu.md."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pointrad import harmonics as sh
from pointrad.camera import Camera
from pointrad.model.points import POSITION
from pointrad.render import triton_kernels as kernels
from pointrad.render.base import Renderer, SplatSettings
from pointrad.render.projection import AnyCamera, features, pixel_directions, project

TILE: int = kernels.TILE.value
MOST_INTERSECTIONS = 2**31 - 1  # intersections are counted in int32


@dataclass(frozen=True)
class Bins:
    """Which splats each tile of 8x8 pixels composites, nearest first. A splat in a tile is an *intersection*.

    order: [N] int64, the points by depth, those that touch no pixel last. slot_start: [N + 1] int64, the first slot of
    each point in that order: a point's intersections have neighbouring slots, so that its gradient is a range's sum.
    point_of, slot_of: [P] int32, by tile and then by depth; what exceeds the intersections there are means nothing.
    tile_start: [tiles + 1] int32.
    """

    columns: int
    tiles: int
    order: Tensor
    slot_start: Tensor
    point_of: Tensor
    slot_of: Tensor
    tile_start: Tensor


@dataclass(frozen=True)
class Footprints:
    """The rectangle of tiles that each splat touches: all of binning that needs not know the number of intersections.

    order: [N] int64 and slot_start: [N + 1] int64, as in `Bins`; the last slot start is the number of intersections.
    first_tile, across: [N] int64 in that order, a rectangle's first tile, and how many of its tiles share a row.
    """

    columns: int
    tiles: int
    order: Tensor
    slot_start: Tensor
    first_tile: Tensor
    across: Tensor


def footprints(u: Tensor, v: Tensor, depth: Tensor, camera: AnyCamera, radius: float) -> Footprints:
    """The footprints of splats at pixel coordinates u, v [N] with `radius` in pixels."""
    width, height = camera.width, camera.height
    columns, rows = tiles_along(width), tiles_along(height)
    visible = (depth > 0) & (u + radius > 0) & (u - radius < width) & (v + radius > 0) & (v - radius < height)
    order = torch.argsort(torch.where(visible, depth, torch.inf), stable=True)
    first_column, across = _tiles_along(u[order], radius, columns)
    first_row, down = _tiles_along(v[order], radius, rows)
    counts = torch.where(visible[order], across * down, 0)
    return Footprints(
        columns=columns,
        tiles=rows * columns,
        order=order,
        slot_start=torch.nn.functional.pad(counts.cumsum(0), (1, 0)),
        first_tile=first_row * columns + first_column,
        across=across,
    )


def count_intersections(splats: Footprints) -> int:
    """The number of intersections, for which the host waits. Raises OverflowError where int32 cannot count them."""
    intersections = int(splats.slot_start[-1])
    if intersections > MOST_INTERSECTIONS:
        raise OverflowError(
            f"{intersections} intersections of splats and tiles; the Triton renderer can hold {MOST_INTERSECTIONS}: "
            "use a smaller model.splat_radius or fewer points"
        )
    return intersections


def list_intersections(splats: Footprints, capacity: int) -> Bins:
    """The bins of `splats` in arrays of `capacity` intersections, which must be no less than there are.

    What is left over is sorted behind the intersections of the last tile, where no tile looks.
    """
    slot = torch.arange(capacity, device=splats.order.device)
    # The splat that a slot belongs to, by depth; of a slot that is left over any.
    rank = torch.searchsorted(splats.slot_start[1:], slot, right=True).clamp(max=len(splats.order) - 1)
    place, across = slot - splats.slot_start[rank], splats.across[rank].clamp(min=1)
    tile = splats.first_tile[rank] + place // across * splats.columns + place % across
    tile = torch.where(slot < splats.slot_start[-1], tile, splats.tiles)
    # Pairs are in order of depth so far, and stay so within each tile.
    sorted_tile, slot = torch.sort(tile.int(), stable=True)
    edges = torch.arange(splats.tiles + 1, device=slot.device, dtype=torch.int32)
    return Bins(
        columns=splats.columns,
        tiles=splats.tiles,
        order=splats.order,
        slot_start=splats.slot_start,
        point_of=splats.order[rank[slot]].int(),
        slot_of=slot.int(),
        tile_start=torch.searchsorted(sorted_tile, edges, out_int32=True),
    )


def bin_splats(u: Tensor, v: Tensor, depth: Tensor, camera: AnyCamera, radius: float) -> Bins:
    """The bins of splats at pixel coordinates u, v [N] with `radius` in pixels; waits once, for their number."""
    splats = footprints(u, v, depth, camera, radius)
    return list_intersections(splats, count_intersections(splats))


def _tiles_along(centre: Tensor, radius: float, tiles: int) -> tuple[Tensor, Tensor]:
    """The first tile along one axis that a splat's pixels can lie in, and their number, int64."""
    first = ((centre - radius - 0.5).ceil() / TILE).floor().clamp(0, tiles)
    last = ((centre + radius - 0.5).floor() / TILE).floor().clamp(-1, tiles - 1)
    return first.long(), (last - first + 1).clamp(min=0).long()


def tiles_along(pixels: int) -> int:
    """How many tiles an axis of so many pixels has; the last may reach beyond the image."""
    return -(-pixels // TILE)


def launching_on(tensor: Tensor) -> AbstractContextManager[None]:
    """Makes the tensor's device the current one, on which Triton launches; does nothing for a tensor on the CPU."""
    context: AbstractContextManager[None] = torch.cuda.device_of(tensor)  # type: ignore[no-untyped-call]
    return context


class _Composite(torch.autograd.Function):
    """(pixels [2, N], channels [C, N]) to (image [C, H, W] without background, transmittance [H, W])."""

    @staticmethod
    def forward(
        ctx: Any, pixels: Tensor, channels: Tensor, bins: Bins, camera: AnyCamera, settings: SplatSettings
    ) -> tuple[Tensor, Tensor]:
        splats = torch.cat([pixels, channels]).T.contiguous()
        count, shape = len(channels), (camera.height, camera.width)
        image = splats.new_empty(count, *shape)
        transmittance = splats.new_empty(shape)
        last = torch.empty(shape, dtype=torch.int32, device=splats.device)
        radius = settings.radius_in_pixels(camera)
        with launching_on(splats):
            kernels.forward[bins.tiles, count // kernels.CHANNELS](
                splats, bins.point_of, bins.tile_start, image, transmittance, last, bins.columns, *shape, count,
                radius, settings.points_per_pixel, num_warps=kernels.WARPS,
            )  # fmt: skip
        ctx.save_for_backward(splats, transmittance, last)
        ctx.bins, ctx.radius = bins, radius
        return image, transmittance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        splats, transmittance, last = ctx.saved_tensors
        bins: Bins = ctx.bins
        gradient, behind = (each.contiguous() for each in gradients)
        count = splats.shape[1] - 2
        chunks = count // kernels.CHANNELS
        # Zeros: the kernel leaves out the intersections that lie behind all that a tile's pixels took.
        slots = splats.new_zeros(len(bins.slot_of), chunks, kernels.SLOT)
        with launching_on(splats):
            kernels.backward[bins.tiles, chunks](
                splats, bins.point_of, bins.slot_of, bins.tile_start, gradient, behind, transmittance, last, slots,
                bins.columns, *transmittance.shape, count, ctx.radius, num_warps=kernels.WARPS,
            )  # fmt: skip
        sums = torch.zeros(len(splats), chunks, kernels.SLOT, device=splats.device)
        if len(slots):
            sums[bins.order] = torch.segment_reduce(slots, "sum", offsets=bins.slot_start, initial=0)
        return sums[..., :2].sum(dim=1).T, sums[..., 2:].flatten(1).T, None, None, None


class TritonRenderer(Renderer):
    """Our tile renderer on CUDA, or in Triton's interpreter; its results are the same bits at every call."""

    name = "triton"
    settings: SplatSettings

    def __init__(self, settings: SplatSettings, device: torch.device, graphs: bool = False) -> None:
        """graphs: training steps with this renderer are replayed as CUDA graphs; images never are."""
        self.settings = settings
        self.device = device
        self.graphs = graphs
        self.background = torch.tensor(settings.background, device=device)

    def render(self, parameters: Tensor, camera: Camera, harmonics: bool = True) -> Tensor:
        return self.on_background(*self.composite(parameters, camera, harmonics))

    def on_background(self, colours: Tensor, transmittance: Tensor) -> Tensor:
        """[H, W, 3] in [0, 1] of what `composite` returns."""
        return (colours + transmittance * self.background[:, None, None]).clamp(0, 1).permute(1, 2, 0)

    def footprints(self, parameters: Tensor, camera: AnyCamera) -> Footprints:
        with torch.no_grad():
            splats = project(parameters[POSITION], camera)
            return footprints(*splats, camera, self.settings.radius_in_pixels(camera))

    def composite(
        self, parameters: Tensor, camera: AnyCamera, harmonics: bool = True, bins: Bins | None = None
    ) -> tuple[Tensor, Tensor]:
        """An image before background and clamping: colours [3, H, W] and transmittance [H, W], differentiable.

        bins: of these points before this camera, where they are known already; nothing is waited for then.
        """
        u, v, depth = project(parameters[POSITION], camera)
        if bins is None:
            bins = bin_splats(u.detach(), v.detach(), depth.detach(), camera, self.settings.radius_in_pixels(camera))
        channels = features(parameters, camera, self.settings.view_direction, harmonics)
        colours, transmittance = _Composite.apply(  # type: ignore[no-untyped-call]
            torch.stack([u, v]), channels, bins, camera, self.settings
        )
        if len(channels) > 3:
            values = sh.basis(pixel_directions(camera, parameters.device))
            coefficients = colours[3:].view(sh.COUNT, 3, *colours.shape[1:])
            colours = colours[:3] + torch.einsum("jhw,jchw->chw", values, coefficients)
        return colours, transmittance

    def synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

"""The Triton renderer's kernels: compositing tiles forward and backward, 3 channels at a time, and the loss between.

A program is one warp that owns a tile of 8x8 pixels, two to a lane, and walks over the tile's *intersections* (with
splats, nearest first). Since a warp's sums are shuffles, no loop has a barrier; since each intersection writes a *slot*
of its own, no kernel has an atomic. What is computed is what `cpu.point_kernels` computes. Why it is cut so is said in
docs/notes/gpu_renderer.md.
"""

# Triton compiles these functions: they are written for its language, not for mypy.
# mypy: ignore-errors
from __future__ import annotations

import triton
import triton.language as tl

from pointrad.render.cpu import point_kernels

TILE = tl.constexpr(8)
# How many intersections are composited between two looks at whether the tile's pixels are all full.
BATCH = tl.constexpr(32)
OPAQUE = tl.constexpr(float(point_kernels.OPAQUE))
# A smaller q counts as this, both ways: the transmittance stays a normal float32, OPAQUE * SMALLEST_Q = 1e-32, so that
# backward can divide by the q that forward multiplied by.
SMALLEST_Q = tl.constexpr(1e-20)

CHANNELS = 3  # of one program; a grid's second axis covers more
SLOT = CHANNELS + 2  # du, dv and the channels
WARPS = 1


@triton.jit
def _pixels(tile, columns, height, width):
    """The tile's left and top, its pixels' columns and rows within it, their places in the image, who is inside."""
    pixel = tl.arange(0, TILE * TILE)
    left, top = (tile % columns) * TILE, (tile // columns) * TILE
    x, y = pixel % TILE, pixel // TILE
    inside = (left + x < width) & (top + y < height)
    return left, top, x.to(tl.float32), y.to(tl.float32), (top + y) * width + left + x, inside


@triton.jit
def forward(splats, point_of, tile_start, image, transmittance, last, columns, height, width, channels, radius,
            nearest):  # fmt: skip
    """Composite channels 3 c to 3 c + 2 of tile t, for the program (t, c) (docs/method.md).

    splats: [N, 2 + channels] float32, u, v and channels; point_of: [P] int32, the point of each intersection, tile by
    tile and nearest first; tile_start: [tiles + 1] int32.
    image: [channels, H, W] float32 out, without background; transmittance: [H, W] float32 out; last: [H, W] int32 out,
    the last intersection of its tile that each pixel takes, -1 for none.
    """
    tile, chunk = tl.program_id(0), tl.program_id(1)
    left, top, x, y, place, inside = _pixels(tile, columns, height, width)
    start, stop = tl.load(tile_start + tile), tl.load(tile_start + tile + 1)
    square = radius * radius
    inverse = 1.0 / square
    t = tl.full([TILE * TILE], 1.0, tl.float32)
    red, green, blue = t * 0.0, t * 0.0, t * 0.0
    final = tl.full([TILE * TILE], -1, tl.int32)
    count = tl.where(inside, 0, nearest)  # pixels beyond the image are full from the start
    at = start
    while at < stop:
        end = tl.minimum(at + BATCH, stop)
        for intersection in range(at, end):
            splat = splats + tl.load(point_of + intersection).to(tl.int64) * (channels + 2)
            dx, dy = x - (tl.load(splat) - left - 0.5), y - (tl.load(splat + 1) - top - 0.5)
            d2 = dx * dx + dy * dy
            q = d2 * inverse
            hit = (d2 < square) & (count < nearest)
            a = tl.where(hit, t * (1.0 - q), 0.0)
            colour = splat + 2 + 3 * chunk
            red += a * tl.load(colour)
            green += a * tl.load(colour + 1)
            blue += a * tl.load(colour + 2)
            t = tl.where(hit, t * tl.maximum(q, SMALLEST_Q), t)
            count = tl.where(t < OPAQUE, nearest, count + hit.to(tl.int32))
            final = tl.where(hit, intersection - start, final)
        at = tl.where(tl.min(count) < nearest, end, stop)
    out = image + (3 * chunk).to(tl.int64) * height * width + place
    tl.store(out, red, mask=inside)
    tl.store(out + height * width, green, mask=inside)
    tl.store(out + 2 * height * width, blue, mask=inside)
    tl.store(transmittance + place, t, mask=inside & (chunk == 0))
    tl.store(last + place, final, mask=inside & (chunk == 0))


@triton.jit
def backward(splats, point_of, slot_of, tile_start, gradient, behind, transmittance, last, slots, columns, height,
             width, channels, radius):  # fmt: skip
    """Gradients of every intersection that a pixel of tile t took, through channels 3 c to 3 c + 2, for program (t, c).

    gradient: [channels, H, W] float32 of the loss with respect to `image`; behind: [H, W] float32 to `transmittance`.
    slot_of: [P] int32. slots: [P, channels / 3, 5] float32 out, with respect to u, v and the channels; u and v are
    sums over the second axis. Pairs that no pixel took are left as they are.

    Back to front, with only b = gradient . (colour behind the splat) carried along, and the transmittance had back by
    dividing by the q that forward multiplied by (docs/notes/gpu_renderer.md).
    """
    tile, chunk = tl.program_id(0), tl.program_id(1)
    left, top, x, y, place, inside = _pixels(tile, columns, height, width)
    inverse = 1.0 / (radius * radius)
    red_at = gradient + (3 * chunk).to(tl.int64) * height * width + place
    red = tl.load(red_at, mask=inside, other=0.0)
    green = tl.load(red_at + height * width, mask=inside, other=0.0)
    blue = tl.load(red_at + 2 * height * width, mask=inside, other=0.0)
    # What lies behind the last splat counts once, whatever the number of channels.
    b = tl.load(behind + place, mask=inside & (chunk == 0), other=0.0)
    t = tl.load(transmittance + place, mask=inside, other=1.0)
    final = tl.load(last + place, mask=inside, other=-1)
    start = tl.load(tile_start + tile)
    deepest = tl.max(final)
    for nearer in range(0, deepest + 1):
        intersection = start + deepest - nearer
        splat = splats + tl.load(point_of + intersection).to(tl.int64) * (channels + 2)
        slot = slots + (tl.load(slot_of + intersection).to(tl.int64) * (channels // 3) + chunk) * 5
        dx, dy = x - (tl.load(splat) - left - 0.5), y - (tl.load(splat + 1) - top - 0.5)
        d2 = dx * dx + dy * dy
        q = d2 * inverse
        hit = (d2 < radius * radius) & (intersection - start <= final)
        colour = splat + 2 + 3 * chunk
        s = red * tl.load(colour) + green * tl.load(colour + 1) + blue * tl.load(colour + 2)
        t = tl.where(hit, t / tl.maximum(q, SMALLEST_Q), t)
        dw = tl.where(hit, t * (s - b), 0.0)
        a = tl.where(hit, t * (1.0 - q), 0.0)
        b = tl.where(hit, (1.0 - q) * s + q * b, b)
        tl.store(slot, 2.0 * inverse * tl.sum(dw * dx))
        tl.store(slot + 1, 2.0 * inverse * tl.sum(dw * dy))
        tl.store(slot + 2, tl.sum(a * red))
        tl.store(slot + 3, tl.sum(a * green))
        tl.store(slot + 4, tl.sum(a * blue))


@triton.jit
def _error(image, transmittance, background, target, weights, at, plane, wanted, channel):
    """Of one channel at pixels `at`: the colour on the background, its weighted error once clamped, and its weight.

    0 where not `wanted`.
    """
    colour = tl.load(image + channel * plane + at, mask=wanted, other=0.0)
    colour += tl.load(transmittance + at, mask=wanted, other=0.0) * tl.load(background + channel)
    # Not by minimum and maximum, which may turn NaN into a colour and hide that training diverged.
    clamped = tl.where(colour < 0.0, 0.0, colour)
    clamped = tl.where(clamped > 1.0, 1.0, clamped)
    goal = tl.load(target + channel * plane + at, mask=wanted, other=0.0)
    counts = tl.load(weights + at, mask=wanted, other=0.0)
    return colour, tl.where(wanted, counts * (clamped - goal), 0.0), counts


@triton.jit
def _sign(value):
    return (value > 0.0).to(tl.float32) - (value < 0.0).to(tl.float32)


@triton.jit
def photometric(image, transmittance, background, target, weights, shifts, gradient, behind, sums, columns, height,
                width, count, weight):  # fmt: skip
    """Tile t's part of the photometric loss (docs/method.md) of a composited image, and its gradient in tile t.

    image: [3, H, W] float32, without background; transmittance: [H, W] float32; background: [3] float32; target:
    [3, H, W] float32; weights: [H, W] float32, of each pixel's error; shifts: [count] int32; weight: of each shift.
    gradient: [3, H, W] float32 out and behind: [H, W] float32 out, as `backward` takes them. sums: [2, tiles] float32
    out, the tile's parts of the loss and of its MSE.

    A pixel computes its neighbours' errors anew, which are in the cache, rather than read what another kernel wrote.
    """
    tile = tl.program_id(0)
    left, top, x, y, place, inside = _pixels(tile, columns, height, width)
    x, y, plane = left + x, top + y, height * width
    share = 1.0 / (3.0 * height * width)
    through, squares, differences = x * 0.0, x * 0.0, x * 0.0
    for channel in range(3):
        colour, error, counts = _error(image, transmittance, background, target, weights, place, plane, inside, channel)
        squares += error * error
        slope = 2.0 * share * error
        for k in range(count):
            shift = tl.load(shifts + k)
            for axis in tl.static_range(2):
                at, size, stride, lines = (x, width, 1, height) if axis == 0 else (y, height, width, width)
                scale = weight / (3.0 * lines * tl.maximum(size - shift, 1))
                before, after = inside & (at >= shift), inside & (at + shift < size)
                step = shift * stride
                there = _error(image, transmittance, background, target, weights, place - step, plane, before, channel)[
                    1
                ]
                difference = tl.where(before, error - there, 0.0)
                slope += scale * _sign(difference)
                differences += scale * tl.abs(difference)  # each difference once, by the pixel that comes after
                there = _error(image, transmittance, background, target, weights, place + step, plane, after, channel)[
                    1
                ]
                slope += scale * _sign(tl.where(after, error - there, 0.0))
        slope = tl.where((colour >= 0.0) & (colour <= 1.0), counts * slope, 0.0)
        tl.store(gradient + channel * plane + place, slope, mask=inside)
        through += slope * tl.load(background + channel)
    tl.store(behind + place, through, mask=inside)
    tl.store(sums + tile, tl.sum(share * squares + differences))
    tl.store(sums + tl.num_programs(0) + tile, tl.sum(share * squares))

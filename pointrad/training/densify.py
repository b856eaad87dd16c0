"""Splats with opacity grow in number and move: by splitting, and by relocation as in 3DGS-MCMC."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pointrad.model.base import Cloud
from pointrad.model.gaussians import rotations
from pointrad.training.config import RelocateConfig, SplitConfig

SCREEN_GRADIENT = "screen_gradient"  # of `Cloud.state`: [N], how much the loss pulled at centres on screen
_MOST_AT_ONE_PLACE = 51  # copies of a splat that relocation reckons with, as in 3DGS-MCMC
_LEAST_OPACITY, _MOST_OPACITY = 1e-5, 1 - 1e-5


def opacities(cloud: Cloud) -> Tensor:
    """[N] in [0, 1]."""
    return cloud["opacity"][0].sigmoid()


def with_opacities(cloud: Cloud, opacity: Tensor) -> Cloud:
    return cloud.changed(opacity=opacity.clamp(_LEAST_OPACITY, _MOST_OPACITY).logit())


def split(cloud: Cloud, config: SplitConfig, rng: np.random.Generator) -> Cloud:
    """Transparent splats go, and drawn ones become two halves each, as many as went and a share of all."""
    seen = opacities(cloud) >= config.least_opacity
    gone = int((~seen).sum())
    wanted = gone + round(config.share * len(cloud))
    cloud = cloud.select(seen)
    missing = _allowed(cloud, wanted)
    while missing:
        chosen = _draw(cloud.state[SCREEN_GRADIENT], missing, rng)
        if not len(chosen):
            break
        cloud = _halved(cloud, chosen, config)
        missing = min(missing - len(chosen), gone)  # without repetition but for those that went
    cloud.state[SCREEN_GRADIENT].zero_()
    return cloud


def _halved(cloud: Cloud, chosen: Tensor, config: SplitConfig) -> Cloud:
    """The splats at `chosen` [M] become two halves each: one in its place, and one behind all others."""
    halves = cloud.select(torch.cat([torch.arange(len(cloud), device=chosen.device), chosen]))
    second = slice(len(cloud), None)
    scale = cloud["scale"][:, chosen]
    longest = scale.argmax(dim=0)
    axes = rotations(cloud["rotation"][:, chosen])
    along = axes[torch.arange(len(chosen), device=chosen.device), :, longest].T  # [3, M] unit vectors
    offset = config.offset * along * scale.amax(dim=0).exp()
    smaller = torch.full_like(scale, math.log(config.across))
    smaller[longest, torch.arange(len(chosen), device=chosen.device)] = math.log(config.along)
    opacity = with_opacities(cloud, config.opacity * opacities(cloud))["opacity"][:, chosen]
    for half, sign in ((chosen, 1), (second, -1)):
        halves["position"][:, half] += sign * offset
        halves["scale"][:, half] += smaller
        halves["opacity"][:, half] = opacity
        halves.state[SCREEN_GRADIENT][half] /= 2
    return halves


def relocate(cloud: Cloud, config: RelocateConfig, rng: np.random.Generator) -> Cloud:
    """Splats that nobody sees move to where others are, and new ones come; moments of all that change start anew."""
    opacity = opacities(cloud)
    dead = opacity <= config.opacity
    if dead.all():
        return cloud.select(~dead)  # which is an error of the caller's
    added = _allowed(cloud, round(config.growth * len(cloud)))
    count = int(dead.sum()) + added
    weights = torch.where(dead, 0, opacity).double().cpu().numpy()
    onto = torch.from_numpy(rng.choice(len(cloud), count, p=weights / weights.sum())).to(opacity.device)
    source = torch.cat([torch.arange(len(cloud), device=onto.device), onto[len(onto) - added :]])
    source[: len(cloud)][dead] = onto[: len(onto) - added]
    moved = cloud.select(source)
    together = torch.bincount(source, minlength=len(cloud))[source].clamp(max=_MOST_AT_ONE_PLACE)
    changed = together > 1
    before = opacity[source]
    after = 1 - (1 - before) ** (1 / together)
    moved = with_opacities(moved, torch.where(changed, after, before))
    moved["scale"][:] += torch.where(changed, _shrinking(before, after, together).log(), 0)
    for values in moved.state.values():
        values[..., changed] = 0
    return moved


def _shrinking(before: Tensor, after: Tensor, copies: Tensor) -> Tensor:
    """[N] what scales are multiplied by, so that copies of opacity `after` look as one of `before` did.

    Kheradmand et al. 2024, equation 9.
    """
    total = torch.zeros_like(before, dtype=torch.float64)
    for i in range(1, int(copies.max()) + 1):
        terms = (math.comb(i - 1, k) * (-1) ** k * after.double() ** (k + 1) / math.sqrt(k + 1) for k in range(i))
        total += torch.where(copies >= i, sum(terms, torch.zeros_like(total)), 0)
    return (before / total).float()


def _allowed(cloud: Cloud, wanted: int) -> int:
    """How many more splats there may be, of those that are wanted."""
    return wanted if cloud.model.most is None else max(0, min(wanted, cloud.model.most - len(cloud)))


def _draw(weights: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """[M] int64, ascending: up to `count` of those with a weight, without repetition, in proportion to it.

    The greatest of log w + Gumbel noise are such a draw (Vieira 2014).
    """
    gumbel = torch.from_numpy(rng.gumbel(size=len(weights))).to(weights.device)
    keys = weights.double().log() + gumbel
    count = min(count, int((weights > 0).sum()))
    return torch.sort(torch.topk(keys, count).indices).values

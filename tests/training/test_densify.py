"""Splats with opacity: split where the loss pulls, relocated, pruned and faded, whatever else belongs to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pointrad.errors import UserError
from pointrad.model.base import Cloud
from pointrad.model.gaussians import Gaussians, rotations
from pointrad.render.cpu.gaussians import GaussianCpuRenderer
from pointrad.render.gaussian_settings import GaussianSettings
from pointrad.training import operations
from pointrad.training.config import (
    FadeConfig,
    LimitOpacityConfig,
    Operation,
    PruneTransparentConfig,
    RelocateConfig,
    ShrinkConfig,
    SplitConfig,
)
from pointrad.training.densify import SCREEN_GRADIENT, opacities
from pointrad.training.steps.base import EXP_AVG, with_moments

SPLIT = SplitConfig(op="split", share=0.5, least_opacity=0, offset=0.75, along=0.5, across=0.8, opacity=0.9)


def cloud(count: int = 10, most: int | None = None) -> Cloud:
    """Gaussians as training has them, each parameter random, each moment telling which one's it is."""
    model = Gaussians(degree=1, opacity=0.5, most=most)
    parameters = torch.randn(model.width, count, generator=torch.Generator().manual_seed(1))
    trained = with_moments(Cloud(model, parameters), SCREEN_GRADIENT)
    trained.state[EXP_AVG][:] = torch.arange(1.0, count + 1)
    trained.state[SCREEN_GRADIENT][:] = 1
    return trained


def apply(operation: Operation, splats: Cloud, seed: int = 0) -> Cloud:
    renderer = GaussianCpuRenderer(GaussianSettings((0.0, 0.0, 0.0), 1))
    return operations.apply(operation, splats, (), renderer, np.random.default_rng(seed))


class TestSplitting:
    def test_a_split_gaussian_becomes_two_along_its_longest_axis(self) -> None:
        before = cloud()
        before.state[SCREEN_GRADIENT][:] = 0
        before.state[SCREEN_GRADIENT][4] = 1
        after = apply(SPLIT, before)
        assert len(after) == 11
        longest = before["scale"][:, 4].argmax()
        axis = rotations(before["rotation"][:, 4:5])[0, :, longest]
        offset = 0.75 * axis * before["scale"][longest, 4].exp()
        for half, sign in ((4, 1), (10, -1)):
            torch.testing.assert_close(after["position"][:, half], before["position"][:, 4] + sign * offset)
            shrunk = (after["scale"] - before["scale"][:, 4:5]).exp()[:, half]
            torch.testing.assert_close(shrunk, torch.where(torch.arange(3) == longest, 0.5, 0.8))
            torch.testing.assert_close(opacities(after)[half], 0.9 * opacities(before)[4])
            for group in ("rotation", "base", "harmonics"):
                assert torch.equal(after[group][:, half], before[group][:, 4])

    def test_all_others_stay_as_they_are_with_their_moments(self) -> None:
        before = cloud()
        before.state[SCREEN_GRADIENT][:] = 0
        before.state[SCREEN_GRADIENT][4] = 1
        after = apply(SPLIT, before)
        others = [n for n in range(10) if n != 4]
        assert torch.equal(after.parameters[:, others], before.parameters[:, others])
        assert after.state[EXP_AVG][0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 5]
        assert (after.state[SCREEN_GRADIENT] == 0).all()

    def test_those_are_split_at_which_the_loss_pulls(self) -> None:
        before = cloud(1000)
        before.state[SCREEN_GRADIENT][:500] = 0.01
        moved = (
            apply(SplitConfig(**(SPLIT.model_dump() | {"share": 0.1})), before)["scale"][:, :1000] != before["scale"]
        )
        assert moved.any(dim=0).sum() == 100
        assert moved[:, 500:].any(dim=0).sum() > 90

    @pytest.mark.parametrize(("most", "left"), [(None, 15), (13, 13), (10, 10), (8, 10)])
    def test_growth_stops_at_the_models_cap(self, most: int | None, left: int) -> None:
        assert len(apply(SPLIT, cloud(10, most))) == left

    def test_transparent_gaussians_go_and_as_many_more_are_split(self) -> None:
        before = cloud(10).changed(opacity=torch.tensor([0.001] * 2 + [0.5] * 8).logit())
        after = apply(SPLIT.model_copy(update={"least_opacity": 0.01}), before)
        assert len(after) == 15
        assert (opacities(after) > 0.4).all()

    def test_halves_are_split_again_where_few_are_left(self) -> None:
        before = cloud(10).changed(opacity=torch.tensor([0.001] * 8 + [0.5] * 2).logit())
        after = apply(SPLIT.model_copy(update={"least_opacity": 0.01}), before)
        assert len(after) == 12  # the two that stayed are split once, and then eight more, as many as went
        assert len(after["position"].unique(dim=1).T) == 12

    def test_where_all_are_transparent_none_are_left(self) -> None:
        with pytest.raises(UserError, match="split left none of 10"):
            apply(SPLIT.model_copy(update={"least_opacity": 0.01}), cloud(10).changed(opacity=-9.0))

    def test_the_same_draw_splits_the_same(self) -> None:
        assert torch.equal(apply(SPLIT, cloud(), 3).parameters, apply(SPLIT, cloud(), 3).parameters)
        assert not torch.equal(apply(SPLIT, cloud(), 3).parameters, apply(SPLIT, cloud(), 4).parameters)


def with_opacity(values: list[float]) -> Cloud:
    return cloud(len(values)).changed(opacity=torch.tensor(values).logit())


class TestRelocation:
    CONFIG = RelocateConfig(op="relocate", opacity=0.01, growth=0)

    def test_what_nobody_sees_moves_onto_what_is_seen(self) -> None:
        before = with_opacity([0.5, 0.001, 0.6])
        after = apply(self.CONFIG, before)
        assert len(after) == 3
        assert any(torch.equal(after["position"][:, 1], before["position"][:, n]) for n in (0, 2))

    def test_two_at_one_place_are_as_opaque_together_as_the_one_was(self) -> None:
        after = apply(self.CONFIG, with_opacity([0.5, 0.001]))
        together = 1 - (1 - opacities(after)).prod()
        assert float(together) == pytest.approx(0.5, rel=1e-5)

    def test_of_all_that_change_the_moments_start_anew(self) -> None:
        before = with_opacity([0.5, 0.001, 0.6])
        after = apply(self.CONFIG, before)
        moved_onto = 0 if torch.equal(after["position"][:, 1], before["position"][:, 0]) else 2
        assert [bool(values.any()) for values in after.state[EXP_AVG].T] == [n not in (1, moved_onto) for n in range(3)]

    def test_more_come_up_to_the_cap(self) -> None:
        grown = apply(RelocateConfig(op="relocate", opacity=0.01, growth=0.5), cloud(10, most=13))
        assert len(grown) == 13


def test_transparent_ones_are_dropped() -> None:
    before = with_opacity([0.5, 0.001, 0.6])
    after = apply(PruneTransparentConfig(op="prune_transparent", opacity=0.005), before)
    assert torch.equal(after.parameters, before.parameters[:, [0, 2]])
    assert after.state[EXP_AVG][0].tolist() == [1, 3]


def test_opacities_are_limited_or_faded() -> None:
    before = with_opacity([0.5, 0.2])
    limited = apply(LimitOpacityConfig(op="limit_opacity", opacity=0.3), before)
    torch.testing.assert_close(opacities(limited), torch.tensor([0.3, 0.2]))
    faded = apply(FadeConfig(op="fade", factor=0.5), before)
    torch.testing.assert_close(opacities(faded), torch.tensor([0.25, 0.1]))


def test_sizes_shrink_and_nothing_else_changes() -> None:
    before = cloud()
    after = apply(ShrinkConfig(op="shrink", factor=0.8), before)
    torch.testing.assert_close(after["scale"].exp(), 0.8 * before["scale"].exp())
    torch.testing.assert_close(after.changed(scale=before["scale"]).parameters, before.parameters)
    assert after.state.keys() == before.state.keys()


@pytest.mark.parametrize("operation", [FadeConfig(op="fade", factor=0.8), SPLIT], ids=["fade", "split"])
def test_the_number_of_threads_changes_no_bit(operation: Operation) -> None:
    """torch shares tens of thousands of values among threads, whose last few it computes otherwise than the others."""
    found, threads = [], torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            found.append(apply(operation, cloud(100_003)).parameters)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)

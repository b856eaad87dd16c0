"""Points go and multiply by what they contribute to the training images."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pointrad.data.scene import View
from pointrad.model.base import Cloud
from pointrad.model.points import POINTS
from pointrad.render.base import SplatSettings
from pointrad.render.cpu.points import CpuRenderer
from pointrad.render.oracle import render as oracle
from pointrad.training.config import PruneUnsupportedConfig, ReplenishConfig
from pointrad.training.contributions import contributions, prune_unsupported, replenish, views_of, widening
from pointrad.training.lineage import STILL
from tests.scenes import sphere_views

VIEWS = sphere_views(12, 64, 48)
PRUNE = PruneUnsupportedConfig(op="prune_unsupported", share=0.25)


def renderer(background: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> CpuRenderer:
    return CpuRenderer(SplatSettings(0.1, 15, "point", background))


def shell(radius: float, count: int = 600) -> Cloud:
    """Points spread over a sphere about the origin."""
    directions = np.random.default_rng(0).normal(size=(count, 3))
    positions = radius * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return POINTS.start(torch.from_numpy(positions).float(), torch.full((count, 3), 0.5), seed=0)


def at(*positions: tuple[float, float, float]) -> Cloud:
    return POINTS.start(torch.tensor(positions), torch.full((len(positions), 3), 0.5), seed=0)


def without_pixels(view: View) -> View:
    return replace(view, image=np.zeros_like(view.image)).weighing(np.ones(view.mask.shape, bool), 0.2)


def test_points_on_the_object_stay() -> None:
    assert len(prune_unsupported(shell(0.5), PRUNE, VIEWS, renderer())) == 600


@pytest.mark.parametrize("colour", [0.0, 1.0], ids=["on black", "on white"])
def test_a_point_below_the_object_goes_that_paints_background_where_it_is_not_hidden(colour: float) -> None:
    views = [replace(view, image=np.where(view.mask[..., None] > 0, view.image, np.float32(colour))) for view in VIEWS]
    cloud = Cloud(POINTS, torch.cat([shell(0.5).parameters, at((0.0, 0.0, -0.9)).parameters], dim=1))
    kept = prune_unsupported(cloud, PRUNE, views, renderer((colour, colour, colour)))
    assert torch.equal(kept.parameters, cloud.parameters[:, :600])


def test_points_that_no_view_sees_go() -> None:
    assert len(prune_unsupported(at((0.0, 0.0, 0.5), (50.0, 0.0, 0.0)), PRUNE, VIEWS, renderer())) == 1


def test_points_go_that_are_seen_where_the_target_is_unknown_only() -> None:
    """All views but one tell nothing: what stays is what that one sees, the side that faces its camera."""
    views = (VIEWS[0], *map(without_pixels, VIEWS[1:]))
    kept = prune_unsupported(shell(0.5, 3000), PRUNE, views, renderer())
    facing = kept["position"].T @ torch.from_numpy(VIEWS[0].camera.position).float()
    assert 0 < len(kept) < 1500
    assert (facing > 0).float().mean() > 0.8


def seen_by_three(cloud: Cloud) -> list[View]:
    """`VIEWS`, of which three show the cloud in white beside the sphere, while the others do not know of it."""

    def seen(index: int, view: View) -> View:
        alone = renderer().render(cloud.parameters, view.camera, harmonics=False).numpy() > 0
        beside = alone & (view.mask[..., None] == 0)
        if index % 4:
            return view.weighing(beside.any(axis=-1), 0.2)
        return replace(view, image=np.where(beside, np.float32(1), view.image))

    return [seen(index, view) for index, view in enumerate(VIEWS)]


def test_a_thin_part_stays_that_few_views_show_and_the_others_do_not_know() -> None:
    arm = at((0.0, 0.0, 0.8), (0.0, 0.0, 0.9))
    cloud = Cloud(POINTS, torch.cat([shell(0.5).parameters, arm.parameters], dim=1))
    prune = PruneUnsupportedConfig(op="prune_unsupported", share=0.5)
    assert len(prune_unsupported(cloud, prune, seen_by_three(arm), renderer())) == 602


def test_what_hides_where_views_do_not_know_goes_if_others_cover_what_it_shows() -> None:
    """In front of the sphere it shows what the sphere shows, and beside it no view says anything."""
    halo = at(*((0.8 * math.cos(angle), 0.8 * math.sin(angle), 0.0) for angle in np.linspace(0, 6, 20)))
    cloud = Cloud(POINTS, torch.cat([shell(0.5).parameters, halo.parameters], dim=1))
    beside = [view.weighing(view.mask == 0, 0.2) for view in VIEWS]
    kept = prune_unsupported(cloud, PruneUnsupportedConfig(op="prune_unsupported", share=0.9), beside, renderer())
    assert torch.equal(kept.parameters, cloud.parameters[:, :600])


@pytest.mark.parametrize("name", ["all", "known"])
def test_contributions_are_the_compositing_weights_summed_over_pixels(name: str) -> None:
    """Against the oracle: what an image of a cloud of one white point among black ones sums to."""
    cloud, view = shell(0.5, 40), VIEWS[0]
    pixels = np.ones_like(view.mask) if name == "all" else (np.abs(view.image) > 0.5 / 255).any(axis=-1)
    found = contributions(cloud, [view], renderer(), lambda view: torch.from_numpy(pixels)[None])[0]
    for point in (0, 7, 31):
        parameters = cloud.parameters.clone().double()
        parameters[3:6] = 0
        parameters[3:6, point] = 1
        image = oracle(parameters, view.camera, renderer().settings, harmonics=False)
        wanted = float((image[..., 0].numpy() * pixels).sum())
        assert found[point].item() == pytest.approx(wanted, rel=1e-4, abs=1e-6)


def replenished(cloud: Cloud, least: float, growth: float) -> Cloud:
    return replenish(cloud, ReplenishConfig(op="replenish", least=least, growth=growth), VIEWS, renderer())


def test_replenishing_drops_what_is_hidden_and_copies_what_shows_most() -> None:
    surface, inside = shell(0.5, 3000), shell(0.1, 100)
    cloud = Cloud(POINTS, torch.cat([inside.parameters, surface.parameters], dim=1))
    grown = replenished(cloud, 0.002, 1.2)
    radii = grown["position"].norm(dim=0)
    shown = contributions(cloud, VIEWS, renderer(), lambda view: torch.ones(1, *view.mask.shape))[0]
    kept = int((shown >= 0.002 * len(VIEWS) * math.pi * 3.2**2 / 2).sum())
    assert 0 < kept < 3000
    assert len(grown) == kept + round(0.2 * kept)
    assert (radii > 0.4).all()
    assert torch.equal(grown.parameters[:, :kept].unique(dim=1), grown.parameters.unique(dim=1))
    of_surface = shown[100:]
    copies = grown.parameters[:, kept:]
    of_copies = torch.stack([(surface.parameters == copy[:, None]).all(dim=0).nonzero()[0, 0] for copy in copies.T])
    most = of_surface.sort(descending=True).values[: len(of_copies)]
    torch.testing.assert_close(of_surface[of_copies], most)


def test_replenishing_copies_a_point_as_often_as_it_takes() -> None:
    grown = replenished(at((0.0, 0.0, 0.5), (0.0, 0.0, 50.0)), 0.002, 5)
    assert len(grown) == 5
    assert torch.equal(grown["position"], torch.tensor([[0.0], [0.0], [0.5]]).repeat(1, 5))


def test_a_growth_of_one_copies_none() -> None:
    assert torch.equal(replenished(shell(0.5), 0.0, 1.0).parameters, shell(0.5).parameters)


def test_no_points_are_made_of_none() -> None:
    assert len(replenished(at((0.0, 0.0, 50.0)), 0.002, 2.0)) == 0


def test_the_views_of_a_point_are_those_that_it_shows_in() -> None:
    """A ring of cameras looks at it from equally far away."""
    assert float(views_of(at((0.0, 0.0, 0.0)), VIEWS, renderer())) == pytest.approx(12, rel=0.1)
    assert float(views_of(at((0.0, 0.0, 0.0)), VIEWS[:3], renderer())) == pytest.approx(3, rel=0.1)


def test_of_views_in_which_it_hardly_shows_a_point_has_less_than_one_each() -> None:
    beside = Cloud(POINTS, torch.cat([at((0.0, 0.0, 0.0)).parameters, shell(0.4).parameters], dim=1))
    hidden = float(views_of(beside, VIEWS, renderer())[0])
    assert 0 < hidden < 10


def test_a_point_that_no_view_shows_has_no_number_of_views() -> None:
    assert float(views_of(at((0.0, 0.0, 50.0)), VIEWS, renderer())) == math.inf


def test_splats_widen_the_more_the_fewer_views_see_them_and_those_that_stand_still_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = torch.tensor([1.0, 4.0, math.inf, 1.0])
    monkeypatch.setattr("pointrad.training.contributions.views_of", lambda *_: views)
    still = torch.tensor([False, False, False, True])
    cloud = replace(at(*[(0.0, 0.0, 0.0)] * 4), state={STILL: still})
    assert widening(cloud, 0.5, VIEWS, renderer()).exp().tolist() == pytest.approx([1.5, 1.125, 1, 1])

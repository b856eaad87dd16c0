"""Our conventions of Gaussians against gsplat's functions in plain torch, where it is installed; no GPU is needed."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pointrad.camera import Camera
from pointrad.render import gaussian_oracle as oracle
from pointrad.render import gaussians, gsplat, gsplat_support
from pointrad.render.gaussian_settings import GaussianSettings
from pointrad.render.gsplat import GsplatRenderer
from tests.device import DEVICE
from tests.render import gsplat_in_torch
from tests.render.gaussian_clouds import GREY, cloud
from tests.render.gaussian_renderers import needs_gsplat
from tests.scenes import look_at, off_centre

needs_package = pytest.mark.skipif(
    not gsplat_support.is_installed(), reason=f"gsplat is not installed: {gsplat_support.INSTALL}"
)
CAMERA = off_centre(Camera.centred(look_at(np.array([1.0, 2.0, 2.0])), 60.0, 48, 40))


def handed_over(parameters: Tensor, degree: int) -> dict[str, Any]:
    """What the renderer calls gsplat with, in float64."""
    calls = []

    def note(**arguments: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
        calls.append(arguments)
        return gsplat_in_torch.rasterization(**arguments)

    GsplatRenderer(GaussianSettings(GREY, degree), torch.device("cpu"), note).render(parameters, CAMERA)
    return {key: value.double() if torch.is_tensor(value) else value for key, value in calls[0].items()}


def theirs(name: str) -> Any:
    import gsplat.cuda._torch_impl

    return getattr(gsplat.cuda._torch_impl, name)


@needs_package
def test_its_rasterization_takes_what_it_is_called_with() -> None:
    import gsplat

    inspect.signature(gsplat.rasterization).bind(**handed_over(cloud(CAMERA, 3, 1, 0), 1))


@needs_package
def test_covariances_in_the_world_are_its() -> None:
    given = handed_over(cloud(CAMERA, 100, 0, 1), 0)
    expected, _ = theirs("_quat_scale_to_covar_preci")(given["quats"], given["scales"], compute_preci=False)
    found = gsplat_in_torch.covariances(given["quats"], given["scales"])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)


@needs_package
def test_centres_depths_and_blurred_covariances_are_its() -> None:
    parameters = cloud(CAMERA, 200, 0, 1)
    given, found = handed_over(parameters, 0), oracle.project(parameters.double(), CAMERA, 0)
    covariance, _ = theirs("_quat_scale_to_covar_preci")(given["quats"], given["scales"], compute_preci=False)
    _, centre, depth, conic, compensation = theirs("_fully_fused_projection")(
        given["means"], covariance, given["viewmats"], given["Ks"], given["width"], given["height"],
        eps2d=given["eps2d"], near_plane=given["near_plane"],
    )  # fmt: skip
    assert compensation is None
    seen = found.depth > gaussians.NEAR
    assert seen.sum() > 100
    assert not seen.all()
    inverse = torch.linalg.inv(found.covariance)
    ours = torch.stack([inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 1]], dim=1)
    for mine, its in ((found.centre, centre[0]), (found.depth, depth[0]), (ours, conic[0])):
        torch.testing.assert_close(mine[seen], its[seen], rtol=1e-5, atol=1e-5)


@needs_package
def test_no_gaussian_is_left_out_that_a_pixel_would_take() -> None:
    """gsplat culls by 3.33 standard deviations, behind which alpha is below the least."""
    assert np.exp(-0.5 * 3.33**2) < gaussians.LEAST_ALPHA
    parameters = cloud(CAMERA, 200, 0, 1)
    given, found = handed_over(parameters, 0), oracle.project(parameters.double(), CAMERA, 0)
    covariance, _ = theirs("_quat_scale_to_covar_preci")(given["quats"], given["scales"], compute_preci=False)
    radii, *_ = theirs("_fully_fused_projection")(
        given["means"], covariance, given["viewmats"], given["Ks"], given["width"], given["height"],
        eps2d=given["eps2d"], near_plane=given["near_plane"],
    )  # fmt: skip
    culled = (radii[0] == 0).any(dim=1)
    assert culled.any()
    behind = found.depth <= gaussians.NEAR
    assert (culled | ~behind).all()
    shown = oracle.composite(parameters[:, culled].double(), CAMERA, GREY, 0)[1]
    assert not shown.any()


@needs_package
@pytest.mark.parametrize("degree", range(4))
def test_colours_are_its_harmonics_and_a_half(degree: int) -> None:
    parameters = cloud(CAMERA, 100, 3, 1)
    given = handed_over(parameters, degree)
    count = (degree + 1) ** 2
    # In its convention: the constant harmonic is a coefficient, too, and a colour is 0.5 more than their sum.
    constant = (parameters[gaussians.BASE].T - 0.5)[:, None] / 0.28209479177387814
    rest = parameters[gaussians.FIRST_HARMONIC :].T.reshape(100, 15, 3)[:, : count - 1]
    eye = torch.linalg.inv(given["viewmats"])[0, :3, 3]
    directions = torch.nn.functional.normalize(given["means"] - eye, dim=1)
    values = theirs("_spherical_harmonics")(degree, directions, torch.cat([constant, rest], dim=1).double())
    torch.testing.assert_close(given["colors"], (values + 0.5).clamp(min=0), rtol=1e-5, atol=1e-5)


@needs_package
def test_what_stands_in_for_it_projects_as_it_does() -> None:
    given = handed_over(cloud(CAMERA, 200, 0, 1), 0)
    covariance = gsplat_in_torch.covariances(given["quats"], given["scales"])
    view = given["width"], given["height"]
    found = gsplat_in_torch.project(
        given["means"], covariance, given["viewmats"][0], given["Ks"][0], *view, given["near_plane"], given["eps2d"]
    )
    radii, centre, depth, conic, _ = theirs("_fully_fused_projection")(
        given["means"], covariance, given["viewmats"], given["Ks"], *view, given["eps2d"], given["near_plane"]
    )
    seen = (radii[0] > 0).all(dim=1)
    inverse = torch.linalg.inv(found.covariance)[seen]
    for mine, its in (
        (found.centre[seen], centre[0, seen]),
        (found.depth[seen], depth[0, seen]),
        (inverse[:, [0, 0, 1], [0, 1, 1]], conic[0, seen]),
    ):
        torch.testing.assert_close(mine, its, rtol=1e-7, atol=1e-7)


def test_it_is_asked_for_classic_splats_with_our_blur_and_near_plane() -> None:
    given = handed_over(cloud(CAMERA, 5, 0, 1), 0)
    assert given["rasterize_mode"] == "classic"
    assert (given["eps2d"], given["near_plane"]) == (gaussians.BLUR, gaussians.NEAR)
    assert not given["packed"]
    fx, fy, cx, cy = CAMERA.intrinsics
    torch.testing.assert_close(given["Ks"][0], torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]).double())


def test_trying_it_out_succeeds_where_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gsplat, "_gsplats", lambda: gsplat_in_torch.rasterization)
    gsplat_support._try_out(torch.device("cpu"))


def test_trying_it_out_fails_where_it_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def black(**arguments: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
        image, opacity, seen = gsplat_in_torch.rasterization(**arguments)
        return 0 * image, opacity, seen

    monkeypatch.setattr(gsplat, "_gsplats", lambda: black)
    with pytest.raises(RuntimeError, match="was rendered black"):
        gsplat_support._try_out(torch.device("cpu"))


@needs_gsplat
def test_it_runs_on_this_gpu() -> None:
    assert gsplat_support.problem(DEVICE) is None


def test_where_its_limits_differ_from_ours() -> None:
    """A pixel is done before what would make it opaque, and alpha may be 0.999: both are told of in docs/gpu.md."""
    parameters = cloud(CAMERA, 2, 0, 1)
    parameters[gaussians.POSITION] = torch.tensor([[0.0, 0.0], [0.0, -0.1], [0.0, -0.1]])
    parameters[gaussians.SCALE], parameters[gaussians.OPACITY] = 1.0, 30.0
    column, row = oracle.project(parameters.double(), CAMERA, 0).centre[0].long().tolist()
    found = gsplat_in_torch.rasterization(**handed_over(parameters, 0))[1][0, row, column]
    exact = oracle.composite(parameters.double(), CAMERA, GREY, 0)[1][row, column]
    assert float(found) == pytest.approx(0.999)  # of the first alone, since both would leave 1e-6
    assert float(exact) == pytest.approx(1 - 0.01**2)

"""Which renderer a configuration gets."""

from __future__ import annotations

import pytest
import torch

from pointrad.config import RendererConfig
from pointrad.errors import UserError
from pointrad.render import build_renderer
from tests.render.clouds import settings


def build(name: str, device: str = "auto") -> str:
    return build_renderer(RendererConfig(name=name, device=device), settings()).name


@pytest.fixture
def _no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


@pytest.mark.usefixtures("_no_cuda")
def test_without_cuda_auto_is_ours() -> None:
    assert build("auto") == "cpu"


def test_auto_on_the_cpu_is_ours() -> None:
    assert build("auto", "cpu") == "cpu"


@pytest.mark.parametrize("name", ["cpu", "pytorch3d"])
def test_a_renderer_is_chosen_by_name(name: str) -> None:
    assert build(name, "cpu") == name


def test_ours_ignores_that_there_is_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert build("cpu") == "cpu"


def test_ours_refuses_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match=r"renderer\.device: found 'cuda'; renderer=cpu runs on cpu only"):
        build("cpu", "cuda")


@pytest.mark.usefixtures("_no_cuda")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_cuda_on_a_machine_without_it_is_refused(device: str) -> None:
    with pytest.raises(UserError, match=rf"renderer\.device: found '{device}'; this machine has 0 CUDA devices"):
        build("pytorch3d", device)


@pytest.mark.parametrize("device", ["gpu", "tpu:0", "meta", ""])
def test_a_device_that_is_none_of_ours_is_refused(device: str) -> None:
    with pytest.raises(UserError, match=rf"renderer\.device: found '{device}'; expected auto, cpu, cuda or cuda:N"):
        build("pytorch3d", device)

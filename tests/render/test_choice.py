"""Which renderer a configuration gets."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from pointrad.errors import UserError
from pointrad.render import build as choice
from pointrad.render import gsplat_support, triton_support
from pointrad.render.build import build_renderer
from pointrad.render.config import RendererConfig
from pointrad.render.gaussian_settings import GaussianSettings
from tests.device import DEVICE
from tests.render.clouds import settings
from tests.runs import config


def build(name: str, device: str = "auto", graphs: bool = False) -> str:
    return build_renderer(RendererConfig(name=name, device=device, graphs=graphs), settings()).name


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


@pytest.fixture
def _cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with one GPU, on which Triton works and nothing is really run."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA Test")
    monkeypatch.setattr(triton_support, "_try_out", lambda device: None)
    monkeypatch.setattr(choice, "_triton", lambda config, settings, device: SimpleNamespace(name="triton"))


@pytest.fixture
def _no_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)


class TestTriton:
    @pytest.mark.usefixtures("_cuda")
    def test_auto_takes_it_on_cuda(self) -> None:
        assert build("auto") == "triton"

    @pytest.mark.usefixtures("_cuda", "_no_triton")
    def test_auto_takes_pytorch3d_where_it_is_missing(self) -> None:
        assert build("auto") == "pytorch3d"

    @pytest.mark.usefixtures("_cuda")
    def test_auto_takes_pytorch3d_on_a_gpu_that_is_too_old(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
        assert build("auto") == "pytorch3d"

    @pytest.mark.usefixtures("_no_cuda", "_no_triton")
    def test_where_it_is_missing_it_is_refused(self) -> None:
        with pytest.raises(UserError, match=r"renderer\.name: found 'triton', but Triton cannot be imported here"):
            build("triton")

    @pytest.mark.usefixtures("_no_cuda")
    def test_on_a_cpu_it_asks_for_the_interpreter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("TRITON_INTERPRET", raising=False)
        with pytest.raises(UserError, match=r"set TRITON_INTERPRET=1 .*; or use renderer=cpu"):
            build("triton")

    @pytest.mark.usefixtures("_no_cuda")
    def test_in_the_interpreter_it_runs_on_a_cpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRITON_INTERPRET", "1")
        assert build("triton") == "triton"

    @pytest.mark.usefixtures("_cuda")
    def test_a_gpu_that_is_too_old_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
        problem = triton_support.problem(torch.device("cuda"))
        assert problem == "NVIDIA Test has compute capability 7.5; Triton needs 8.0 or newer"

    @pytest.mark.usefixtures("_cuda")
    def test_a_driver_that_cannot_load_its_kernels_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(device: torch.device) -> None:
            raise RuntimeError("Triton Error [CUDA]: the provided PTX was compiled with an unsupported toolchain.")

        monkeypatch.setattr(triton_support, "_try_out", fail)
        problem = triton_support.problem(torch.device("cuda"))
        assert problem is not None
        assert "unsupported toolchain" in problem
        assert "a newer NVIDIA driver may help" in problem


class TestGsplat:
    @pytest.fixture
    def _gsplat(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is installed and works, and nothing is really run."""
        monkeypatch.setattr(gsplat_support, "is_installed", lambda: True)
        monkeypatch.setattr(gsplat_support, "_try_out", lambda device: None)
        monkeypatch.setattr(choice, "_gsplat", lambda settings, device: SimpleNamespace(name="gsplat"))

    @pytest.fixture
    def _no_gsplat(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gsplat_support, "is_installed", lambda: False)

    def built(self, name: str, device: str = "auto") -> str:
        chosen = RendererConfig(name=name, device=device, graphs=False)
        choice.check_renderer(chosen, config("model=gaussians").model)
        return build_renderer(chosen, GaussianSettings((0.0, 0.0, 0.0), 2)).name

    @pytest.mark.usefixtures("_cuda", "_gsplat")
    @pytest.mark.parametrize(("name", "device"), [("auto", "auto"), ("gsplat", "auto"), ("auto", "cuda:0")])
    def test_gaussians_are_its_on_cuda(self, name: str, device: str) -> None:
        assert self.built(name, device) == "gsplat"

    @pytest.mark.usefixtures("_cuda", "_gsplat")
    @pytest.mark.parametrize(("name", "device"), [("cpu", "auto"), ("auto", "cpu")])
    def test_who_asks_for_the_cpu_gets_it(self, name: str, device: str) -> None:
        assert self.built(name, device) == "cpu"

    @pytest.mark.usefixtures("_cuda", "_no_gsplat")
    def test_auto_takes_the_cpu_where_it_is_missing_and_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.built("auto") == "cpu"
        assert capsys.readouterr().err == (
            "Gaussians are rendered on the CPU, although there is a GPU: gsplat is not installed: "
            "pip install -r requirements-gsplat.txt\n"
        )

    @pytest.mark.usefixtures("_no_cuda", "_no_gsplat")
    def test_without_a_gpu_auto_takes_the_cpu_and_says_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.built("auto") == "cpu"
        assert capsys.readouterr().err == ""

    @pytest.mark.usefixtures("_cuda", "_no_gsplat")
    @pytest.mark.parametrize(
        ("name", "device", "asked"),
        [("gsplat", "auto", "name: found 'gsplat'"), ("auto", "cuda", "device: found 'cuda'")],
    )
    def test_where_it_is_missing_it_is_refused(self, name: str, device: str, asked: str) -> None:
        expected = rf"^renderer\.{asked}, but gsplat is not installed: pip install -r [a-z.-]+; or use renderer=cpu$"
        with pytest.raises(UserError, match=expected):
            self.built(name, device)

    @pytest.mark.usefixtures("_no_cuda", "_gsplat")
    @pytest.mark.parametrize("device", ["auto", "cpu"])
    def test_without_cuda_it_is_refused(self, device: str) -> None:
        with pytest.raises(UserError, match=r"^renderer\.name: found 'gsplat', but gsplat needs CUDA.*renderer=cpu$"):
            self.built("gsplat", device)

    @pytest.mark.usefixtures("_cuda", "_gsplat")
    def test_kernels_that_cannot_be_compiled_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(device: torch.device) -> None:
            raise AttributeError("'NoneType' object has no attribute 'CameraModelType'")

        monkeypatch.setattr(gsplat_support, "_try_out", fail)
        with pytest.raises(UserError, match=r"does not run on cuda .*CameraModelType.*install nvcc of CUDA"):
            self.built("gsplat")

    @pytest.mark.usefixtures("_cuda")
    def test_ours_refuses_cuda(self) -> None:
        with pytest.raises(UserError, match=r"^renderer\.device: found 'cuda'; renderer=cpu runs on cpu only$"):
            self.built("cpu", "cuda")


class TestGraphs:
    @pytest.mark.usefixtures("_cuda")
    @pytest.mark.parametrize("name", ["triton", "auto"])
    def test_triton_on_cuda_has_them(self, name: str) -> None:
        assert build(name, graphs=True) == "triton"

    @pytest.mark.usefixtures("_no_cuda")
    @pytest.mark.parametrize(("name", "gets"), [("triton", "triton"), ("auto", "cpu")])
    def test_without_cuda_they_are_refused(self, name: str, gets: str) -> None:
        expected = (
            rf"^renderer\.graphs: found true, but this run gets renderer={gets} on cpu, and CUDA graphs need "
            r"renderer=triton on a CUDA device; set renderer\.graphs=false$"
        )
        with pytest.raises(UserError, match=expected):
            build(name, graphs=True)

    @pytest.mark.usefixtures("_cuda")
    def test_other_renderers_have_none(self) -> None:
        with pytest.raises(UserError, match=r"^renderer\.graphs: found true, but this run gets renderer=pytorch3d"):
            build("pytorch3d", "cuda", graphs=True)

    @pytest.mark.parametrize("graphs", [False, True])
    def test_the_renderer_is_told_of_them(self, graphs: bool) -> None:
        triton = pytest.importorskip("pointrad.render.triton")
        renderer = choice._triton(RendererConfig(name="triton", device="auto", graphs=graphs), settings(), DEVICE)
        assert isinstance(renderer, triton.TritonRenderer)
        assert renderer.graphs == graphs


def test_trying_triton_out_succeeds_where_it_works() -> None:
    pytest.importorskip("triton")
    triton_support._try_out(DEVICE)


@pytest.mark.usefixtures("_no_cuda")
def test_an_old_driver_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).")

    monkeypatch.setattr(torch.cuda, "init", fail)
    with pytest.raises(UserError, match=r"0 CUDA devices \(The NVIDIA driver on your system is too old"):
        build("triton", "cuda")


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


@pytest.mark.integration
def test_runs_of_points_do_not_wait_for_what_only_gaussians_need() -> None:
    unneeded = "{'pointrad.render.cpu.gaussian_kernels', 'scipy.spatial'}"
    script = f"import pointrad.run.run, sys; sys.exit(bool({unneeded} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

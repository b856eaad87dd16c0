"""The Triton step as CUDA graphs: the host starts two of them and not every operation (docs/notes/gpu_renderer.md)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from pointrad.camera import Camera
from pointrad.model.base import Cloud
from pointrad.render.projection import DeviceCamera
from pointrad.render.triton import (
    MOST_INTERSECTIONS,
    Footprints,
    TritonRenderer,
    count_intersections,
    list_intersections,
)
from pointrad.training.config import AdamConfig, StageConfig
from pointrad.training.steps.triton import TritonStep
from pointrad.training.target import Target

T = TypeVar("T")
LEAST_CAPACITY = 4096
WARM_UPS = 3  # as torch.cuda.make_graphed_callables


class Capture(Protocol):
    """Turns a function into one that does the same to the same tensors again, reading them as they are by then.

    It may call the function any number of times. What it makes of it returns the same tensors at every call.
    """

    def __call__(self, function: Callable[[], T]) -> Callable[[], T]: ...


class CudaGraphs:
    """Captures functions as CUDA graphs. They share memory, since no two of them are ever replayed at once."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, function: Callable[[], T]) -> Callable[[], T]:
        with torch.cuda.device(self._device):
            self._warm_up(function)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                result = function()

        def replay() -> T:
            graph.replay()
            return result

        return replay

    def _warm_up(self, function: Callable[[], Any]) -> None:
        """What an operation does at its first call only (compile, load, allocate) cannot be captured."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UPS):
                function()
        current.wait_stream(self._stream)


class GraphedStep(TritonStep):
    """The Triton step in two recordings: up to the number of intersections, which the host reads, and from there on.

    The second has arrays of a fixed `capacity`, so there is one for each capacity that views come to need. What changes
    from step to step lies in `_Inputs`. What does not is part of a recording: cloud, stage and renderer, which a step
    keeps for life, and the size and intrinsics of views, for each of which there are recordings.
    """

    _recordings: dict[Hashable, Callable[[], Any]]

    def __init__(
        self, cloud: Cloud, renderer: TritonRenderer, stage: StageConfig, adam: AdamConfig, capture: Capture
    ) -> None:
        super().__init__(cloud, renderer, stage, adam)
        self._capture = capture
        self._inputs: dict[Hashable, _Inputs] = {}

    def go_on_with(self, cloud: Cloud) -> None:
        super().go_on_with(cloud)
        self._recordings = {}

    def __call__(self, camera: Camera, target: Target, decay: Mapping[str, float]) -> Tensor:
        lens = (camera.width, camera.height, camera.intrinsics)
        if lens not in self._inputs:
            self._inputs[lens] = _Inputs(camera, len(self._trained), self.renderer.device)
        inputs = self._inputs[lens]
        inputs.fill(camera, target, self._rates(decay), self.steps)
        splats = self._replay((lens, "footprints"), lambda: self._footprints(inputs))
        size = capacity(count_intersections(splats))
        losses = self._replay((lens, size), lambda: self._train(inputs, splats, size))
        self.steps += 1
        return losses.clone()  # the next replay overwrites them

    def _footprints(self, inputs: _Inputs) -> Footprints:
        return self.renderer.footprints(self.cloud.parameters, inputs.camera)

    def _train(self, inputs: _Inputs, splats: Footprints, size: int) -> Tensor:
        """All of a step that follows the footprints; returns the loss and its MSE part."""
        parameters = self.cloud.parameters.requires_grad_()
        bins = list_intersections(splats, size)
        composited = self.renderer.composite(parameters, inputs.camera, self.stage.harmonics, bins)
        losses, gradient = self._of_composited(parameters, composited, inputs.target)
        parameters.requires_grad_(False)
        self._update(gradient, inputs.rates, inputs.steps.repeat(len(self._trained)))
        return losses

    def _replay(self, key: Hashable, function: Callable[[], T]) -> T:
        """What `function` returns, from the recording of that key; it is recorded at the key's first use.

        Recording may call the function, which may train: what that changed is put back.
        """
        if key not in self._recordings:
            state = (self.cloud.parameters, self.exp_avg, self.exp_avg_sq)
            before = [tensor.clone() for tensor in state]
            self._recordings[key] = self._capture(function)
            for tensor, values in zip(state, before, strict=True):
                tensor.copy_(values)
        result: T = self._recordings[key]()
        return result


class _Inputs:
    """What steps on views of one size and intrinsics differ in, always at the same place of the device's memory.

    target: float32; rates: float32, of what trains; steps: [1] float32, how many came before.
    """

    def __init__(self, camera: Camera, rates: int, device: torch.device) -> None:
        self._numbers = torch.zeros(16 + 12 + rates + 1, device=device)  # in one piece, for one upload
        pose, image_rows, self.rates, self.steps = torch.split(self._numbers, [16, 12, rates, 1])
        size = camera.width, camera.height
        self.camera = DeviceCamera(pose.view(4, 4), image_rows.view(3, 4), camera.intrinsics, *size)
        self.target = Target.known(torch.zeros(3, camera.height, camera.width, device=device))
        self._copied: Tensor | None = None

    def fill(self, camera: Camera, target: Target, rates: Sequence[float], steps: int) -> None:
        numbers = np.concatenate([camera.camera_to_world.ravel(), camera.world_to_image.ravel(), rates, [steps]])
        # Does not wait: memory that is not pinned is read before the call returns.
        self._numbers.copy_(torch.from_numpy(numbers.astype(np.float32)), non_blocking=True)
        self.target.image.copy_(target.image)
        if target.weight is not self._copied:  # views without weights of their own share them
            self.target.weight.copy_(target.weight)
            self._copied = target.weight


def capacity(intersections: int) -> int:
    """The least size of arrays that holds so many: 0, 4096 and 5/4 of the size before, up to `MOST_INTERSECTIONS`.

    Each is recorded anew, so there are few; a quarter more is sorted at most.
    """
    size = LEAST_CAPACITY if intersections else 0
    while size < intersections:
        size += size // 4
    return min(size, MOST_INTERSECTIONS)

"""Several views at once on a CPU, a thread each, for renderers that keep buffers from view to view."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

import numba
import torch
from torch import Tensor

from pointrad.camera import Camera
from pointrad.render.base import Renderer

# Views of up to so many pixels are rendered a thread each: no thread waits for another at the end of each kernel. Of
# larger ones all threads render one, since each holds 12 bytes per pixel.
MOST_PIXELS_PER_THREAD = 2**21

Buffers = TypeVar("Buffers")


@contextmanager
def torch_on_one_thread() -> Iterator[None]:
    """For what torch computes of a cloud on the CPU, so that it does not depend on the number of threads: each thread
    takes the last few values of its part one by one, for which sigmoid and others round otherwise than in vectors."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class ThreadedRenderer(Renderer, Generic[Buffers]):
    """A CPU renderer; its images and gradients do not depend on the number of threads."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self._idle = SimpleQueue[Buffers]()  # of threads that have rendered

    @abstractmethod
    def _allocate(self) -> Buffers:
        """What one thread needs to render."""

    @abstractmethod
    def _draw(self, buffers: Buffers, parameters: Tensor, camera: Camera, harmonics: bool) -> Tensor:
        """`render` without a gradient."""

    @abstractmethod
    def _differentiable(self, parameters: Tensor, camera: Camera, harmonics: bool) -> Tensor:
        """`render` with a gradient, for which it keeps buffers of its own."""

    def render(self, parameters: Tensor, camera: Camera, harmonics: bool = True) -> Tensor:
        if torch.is_grad_enabled() and parameters.requires_grad:
            return self._differentiable(parameters, camera, harmonics)
        try:
            buffers = self._idle.get_nowait()
        except Empty:
            buffers = self._allocate()
        image = self._draw(buffers, parameters, camera, harmonics)
        self._idle.put(buffers)
        return image

    def render_views(self, parameters: Tensor, cameras: Sequence[Camera], harmonics: bool = True) -> Iterator[Tensor]:
        threads = numba.get_num_threads()  # which also starts them, so that Numba knows its threading layer
        large = any(camera.width * camera.height > MOST_PIXELS_PER_THREAD for camera in cameras)
        if threads == 1 or large or numba.threading_layer() == "workqueue":  # takes no calls from several threads
            yield from super().render_views(parameters, cameras, harmonics)
            return
        waiting = deque[Future[Tensor]]()
        constant = parameters.detach()
        with ThreadPoolExecutor(threads, initializer=numba.set_num_threads, initargs=(1,)) as pool:
            for camera in cameras:
                waiting.append(pool.submit(self.render, constant, camera, harmonics))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def synchronise(self) -> None:
        pass

"""What a function does to tensors: recorded and repeated as a CUDA graph does, on any device; and what is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pointrad.render import triton_kernels as kernels

T = TypeVar("T")
READ = "aten::_local_scalar_dense"
KERNELS = ("forward", "backward", "photometric")


class Reads(TorchDispatchMode):
    """Counts the values that the host reads from tensors, for which it must wait where they are on a GPU."""

    count = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        self.count += function.name() == READ
        return function(*arguments, **(options or {}))


class Tape(TorchDispatchMode):
    """The operations of one call, each with the tensors and the plain numbers that it was given.

    As in a CUDA graph, numbers stay as they were, tensors are read from and written to where they were, and whatever
    the function does besides is not repeated. A value that the host reads cannot be recorded, which is an error.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Callable[[], object]] = []

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        if function.name() == READ:
            raise RuntimeError("the host reads a value, which CUDA cannot capture")
        options = options or {}
        result = function(*arguments, **options)
        given = {_memory(tensor) for tensor in _tensors((arguments, options))}
        made = [tensor for tensor in _tensors(result) if _memory(tensor) not in given]
        if made or function._schema.is_mutable:
            self.operations.append(lambda: _again(function, arguments, options, result, made))
        return result

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Our kernels are not operations of torch's, and recorded as they are launched."""
        with patch.multiple(kernels, **{name: _Recorded(self, getattr(kernels, name)) for name in KERNELS}), self:
            yield


class _Recorded:
    def __init__(self, tape: Tape, kernel: Any) -> None:
        self.tape, self.kernel = tape, kernel

    def __getitem__(self, grid: Any) -> Callable[..., None]:
        def launch(*arguments: Any, **options: Any) -> None:
            def run() -> None:
                self.kernel[grid](*arguments, **options)

            self.tape.operations.append(run)
            with torch.utils._python_dispatch._disable_current_modes():  # the interpreter's own operations
                run()

        return launch


def capture(function: Callable[[], T]) -> Callable[[], T]:
    """A `graphed_step.Capture` that calls the function twice, as one that warms up does."""
    function()
    tape = Tape()
    with tape.recording():
        result = function()

    def replay() -> T:
        with torch.no_grad():
            for operation in tape.operations:
                operation()
        return result

    return replay


def _again(function: Any, arguments: Any, options: Any, result: Any, made: list[Tensor]) -> None:
    fresh = [tensor for old, tensor in zip(_tensors(result), _tensors(function(*arguments, **options)), strict=True)
             if any(old is one for one in made)]  # fmt: skip
    for old, new in zip(made, fresh, strict=True):
        old.copy_(new)


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata

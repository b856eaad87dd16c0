"""The device that tests run on, decided before anything looks for GPUs: import this first.

GPUs are hidden, so that tests do the same on every machine, unless POINTRAD_DEVICE=cuda asks for them. Without them
the Triton renderer runs in Triton's interpreter, for which Triton looks when the kernels are imported.
"""

from __future__ import annotations

import os

if os.environ.get("POINTRAD_DEVICE", "cpu") == "cpu":
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "TRITON_INTERPRET": "1"}

import pytest
import torch

DEVICE = torch.device(os.environ.get("POINTRAD_DEVICE", "cpu"))

needs_gpu = pytest.mark.skipif(
    DEVICE.type != "cuda", reason="needs a GPU: set POINTRAD_DEVICE=cuda on a machine that has one"
)

"""Differentiable point-based radiance fields under imperfect masks."""

import os

__version__ = "0.1.0"

# Threads that wait for each other spin; GNU OpenMP's default of milliseconds takes the cores from other runs on the
# machine. Before numba or torch load it, or it is too late.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")

"""The renderers on the CPU: Numba kernels for points and for Gaussians, which share binning and sorting."""

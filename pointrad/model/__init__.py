"""Models: what a splat's parameters are, by name. Each lies in a file of its own; renderers know how to draw them."""

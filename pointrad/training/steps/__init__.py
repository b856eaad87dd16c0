"""One training step on one view: render, loss, gradients, Adam; a file for each way to the same numbers."""

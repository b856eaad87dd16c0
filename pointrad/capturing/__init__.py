"""From photographs to a capture: `capture.py`."""

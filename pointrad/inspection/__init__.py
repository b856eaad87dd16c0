"""Whether a capture's photographs, cameras and masks fit together, and what looks wrong where they do not."""

"""Render and score splats from a PLY file of 3D Gaussian Splatting: `python splats.py --help`."""

from launcher.splats import main

if __name__ == "__main__":
    main()

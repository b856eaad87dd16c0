"""Inspect a capture, its cameras and its masks: `python inspect_capture.py --help`."""

from launcher.inspect_capture import main

if __name__ == "__main__":
    main()

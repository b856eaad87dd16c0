"""Make a capture of photographs: `python capture.py --help`."""

from launcher.capture import main

if __name__ == "__main__":
    main()

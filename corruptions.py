"""Draw every model of mask errors, or match their levels: `python corruptions.py --help`."""

from launcher.corruptions import main

if __name__ == "__main__":
    main()

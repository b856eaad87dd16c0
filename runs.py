"""Look at runs that are done, score them anew and repeat them: `python runs.py --help`."""

from launcher.runs import main

if __name__ == "__main__":
    main()

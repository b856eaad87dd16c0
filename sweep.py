"""Run a study: `python sweep.py study=smoke`. What there is to a study: docs/studies.md."""

from launcher.sweep import main

if __name__ == "__main__":
    main()

"""Tell W&B of runs that it does not know: `python -m pointrad.tracking FOLDER... [tracker.KEY=VALUE...]`.

FOLDER is a run's folder, or one with runs in it, such as a sweep's. Runs trained with tracker=none, and those whose
offline files were lost or never uploaded, are logged from metrics.jsonl, summary.json and the pictures; a run that W&B
has already is not logged twice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pointrad.errors import UserError
from pointrad.terminal import end_with_reader
from pointrad.tracking.replay import find_runs, replay


def main(arguments: Sequence[str]) -> int:
    """Replay each run, whatever becomes of the others; returns 1 if one failed."""
    summary, _, details = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(prog="python -m pointrad.tracking", description=summary, epilog=details)
    parser.add_argument("words", nargs="+", metavar="FOLDER | tracker.KEY=VALUE")
    words: list[str] = parser.parse_args(arguments).words
    overrides = [word for word in words if word.startswith("tracker.") and "=" in word]
    folders = [Path(word) for word in words if word not in overrides]
    if not folders:
        parser.error("no FOLDER given")
    failed = 0
    for folder in folders:
        try:
            for run_dir in find_runs(folder):
                failed += not _replayed(run_dir, overrides)
        except UserError as error:
            print(f"Error: {error}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def _replayed(run_dir: Path, overrides: Sequence[str]) -> bool:
    try:
        replay(run_dir, overrides)
    except UserError as error:
        print(f"Error: {run_dir}: {error}".replace(f"{run_dir}: {run_dir}", str(run_dir)), file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    end_with_reader()
    sys.exit(main(sys.argv[1:]))

"""Which tracker a configuration gets."""

from __future__ import annotations

import subprocess
import sys


def test_wandb_is_not_imported_unless_it_is_used() -> None:
    script = "import pointrad.tracking, sys; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

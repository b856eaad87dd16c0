"""How workers share a suite (`make test`)."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling


class WholeFiles(LoadScopeScheduling):
    """A worker is given all tests of a file, for the sake of the fixtures that they share; and one worker all tests
    that use SLURM, which mostly wait, so that the others compute meanwhile.

    Files of one mark (`loadgroup`) would do the same, if pytest-xdist knew where pytest 9.2 keeps a test's name.
    """

    def _split_scope(self, nodeid: str) -> str:
        """What is given as a whole."""
        file = nodeid.split("::")[0]
        return "tests/cluster" if file.startswith("tests/cluster/") else file

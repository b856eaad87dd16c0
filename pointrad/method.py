"""The version of the method that trains a cloud."""

# Part of every run's identity and of the names of cache entries. Raise it with each change of code that changes what
# a run with the same configuration and data computes: a constant, a formula, an order of sums. Results of the version
# before are other results from then on, which no study takes over and no checkpoint goes on from.
# tests/test_method.py says when it must be raised.
METHOD_VERSION = 9

# The same of what puts masks right by a trained cloud (pointrad/repair): part of the identity of runs that do, from the
# second version on, and of what a second round trains from. tests/repair/test_version.py says when it must be raised.
REPAIR_VERSION = 4

# The parts of a run's configuration that decide nothing of its result.
UNDECISIVE = frozenset(("artifacts", "checkpoint", "cache", "tracker", "threads"))

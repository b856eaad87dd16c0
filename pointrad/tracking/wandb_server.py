"""What W&B's server has of a run that goes on online."""

from __future__ import annotations

import json
import re
from typing import Any

import wandb

from pointrad.tracking.logged import EPOCH, TRAINED, Logged

MEDIA = ("render", "masks", "turntable")  # the keys of pictures and videos
_PATIENCE = 20  # seconds for an answer
_MOST_FILES = 1000
# One question instead of the public API's many: rows that have both of two columns, and the files that have arrived.
_QUESTION = """
query Logged($project: String!, $entity: String!, $name: String!, $specs: [JSONString!]!, $files: Int!) {
    project(name: $project, entityName: $entity) {
        run(name: $name) {
            sampledHistory(specs: $specs)
            files(first: $files) { edges { node { name sizeBytes } } }
        }
    }
}
"""


def logged_on_server(run: wandb.Run) -> Logged:
    """What the server has of the resumed `run`. Raises whatever W&B does."""
    rows = run.starting_step
    # As many samples as there are rows are all of them.
    specs = [json.dumps({"keys": ["_step", EPOCH, key], "samples": max(500, rows)}) for key in (TRAINED, *MEDIA)]
    variables = {"project": run.project, "entity": run.entity, "name": run.id, "specs": specs, "files": _MOST_FILES}
    answer: Any = wandb.Api(timeout=_PATIENCE)._service_api.execute_graphql(_QUESTION, variables)["project"]["run"]
    files = [edge["node"] for edge in answer["files"]["edges"]]
    whole = frozenset(file["name"] for file in files if int(file["sizeBytes"]) > 0)
    return Logged.of_rows((row for sampled in answer["sampledHistory"] for row in sampled), whole, rows)


def logged_by_summary(run: wandb.Run) -> Logged:
    """What can be told without asking: all epochs before the next row, and of pictures all up to the last one."""
    rows = run.starting_step
    media = {(key, epoch) for key, last in _last_steps(run.summary).items() for epoch in range(last + 1)}
    return Logged(frozenset(range(rows)), frozenset(media), rows)


def _last_steps(summary: Any) -> dict[str, int]:
    """The row of each key's last file in a resumed run's summary, which names files render_ROW_HASH.png."""
    steps = {}
    for key in summary.keys():  # noqa: SIM118 (W&B's class iterates through nothing else)
        file = getattr(summary[key], "get", lambda _: None)("path")
        named = re.search(r"_(\d+)_\w+\.\w+$", str(file))
        if named:
            steps[key] = int(named[1])
    return steps

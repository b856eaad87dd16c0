"""What a run's folder says of what was asked for, as plain values. Nothing here imports what takes long."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pointrad import __version__
from pointrad.bundled import CONFIG_FOLDER
from pointrad.errors import UserError
from pointrad.method import METHOD_VERSION, UNDECISIVE
from pointrad.run.status import CONFIG_FILE, PROVENANCE_FILE

PLUGINS_FOLDER = "plugins"  # of a run's folder: the files that it was trained with
_MAY_MOVE = ("auto", "blender", "nerfstudio")  # layouts of captures that may move, and did not once


def recorded_values(run_dir: Path) -> dict[str, Any]:
    """The configuration of the run in this folder as this version has it (`of_this_version`), not checked. Raises
    UserError where there is none."""
    return of_this_version(_read(run_dir / CONFIG_FILE), run_dir)


def of_this_version(values: dict[str, Any], run_dir: Path) -> dict[str, Any]:
    """What a run's `config.yaml` says, with keys filled in that earlier versions did not have, where they change no
    result; its plug-ins are those that the folder keeps."""
    dataset = values.get("dataset")
    missing = list(_missing(values, _as_before(dataset.get("name") if isinstance(dataset, dict) else None)))
    for path, value in missing:
        _put(values, path, value)
    if missing:
        from pointrad.progress import announce  # not above: a wrong key of `runs.py rerun` is told at once

        names = ", ".join(".".join(path) for path, _ in missing)
        announce(f"{run_dir}: of an earlier version, without {names}; with the values that change nothing")
    plugins = values["plugins"]
    return values | {"plugins": [_kept(run_dir, one) for one in plugins] if isinstance(plugins, list) else plugins}


def _kept(run_dir: Path, plugin: Any) -> Any:
    """A plug-in with its copy in the run's folder for its file."""
    if not isinstance(plugin, Mapping) or not isinstance(plugin.get("file"), str):
        return plugin
    return {**plugin, "file": str((run_dir / PLUGINS_FOLDER / Path(plugin["file"]).name).resolve())}


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); expected the folder of a run") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not readable as YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: found no keys; expected the configuration of a run")
    return values


def _as_before(dataset: str | None) -> dict[str, Any]:
    """Keys that a run may lack: those that decide no result, as conf/train.yaml has them, and those that came since at
    the values at which runs are what they were without."""
    shipped: dict[str, Any] = yaml.safe_load((CONFIG_FOLDER / "train.yaml").read_text(encoding="utf-8"))
    undecisive = {key: value for key, value in shipped.items() if key in UNDECISIVE}
    undecisive |= {"eval": {"fps_seconds": shipped["eval"]["fps_seconds"]}}
    moving = {"dataset": {"frames": None}} if dataset in _MAY_MOVE else {}
    return undecisive | moving | {"plugins": [], "repair": {"rounds": 1}, "corruption": {"in_time": "constant"}}


def _missing(
    values: Mapping[str, Any], shipped: Mapping[str, Any], *above: str
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What `shipped` has and `values` lack, by its path."""
    for key, value in shipped.items():
        if key not in values:
            yield (*above, key), value
        elif isinstance(value, Mapping) and isinstance(values[key], Mapping):
            yield from _missing(values[key], value, *above, key)


def _put(values: dict[str, Any], path: Sequence[str], value: object) -> None:
    *above, last = path
    for key in above:
        values = values[key]
    values[last] = value


def provenance_of(run_dir: Path) -> dict[str, Any]:
    """What `PROVENANCE_FILE` says; nothing where it cannot be read."""
    try:
        values = json.loads((run_dir / PROVENANCE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def versions(run_dir: Path) -> str:
    """Which pointrad trained the run, and which this one is, for an error."""
    found = provenance_of(run_dir)
    trained = f"pointrad {found.get('versions', {}).get('pointrad')}, method {found.get('method')}"
    return f"trained by {trained}; this is pointrad {__version__}, method {METHOD_VERSION}"

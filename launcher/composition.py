"""What Hydra composes for each run of a study, without asking it anew for each: that takes 0.15 s."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from launcher.mistakes import given_keys
from pointrad.errors import UserError
from pointrad.progress import warn
from pointrad.schema import Config

C = TypeVar("C", bound=Config)

# Where a value is in a configuration: keys of mappings and places in lists, from the outside in.
_Path = tuple[str | int, ...]

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")  # neither +key nor a place in a list


class Composer:
    """Composes once for each choice of groups, and puts other plain values where Hydra has put the first ones.

    Hydra applies values after all groups, and values whose keys do not lie within each other in any order; what else a
    study may vary, such as groups and whole mappings, counts as a choice.
    """

    def __init__(
        self, loader: ConfigLoader, compose: Callable[[Mapping[str, object]], DictConfig], fixed: Mapping[str, object]
    ) -> None:
        """compose: Hydra's composition of a run with these settings. fixed: what it sets for every run besides."""
        self._groups = set(loader.list_groups(""))
        self._compose, self._fixed = compose, fixed
        self._templates: dict[object, _Template] = {}

    def values(self, settings: Mapping[str, object]) -> dict[str, Any]:
        """The composed configuration of a run with these settings, as plain and resolved values without Hydra's own.

        Raises what `compose` raises.
        """
        varied = {key: value for key, value in settings.items() if self._is_plain(key, value, settings)}
        choices = tuple((key, repr(value)) for key, value in settings.items() if key not in varied)
        template = self._templates.get((choices, *varied))
        if template is None:
            template = self._templates[choices, *varied] = _Template(self._compose(settings), list(varied))
        return template.values(varied)

    def _is_plain(self, key: str, value: object, settings: Mapping[str, object]) -> bool:
        others = [*self._fixed.items(), *((other, found) for other, found in settings.items() if other != key)]
        return (
            _DOTTED.fullmatch(key) is not None
            and key not in self._groups
            and _is_plain_value(value)
            and not any(
                _overlap(key, other.lstrip("+~")) for other, found in others if not self._is_group(other, found)
            )
        )

    def _is_group(self, key: str, value: object) -> bool:
        """Whether this chooses from a group, which precedes all values; a mapping is a value of its package."""
        return key in self._groups and not isinstance(value, Mapping)


def plain_values(composed: DictConfig) -> dict[str, Any]:
    """The resolved values of a composed configuration, without Hydra's own part.

    Raises UserError for a value that refers to what is not there.
    """
    try:
        values: Any = OmegaConf.to_container(_without_hydra(composed), resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {str(error).splitlines()[0]}") from None
    return dict(values)


def checked(kind: type[C], composed: DictConfig) -> C:
    """What a command composed, checked; warns of values on its command line that have no effect.

    Raises UserError for what is wrong.
    """
    config = kind.parse(plain_values(composed))
    for line in without_effect(config.idle(), given_keys(HydraConfig.get().overrides.task)):
        warn(line)
    return config


def without_effect(idle: Mapping[str, str], given: Iterable[str]) -> list[str]:
    """A line for each key that is given and idle (`Config.idle`), or inside an idle one."""
    owners = {key: next((owner for owner in idle if f"{key}.".startswith(f"{owner}.")), None) for key in given}
    return [f"{key}: has no effect with {idle[owner]}" for key, owner in owners.items() if owner]


class _Template:
    """A composed configuration with places for the values of some keys."""

    def __init__(self, composed: DictConfig, keys: Sequence[str]) -> None:
        self._job = _without_hydra(composed)
        self._paths: dict[str, _Path] = {key: tuple(key.split(".")) for key in keys}
        self._interpolated = list(_interpolations(OmegaConf.to_container(self._job, resolve=False)))
        self._values = plain_values(composed)

    def values(self, varied: Mapping[str, object]) -> dict[str, Any]:
        values = self._values
        for key, value in varied.items():
            OmegaConf.update(self._job, key, value)
            values = _put(values, self._paths[key], value)
        for path in self._interpolated:  # any of them may refer to what has been put
            values = _put(values, path, _resolved(self._job, path))
        return values


def _without_hydra(composed: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])


def _is_plain_value(value: object) -> bool:
    """Whether a value means to Hydra just what it says."""
    if isinstance(value, list | tuple):
        return all(_is_plain_value(item) for item in value)
    if isinstance(value, str):
        return "$" not in value and "\\" not in value and value != "???"
    return value is None or isinstance(value, bool | int | float)


def _overlap(one: str, other: str) -> bool:
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _interpolations(values: object, path: _Path = ()) -> Iterator[_Path]:
    """Where `values` refer to others, as in ${scene.splat_radius}."""
    if isinstance(values, str) and "${" in values:
        yield path
    elif isinstance(values, dict):
        for key, value in values.items():
            yield from _interpolations(value, (*path, key))
    elif isinstance(values, list):
        for place, value in enumerate(values):
            yield from _interpolations(value, (*path, place))


def _resolved(job: DictConfig, path: _Path) -> object:
    found: Any = job
    for part in path:
        found = found[part]
    return OmegaConf.to_container(found, resolve=True) if isinstance(found, Container) else found


def _put(values: Any, path: _Path, value: object) -> Any:
    """A copy of `values` with another value at `path`; shares the rest with the original."""
    if not path:
        return value
    copy = values.copy()
    copy[path[0]] = _put(copy[path[0]], path[1:], value)
    return copy

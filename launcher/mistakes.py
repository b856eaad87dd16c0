"""What is wrong with a command line, in the words of who wrote it: the valid key or option nearest to a wrong one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from pointrad.bundled import CONFIG_FOLDER
from pointrad.errors import did_you_mean


def config_loader(config_dir: str | None = None) -> ConfigLoader:
    """Hydra's loader of conf/ and of the folder that --config-dir names."""
    path = create_config_search_path(str(CONFIG_FOLDER))
    if config_dir is not None:
        path.prepend("command-line", f"file://{Path(config_dir).resolve()}", SearchPathQuery(provider="schema"))
    return ConfigLoaderImpl(path)


def explained(error: Exception, loader: ConfigLoader, config_name: str, overrides: Sequence[str]) -> str:
    """Why Hydra could not compose `config_name` with these overrides: a line for each that is wrong, or what Hydra says
    where none is found to be."""
    found = _CommandLine(loader, config_name, overrides).mistakes()
    return "\n".join(found) or _condensed(error)


def source(loader: ConfigLoader, config: str) -> str | None:
    """The text of the YAML file of a config such as init/hull; None where it has none."""
    for place in loader.get_sources():
        path = Path(place.path) / f"{config}.yaml"
        if place.scheme() == "file" and path.is_file():
            return path.read_text(encoding="utf-8")
    return None


def options(loader: ConfigLoader, group: str) -> str:
    """A line for each option of a group: its name and the first sentence of its file."""
    names = loader.get_group_options(group)
    width = max(map(len, names), default=0)
    return "\n".join(f"  {name:{width}}  {_first_sentence(source(loader, f'{group}/{name}') or '')}" for name in names)


def missing_choices(loader: ConfigLoader, config_name: str, overrides: Sequence[str]) -> list[str]:
    """A line, and what there is, for each group that the command line has to choose from and does not."""
    missing = missing_groups(loader, config_name, [override.split("=")[0] for override in overrides])
    return [f"{group}: not given; expected {group}=NAME, one of\n{options(loader, group)}" for group in missing]


def missing_groups(loader: ConfigLoader, config_name: str, chosen: Collection[str]) -> list[str]:
    """The groups that a config leaves to the command line to choose from, and that are not among the `chosen`."""
    defaults = (yaml.safe_load(source(loader, config_name) or "") or {}).get("defaults", [])
    choices = [choice for entry in defaults if isinstance(entry, Mapping) for choice in entry.items()]
    return [group for group, option in choices if option == "???" and group not in chosen]


def given_keys(overrides: Sequence[str]) -> list[str]:
    """The keys, by their dotted names, that a command line gives values, those of a mapping one by one."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    values = {override.key_or_group: override.value() for override in parsed if not override.is_delete()}
    return [key for name, value in values.items() for key in _leaves(value, name)]


class _CommandLine:
    """Overrides, next to what could have been meant."""

    def __init__(self, loader: ConfigLoader, config_name: str, overrides: Sequence[str]) -> None:
        self._loader, self._config_name, self._overrides = loader, config_name, overrides

    def mistakes(self) -> list[str]:
        parsed = {text: self._parsed(text) for text in self._overrides}
        unreadable = [_not_an_override(text) for text, override in parsed.items() if override is None]
        found = (self._mistake(text, override) for text, override in parsed.items() if override is not None)
        return unreadable or [*filter(None, found)]

    def _parsed(self, text: str) -> Override | None:
        try:
            return OverridesParser.create(config_loader=self._loader).parse_override(text)
        except HydraException:
            return None

    def _mistake(self, text: str, override: Override) -> str | None:
        key, given = override.key_or_group, text.partition("=")[2]
        if choices := self._loader.get_group_options(key):
            return self._wrong_choice(override, choices)
        known = key in self._keys
        if override.is_add() and not override.is_force_add():
            return f"{key}: there is such a key; without the +: {key}={given}" if known else None
        if not known:
            return None if override.is_force_add() else f"{key}: no such key{self._hint(key)}"
        if override.is_sweep_override():
            return f"{key}: found several values ({given}); with -m each is a run, and [{given}] is one list"
        inner, valid = override.value(), self._inside(key)  # none are valid in null, whose place any mapping may take
        for name in inner if isinstance(inner, dict) and valid else ():
            if f"{key}.{name}" not in self._keys:
                return f"{key}: no such key in it: {name}{did_you_mean(str(name), valid)}"
        return None

    def _wrong_choice(self, override: Override, choices: Sequence[str]) -> str | None:
        group = override.key_or_group
        if override.is_delete():
            return None
        swept = override.is_sweep_override() and override.is_discrete_sweep()
        value = list(override.sweep_string_iterator()) if swept else override.value()
        for option in value if isinstance(value, list) else [value]:
            if option is not None and str(option) not in choices and not source(self._loader, f"{group}/{option}"):
                near = did_you_mean(str(option), choices)
                return f"{group}: found {str(option)!r}; expected one of {', '.join(choices)}{near}"
        if group not in self._chosen and not override.is_add():
            return f"{group}: nothing is chosen of it that could be replaced; add it: +{group}={value}"
        return None

    def _inside(self, key: str) -> list[str]:
        """The keys of the mapping `key`, which may have points in them, as those of a study's axes."""
        at = self._composed
        for part in key.split("."):
            at = at[part] if isinstance(at, Mapping) else {}
        return [str(name) for name in at] if isinstance(at, Mapping) else []

    def _hint(self, key: str) -> str:
        likely = _likely(key, self._keys)
        return self._owner(key) or (f"; did you mean {likely}?" if likely else "; --help shows the valid ones")

    def _owner(self, key: str) -> str:
        """Which option of a group has the key that the chosen one lacks; "" if none."""
        parts = key.split(".")
        for length in range(len(parts) - 1, 0, -1):
            group = "/".join(parts[:length])
            having = [name for name in self._loader.get_group_options(group) if key in self._option_keys(group, name)]
            if having:
                chosen = self._chosen.get(group)
                return f" with {group}={chosen}; it needs {' or '.join(f'{group}={name}' for name in having)}"
        return ""

    @cached_property
    def _composed(self) -> Any:
        """With those overrides alone that choose or add, and are right."""
        usable = []
        for text in self._overrides:
            override = self._parsed(text)
            if override is None or override.is_delete():
                continue
            choices = self._loader.get_group_options(override.key_or_group)
            if override.is_add() or (choices and not override.is_sweep_override() and override.value() in choices):
                usable.append(text)
        try:
            return self._compose(self._config_name, usable)
        except HydraException:
            return self._compose(self._config_name, [])

    def _compose(self, config_name: str, overrides: Sequence[str]) -> Any:
        composed = self._loader.load_configuration(config_name, list(overrides), RunMode.MULTIRUN)
        return OmegaConf.to_container(composed, resolve=False)

    @cached_property
    def _keys(self) -> frozenset[str]:
        return frozenset(_flat(self._composed))

    @cached_property
    def _chosen(self) -> dict[str, str]:
        chosen: dict[str, str] = self._composed["hydra"]["runtime"]["choices"]
        return chosen

    def _option_keys(self, group: str, option: str) -> frozenset[str]:
        of_hydra = group.startswith("hydra/")  # Hydra's own files do not stand alone
        config, overrides = (self._config_name, [f"{group}={option}"]) if of_hydra else (f"{group}/{option}", [])
        try:
            return frozenset(_flat(self._compose(config, overrides)))
        except HydraException:  # one that needs others beside it, such as a study
            return frozenset()


def _not_an_override(text: str) -> str:
    if "=" not in text:
        return f"{text}: found a word; expected KEY=VALUE or GROUP=OPTION"
    key, _, value = text.partition("=")
    return f"{text}: cannot be read; a value with special characters is quoted twice: '{key}=\"{value}\"'"


def _likely(key: str, keys: frozenset[str]) -> str | None:
    """The valid key that a wrong one may stand for: spelt much like it, else ending as it does, else spelt like it."""
    own = [known for known in keys if key.startswith("hydra") or not known.startswith("hydra")]
    if near := get_close_matches(key, own, n=1, cutoff=0.8):
        return near[0]
    *_, last = key.split(".")
    ends = get_close_matches(last, {known.split(".")[-1] for known in own}, n=1, cutoff=0.75)
    same_end = [known for known in own if known.split(".")[-1] in ends]
    near = get_close_matches(key, same_end, n=1, cutoff=0) or get_close_matches(key, own, n=1)
    return near[0] if near else None


def _leaves(values: Any, name: str) -> list[str]:
    if not isinstance(values, Mapping):
        return [name]
    return [key for part, value in values.items() for key in _leaves(value, f"{name}.{part}")]


def _flat(values: Any, prefix: str = "") -> Iterator[str]:
    """All keys of nested mappings, as one writes them on the command line."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield f"{prefix}{name}"
            yield from _flat(value, f"{prefix}{name}.")


def _first_sentence(text: str) -> str:
    """Of the comment that a file begins with."""
    lines = [line for line in text.splitlines()[:3] if line.startswith("#") and "@package" not in line]
    comment = " ".join(line.lstrip("# ") for line in lines)
    return re.split(r"(?<=[.?!])\s", comment, maxsplit=1)[0]


def _condensed(error: BaseException) -> str:
    """What Hydra or OmegaConf says, without its advice and its own terms."""
    lines = [line.strip() for line in str(error).splitlines()]
    noise = ("full_key:", "object_type=", "See http", "Set the env", "Config search path", "provider=")
    told = " ".join(line for line in lines if line and not line.startswith(noise))
    return told if error.__cause__ is None else f"{told}: {_condensed(error.__cause__)}"

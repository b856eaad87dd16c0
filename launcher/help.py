"""The answer to `--help`: what there is to choose, and every key with the comment that its YAML file gives it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.types import RunMode
from omegaconf import OmegaConf

from launcher.mistakes import missing_groups, options, source

Key = tuple[str, ...]


def text(loader: ConfigLoader, config_name: str, overrides: Sequence[str]) -> str:
    """The help of the command whose configuration is `config_name`, with the choices that `overrides` make.

    Where a choice is missing that cannot be defaulted, its options are shown, and the keys of `config_name` alone.
    """
    composed = loader.load_configuration(config_name, list(overrides), RunMode.MULTIRUN)
    values: Any = OmegaConf.to_container(composed, resolve=False)
    hydra = values.pop("hydra")
    choices = [group for group, option in hydra["runtime"]["choices"].items() if option != "???"]
    missing = missing_groups(loader, config_name, choices)
    if missing:
        own = yaml.safe_load(source(loader, config_name) or "")
        values = {key: value for key, value in values.items() if key in own}
        chosen = "\n\n".join(f"Choose {group}=NAME:\n\n{options(loader, group)}" for group in missing)
    else:
        groups = _groups(loader, choices)
        chosen = f"Choose from each group with GROUP=OPTION:\n\n{groups}" if groups else ""
    keys = "\n".join(_lines(values, *_comments(loader, config_name, overrides)))
    introduced = f"Change any value with KEY=VALUE. The configuration with the choices made:\n\n{keys}"
    parts = [hydra["help"]["header"].rstrip(), chosen, introduced, hydra["help"]["footer"].rstrip()]
    return "\n\n".join(filter(None, parts))


def _groups(loader: ConfigLoader, choices: Sequence[str]) -> str:
    groups = dict.fromkeys(choice.split("@")[0] for choice in reversed(choices) if not choice.startswith("hydra/"))
    return "\n".join(f"{group}: {', '.join(loader.get_group_options(group))}" for group in groups)


def _lines(values: Mapping[str, Any], headers: Mapping[Key, str], comments: Mapping[Key, str],
           above: Key = ()) -> Iterator[str]:  # fmt: skip
    """Nested values as YAML, a line for each key."""
    indent = "  " * len(above)
    for name, value in values.items():
        key = (*above, name)
        nested = isinstance(value, Mapping) and bool(value)
        if key in headers:
            yield from (f"{indent}# {line}" for line in headers[key].splitlines())
        shown = f"{indent}{name}:" if nested else f"{indent}{name}: {_on_one_line(value)}"
        yield f"{shown} # {comments[key]}" if key in comments else shown
        if nested:
            yield from _lines(value, headers, comments, key)


def _on_one_line(value: object) -> str:
    dumped: str = yaml.safe_dump(value, default_flow_style=True, width=2**16, sort_keys=False)
    return dumped.removesuffix("\n...\n").strip()


def _comments(
    loader: ConfigLoader, config_name: str, overrides: Sequence[str]
) -> tuple[dict[Key, str], dict[Key, str]]:
    """What the composed files say of themselves, by the key that they are under, and of each key."""
    headers: dict[Key, str] = {}
    comments: dict[Key, str] = {}
    for entry in loader.compute_defaults_list(config_name, list(overrides), RunMode.MULTIRUN).defaults:
        content = source(loader, entry.config_path or "")
        if content is None:
            continue
        package: Key = tuple(entry.package.split(".")) if entry.package else ()
        if package:
            headers[package] = _header(content)
        for key, comment in _file_comments(content):
            comments[(*package, *key)] = comment
    return headers, comments


def _header(content: str) -> str:
    lines = content.splitlines()
    count = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "\n".join(line.lstrip("# ") for line in lines[:count] if "@package" not in line)


def _file_comments(content: str) -> Iterator[tuple[Key, str]]:
    root = yaml.compose(content)
    if isinstance(root, yaml.MappingNode):
        yield from _node_comments(root, content.splitlines(), ())


def _node_comments(node: yaml.MappingNode, lines: Sequence[str], above: Key) -> Iterator[tuple[Key, str]]:
    """The comment that ends each key's line, or its value's where that ends on another."""
    for name, value in node.value:
        merged = name.value == "<<"
        key = above if merged else (*above, name.value)
        is_alias = value.start_mark.index < name.start_mark.index
        is_flow = value.flow_style if isinstance(value, yaml.CollectionNode) else value.style not in ("|", ">")
        end = value.end_mark if is_flow and not is_alias else name.end_mark
        if not merged and (found := re.search(r"(?:^|\s)#\s?(.*)", lines[end.line][end.column :])):
            yield key, found[1]
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield from _node_comments(value, lines, key)

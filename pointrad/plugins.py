"""Corruptions, layouts, sources of masks, starts, models, operations and losses of a user's own (docs/plugins.md).

A Python file derives a class from one of those imported here and registers it. A configuration that names the file
under `plugins` may then choose the class by its name, as it chooses pointrad's own; any other refuses that name. What
the file contains is part of what a run is known by.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Self, TypeVar, get_args

from pointrad.camera import Camera
from pointrad.corruption.base import CorruptionConfig
from pointrad.corruption.models import AnyCorruptionConfig
from pointrad.data.layout import CaptureLayout, FolderLayout, ImagesLayout, Layout
from pointrad.data.layouts import AnyDatasetConfig
from pointrad.data.photo import Lens, Listing, Photo
from pointrad.data.scene import Split, View
from pointrad.errors import UserError
from pointrad.files import replacing
from pointrad.init.config import AnyInitConfig, CustomStartConfig
from pointrad.masks.base import Masks
from pointrad.masks.config import MasksConfig
from pointrad.masks.sources import AnyMasksConfig
from pointrad.model.config import CustomModelConfig, GaussiansConfig, ModelConfig, PointsConfig
from pointrad.model.groups import Group
from pointrad.run.recorded import PLUGINS_FOLDER
from pointrad.schema import Config, Count, NonNegative, OneOf, Positive, Share
from pointrad.training.config import CustomLossConfig, CustomOperationConfig, LossConfig, Operation

__all__ = [
    "Camera",
    "CaptureLayout",
    "CorruptionConfig",
    "Count",
    "CustomLossConfig",
    "CustomModelConfig",
    "CustomOperationConfig",
    "CustomStartConfig",
    "FolderLayout",
    "GaussiansConfig",
    "Group",
    "ImagesLayout",
    "Layout",
    "Lens",
    "Listing",
    "Masks",
    "MasksConfig",
    "NonNegative",
    "Photo",
    "PointsConfig",
    "Positive",
    "Share",
    "Split",
    "UserError",
    "View",
    "register",
]

C = TypeVar("C", bound=type[Config])

# What a class can be: its kind, as errors have it, by the union that it joins.
_KINDS: dict[str, Any] = {
    "corruption": AnyCorruptionConfig,
    "dataset": AnyDatasetConfig,
    "masks": AnyMasksConfig,
    "init": AnyInitConfig,
    "model": ModelConfig,
    "operation": Operation,
    "loss": LossConfig,
}
_BASES = (
    CorruptionConfig,
    Layout,
    MasksConfig,
    CustomStartConfig,
    CustomModelConfig,
    PointsConfig,
    GaussiansConfig,
    CustomOperationConfig,
    CustomLossConfig,
)
_MODULE = "pointrad_plugin_"  # and the digest of the file


def register(kind: C) -> C:
    """Decorates a class that configurations may choose by its `name` (of an operation: its `op`), if they name its file
    under `plugins`; wherever else the file is imported, it changes nothing."""
    if kind.__module__.startswith(_MODULE):
        kind.code = kind.__module__.removeprefix(_MODULE)
    return kind


class PluginFile(Config):
    """A user's file, and the digest of its content."""

    file: Path
    digest: str


class PluggableConfig(Config):
    """A configuration that may have classes from users' files."""

    plugins: tuple[PluginFile, ...]

    @classmethod
    def parse(cls, values: object, plugged: Sequence[type[Config]] = ()) -> Self:
        """As of any configuration. Raises UserError, too, for a file that is missing, fails, registers nothing or a
        name that is taken, and for one that is not what it was when the configuration was first read."""
        if not isinstance(values, Mapping) or not values.get("plugins"):
            return super().parse(values, plugged)
        files = _files(values["plugins"])
        own = classes(files)
        return super().parse({**values, "plugins": [file.model_dump() for file in files]}, (*plugged, *own))


def classes(files: Sequence[PluginFile]) -> tuple[type[Config], ...]:
    """What these files register. Raises UserError for a file that is not as it was, and for a name that is taken."""
    found: list[type[Config]] = []
    for plugin in files:
        for kind in _registered_in(plugin):
            _check_name(plugin.file, kind, found)
            found.append(kind)
    return tuple(found)


def source(plugin: PluginFile) -> bytes:
    """The content of the file. Raises UserError where it is not what it was."""
    content = _read(plugin.file)
    if plugin.digest != _digest(content):
        raise UserError(
            f"plugins: found {plugin.file} changed since this configuration was made; expected it as it was, or a new "
            "run with the file as it is"
        )
    return content


def keep(plugins: Sequence[PluginFile], run_dir: Path) -> None:
    """A copy of the files in a run's folder (`recorded_values`)."""
    for plugin in plugins:
        with replacing(run_dir / PLUGINS_FOLDER / plugin.file.name) as path:
            path.write_bytes(source(plugin))


def _files(given: object) -> tuple[PluginFile, ...]:
    """From paths, as people write them, or from what a run's configuration says of each."""
    if not isinstance(given, list | tuple) or not all(isinstance(one, str | Mapping) for one in given):
        raise UserError(f"plugins: found {given!r}; expected a list of Python files: plugins=[FILE.py]")
    files = [_file(one) if isinstance(one, str) else PluginFile.parse(one) for one in given]
    names = [plugin.file.name for plugin in files]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"plugins: found two files called {twice[0]}; expected each file once, under a name of its own")
    return tuple(files)


def _file(given: str) -> PluginFile:
    path = Path(given).expanduser().resolve()
    return PluginFile(file=path, digest=_digest(_read(path)))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"plugins: {path} cannot be read ({error.strerror}); expected a Python file") from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _registered_in(plugin: PluginFile) -> tuple[type[Config], ...]:
    """The registered classes of a file. Its content is executed once: a class is the same for all configurations that
    name it, also by way of a copy."""
    path, content, name = plugin.file, source(plugin), _MODULE + plugin.digest
    module = sys.modules.get(name) or _executed(name, path, content)
    values = (value for value in vars(module).values() if isinstance(value, type))
    found = dict.fromkeys(value for value in values if vars(value).get("code") == plugin.digest)
    if not found:
        raise UserError(f"{path}: found no class with @register; expected at least one (docs/plugins.md)")
    return tuple(found)


def _executed(name: str, path: Path, content: bytes) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # where pydantic looks the types of annotations up
    try:
        exec(compile(content, path, "exec"), vars(module))
    except Exception as error:
        del sys.modules[name]
        raise UserError(f"{path}{_line(error, path)}: {type(error).__name__}: {error}") from error
    return module


def _line(error: BaseException, path: Path) -> str:
    """Where in the file, as far as that is known."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""


def _check_name(path: Path, kind: type[Config], others: Sequence[type[Config]]) -> None:
    """Raises UserError for a class that is of no kind, has no name, or another's."""
    of_kind = {name: union for name, union in _KINDS.items() if issubclass(kind, _members(union))}
    if not of_kind:
        bases = ", ".join(base.__name__ for base in _BASES)
        raise UserError(f"{path}: {kind.__name__} is of no kind that there is; expected it derived from {bases}")
    ((name, union),) = of_kind.items()
    chooser: OneOf = union.__metadata__[0]
    tags = chooser.named([kind])
    if not tags:
        raise UserError(f'{path}: {kind.__name__} has no name; expected {chooser.key}: Literal["NAME"] in it')
    taken = chooser.named([*_members(union), *(other for other in others if issubclass(other, _members(union)))])
    if taken.keys() & tags:
        raise UserError(f"{path}: {kind.__name__}: there is {name}={next(iter(tags))} already; expected another name")


def _members(union: Any) -> tuple[type[Config], ...]:
    return get_args(get_args(union)[0])

"""The base of all configs, and the types of their values: every key is checked before any work starts.

The classes are frozen pydantic models without defaults: values live in conf/ alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError, ValidationInfo
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from pointrad.errors import UserError, did_you_mean

Share = Annotated[float, Field(ge=0, le=1)]

NonNegative = Annotated[float, Field(ge=0)]

Positive = Annotated[float, Field(gt=0)]

PositiveShare = Annotated[float, Field(gt=0, le=1)]

Count = Annotated[int, Field(ge=1)]

GivenPath = Annotated[Path, AfterValidator(Path.expanduser)]

Interval = tuple[float, float]

Bounds = tuple[Interval, Interval, Interval]  # of x, y and z, world units


class Config(BaseModel):
    """Base of all configs: immutable, unknown keys, NaN and infinities are errors.

    code: of a class from a user's own file, the digest of that file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    code: ClassVar[str | None] = None

    @classmethod
    def parse(cls, values: object, plugged: Sequence[type[Config]] = ()) -> Self:
        """Check a composed configuration (plain dicts, lists and scalars).

        plugged: classes that it may name besides pointrad's own. Raises UserError naming each wrong key, the value
        found and what would be valid.
        """
        try:
            return cls.model_validate(values, context=plugged)
        except ValidationError as error:
            raise UserError("\n".join(_explain(problem, values) for problem in error.errors())) from None

    def idle(self) -> dict[str, str]:
        """The keys whose values change nothing beside others, by their dotted names, and which others: `frames=0`.

        A key stands for all that is inside it. Those that a command line gives are warned of.
        """
        inside = [(name, part.idle()) for name, part in self._parts()]
        return {f"{name}.{key}": f"{name}.{cause}" for name, idle in inside for key, cause in idle.items()}

    def _parts(self) -> Iterator[tuple[str, Config]]:
        """The configurations inside this one, by their dotted names."""
        for name, value in self:
            if isinstance(value, Config):
                yield name, value
            elif isinstance(value, Mapping):
                yield from ((f"{name}.{key}", part) for key, part in value.items() if isinstance(part, Config))


@dataclass(frozen=True)
class OneOf:
    """Annotates a union of configs: the value of `key` says which of them a configuration has.

    Classes that are plugged in join the union whose members they derive from. A member without a value of `key` is
    there for that alone.
    """

    key: str

    def named(self, kinds: Sequence[type[Config]]) -> dict[str, type[Config]]:
        """Those that have a value of `key`, by it."""
        tags = {kind: getattr(kind.model_fields.get(self.key), "annotation", None) for kind in kinds}
        return {get_args(tag)[0]: kind for kind, tag in tags.items() if get_origin(tag) is Literal}

    def __get_pydantic_core_schema__(self, union: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        members = get_args(union)
        own = self.named(members)

        def chosen(value: Any, info: ValidationInfo) -> Config:
            if isinstance(value, Config) and isinstance(value, members):
                return value
            if not isinstance(value, Mapping):
                raise PydanticKnownError("model_attributes_type")
            plugged = [kind for kind in info.context or () if issubclass(kind, members)]
            kinds = own | self.named(plugged)
            if self.key not in value:
                raise PydanticKnownError("union_tag_not_found", {"discriminator": repr(self.key)})
            tag, expected = value[self.key], ", ".join(map(repr, kinds))
            if not isinstance(tag, str) or tag not in kinds:
                found = {"discriminator": repr(self.key), "tag": str(tag), "expected_tags": expected}
                raise PydanticKnownError("union_tag_invalid", found)
            return kinds[tag].model_validate(value, context=info.context)

        return core_schema.with_info_plain_validator_function(chosen)


def codes(*configs: Config) -> list[str]:
    """Digests of the files of those whose classes are a user's own."""
    return [config.code for config in configs if config.code is not None]


def digest(values: object) -> str:
    """16 hex digits that name plain values; the order of a mapping's keys does not matter."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _path(problem: Any, values: Any) -> list[int | str]:
    """Where the key lies that a problem is about.

    Pydantic's location of an error also names the members of unions on the way; `values` has no such keys.
    """
    path, at = [], values
    for place, part in enumerate(problem["loc"], 1):
        if (isinstance(at, dict) and part in at) or (isinstance(at, list | tuple) and part in range(len(at))):
            path.append(part)
            at = at[part]
        elif problem["type"] == "missing" and place == len(problem["loc"]):
            path.append(part)
    return path


def _nearest_beside(path: Sequence[int | str], values: Any) -> str:
    """Which of a mapping's other keys a key that does not belong there may stand for."""
    *parents, last = path
    for part in parents:
        values = values[part]
    beside = [".".join(map(str, [*parents, name])) for name in values if name != last]
    return did_you_mean(".".join(map(str, path)), beside) or f"; expected one of {', '.join(sorted(beside))}"


def _explain(problem: Any, values: object) -> str:
    """One of pydantic's problems as a line: the key, what was found and what is expected."""
    path = _path(problem, values)
    key = ".".join(map(str, path))  # as one writes it on the command line
    message = problem["msg"].removeprefix("Value error, ")
    match problem["type"]:
        case "missing":
            return f"{key}: missing; expected a value"
        case "extra_forbidden":
            return f"{key}: unknown key (value {problem['input']!r}){_nearest_beside(path, values)}"
        case "value_error":
            return f"{key}: {message}" if key else message
        case "union_tag_invalid":
            context = problem["ctx"]
            tag = context["discriminator"].strip("'")
            return f"{key}.{tag}: found {context['tag']!r}; expected one of {context['expected_tags']}"
        case _:
            return f"{key}: found {problem['input']!r}; {message[0].lower()}{message[1:]}"

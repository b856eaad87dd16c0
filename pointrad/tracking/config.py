"""The keys of `tracker=`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from pointrad.schema import Config


class NoTrackerConfig(Config):
    name: Literal["none"]


class WandbTrackerConfig(Config):
    name: Literal["wandb"]
    project: Annotated[str, Field(min_length=1, max_length=128)]
    entity: str | None
    group: str | None
    job_type: str | None
    tags: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...]
    mode: Literal["auto", "online", "offline"]

    @field_validator("project", "entity")
    @classmethod
    def _is_part_of_an_address(cls, name: str | None) -> str | None:
        if found := sorted({*(name or "")} & {*"/\\#?%:"}):
            raise ValueError(f"found {name!r}; expected a name without {' '.join(found)}, which W&B does not take")
        return name or None  # an entity that the environment leaves empty

"""Every corruption model as conf/corruption/ has it, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from pointrad.corruption.models import AnyCorruptionConfig

_FOLDER = Path(__file__).resolve().parents[2] / "conf" / "corruption"

MODELS = sorted(path.stem for path in _FOLDER.glob("*.yaml") if path.stem != "none")
MASK_ONLY = ("morphology", "boundary", "holes", "spurious", "dropout")


def corruption(name: str, level: float, **changed: Any) -> AnyCorruptionConfig:
    """The model's own file with this level and these keys changed."""
    values = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text())
    adapter: TypeAdapter[AnyCorruptionConfig] = TypeAdapter(AnyCorruptionConfig)
    return adapter.validate_python(values | {"level": level} | changed)

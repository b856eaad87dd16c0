"""The models of how masks go wrong: each is registered here."""

from __future__ import annotations

from typing import Annotated

from pointrad.corruption.affine import AffineCorruptionConfig
from pointrad.corruption.base import CorruptionConfig
from pointrad.corruption.boundary import BoundaryCorruptionConfig
from pointrad.corruption.dropout import DropoutCorruptionConfig
from pointrad.corruption.holes import HolesCorruptionConfig
from pointrad.corruption.mixed import MixedCorruptionConfig
from pointrad.corruption.morphology import MorphologyCorruptionConfig
from pointrad.corruption.none import NoCorruptionConfig
from pointrad.corruption.some_views import SomeViewsCorruptionConfig
from pointrad.corruption.spurious import SpuriousCorruptionConfig
from pointrad.schema import OneOf

AnyCorruptionConfig = Annotated[
    NoCorruptionConfig
    | AffineCorruptionConfig
    | MorphologyCorruptionConfig
    | BoundaryCorruptionConfig
    | HolesCorruptionConfig
    | SpuriousCorruptionConfig
    | DropoutCorruptionConfig
    | MixedCorruptionConfig
    | SomeViewsCorruptionConfig
    | CorruptionConfig,
    OneOf("name"),
]

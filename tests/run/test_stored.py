"""A sequence of clouds as files: the first in full, what changed of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pointrad.errors import UserError
from pointrad.model.base import Cloud
from pointrad.model.points import POINTS
from pointrad.run.stored import StoredSequence
from pointrad.training.lineage import ORIGIN
from tests.runs import random_cloud

STEPS = {"position": 0.01, "base": 0.02, "harmonics": 0.1}


def of_origins(cloud: Cloud, origins: list[int]) -> Cloud:
    return replace(cloud, state={ORIGIN: torch.tensor(origins)})


def test_the_first_cloud_is_kept_to_the_bit(tmp_path: Path) -> None:
    stored, cloud = StoredSequence.of(tmp_path, POINTS), random_cloud()
    stored.write_first(cloud)
    assert torch.equal(stored.read(0, None).parameters, cloud.parameters)


def test_the_next_one_is_kept_to_half_a_step_with_what_came_and_without_what_went(tmp_path: Path) -> None:
    stored, first = StoredSequence.of(tmp_path, POINTS), random_cloud(points=5)
    stored.write_first(first)
    moved = first.select(torch.tensor([4, 0, 2, 2])).changed(harmonics=3)
    moved["position"][:, 1] += 0.123
    stored.write_next(1, of_origins(moved, [5, 1, 3, 0]), first, STEPS)
    found = stored.read(1, first)
    for group, step in STEPS.items():
        torch.testing.assert_close(found[group], moved[group], rtol=0, atol=step / 2 + 1e-6)
    assert found.state[ORIGIN].tolist() == [5, 1, 3, 0]


def test_a_splat_that_changed_by_less_than_half_a_step_keeps_its_bits(tmp_path: Path) -> None:
    stored, first = StoredSequence.of(tmp_path, POINTS), random_cloud(points=3)
    stored.write_first(first)
    nearly = first.with_parameters(first.parameters + 0.004)
    stored.write_next(1, of_origins(nearly, [1, 2, 3]), first, STEPS)
    assert torch.equal(stored.read(1, first).parameters, first.parameters)


def test_what_stands_still_takes_next_to_no_room(tmp_path: Path) -> None:
    stored, first = StoredSequence.of(tmp_path, POINTS), random_cloud(points=2000)
    stored.write_first(first)
    stored.write_next(1, of_origins(first, list(range(1, 2001))), first, STEPS)
    assert stored.megabytes(1) < stored.megabytes(0) / 100


def test_a_value_of_many_steps_is_kept(tmp_path: Path) -> None:
    stored, first = StoredSequence.of(tmp_path, POINTS), random_cloud(points=2)
    stored.write_first(first)
    stored.write_next(1, of_origins(first.changed(position=1000), [1, 2]), first, STEPS)
    torch.testing.assert_close(stored.read(1, first)["position"], torch.full((3, 2), 1000.0), rtol=0, atol=0.006)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    stored = StoredSequence.of(tmp_path, POINTS)
    stored.write_first(random_cloud())
    stored.path(0).write_bytes(stored.path(0).read_bytes()[:200])
    with pytest.raises(UserError, match=r"sequence/0000\.npz: not a frame of this sequence"):
        stored.read(0, None)

"""How settings and command lines become Hydra's overrides."""

from __future__ import annotations

from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.study import override, run_config
from pointrad.config import WandbTrackerConfig
from tests.runs import REPOSITORY

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**6), 10**6), st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="ascii", exclude_characters="\\$"), max_size=20),
    st.sampled_from(["TRUE", "False", "null", "NaN", "inf"]),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.one_of(SCALARS, st.lists(SCALARS, max_size=3)))
def test_hydra_reads_an_override_as_the_value_it_was_made_of(value: Any) -> None:
    found = OverridesParser.create().parse_override(override("+anything", value)).value()
    assert found == value
    assert type(found) is type(value) or isinstance(value, list)


@pytest.mark.parametrize(("tracker", "group"), [([], "smoke"), (["tracker.group=mine"], "mine")])
def test_w_and_b_groups_a_studys_runs_by_its_name_unless_told_otherwise(tracker: list[str], group: str) -> None:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        config = run_config(compose("sweep", ["study=smoke", "tracker=wandb", *tracker]))
    assert isinstance(config.tracker, WandbTrackerConfig)
    assert config.tracker.group == group

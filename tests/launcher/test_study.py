"""How settings and command lines become Hydra's overrides, and a study's scenes its runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import HydraContext, RunMode
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.study import Sweep, override, run_config
from pointrad.config import WandbTrackerConfig
from pointrad.errors import UserError
from tests.runs import REPOSITORY
from tests.scenes import write_tiny_scene

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


class TestScenes:
    """Which scenes a study has, and by which names they go."""

    def planned(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
        """What a dry run of the smallest study says."""
        words = ["study=smoke", "study.seeds={seed:[0],corruption.seed:[0]}", *arguments, "dry_run=true"]
        with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
            loader = GlobalHydra.instance().config_loader()
            composed = loader.load_configuration("sweep", words, RunMode.MULTIRUN)
            Sweep(HydraContext(loader, Callbacks()), lambda _: None, composed).run(words)
        return capsys.readouterr().out

    @pytest.fixture
    def own(self, tmp_path: Path) -> tuple[str, str]:
        """Two scenes without files in conf/scene."""
        for name in ("chairs", "tables"):
            root = write_tiny_scene(tmp_path, {"train": 1, "val": 1, "test": 1}, name=name)
        return "dataset=blender", f"dataset.root={root}"

    @pytest.mark.parametrize("scenes", ["all", "[chairs,tables]"])
    def test_own_ones_need_no_file_and_go_by_their_own_names(
        self, scenes: str, own: tuple[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        told = self.planned(capsys, *own, f"study.scenes={scenes}", "scene.kept_share=0.2")
        assert told.count("runs/chairs_level-") == told.count("runs/tables_level-") == 4
        assert "8 runs, 8 of them distinct" in told
        assert "Not in conf/scene: chairs, tables; what scene.* does not set is as of scene=demo" in told

    def test_one_may_be_named_for_all_runs(self, own: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        told = self.planned(capsys, *own, "scene.name=tables")  # study.scenes is [demo]
        assert told.count("runs/tables_level-") == 4
        assert "demo_level" not in told

    def test_one_name_for_several_is_refused(self, own: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(UserError, match=r"scene\.name: found 'x' for study\.scenes chairs and tables"):
            self.planned(capsys, *own, "study.scenes=all", "scene.name=x")

    def test_one_that_is_nowhere_is_refused(self, own: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(
            UserError, match=r"study\.scenes: found 'table', .* nor in dataset\.root .*expected chair, "
        ):
            self.planned(capsys, *own, "study.scenes=[chairs,table]")
        with pytest.raises(UserError, match=r"study\.scenes: found 'chairs', .* nor in dataset=demo"):
            self.planned(capsys, "study.scenes=[chairs]")

"""What a study's YAML may say, and what is said of one that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from pointrad.errors import UserError
from tests.study.studies import sweep


def test_a_study_that_says_all_it_needs_is_taken() -> None:
    assert sweep().study.axes == {"level": {"corruption.level": [0, 0.1]}}


@pytest.mark.parametrize(
    ("lines", "x", "compared"),
    [("level", "fix", "level"), (None, "fix", "fix"), ("once", "mask_iou", "level")],
)
def test_what_is_compared_is_what_makes_lines_else_what_lies_along_x(lines: str | None, x: str, compared: str) -> None:
    axes = {
        "once": {"model.splat_radius": [0.01]},
        "level": {"corruption.level": [0, 0.1]},
        "fix": {"init.consistency": [1, 0.9]},
    }
    plot = {"x": x, "lines": lines, "metrics": ["psnr_db"]}
    assert sweep(axes=axes, plot=plot, baseline=None).study.compared_axis == compared


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"axes": {"fix": {"init.consistency": [1, 0.9], "model.splat_radius": [0.01]}}},
            r"study\.axes: axis 'fix': values that go together must be as many, "
            r"but init\.consistency has 2, model\.splat_radius has 1",
        ),
        ({"axes": {"level": {"corruption.level": []}}}, r"axis 'level' is empty"),
        ({"axes": {"level": {}}}, r"axis 'level' is empty"),
        ({"axes": {"level": {"label": ["a"]}}}, r"axis 'level' has no config key"),
        ({"axes": {"scene": {"scene": ["a"]}}}, r"an axis cannot be called 'scene'"),
        ({"axes": {"error": {"seed": [0]}}}, r"an axis cannot be called 'error', which is a column"),
        ({"axes": {"a": {"scene": ["hotdog"]}}}, r"scene is set by scenes and by axes\.a"),
        ({"axes": {"a": {"seed": [1]}}}, r"seed is set by seeds and by axes\.a"),
        ({"seeds": {}}, r"study\.seeds: seeds is empty"),
        ({"seeds": {"seed": [0, 1], "corruption.seed": [42]}}, r"seed has 2, corruption\.seed has 1"),
        ({"scenes": ["hotdog", "lego", "hotdog"]}, r"hotdog given twice; expected each scene once"),
        ({"scenes": []}, r"study\.scenes.*empty"),
        (
            {"plot": {"x": "level", "lines": "levle", "metrics": ["psnr_db"]}},
            r"'levle', no axis; expected one of .*; did you mean level\?",
        ),
        ({"plot": {"x": "level", "lines": None, "metrics": []}}, r"study\.plot\.metrics"),
        (
            {"plot": {"x": "mask_iuo", "lines": None, "metrics": ["psnr_db"]}},
            r"study.*plot\.x: found 'mask_iuo'; expected an axis \(level\) or a number .*points"
            r".*; did you mean mask_iou\?",
        ),
        (
            {"plot": {"x": "level", "lines": None, "metrics": ["ssim", "psnr"]}},
            r"study\.plot\.metrics: found 'psnr'; expected numbers of .*psnr_db, ssim.*; did you mean psnr_db\?",
        ),
        ({"plot": {"x": "level", "lines": None, "metrics": ["renderer"]}}, r"metrics: found 'renderer'.*expected"),
        ({"plot": {"x": "psnr_db", "lines": None, "metrics": ["psnr_db"]}}, r"metrics: found 'psnr_db', which is x"),
        ({"plot": {"x": "level", "lines": None, "facet": "a", "metrics": ["psnr_db"]}}, r"plot\.facet: unknown key"),
        (
            {"published": [{"source": "s", "scene": "hotdog", "x": [0], "values": {"psnr": [1.0]}}]},
            r"study\.published\.0: found 'psnr'; expected .*; did you mean psnr_db\?",
        ),
        ({"baseline": 0.2}, r"study.*baseline: found 0\.2; expected a step of the axis level \(0, 0\.1\), or null"),
        ({"name": "../elsewhere"}, r"study\.name"),
        ({"surprise": 1}, r"study\.surprise: unknown key"),
        (
            {"published": [{"source": "s", "scene": "hotdog", "x": [0, 1], "values": {"psnr_db": [1.0]}}]},
            r"values\.psnr_db has 1 values, x has 2",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_study_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        sweep(**changes)

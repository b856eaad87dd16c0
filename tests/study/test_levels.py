"""Studies of given masks, and levels of corruptions that are found when a study is planned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

from pointrad.config import RunConfig
from pointrad.corruption.matching import corrupted_at
from pointrad.data.capture import load_scene
from pointrad.data.scene import Split
from pointrad.errors import UserError
from pointrad.masks.iou import mask_iou
from pointrad.study.config import ABSENT, IOU, IOU_OF, LEVEL
from pointrad.study.levels import LevelFinder
from pointrad.study.plan import Variant, expand
from tests.runs import QUICK, config
from tests.study.studies import sweep

FOLDERS = {"drawn": "masks", "segmenter": "wrong"}
PLOT = {"x": "masks", "lines": None, "metrics": ["psnr_db"]}


def variants(**changes: object) -> dict[str, Variant]:
    axes = {"axes": {}, "masks": FOLDERS, "seeds": {"seed": [0]}, "plot": PLOT} | changes
    return {str(variant.labels["masks"]): variant for variant in expand(sweep(**axes).study, ["tiny"])}


def test_folders_are_an_axis_and_the_first_is_the_reference_of_all() -> None:
    found = variants()
    assert list(found) == ["drawn", "segmenter"]
    for name, variant in found.items():
        masks = {"masks": "folder", "masks.folder": FOLDERS[name], "masks.reference": "masks"}
        assert variant.settings == {"scene": "tiny", "corruption": "none", "seed": 0} | masks


def test_the_reference_is_spoilt_as_much_as_others_are_wrong_and_masks_are_done_without() -> None:
    found = variants(matched=["affine", "holes"], no_masks=True)
    spoilt = found["drawn, holes as wrong as segmenter"].settings
    assert spoilt["masks.folder"] == "masks"
    assert (spoilt["corruption"], spoilt[LEVEL]) == ("holes", {IOU_OF: "wrong"})
    assert found["no masks"].settings["masks"] == "none"
    assert ABSENT not in [value for variant in found.values() for value in variant.settings.values()]


def test_one_folder_is_as_wrong_as_no_other() -> None:
    cause = "study.masks={'drawn': 'masks'}, which names one folder"
    assert sweep(axes={}, masks={"drawn": "masks"}, matched=["affine"], plot=PLOT).idle() == {"study.matched": cause}
    assert sweep(axes={}, masks=FOLDERS, matched=["affine"], plot=PLOT).idle() == {}


def test_what_compares_masks_needs_some() -> None:
    with pytest.raises(UserError, match=r"masks: not given; expected folders by name, the reference first"):
        variants(masks=None, no_masks=True)


@pytest.fixture
def root(tiny_scene_root: Path) -> Path:
    """The tiny scene, its alpha in the folder masks, and a pixel wider in the folder wrong."""
    scene = tiny_scene_root / "tiny"
    for path in sorted(scene.glob("train/*.png")):
        mask = np.asarray(Image.open(path))[..., 3] > 127
        for folder, pixels in (("masks", mask), ("wrong", binary_dilation(mask))):
            to = scene / folder / "train" / path.name
            to.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(to)
    return tiny_scene_root


def of(root: Path) -> Callable[[Variant], RunConfig]:
    """Composes runs of the tiny scene."""

    def compose(variant: Variant) -> RunConfig:
        return config(*QUICK, f"dataset.root={root}", *(f"{key}={value}" for key, value in variant.settings.items()))

    return compose


def as_wrong(model: str, folder: str = "wrong") -> Variant:
    masks = {"masks": "folder", "masks.folder": "masks", "masks.reference": "masks"}
    return Variant("tiny", {}, 0, masks | {"corruption": model, LEVEL: {IOU_OF: folder}})


@pytest.mark.parametrize("model", ["affine", "boundary"])
def test_a_corruption_has_the_iou_of_the_masks_it_is_to_be_as_wrong_as(model: str, root: Path) -> None:
    compose = of(root)
    found = LevelFinder().resolved(as_wrong(model), compose)
    level = found.settings[LEVEL]
    assert isinstance(level, float)
    chosen = compose(found)
    scene = load_scene(chosen.capture, Split.TRAIN)
    views = scene.train
    wider = [binary_dilation(view.mask > 0) for view in views]
    wanted = np.mean([(view.mask > 0).sum() / mask.sum() for view, mask in zip(views, wider, strict=True)])
    assert mask_iou(corrupted_at(chosen.corruption, scene, level), views) == pytest.approx(wanted, abs=0.02)


def test_masks_that_are_missing_are_named_when_the_study_is_planned(root: Path) -> None:
    with pytest.raises(UserError, match=r"masks\.folder: found nowhere; expected a folder"):
        LevelFinder().resolved(as_wrong("affine", "nowhere"), of(root))


def test_masks_that_lie_in_no_folder_are_compared_with_none(root: Path) -> None:
    asked = Variant("tiny", {}, 0, {"masks": "alpha", "corruption": "affine", LEVEL: {IOU_OF: "wrong"}})
    with pytest.raises(UserError, match=r"^corruption\.level: found {iou_of: wrong}, .* expected masks=folder"):
        LevelFinder().resolved(asked, of(root))


def test_a_level_that_is_a_number_stays() -> None:
    variant = Variant("tiny", {}, 0, {LEVEL: 0.1})
    assert LevelFinder().resolved(variant, lambda _: pytest.fail("nothing is to be measured")) == variant


def test_a_level_may_be_left_to_the_iou_of_the_masks(root: Path) -> None:
    found = LevelFinder().resolved(Variant("tiny", {}, 0, {"corruption": "holes", LEVEL: {IOU: 0.7}}), of(root))
    assert found.settings[LEVEL] == pytest.approx(0.3, abs=0.02)  # to a pixel of a small object


def test_no_level_is_refused_where_no_masks_are_so_wrong(root: Path) -> None:
    asked = {"corruption": "holes", "corruption.coverage": 0.1, LEVEL: {IOU: 0.7}}
    with pytest.raises(UserError, match=r"none at which holes has a mean IoU of 0\.7000 on tiny; expected a higher"):
        LevelFinder().resolved(Variant("tiny", {}, 0, asked), of(root))


@pytest.mark.parametrize(
    "level", [{IOU: 0}, {IOU: 1.1}, {IOU: True}, {IOU: "high"}, {"uoi": 0.9}, {IOU: 0.9, IOU_OF: "wrong"}]
)
def test_a_level_that_cannot_be_found_is_refused(level: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"axis 'iou', corruption\.level: found .*; expected a level, or {iou: NUMBER}"):
        sweep(axes={"iou": {"label": ["a"], LEVEL: [level]}}, plot=PLOT | {"x": "iou"})

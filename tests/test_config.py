"""The configuration: every composition is valid, the published constants are there, mistakes are explained."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException, MissingConfigException

from pointrad.camera import Camera
from pointrad.config import RunConfig
from pointrad.data.scene import SceneContent
from pointrad.errors import UserError
from pointrad.init.config import PointCountConfig
from pointrad.model.config import GaussiansConfig
from pointrad.training.config import CosineConfig, StageConfig
from tests.runs import BUNDLED, CONTENT, REPOSITORY, composed, config, groups
from tests.scenes import cube


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (REPOSITORY / "conf" / group).glob("*.yaml"))


GROUPS = groups()


@pytest.mark.integration  # Hydra composes each
@pytest.mark.parametrize(("group", "option"), [(group, option) for group in GROUPS for option in options(group)])
def test_every_option_of_every_group_composes_and_validates(group: str, option: str) -> None:
    needed = {"renderer=gsplat": "model=gaussians", "masks=none": "init=random"}
    needed |= {f"dataset={layout}": "dataset.root=x" for layout in options("dataset") if layout not in BUNDLED}
    chosen = f"{group}={option}"
    assert config(chosen, *([needed[chosen]] if chosen in needed else [])).identity(CONTENT)


@pytest.mark.integration  # Hydra composes each
@pytest.mark.parametrize("program", ["train", "corruptions", "splats", "inspect_capture"])
@pytest.mark.parametrize("layout", [layout for layout in options("dataset") if layout not in BUNDLED])
def test_every_program_takes_captures_in_every_layout_and_finds_their_object(program: str, layout: str) -> None:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        found = compose(program, [f"dataset={layout}", "dataset.root=captures/cup"])
    assert (found.scene.name, found.scene.bounds) == ("cup", "auto")


PHOTOMETRIC = {"name": "photometric", "gradient_weight": 0.03, "shifts": (1, 2, 3)}
SILHOUETTE = {"name": "silhouette", "sharpness": 5, "ridge": 0.1}
REMOVE = {"op": "remove_outliers", "voxel": 0.010, "neighbours": 20, "deviations": 2}
DUPLICATE = {"op": "duplicate", "copies": 2}
# epochs, harmonics, rate of colour, rate of position, loss, before, after
STAGES = {
    "position_pretraining": (7, True, 0, 4e-3, SILHOUETTE, [], [REMOVE]),
    "colour_only": (10, True, 15e-3, 0, PHOTOMETRIC, [], []),
    "base": (20, False, 3e-3, 8e-4, PHOTOMETRIC, [], []),
    "full": (30, True, 22e-3, 8e-4, PHOTOMETRIC, [], []),
    "refine_1": (30, True, 22e-3, 8e-4, PHOTOMETRIC, [REMOVE, DUPLICATE], []),
    "refine_2": (30, True, 22e-3, 8e-4, PHOTOMETRIC, [REMOVE, DUPLICATE], []),
}
SCENES = {
    "hotdog": (0.012, 0.015),
    "lego": (0.08, 0.010),
    "materials": (0.03, 0.010),
    "mic": (0.15, 0.008),
    "ficus": (0.15, 0.008),
    "drums": (0.25, 0.008),
    "chair": (0.06, 0.010),
    "ship": (0.03, 0.010),
}


class TestPublishedConstants:
    """Those of docs/method.md."""

    @pytest.mark.parametrize(
        ("schedule", "names", "epochs"),
        [("paper", ["base", "full", "refine_1", "refine_2"], 110), ("report", list(STAGES), 127)],
    )
    def test_stages_come_in_the_published_order_and_length(self, schedule: str, names: list[str], epochs: int) -> None:
        stages = config(f"schedule={schedule}").schedule.enabled_stages
        assert list(stages) == names
        assert sum(stage.length(100) for stage in stages.values()) == epochs

    @pytest.mark.parametrize(
        ("schedule", "stage"),
        [("paper", name) for name in list(STAGES)[2:]] + [("report", name) for name in STAGES],
    )
    def test_a_stage_trains_as_published(self, schedule: str, stage: str) -> None:
        found = config(f"schedule={schedule}").schedule.stages[stage]
        assert self.published_part(found) == STAGES[stage]
        assert (found.lr_decay, found.downscale) == (0.93, 1)

    def published_part(self, stage: StageConfig) -> tuple[Any, ...]:
        values = stage.model_dump()
        lists = [list(values[key]) for key in ("before", "after")]
        rates = (stage.lr["colour"], stage.lr["position"])
        return (stage.epochs, stage.harmonics, *rates, values["loss"], *lists)

    @pytest.mark.parametrize("schedule", ["paper", "report"])
    def test_adam_is_torchs_default(self, schedule: str) -> None:
        assert config(f"schedule={schedule}").schedule.adam.model_dump() == {
            "beta1": 0.9,
            "beta2": 0.999,
            "epsilon": 1e-8,
        }

    @pytest.mark.parametrize("scene", list(SCENES))
    def test_a_scene_has_its_published_share_and_radius(self, scene: str) -> None:
        found = config(f"scene={scene}")
        assert (found.init.kept_share, found.model.splat_radius) == SCENES[scene]

    def test_the_hull_is_the_published_one(self) -> None:
        init = config("init=hull").init
        assert (init.lattice, init.bounds, init.consistency, init.margin) == (400, cube(-2, 2), 1, 0.05)

    def test_the_corruption_is_the_published_one_at_level_0(self) -> None:
        assert config().corruption.model_dump() == {
            "name": "affine", "level": 0, "seed": 42, "targets": "clean", "in_time": "constant", "rotation_degrees": 90,
            "translation": 0.5, "shrink": 0.5, "grow": 1, "shear_degrees": 90,
        }  # fmt: skip

    def test_the_nearest_15_splats_are_composited(self) -> None:
        assert config().model.points_per_pixel == 15

    def test_images_are_halved_on_black(self) -> None:
        dataset = config("dataset=blender", "dataset.root=x").dataset
        assert (dataset.downscale, dataset.background) == (2, "black")

    @pytest.mark.parametrize(
        ("background", "threshold", "found"),
        [
            ("black", "null", 0.5),
            ("white", "null", 0.5),
            ("published", "null", 0),
            ("published", 0.2, 0.2),
            ("black", 0, 0),
        ],
    )
    def test_the_object_is_above_half_of_alpha_unless_published(
        self, background: str, threshold: object, found: float
    ) -> None:
        chosen = config(
            "dataset=blender", "dataset.root=x", f"dataset.background={background}", f"masks.threshold={threshold}"
        )
        assert chosen.masks.threshold_on(chosen.dataset.background) == found


def altered(key: str, value: Any, *overrides: str) -> dict[str, Any]:
    """The report's configuration, or with these overrides, with one value set."""
    values: Any = composed("schedule=report", "init=hull", *overrides)
    at = values
    *path, last = key.split(".")
    for part in path:
        at = at[part]
    at[last] = copy.deepcopy(value)
    return values


@pytest.mark.parametrize(
    ("key", "value", "valid"),
    [
        ("corruption.level", 1.5, "less than or equal to 1"),
        ("corruption.level", -0.1, "greater than or equal to 0"),
        ("corruption.level", float("nan"), "finite number"),
        ("corruption.shear_degrees", 91, "less than or equal to 90"),
        ("corruption.seed", "x", "valid integer"),
        ("init.consistency", 1.01, "less than or equal to 1"),
        ("init.lattice", 1, "greater than or equal to 2"),
        ("init.lattice", 4.5, "valid integer"),
        ("init.kept_share", 0, "greater than 0"),
        ("scene.kept_share", 2, "less than or equal to 1"),
        ("model.splat_radius", 0, "greater than 0"),
        ("model.splat_radius", float("inf"), "finite number"),
        ("model.points_per_pixel", 0, "greater than or equal to 1"),
        ("model.darkening", 0, "greater than 0"),
        ("model.view_direction", "ray", "'point' or 'pixel'"),
        ("renderer.name", "gpu", "'auto', 'cpu', 'triton', 'pytorch3d' or 'gsplat'"),
        ("dataset.downscale", 0, "greater than or equal to 1"),
        ("dataset.background", "grey", "'black', 'white' or 'published'"),
        ("masks.threshold", 1, "less than 1"),
        ("masks.threshold", -0.1, "greater than or equal to 0"),
        (
            "dataset.name",
            "metashape",
            "'demo', 'demo_moving', 'auto', 'blender', 'nerfstudio', 'colmap', 'idr', 'llff'",
        ),
        ("schedule.adam.beta1", 1, "less than 1"),
        ("schedule.stages.base.epochs", -1, "greater than or equal to 0"),
        ("schedule.stages.base.epochs", "many", "valid integer"),
        ("schedule.stages.base.lr.colour", -1e-3, "greater than or equal to 0"),
        ("schedule.stages.base.lr_decay", 0, "greater than 0"),
        ("schedule.stages.base.loss.gradient_weight", -1, "greater than or equal to 0"),
        ("schedule.stages.position_pretraining.loss.ridge", -1, "greater than or equal to 0"),
        ("schedule.stages.base.loss.name", "l1", "'photometric', 'silhouette'"),
        ("eval.split", "all", "'train', 'val', 'test' or 'paper'"),
        ("artifacts.turntable.fps", 0, "greater than or equal to 1"),
        ("checkpoint.every_seconds", -1, "greater than or equal to 0"),
        ("checkpoint.max_attempts", 0, "greater than or equal to 1"),
        ("tracker.mode", "maybe", "'auto', 'online' or 'offline'"),
        ("seed", -1, "greater than or equal to 0"),
        ("seed", None, "valid integer"),
        ("threads", 1.5, "valid integer"),
    ],
)
def test_a_bad_value_is_explained_by_its_key_itself_and_what_is_valid(key: str, value: Any, valid: str) -> None:
    with pytest.raises(UserError) as caught:
        RunConfig.parse(altered(key, value))
    message = str(caught.value)
    assert key.startswith(message.split(":")[0])  # of a wrong tag, the block that it belongs to
    assert str(value) in message
    assert valid in message


GAUSSIANS = ("model=gaussians", "schedule=gaussians")


class TestGaussians:
    def test_the_cap_is_the_lower_of_points_and_megabytes(self) -> None:
        def most(*overrides: str) -> int | None:
            model = config(*GAUSSIANS, *overrides).model
            assert isinstance(model, GaussiansConfig)
            return model.most

        assert most("model.max_mb=1", "model.max_points=null") == 2**20 // (38 * 4)
        assert most("model.max_mb=1", "model.max_points=100") == 100
        assert most("model.max_mb=1", "model.sh_degree=0") == 2**20 // (14 * 4)
        assert most("model.max_mb=null") is None

    @pytest.mark.parametrize(
        "key", ["max_points=0", "max_mb=0", "max_mb=0.0001", "sh_degree=4", "sh_degree=-1", "opacity=1"]
    )
    def test_what_makes_no_model_is_an_error_that_names_the_key(self, key: str) -> None:
        with pytest.raises(UserError, match=f"^model.*{key.split('=')[0]}"):
            config(*GAUSSIANS, f"model.{key}")

    def test_a_cap_of_points_that_megabytes_make_moot_is_an_error_that_tells_what_they_hold(self) -> None:
        held = 2**20 // (38 * 4)
        assert config(*GAUSSIANS, "model.max_mb=1", f"model.max_points={held}").model.name == "gaussians"
        with pytest.raises(UserError, match=rf"^model: max_points: found {held + 1}; max_mb=1 holds {held} Gaussians"):
            config(*GAUSSIANS, "model.max_mb=1", f"model.max_points={held + 1}")

    @pytest.mark.parametrize(
        ("override", "found"),
        [
            ("renderer=triton", "name: found 'triton'"),
            ("renderer=pytorch3d", "name: found 'pytorch3d'"),
            ("renderer.graphs=true", "graphs: found True"),
        ],
    )
    def test_a_renderer_of_points_is_refused_before_anything_is_loaded(self, override: str, found: str) -> None:
        with pytest.raises(UserError, match=rf"^renderer\.{found}, which model=gaussians .* expected "):
            config(*GAUSSIANS, override)

    def test_a_renderer_of_gaussians_draws_no_points(self) -> None:
        assert config(*GAUSSIANS, "renderer=gsplat").renderer.name == "gsplat"
        with pytest.raises(UserError, match=r"^renderer\.name: found 'gsplat', which model=points does not have"):
            config("renderer=gsplat")

    def test_a_ridge_is_refused(self) -> None:
        loss = "{name:silhouette,sharpness:5,ridge:%s}"
        stage = "schedule.stages.coarse"
        assert config(*GAUSSIANS, f"~{stage}.loss", f"+{stage}.loss={loss % 0}")
        with pytest.raises(UserError, match=r"^schedule\.stages\.coarse\.loss\.ridge: found 0\.1; .* expected 0$"):
            config(*GAUSSIANS, f"~{stage}.loss", f"+{stage}.loss={loss % 0.1}")

    @pytest.mark.parametrize("key", ["before", "after"])
    def test_splitting_has_its_place_within_a_stage(self, key: str) -> None:
        split = "{op:split,share:0.1,least_opacity:0,offset:0.75,along:0.5,across:0.8,opacity:0.9}"
        expected = (
            rf"^schedule\.stages\.grow\.{key}: found split, .* expected it in schedule\.stages\.grow\.every\.ops$"
        )
        with pytest.raises(UserError, match=expected):
            config(*GAUSSIANS, f"schedule.stages.grow.{key}=[{split}]")

    def test_they_start_from_the_hulls_surface(self) -> None:
        for scene in ("demo", "auto"):  # whatever points would start from there
            kept = config(*GAUSSIANS, f"scene={scene}", "init.kept_share.of=surface").init.kept_share
            assert kept == PointCountConfig(points=20000, of="surface")

    def test_a_random_start_takes_no_part_of_a_hull(self) -> None:
        assert config(*GAUSSIANS, "init=random", "init.points=5").init.points == 5

    def test_a_random_start_may_be_fainter_than_any_other(self) -> None:
        chosen = config(*GAUSSIANS, "init=random")
        assert (chosen.init.opacity, chosen.model.opacity) == (0.01, 0.5)

    def test_model_and_schedule_choose_each_other(self) -> None:
        assert config("schedule=gaussians").model.name == "gaussians"
        assert config("model=gaussians").schedule.name == "gaussians_fast"
        assert config("model=points").schedule.name == "demo"
        with pytest.raises(UserError, match=r"model=points has position, colour, .* schedule=gaussians may be one of "):
            config("model=points", "schedule=gaussians")

    @pytest.mark.parametrize("operation", ["{op:prune_transparent,opacity:0.1}", "{op:fade,factor:0.5}"])
    def test_an_operation_on_what_a_model_lacks_is_an_error(self, operation: str) -> None:
        with pytest.raises(
            UserError, match=r"^schedule\.stages\.base: operation \w+ works on opacity, which model=points"
        ):
            config("schedule=paper", f"schedule.stages.base.before=[{operation}]")

    @pytest.mark.parametrize(("steps", "views", "epochs"), [(100, 100, 1), (149, 100, 1), (151, 100, 2), (5, 100, 1)])
    def test_a_stage_of_so_many_steps_has_the_nearest_number_of_epochs(
        self, steps: int, views: int, epochs: int
    ) -> None:
        stage = config(*GAUSSIANS, f"schedule.stages.coarse.epochs.steps={steps}").schedule.stages["coarse"]
        assert stage.length(views) == epochs

    @pytest.mark.parametrize(
        ("sizes", "factor"), [([(640, 360)], 2), ([(180, 320)], 2), ([(400, 319), (300, 200)], 1), ([(50, 50)], 1)]
    )
    def test_pictures_are_averaged_by_less_where_they_are_small(
        self, sizes: list[tuple[int, int]], factor: int
    ) -> None:
        stage = config(*GAUSSIANS, "schedule.stages.coarse.downscale={by:2,least:160}").schedule.stages["coarse"]
        assert stage.factor([Camera.centred(np.eye(4), 100.0, *size) for size in sizes]) == factor
        assert stage.most_downscale == 2

    @pytest.mark.parametrize(("word", "message"), [("{by:2}", r"downscale\.least: "), ("0", r"downscale: found 0;")])
    def test_what_pictures_are_averaged_by_is_a_factor_or_has_both_keys(self, word: str, message: str) -> None:
        with pytest.raises(UserError, match=rf"^schedule\.stages\.coarse\.{message}"):
            config(*GAUSSIANS, f"schedule.stages.coarse.downscale={word}")

    @pytest.mark.parametrize(("epochs", "steps"), [("{steps:100}", 15), ("1", 10)])
    def test_epochs_of_steps_are_longer_where_less_of_the_object_is_known(self, epochs: str, steps: int) -> None:
        stage = config(*GAUSSIANS, f"schedule.stages.coarse.epochs={epochs}").schedule.stages["coarse"]
        assert (stage.epoch_steps(10, 1), stage.epoch_steps(10, 2 / 3)) == (10, steps)

    def test_rates_fall_over_all_steps_of_longer_epochs(self) -> None:
        stage = config(*GAUSSIANS, "schedule.stages.settle.epochs.steps=8").schedule.stages["settle"]
        assert [stage.decay(step, 4, 0.5) for step in (0, 8, 16)] == pytest.approx([1, 0.02**0.5, 0.02])

    def test_an_exponential_decay_goes_step_by_step_to_its_share(self) -> None:
        stage = config(*GAUSSIANS, "schedule.stages.settle.epochs=2").schedule.stages["settle"]
        assert [stage.decay(step, 4, 1) for step in (0, 4, 8)] == pytest.approx([1, 0.02**0.5, 0.02])


@pytest.mark.parametrize(("old", "new"), [("colour_lr", "lr.colour"), ("position_lr", "lr.position")])
def test_a_rates_old_key_is_an_error_that_names_the_new_one(old: str, new: str) -> None:
    with pytest.raises(UserError, match=rf"^schedule\.stages\.base: {old} is called {new} now; expected lr: "):
        RunConfig.parse(altered(f"schedule.stages.base.{old}", 1e-3))


def test_a_stage_that_is_null_is_an_error() -> None:
    with pytest.raises(UserError, match=r"^schedule\.stages\.base: found None; input should be"):
        RunConfig.parse(altered("schedule.stages.base", None))


@pytest.mark.parametrize("rates", [{}, {"position": 1e-3}, {"position": 1e-3, "colour": 1e-3, "opacity": 1e-3}])
def test_a_stage_has_a_rate_for_each_name_of_the_model_and_no_other(rates: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"^schedule\.stages\.base\.lr: .* model=points has position, colour"):
        RunConfig.parse(altered("schedule.stages.base.lr", rates))


@pytest.mark.parametrize(
    "key", ["corruption.levle", "schedule.stages.base.epoch", "schedule.stages.base.loss.shift", "modle", "init.bound"]
)
def test_a_misspelt_key_is_named(key: str) -> None:
    with pytest.raises(UserError, match=rf"{key}: unknown key \(value 1\)"):
        RunConfig.parse(altered(key, 1))


def test_a_misspelt_key_of_an_operation_is_named() -> None:
    values = altered("schedule.stages.base.before", [{"op": "duplicate", "copys": 2}])
    with pytest.raises(UserError, match=r"schedule\.stages\.base\.before\.0\.copies: missing; expected a value"):
        RunConfig.parse(values)


def test_an_unknown_operation_is_explained() -> None:
    with pytest.raises(UserError, match=r"before\.0\.op: found 'shuffle'; .*'remove_outliers', 'duplicate'"):
        RunConfig.parse(altered("schedule.stages.base.before", [{"op": "shuffle"}]))


def test_a_bad_item_of_a_list_is_named_by_its_place() -> None:
    with pytest.raises(UserError, match=r"artifacts\.views\.1: found -1; .* greater than or equal to 0"):
        config("artifacts.views=[0,-1]")


@pytest.mark.parametrize(
    ("model", "key", "value", "valid"),
    [
        ("morphology", "direction", "shrink", "'erode', 'dilate' or 'either'"),
        ("morphology", "erode", 1.1, "less than or equal to 1"),
        ("morphology", "dilate", -1, "greater than or equal to 0"),
        ("boundary", "amplitude", -1, "greater than or equal to 0"),
        ("boundary", "correlation", 0, "greater than 0"),
        ("holes", "coverage", 1.5, "less than or equal to 1"),
        ("holes", "size", 0, "greater than 0"),
        ("spurious", "coverage", -0.5, "greater than or equal to 0"),
        ("spurious", "size", 1.5, "less than or equal to 1"),
        ("dropout", "kind", "some", "'empty', 'full' or 'either'"),
        ("mixed", "parts.holes.level", 2, "less than or equal to 1"),
        ("mixed", "parts.pose.grow", -1, "greater than or equal to 0"),
        ("mixed", "parts.pose.name", "mixed", "'affine', 'morphology'"),
        ("mixed", "parts", {}, "at least 1 item"),
        ("some_views", "error.level", 2, "less than or equal to 1"),
        ("some_views", "error.name", "some_views", "'affine', 'morphology'"),
    ],
)
def test_a_bad_value_of_a_corruption_is_explained(model: str, key: str, value: Any, valid: str) -> None:
    with pytest.raises(UserError) as caught:
        RunConfig.parse(altered(f"corruption.{key}", value, f"corruption={model}"))
    assert str(caught.value).startswith(f"corruption.{key}: found {value!r}")
    assert valid in str(caught.value)


@pytest.mark.parametrize("key", ["holes.seed", "holes.targets", "pose.levle"])
def test_a_part_of_a_mix_has_no_key_but_its_models(key: str) -> None:
    with pytest.raises(UserError, match=rf"^corruption\.parts\.{key}: unknown key \(value 1\)"):
        RunConfig.parse(altered(f"corruption.parts.{key}", 1, "corruption=mixed"))


def test_every_mistake_is_reported_at_once() -> None:
    values = altered("seed", -1)
    values["corruption"]["level"] = 7
    with pytest.raises(UserError) as caught:
        RunConfig.parse(values)
    assert len(str(caught.value).splitlines()) == 2


def test_bounds_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(UserError, match=r"init.bounds: must ascend, found \[2\.0, -2\.0\]"):
        RunConfig.parse(altered("init.bounds", [2, -2]))


def test_bounds_may_differ_from_axis_to_axis() -> None:
    assert config("init.bounds=[[-1,1],[0,2.5],[-3,-1]]").init.bounds == ((-1, 1), (0, 2.5), (-3, -1))


class TestASceneThatNobodyDescribed:
    """`scene=auto`, which datasets other than the demo's have unless they are told another."""

    def test_goes_by_the_name_of_its_folder(self) -> None:
        assert config("dataset=blender", "dataset.root=photos/mug/").scene.name == "mug"
        assert config("dataset=blender", "dataset.root=photos", "scene=hotdog").scene.name == "hotdog"

    def test_has_its_bounds_and_radius_from_the_views(self) -> None:
        found = config("dataset=blender", "dataset.root=photos/mug")
        assert found.init.bounds == "auto"
        assert found.init.at(cube(-1, 3)).box == cube(-1, 3)
        assert found.model.seeing(object_pixels=100**2, width=200).radius == pytest.approx(2 * 2 / 200)
        assert found.model.seeing(object_pixels=800**2, width=1000).radius == pytest.approx(2 * 6 / 1000)

    def test_a_radius_that_is_given_stays(self) -> None:
        assert config().model.seeing(object_pixels=1, width=7) == config().model


@pytest.mark.parametrize("bounds", ["3", "[1]", "[[-1,1],[0,2]]", "[[-1,1],[0,2],[1,1]]", "[-1,[0,1]]"])
def test_bounds_of_another_shape_are_refused(bounds: str) -> None:
    with pytest.raises(UserError, match=r"init\.bounds"):
        config(f"init.bounds={bounds}")


def test_a_schedule_without_an_enabled_stage_is_refused() -> None:
    overrides = [f"schedule.stages.{name}.enabled=false" for name in config().schedule.stages]
    with pytest.raises(UserError, match="no stage is enabled"):
        config(*overrides)


@pytest.mark.parametrize("layout", [layout for layout in options("dataset") if layout not in BUNDLED])
def test_a_capture_without_a_root_says_how_to_give_it(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POINTRAD_DATA", raising=False)
    with pytest.raises(UserError, match=r"dataset\.root: not set; give dataset\.root=FOLDER"):
        config(f"dataset={layout}")


@pytest.mark.parametrize("group", GROUPS)
def test_an_unknown_choice_of_a_group_lists_the_options(group: str) -> None:
    with pytest.raises(MissingConfigException) as caught:
        composed(f"{group}=nonsense")
    assert all(option in str(caught.value) for option in options(group))


def test_an_override_of_a_key_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigCompositionException, match=r"corruption\.levle"):
        composed("corruption.levle=0.1")


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        config().seed = 3  # type: ignore[misc]


class TestIdentity:
    """It names the result, and nothing else; the training's identity leaves the evaluation out as well."""

    BLENDER = ("dataset=blender", "dataset.root=here", "scene=demo", "init=hull")
    LEVEL = "corruption.level=0.1"

    @pytest.mark.parametrize(
        "override",
        [
            "threads=3", "renderer.device=cpu", "renderer.graphs=true", "tracker=none", "dataset.root=elsewhere",
            "artifacts.views=[]", "eval.fps_seconds=0", "checkpoint.every_seconds=1", "checkpoint.max_attempts=2",
            "cache.dir=here", "schedule.name=mine",
            "scene.kept_share=0.5 init.kept_share=0.035",
            "corruption.seed=1", "corruption=none", "masks.threshold=0.5", "corruption.in_time=flicker",
        ],
    )  # fmt: skip
    def test_what_does_not_change_the_result_does_not_change_it(self, override: str) -> None:
        assert config(*self.BLENDER, *override.split()).identity(CONTENT) == config(*self.BLENDER).identity(CONTENT)

    @pytest.mark.parametrize("override", ["eval.split=val", "eval.lpips=false"])
    def test_evaluation_changes_it_but_not_the_trainings(self, override: str) -> None:
        assert config(override).identity(CONTENT) != config().identity(CONTENT)
        assert config(override).training_identity(CONTENT) == config().training_identity(CONTENT)

    def test_other_training_data_changes_both_and_other_data_to_evaluate_on_the_results_alone(self) -> None:
        found = config()
        trained, scored = SceneContent("other", CONTENT.evaluation), SceneContent(CONTENT.train, "other")
        assert found.training_identity(trained) != found.training_identity(CONTENT)
        assert found.identity(trained) != found.identity(CONTENT)
        assert found.training_identity(scored) == found.training_identity(CONTENT)
        assert found.identity(scored) != found.identity(CONTENT)

    def test_another_version_of_the_method_changes_both(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = config().identity(CONTENT), config().training_identity(CONTENT)
        monkeypatch.setattr("pointrad.config.METHOD_VERSION", -1)
        assert config().identity(CONTENT) != before[0]
        assert config().training_identity(CONTENT) != before[1]

    def test_a_stage_that_is_not_enabled_does_not_change_it(self) -> None:
        stages = ("schedule.stages.position_pretraining.enabled=false", "schedule.stages.colour_only.enabled=false")
        assert config("schedule=report", *stages).identity(CONTENT) == config("schedule=paper").identity(CONTENT)

    @pytest.mark.parametrize(
        "override",
        [
            "seed=1", "corruption.level=0.2", "corruption.seed=1", "corruption=none", "scene=lego", "init.lattice=100",
            "corruption.targets=masked", "corruption.in_time=flicker", "dataset.frames=0",
            "init.consistency=0.9", "model.view_direction=pixel", "renderer=pytorch3d", "schedule=paper",
            "schedule.stages.base.epochs=5", "dataset.downscale=1", "dataset.background=white",
            "dataset.background=published", "masks.threshold=0.4",
        ],
    )  # fmt: skip
    def test_what_changes_training_changes_it(self, override: str) -> None:
        base = (*self.BLENDER, self.LEVEL)
        changed = (*self.BLENDER, override) if override == "corruption=none" else (*base, override)
        assert config(*changed).training_identity(CONTENT) != config(*base).training_identity(CONTENT)

    @pytest.mark.parametrize(("start", "decides"), [("before", True), ("scratch", False)])
    def test_what_frames_from_scratch_do_not_read_does_not_change_it(self, start: str, decides: bool) -> None:
        moving = ("schedule=sequence", "dataset=demo_moving", f"schedule.next.start={start}")
        unread = ("slack=3", "motion=0.5", "still=null", "adam.beta1=0.5", "stages.settle.epochs=3")
        identity = config(*moving).training_identity(CONTENT)
        for word in unread:
            changed = config(*moving, f"schedule.next.{word}").training_identity(CONTENT)
            assert (changed != identity) == decides

    def test_right_masks_cut_images_too(self) -> None:
        cut = config(*self.BLENDER, "corruption=none", "corruption.targets=masked")
        assert cut.training_identity(CONTENT) != config(*self.BLENDER, "corruption=none").training_identity(CONTENT)

    def test_the_order_of_the_parts_of_a_mix_changes_it_and_their_names_do_not(self) -> None:
        values = composed("corruption=mixed", self.LEVEL)
        identity = RunConfig.parse(values).identity(CONTENT)
        parts = values["corruption"]["parts"]
        values["corruption"]["parts"] = dict(zip("abcd", parts.values(), strict=True))
        assert RunConfig.parse(values).identity(CONTENT) == identity
        values["corruption"]["parts"] = dict(reversed(parts.items()))
        assert RunConfig.parse(values).identity(CONTENT) != identity

    def test_the_order_of_the_keys_does_not_change_it(self) -> None:
        values = config().model_dump(mode="json")
        assert RunConfig.parse(dict(reversed(values.items()))).identity(CONTENT) == config().identity(CONTENT)


def test_the_recorded_configuration_is_the_configuration(tmp_path: Path) -> None:
    found = config("dataset=blender", f"dataset.root={tmp_path}", "schedule=report")
    assert RunConfig.parse(found.model_dump(mode="json")) == found


class TestLearningRates:
    def stage(self, decay: object) -> StageConfig:
        return config("schedule=paper").schedule.stages["base"].model_copy(update={"lr_decay": decay, "epochs": 10})

    def test_a_factor_is_applied_once_an_epoch(self) -> None:
        assert [self.stage(0.5).decay(7 * epoch, 7, 1) for epoch in range(3)] == [1, 0.5, 0.25]

    def test_a_cosine_falls_ever_from_all_to_its_share(self) -> None:
        rates = [self.stage(CosineConfig(cosine_to=0.1)).decay(7 * epoch, 7, 1) for epoch in range(11)]
        assert rates[0] == 1
        assert rates[5] == pytest.approx(0.55)
        assert rates[10] == pytest.approx(0.1)
        assert rates == sorted(rates, reverse=True)

    def test_a_share_that_is_none_is_explained_without_a_word_on_factors(self) -> None:
        with pytest.raises(UserError, match=r"^schedule.stages.base.lr_decay.cosine_to: found 2; .* equal to 1$"):
            RunConfig.parse(altered("schedule.stages.base.lr_decay", {"cosine_to": 2}))


@pytest.mark.parametrize("name", [["affine"], {"affine": 1}, 3, None])
def test_a_name_that_is_no_word_is_refused_like_a_wrong_one(name: object) -> None:
    values = composed()
    values["corruption"]["name"] = name
    with pytest.raises(UserError, match=r"^corruption.*expected"):
        RunConfig.parse(values)

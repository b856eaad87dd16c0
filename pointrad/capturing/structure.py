"""Where the cameras of photographs stood, by pycolmap (SIFT, matching, incremental mapping)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pointrad.capturing.config import CapturingConfig, FlagsConfig
from pointrad.capturing.photographs import FEWEST, Photograph
from pointrad.errors import UserError
from pointrad.progress import announce

_LOOK = 0.2  # seconds between looks at how far pycolmap is
_BLOCK = 5  # photographs; between blocks of pairs it tells how far it is, and may be stopped


@dataclass(frozen=True)
class Structure:
    """What was found.

    focals: of the registered photographs, by name, pixels. others: for each other model, how many photographs it has
    that this one has not. points, error: of the model, and its mean reprojection error in pixels. pairs, still: pairs
    of photographs that match, and those of them in which most features hardly move.
    """

    focals: dict[str, float]
    others: tuple[int, ...]
    points: int
    error: float
    pairs: int
    still: int


def require_pycolmap() -> None:
    if find_spec("pycolmap") is None:
        raise UserError(
            "capture: found no package pycolmap, which finds out where cameras stood; expected it: "
            "pip install --requirement requirements-capture.txt, or pip install 'pointrad[capture]'"
        )


def reconstruct(
    config: CapturingConfig, photographs: Sequence[Photograph], images: Path, masks: Path | None, work: Path, to: Path
) -> Structure:
    """Write the largest model of the photographs to the folder `to`.

    images, masks: their folders; features are sought where masks, hard ones, are not black. work: a folder for what is
    needed meanwhile. Raises UserError if no photographs fit together.
    """
    import pycolmap

    pycolmap.logging.minloglevel = pycolmap.logging.FATAL.value
    work.mkdir(parents=True, exist_ok=True)
    database = work / "database.db"
    pycolmap.Database.open(database).close()
    with closing(sqlite3.connect(database)) as looking:
        colmap = _Colmap(pycolmap, config, images, masks, database, looking)
        colmap.extract(photographs)
        colmap.match(len(photographs))
        pairs, still = colmap.moving()
        models = colmap.map(len(photographs), work / "models")
    if not models or models[0].num_reg_images() < FEWEST:
        raise UserError(
            f"photos: found no cameras that fit: of {len(photographs)} photographs, {pairs} pairs show the same "
            "features; expected sharp photographs that overlap by half at least, of an object with texture, and right "
            "masks" + ("; " + said if (said := stillness(pairs, still, config.flags)) else "")
        )
    to.mkdir(parents=True)
    best = models[0]
    best.write_binary(to)
    registered = set(best.reg_image_ids())
    images_of_best = [best.images[number] for number in sorted(registered)]
    left_out = [len(set(model.reg_image_ids()) - registered) for model in models[1:]]
    return Structure(
        focals={image.name: float(best.cameras[image.camera_id].mean_focal_length()) for image in images_of_best},
        others=tuple(filter(None, left_out)),
        points=best.num_points3D(),
        error=float(best.compute_mean_reprojection_error()),
        pairs=pairs,
        still=still,
    )


def stillness(pairs: int, still: int, flags: FlagsConfig) -> str | None:
    """What to think of pairs of photographs in which most features do not move; None if there are few."""
    if still <= flags.still_pairs * pairs:
        return None
    return (
        f"in {still} of {pairs} pairs of photographs most features do not move: either they are of surroundings that "
        "stand still while the object turns (masks=FOLDER leaves these out), or photographs were taken from one place"
    )


@dataclass(frozen=True)
class _Colmap:
    """The steps of pycolmap on one database.

    library: the module, which has no types. looking: a connection to the database that stays open all the time, else
    the two programs would lock each other out when they open and close it.
    """

    library: Any
    config: CapturingConfig
    images: Path
    masks: Path | None
    database: Path
    looking: sqlite3.Connection

    def extract(self, photographs: Sequence[Photograph]) -> None:
        """Cameras that are shared are so by photographs of one size."""
        shared = self.config.camera == "shared"
        mode = self.library.CameraMode.SINGLE if shared else self.library.CameraMode.PER_IMAGE
        reader = self.library.ImageReaderOptions()
        reader.camera_model = self.config.camera_model
        if self.masks is not None:
            reader.mask_path = self.masks
        options = self.library.FeatureExtractionOptions()
        options.max_image_size, options.num_threads = self.config.max_size, self.config.threads or -1
        options.sift.max_num_features = self.config.features
        sizes = dict.fromkeys((one.width, one.height) if shared else (0, 0) for one in photographs)
        groups = [[one.name for one in photographs if not shared or (one.width, one.height) == size] for size in sizes]
        for names in groups:  # first, so that photographs are numbered in their order
            self.library.import_images(self.database, self.images, mode, names, reader)

        def work(token: Any) -> None:
            for names in groups:
                self.library.extract_features(
                    self.database, self.images, names, mode, reader, options, self.library.Device.cpu, token
                )

        self._watched("features", len(photographs), self._counting("descriptors"), work)

    def match(self, photographs: int) -> None:
        overlap = min(self.config.overlap, photographs - 1)
        count = photographs * (photographs - 1) // 2
        options, geometry = self.library.FeatureMatchingOptions(), self.library.TwoViewGeometryOptions()
        options.num_threads = self.config.threads or -1
        geometry.ransac.random_seed = self.config.seed
        if self.config.is_sequential:
            pairing = self.library.SequentialPairingOptions()
            pairing.overlap, pairing.quadratic_overlap = overlap, False
            match, count = self.library.match_sequential, overlap * photographs - overlap * (overlap + 1) // 2
        else:
            pairing, match = self.library.ExhaustivePairingOptions(), self.library.match_exhaustive
            pairing.block_size = _BLOCK

        def work(token: Any) -> None:
            match(self.database, options, pairing, geometry, self.library.Device.cpu, token)

        self._watched("pairs", count, self._counting("two_view_geometries"), work)

    def moving(self) -> tuple[int, int]:
        """How many pairs match, and in how many of them most features hardly move."""
        with closing(self.library.Database.open(self.database)) as database:
            cameras = {camera.camera_id: camera for camera in database.read_all_cameras()}
            images = {image.image_id: cameras[image.camera_id] for image in database.read_all_images()}
            points = {number: database.read_keypoints(number)[:, :2] for number in images}
            numbers, geometries = database.read_two_view_geometries()
        still = 0
        for number, geometry in zip(numbers, geometries, strict=True):
            one, other = self.library.pair_id_to_image_pair(number)
            first, second = geometry.inlier_matches.T
            moved = np.linalg.norm(points[one][first] - points[other][second], axis=1)
            least = self.config.flags.still * max(images[one].width, images[one].height)
            still += bool(np.median(moved) < least)
        return len(numbers), still

    def map(self, photographs: int, to: Path) -> list[Any]:
        """Models, the largest first."""
        to.mkdir()
        options = self.library.IncrementalPipelineOptions()
        options.random_seed = options.mapper.random_seed = options.triangulation.random_seed = self.config.seed
        options.num_threads, options.min_model_size = self.config.threads or -1, FEWEST
        placed = 0

        def one_more() -> None:
            nonlocal placed
            placed += 1

        def work(token: Any) -> Any:
            self.library.set_random_seed(self.config.seed)  # it has a generator for each thread
            return self.library.incremental_mapping(self.database, self.images, to, options, "", None, one_more, token)

        models = self._watched("cameras", photographs, lambda: placed, work)
        return sorted(models.values(), key=lambda model: (-model.num_reg_images(), -model.num_points3D()))

    def _watched(self, unit: str, total: int, count: Callable[[], int], work: Callable[[Any], Any]) -> Any:
        """What `work` returns, with a bar meanwhile; Ctrl-C stops it."""
        announce(f"COLMAP: {total:,} {'photographs to seek features in' if unit == 'features' else unit}")
        token = self.library.CancellationToken()
        with ThreadPoolExecutor(1) as pool, tqdm(total=total, unit=f" {unit}", leave=False, disable=None) as bar:
            done = pool.submit(work, token)
            try:
                while not wait([done], _LOOK).done:
                    bar.update(min(count(), total) - bar.n)
            except BaseException:
                token.cancel()
                raise
            return done.result()

    def _counting(self, table: str) -> Callable[[], int]:
        """How many rows pycolmap has written: it does not say how far it is."""
        return lambda: int(self.looking.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])

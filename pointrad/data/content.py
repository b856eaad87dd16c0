"""What a scene's files contain, so that a result is known by its data and not by a name or a place.

Digests of files are kept from one process to the next, by path, size and times, so that planning many runs is cheap.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from pointrad.data.capture import Capture
from pointrad.data.scene import SceneContent, Split
from pointrad.errors import UserError
from pointrad.files import replacing_beside_others, user_cache_folder
from pointrad.schema import digest

# A file that changes twice within a tick of its disk's clock keeps its times. No disk has longer ticks (FAT).
_LONGEST_TICK = 2 * 10**9  # nanoseconds
_Stamp = tuple[int, ...]
_log = logging.getLogger(__name__)


def scene_content(capture: Capture, split: Split, digests: FileDigests) -> SceneContent:
    """Of the files that loading the scene reads. Raises UserError where one is missing."""
    (content,) = scene_contents([capture], split, digests)
    return content


def scene_contents(captures: Sequence[Capture], split: Split, digests: FileDigests) -> list[SceneContent]:
    """That of each frame of a scene, whose files are looked at once. Raises UserError where one is missing."""
    folder = captures[0].folder
    files = [capture.files(split) for capture in captures]
    found = digests.of(folder, [path for of_frame in files for part in of_frame for path in part])

    def of_files(paths: Sequence[Path]) -> str:
        return digest([found[name] for name in dict.fromkeys(name_in(folder, path) for path in paths)])

    return [SceneContent(of_files(train), of_files(evaluation)) for train, evaluation in files]


def of_sequence(contents: Sequence[SceneContent]) -> SceneContent:
    """Of all frames of a sequence, one after another; of one frame its own."""
    if len(contents) == 1:
        return contents[0]
    return SceneContent(digest([one.train for one in contents]), digest([one.evaluation for one in contents]))


class FileDigests:
    """Digests of scenes' files, kept in `cache_dir`, or in the user's cache folder if that is None, in a small JSON
    file for each scene. Whatever is wrong with such a file, the digests are taken anew."""

    def __init__(self, cache_dir: Path | None) -> None:
        base = cache_dir or user_cache_folder()
        self._folder = base / "digests" if base else None
        self._kept: dict[Path, dict[str, tuple[_Stamp, str]]] = {}  # by the scene's folder, once it was asked for

    def of(self, scene: Path, paths: Iterable[Path]) -> dict[str, str]:
        """SHA-256 of each of `paths`, files of the scene in the folder `scene`, as hex digits, by `name_in` the folder.

        Raises UserError naming a file that cannot be read.
        """
        stamps = {name_in(scene, path): _stamp(path) for path in dict.fromkeys(paths)}
        if scene not in self._kept:
            self._kept[scene] = self._read(scene)
        kept = self._kept[scene]
        known = {name: found for name, (stamp, found) in kept.items() if stamps.get(name) == stamp}
        missing = [name for name in stamps if name not in known]
        started = time.time_ns()
        taken = dict(zip(missing, _digests([scene / name for name in missing]), strict=True))
        known |= taken
        settled = [name for name in taken if max(stamps[name][-2:]) < started - _LONGEST_TICK]
        if settled:
            kept |= {name: (stamps[name], taken[name]) for name in settled}
            self._write(scene, kept)
        return {name: known[name] for name in stamps}

    def _read(self, scene: Path) -> dict[str, tuple[_Stamp, str]]:
        if self._folder is None:
            return {}
        try:
            path = _kept_in(self._folder, scene)
            values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            whole = values["checksum"] == digest(values["files"])
            return {name: (tuple(stamp), found) for name, (stamp, found) in values["files"].items()} if whole else {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def _write(self, scene: Path, files: Mapping[str, tuple[_Stamp, str]]) -> None:
        if self._folder is None:
            return
        try:
            with replacing_beside_others(_kept_in(self._folder, scene)) as path:
                path.write_text(json.dumps({"files": files, "checksum": digest(files)}), encoding="utf-8")
        except (OSError, UserError) as error:
            _log.warning("the digests of the scene's files cannot be kept; every run takes them anew (%s)", error)
            self._folder = None


def name_in(scene: Path, path: Path) -> str:
    """A file's path from the folder of its scene."""
    return os.path.relpath(path, scene)


def _kept_in(folder: Path, scene: Path) -> Path:
    return folder / f"{digest(str(scene.resolve()))}.json"


def _stamp(path: Path) -> _Stamp:
    """Different for another file of this name and for this file after a change, also where a copy keeps the time."""
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _digests(paths: list[Path]) -> list[str]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(_digest, paths)
        return list(tqdm(found, "reading data", len(paths), unit="file", delay=1, leave=False, disable=None))


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be read ({error.strerror}); expected a file of the scene")

"""What every layout of captures is, to the rest of the program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from pointrad.data.scene import Background, Scene, Split
from pointrad.schema import Config, Count


class Layout(Config, ABC):
    """Where scenes are loaded from, and how: the keys of `dataset=`, with the loader that they are for.

    downscale: images are averaged over blocks of so many pixels. background: what alpha composites them on.
    """

    downscale: Count
    background: Background

    @abstractmethod
    def folder(self, scene_name: str) -> Path:
        """The folder that holds the scene's files. Raises UserError if there is no such scene."""
        ...

    @abstractmethod
    def files(self, scene_name: str, split: Split) -> tuple[Path, ...]:
        """All files that loading this split of the scene reads, that which names the others first; a result is known
        by what they contain. Raises UserError if one is missing."""
        ...

    @abstractmethod
    def load(self, scene_name: str, split: Split) -> Scene:
        """The scene with its train views and, for evaluation, those of `split`; no other image is read.

        Images are on the background, masks soft (`prepare` makes them hard). Raises UserError naming the file or key
        that is wrong, what was found there and what is expected.
        """
        ...

"""The keys of `capture.py`: how photographs become a capture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pointrad.capturing.video import is_video
from pointrad.schema import Config, Count, GivenPath, Interval, NonNegative, Positive, Share

CameraModel = Literal[
    "SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV", "OPENCV_FISHEYE",
    "SIMPLE_FISHEYE", "FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE",
]  # fmt: skip
Box = tuple[NonNegative, NonNegative, NonNegative, NonNegative]


class GrabCutConfig(Config):
    """size: of the longer side at which pictures are cut, pixels."""

    size: Count
    iterations: Count


class PhotographMasksConfig(Config):
    """Where masks of photographs come from.

    source: `none`, `alpha`, `grabcut`, `rembg`, `mediapipe`, or a folder. invert: the folder's masks are black on the
    object. threshold: the share above which features are the object's. box: x0, y0, x1, y1 around the object, as shares
    of the picture if all are at most 1, else in pixels. model: of `rembg` its name, of `mediapipe` its file.
    """

    source: str
    invert: bool
    threshold: Share
    box: Box | None
    model: str | None
    grabcut: GrabCutConfig

    @field_validator("source", mode="before")
    @classmethod
    def _is_given(cls, source: object) -> object:
        if source is None:
            raise ValueError(
                "not given; expected masks=FOLDER, alpha, grabcut, rembg or mediapipe; masks=none is for objects whose "
                "surroundings do not move against them"
            )
        return source

    @model_validator(mode="after")
    def _source_has_what_it_needs(self) -> Self:
        if self.source == "grabcut" and self.box is None:
            raise ValueError("found grabcut without a box; expected box=[x0,y0,x1,y1] around the object")
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError(f"found the box {list(self.box)}; expected x0 < x1 and y0 < y1 of box=[x0,y0,x1,y1]")
        if self.source == "mediapipe" and self.model is None:
            raise ValueError("found mediapipe without a model; expected masks.model=FILE, an image segmenter (.tflite)")
        return self

    def idle(self) -> dict[str, str]:
        used = {"none": (), "alpha": ("threshold",), "grabcut": ("threshold", "box", "grabcut"),
                "rembg": ("threshold", "model"), "mediapipe": ("threshold", "model")}  # fmt: skip
        keys = set(type(self).model_fields) - {"source", *used.get(self.source, ("threshold", "invert"))}
        return dict.fromkeys(keys, f"source={self.source}")


class FlagsConfig(Config):
    """When a result is called doubtful.

    field_of_view: degrees along the longer side. focal_off_exif: how many times longer or shorter than EXIF says.
    reprojection_error: mean, pixels. points: of the model. still: how far most features of a pair have to move, as a
    share of the longer side; still_pairs: the share of pairs that may move less.
    """

    field_of_view: Interval
    focal_off_exif: Annotated[float, Field(gt=1)]
    reprojection_error: Positive
    points: Count
    still: Share
    still_pairs: Share


class CapturingConfig(Config):
    """What `capture.py` makes a capture of.

    photos: a folder of photographs, or a video. folder: the capture's, None for one below outputs/captures named like
    the photographs. every: of a video, how many frames give one photograph. max_size: of the longer side at which
    features are sought, pixels. features: at most so many in a photograph. overlap: how many photographs that follow
    each one it is compared with, where matching is sequential.
    """

    photos: GivenPath
    masks: PhotographMasksConfig
    folder: GivenPath | None
    overwrite: bool
    every: Count | None
    camera: Literal["shared", "each"]
    camera_model: CameraModel
    max_size: Count
    features: Count
    matching: Literal["auto", "exhaustive", "sequential"]
    overlap: Count
    jpeg_quality: Annotated[int, Field(ge=1, le=100)]
    flags: FlagsConfig
    seed: Annotated[int, Field(ge=0)]
    threads: Annotated[int, Field(ge=0)]

    @field_validator("photos", mode="before")
    @classmethod
    def _is_given(cls, photos: object) -> object:
        if photos is None:
            raise ValueError("not given; expected photos=FOLDER, or photos=FILE of a video")
        return photos

    def idle(self) -> dict[str, str]:
        idle = {} if is_video(self.photos) else {"every": f"photos={self.photos}, which is no video"}
        return super().idle() | idle | ({} if self.is_sequential else {"overlap": f"matching={self.matching}"})

    @property
    def is_sequential(self) -> bool:
        return self.matching == "sequential" or (self.matching == "auto" and is_video(self.photos))

    @property
    def target(self) -> Path:
        return self.folder or Path("outputs") / "captures" / self.photos.resolve().stem

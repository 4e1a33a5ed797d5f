"""/depth: how far away every pixel is, as numbers, colours or points in space.

h w pixels of the model's input, H W of the image as sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from service.bundle import BundleError, Manifest
from service.engine.job import Sample
from service.errors import InvalidOptionError
from service.imaging import (
    ImageInfo,
    PinholeCamera,
    Placement,
    back_project,
    draw_depth,
    encode_npy,
    encode_ply,
    encode_png,
    percentiles,
    seen_part,
    spread,
)
from service.tasks.form import JSON, NPY, PNG, Form
from service.tasks.task import ImageOptions, ImageTask, Seen, check_image_graph

PNG16: Final = Form("png16", "image/vnd.panoptes.depth16+png")
PLY: Final = Form("ply", "model/ply")

Unit = Literal["metre", "relative"]
_SHORT: Final[Mapping[Unit, str]] = {"metre": " m", "relative": ""}

PERCENTILES: Final = (2, 25, 50, 75, 98)
ENOUGH: Final = 10_000
"""Of so many pixels, or more, percentiles are those of all to a fraction of a percent."""
DEFAULT_MAX_POINTS: Final = 200_000
MILLIMETRE: Final = 1e-3
_STEPS_16: Final = 65_535
_EDGE: Final = 0.05
"""The share of the width at whose inner edge the mirrored look begins to count for less."""


class DepthOptions(ImageOptions):
    flip: bool = Field(
        default=False,
        description="Look a second time at the mirrored image, and combine: twice the work, "
        "better edges",
    )
    focal_px: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        allow_inf_nan=False,
        description="The focal length of the camera in pixels of the image as sent, for points "
        "in space; without it the model's camera, if it has one",
    )
    max_points: int = Field(
        default=DEFAULT_MAX_POINTS,
        ge=1,
        le=16_000_000,
        description="How many points at most; of larger images the points of a coarser grid",
    )


@dataclass(slots=True)
class Camera:
    """A pinhole; pixels are those of the image as sent, and count from its left and top edge."""

    focal_px: float
    centre_x_px: float
    centre_y_px: float
    source: Annotated[
        Literal["model", "request"], Field(description="Who says so; a model knows one camera")
    ]


@dataclass(slots=True)
class Depth:
    """How far away things are along the optical axis. Width and height are the image's as sent,
    upright. The figures are those of the model's own map, before it is scaled to the image."""

    width: int
    height: int
    unit: Annotated[
        Unit, Field(description="Metres, or numbers that are right up to one unknown factor")
    ]
    min: float
    max: float
    mean: float
    percentiles: Annotated[
        dict[str, float],
        Field(
            description="2, 25, 50, 75 and 98: so many percent of the image are nearer, by ten "
            "thousand pixels or more of a regular grid"
        ),
    ]
    camera: Camera | None


@dataclass(frozen=True, slots=True)
class DepthMap:
    """The depth of one image, still in the pixels of the model's input [h, w]."""

    depth: NDArray[np.float32]
    placement: Placement
    info: ImageInfo
    unit: Unit
    camera: Camera | None

    @property
    def seen(self) -> NDArray[np.float32]:
        return seen_part(self.depth, self.placement)

    def percentiles(self) -> list[float]:
        """Of what is seen, at a grid of places: to put all in order would cost more than all else
        that is said of it."""
        step = max(1, math.isqrt(self.seen.size // ENOUGH))
        grid = self.seen[step // 2 :: step, step // 2 :: step]
        return percentiles(np.sort(grid, axis=None), PERCENTILES)


@dataclass(frozen=True, slots=True)
class _Document:
    content: bytes
    headers: Mapping[str, str]


class DepthTask(ImageTask[DepthOptions, DepthMap]):
    name = "depth"
    summary = "Say how far away everything in an image is"
    description = (
        "JSON has the figures and the unit: metres, or numbers that are right up to one unknown "
        f"factor. `{NPY.media_type}` is the depth of every pixel, float32; `{PNG16.media_type}` "
        "the same in 16 bits, a step being what `X-Depth-Scale` says (a millimetre, for metres), "
        f"0 where nothing is known; `{PLY.media_type}` a cloud of coloured points, x right, y "
        "down, z ahead, where the model knows its camera or `focal_px` says it; `image/png` a "
        "picture in colours."
    )
    example: ClassVar[dict[str, Any]] = {
        "width": 640,
        "height": 480,
        "unit": "metre",
        "min": 0.7321,
        "max": 3.9127,
        "mean": 1.8313,
        "percentiles": {"2": 0.8214, "25": 1.1932, "50": 1.6025, "75": 2.4011, "98": 3.7093},
        "camera": {
            "focal_px": 614.4,
            "centre_x_px": 320.0,
            "centre_y_px": 240.0,
            "source": "model",
        },
    }
    options = DepthOptions
    answer = Depth
    forms = (JSON, PNG, PNG16, NPY, PLY)

    def check(self, manifest: Manifest) -> None:
        fit = manifest.fit
        size = (fit.height, fit.width) if fit else ()
        check_image_graph(manifest, self.name, {"depth": ("batch", *size)})
        if manifest.defaults.get("unit") not in ("metre", "relative"):
            raise BundleError('defaults must say the unit of the depth: "metre" or "relative"')
        focal = manifest.defaults.get("focal_px")
        if focal is not None and not (isinstance(focal, int | float) and focal > 0):
            raise BundleError(f"the focal length must be positive, and is {focal}")

    def looks_twice(self, options: DepthOptions) -> bool:
        return options.flip

    def combine(self, outputs: Sample, mirrored: Sample, seen: Seen) -> Sample:
        """Monodepth's: the mean of the disparities, but at the left and right edge that of the
        look in which this edge was on the right. What is at the left edge of a left eye's image
        the right eye has not seen, so that training could not tell its depth."""
        first = outputs["depth"].astype(np.float32)  # [h, w]
        second = mirrored["depth"][:, ::-1].astype(np.float32)
        left, _, right, _ = seen.placement.input_rect_px
        place = (np.arange(first.shape[1]) + 0.5 - left) / (right - left)  # [w]
        at_left = 1 - np.clip((place - _EDGE) / _EDGE, 0, 1)
        at_right = 1 - np.clip((1 - place - _EDGE) / _EDGE, 0, 1)
        share = 0.5 + 0.5 * at_right - 0.5 * at_left  # [w], of the first look
        inverse = share / first + (1 - share) / second
        return {"depth": (1 / inverse).astype(np.float32)}

    def read(
        self, manifest: Manifest, outputs: Sample, options: DepthOptions, seen: Seen
    ) -> DepthMap:
        depth = outputs["depth"].astype(np.float32, copy=False)
        unit: Unit = "metre" if manifest.defaults["unit"] == "metre" else "relative"
        return DepthMap(depth, seen.placement, seen.info, unit, _camera(manifest, options, seen))

    def tell(self, answer: DepthMap) -> Depth:
        seen = answer.seen
        return Depth(
            width=answer.info.width_px,
            height=answer.info.height_px,
            unit=answer.unit,
            min=round(float(seen.min()), 4),
            max=round(float(seen.max()), 4),
            mean=round(float(seen.mean()), 4),
            percentiles={
                str(percent): round(level, 4)
                for percent, level in zip(PERCENTILES, answer.percentiles(), strict=True)
            },
            camera=answer.camera,
        )

    def draw(
        self,
        manifest: Manifest,
        image: NDArray[np.uint8],
        answer: DepthMap,
        options: DepthOptions,
    ) -> NDArray[np.uint8]:
        # A few wild pixels, at an edge for instance, are not to take all the colours.
        near, *_, far = answer.percentiles()
        depth = spread(answer.depth, answer.placement)
        return draw_depth(depth, near, far, _SHORT[answer.unit])

    def write(
        self,
        form: Form,
        manifest: Manifest,
        image: Callable[[], NDArray[np.uint8]],
        answer: DepthMap,
        options: DepthOptions,
    ) -> _Document:
        headers: dict[str, str] = {"x-depth-unit": answer.unit}
        if form is PNG:
            nothing = np.empty((0, 0, 3), np.uint8)  # the image itself is not in the picture
            content = encode_png(self.draw(manifest, nothing, answer, options))
        elif form is NPY:
            content = encode_npy(spread(answer.depth, answer.placement))
        elif form is PNG16:
            scale = _scale_16(answer)
            headers["x-depth-scale"] = f"{scale:.6g}"
            texts = {"Depth-Unit": answer.unit, "Depth-Scale": headers["x-depth-scale"]}
            steps = _steps(spread(answer.depth, answer.placement), scale)
            content = encode_png(steps, texts=texts)
        else:
            assert form is PLY
            content = _points(answer, image, options.max_points)
        return _Document(content, headers)

    def join(self, form: Form, parts: Sequence[_Document]) -> bytes:
        (only,) = parts
        return only.content

    def headers(self, form: Form, parts: Sequence[_Document]) -> Mapping[str, str]:
        (only,) = parts
        return only.headers


def _camera(manifest: Manifest, options: DepthOptions, seen: Seen) -> Camera | None:
    """The caller's, else the model's, brought from the model's input to the image as sent."""
    width, height = seen.info.width_px, seen.info.height_px
    if options.focal_px is not None:
        return Camera(options.focal_px, width / 2, height / 2, "request")
    focal = manifest.defaults.get("focal_px")
    if focal is None:
        return None
    left, _, right, _ = seen.placement.image_rect_px
    fill_left, _, fill_right, _ = seen.placement.input_rect_px
    focal_px = float(focal) * (right - left) / (fill_right - fill_left)
    return Camera(round(focal_px, 3), width / 2, height / 2, "model")


def _scale_16(answer: DepthMap) -> float:
    """How much depth a step of 16 bits is, to six digits."""
    if answer.unit == "metre":
        return MILLIMETRE
    return float(f"{float(answer.seen.max()) / _STEPS_16 * (1 + 1e-5):.6g}")


def _steps(depth: NDArray[np.float32], scale: float) -> NDArray[np.uint16]:
    """From 1 on: 0 is no depth. What is too far is as far as can be said."""
    steps = np.clip(np.rint(depth * np.float32(1 / scale)), 1, _STEPS_16)
    whole: NDArray[np.uint16] = np.nan_to_num(steps, nan=0).astype(np.uint16)
    return whole


def _points(answer: DepthMap, image: Callable[[], NDArray[np.uint8]], most: int) -> bytes:
    camera = answer.camera
    if camera is None:
        raise InvalidOptionError(
            "focal_px: this model knows no camera, so that points in space need the focal length "
            "of yours, in pixels of the image"
        )
    width, height = answer.info.width_px, answer.info.height_px
    shrunk = min(1.0, math.sqrt(most / (width * height)))
    size = max(1, math.floor(width * shrunk)), max(1, math.floor(height * shrunk))
    depth = spread(answer.depth, answer.placement, size)  # [H, W]
    pinhole = PinholeCamera(camera.focal_px, camera.centre_x_px, camera.centre_y_px)
    points = back_project(depth, pinhole.scaled(size[0] / width, size[1] / height))
    colours = image()
    if colours.shape[1::-1] != size:
        colours = np.asarray(Image.fromarray(colours).resize(size, Image.Resampling.BOX))
    known = np.isfinite(depth)
    return encode_ply(
        points[known],
        colours[known],
        [
            "x right, y down, z ahead",
            f"unit: {answer.unit}",
            f"focal_px: {camera.focal_px:g} of {width} x {height} pixels ({camera.source})",
        ],
    )

"""POST /depth: every form of the answer, read back by readers that are not ours."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydantic import ValidationError

from service.bundle import BundleError, Fit
from service.imaging import COLOUR_MAP, ImageInfo, place
from service.tasks import check_manifest
from service.tasks.depth import PERCENTILES, DepthMap
from tests.bundles import write_tiny_depth
from tests.serving import Running, picture, running

RELATIVE = {"unit": "relative"}


@pytest.fixture(scope="module")
def ranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`ranger` says metres and stretches; the others say so in their names."""
    repository: Path = tmp_path_factory.mktemp("repository")
    write_tiny_depth(repository)
    write_tiny_depth(repository, name="relative", defaults=RELATIVE)
    write_tiny_depth(repository, name="letterbox", mode="letterbox")
    write_tiny_depth(repository, name="crop", mode="crop")
    write_tiny_depth(repository, name="lopsided", lopsided=True)
    with running(repository, default_models={"depth": "ranger"}) as started:
        yield started


def sent(pixels: npt.NDArray[np.uint8], form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def ramp(width: int, height: int) -> npt.NDArray[np.uint8]:
    """Black at the left to white at the right."""
    across = np.linspace(0, 255, width).round().astype(np.uint8)
    return np.broadcast_to(across[None, :, None], (height, width, 3)).copy()


def far(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """What the tiny model answers, pixel by pixel."""
    return 1 + pixels.mean(-1) / 255


def asked(server: Running, image: bytes, form: str, **options: object) -> bytes:
    answer = server.client.post("/depth", content=image, params={"format": form, **options})
    assert answer.status_code == 200, answer.text
    return answer.content


def npy(server: Running, image: bytes, **options: object) -> npt.NDArray[np.float32]:
    loaded = np.load(io.BytesIO(asked(server, image, "npy", **options)), allow_pickle=False)
    assert loaded.dtype == np.float32
    return loaded


def read_ply(data: bytes) -> tuple[list[str], npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Comments, points [N, 3] and colours [N, 3]."""
    header, _, body = data.partition(b"end_header\n")
    lines = header.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    (count,) = (int(line.split()[-1]) for line in lines if line.startswith("element vertex"))
    properties = [tuple(line.split()[1:]) for line in lines if line.startswith("property")]
    kinds = {"float": "<f4", "uchar": "u1"}
    vertices = np.frombuffer(body, [(name, kinds[kind]) for kind, name in properties])
    assert len(vertices) == count
    points = np.stack([vertices[axis] for axis in "xyz"], -1)
    colours = np.stack([vertices[c] for c in ("red", "green", "blue")], -1)
    return [line for line in lines if line.startswith("comment")], points, colours


# -- JSON


def test_json_has_figures_and_no_pixels(ranger: Running) -> None:
    answer = ranger.client.post("/depth", content=sent(ramp(64, 48))).json()
    assert answer["model"] == "ranger:1"
    (depth,) = answer["images"]
    assert set(depth) == {
        *("width", "height", "unit", "min", "max", "mean", "percentiles", "camera")
    }
    assert (depth["width"], depth["height"], depth["unit"]) == (64, 48, "metre")
    assert depth["min"] == pytest.approx(1, abs=0.02)
    assert depth["max"] == pytest.approx(2, abs=0.02)
    assert depth["mean"] == pytest.approx(1.5, abs=0.01)
    for percent, level in depth["percentiles"].items():
        assert level == pytest.approx(1 + int(percent) / 100, abs=0.03)


@pytest.mark.parametrize("side", [90, 256, 700])
def test_percentiles_of_a_grid_are_those_of_all_pixels(side: int) -> None:
    row, column = np.mgrid[:side, :side] / side
    ball = np.hypot(row - 0.4, column - 0.6) < 0.3
    depth = np.where(ball, 1.2 + row * column, 3 - 2 * row - 0.3 * column).astype(np.float32)
    placement = place(Fit(mode="stretch", height=side, width=side), side, side)
    seen = DepthMap(depth, placement, ImageInfo(side, side, "png"), "metre", None)
    shares = [100 * (depth < level).mean() for level in seen.percentiles()]
    assert shares == pytest.approx(PERCENTILES, abs=0.5)


def test_the_models_camera_is_told_in_pixels_of_the_image(ranger: Running) -> None:
    (depth,) = ranger.client.post("/depth", content=sent(ramp(64, 48))).json()["images"]
    assert depth["camera"] == {
        "focal_px": 80.0,  # 40 in an input half as wide
        "centre_x_px": 32.0,
        "centre_y_px": 24.0,
        "source": "model",
    }


def test_the_callers_camera_counts_more_than_the_models(ranger: Running) -> None:
    (depth,) = ranger.client.post("/depth?focal_px=55.5", content=picture()).json()["images"]
    assert (depth["camera"]["focal_px"], depth["camera"]["source"]) == (55.5, "request")


def test_relative_depth_is_said_to_be_relative(ranger: Running) -> None:
    image = sent(ramp(64, 48))
    (depth,) = ranger.client.post("/depth?model=relative", content=image).json()["images"]
    assert (depth["unit"], depth["camera"]) == ("relative", None)
    for form in ("png", "png16", "npy"):
        for model, unit in (("ranger", "metre"), ("relative", "relative")):
            answer = ranger.client.post(f"/depth?model={model}&format={form}", content=image)
            assert answer.headers["x-depth-unit"] == unit


def test_several_images_are_answered_together(ranger: Running) -> None:
    files = [("image", picture("black")), ("image", b"no picture"), ("image", picture("white"))]
    black, broken, white = ranger.client.post("/depth", files=files).json()["images"]
    assert (black["mean"], white["mean"]) == (1, 2)
    assert broken["error"]["status"] == 400


# -- numbers for every pixel


@pytest.mark.parametrize("size", [(64, 48), (500, 90), (90, 500), (20, 20), (1, 1), (7, 300)])
@pytest.mark.parametrize("model", ["ranger", "letterbox"])
def test_npy_has_the_depth_of_every_pixel(
    model: str, size: tuple[int, int], ranger: Running
) -> None:
    image = ramp(*size)
    depth = npy(ranger, sent(image), model=model)
    assert depth.shape == size[::-1]
    if min(size) > 7:  # else a letterbox leaves a line or two of 32
        np.testing.assert_allclose(depth, far(image), atol=0.1)


def test_what_a_crop_did_not_see_has_no_depth(ranger: Running) -> None:
    image = ramp(300, 100)
    depth = npy(ranger, sent(image), model="crop")
    assert depth.shape == (100, 300)
    assert np.isnan(depth[:, :100]).all() and np.isnan(depth[:, 200:]).all()
    np.testing.assert_allclose(depth[:, 100:200], far(image)[:, 100:200], atol=0.02)
    steps = np.asarray(Image.open(io.BytesIO(asked(ranger, sent(image), "png16", model="crop"))))
    assert not steps[:, :100].any() and steps[:, 100:200].all()


def test_an_image_is_answered_as_exif_turns_it(ranger: Running) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    image = sent(ramp(60, 40), "JPEG", exif=exif, quality=95)
    depth = npy(ranger, image)
    assert depth.shape == (60, 40)
    np.testing.assert_allclose(depth, far(np.rot90(ramp(60, 40), -1)), atol=0.04)


def test_png16_has_millimetres(ranger: Running) -> None:
    image = ramp(64, 48)
    answer = ranger.client.post(
        "/depth", content=sent(image), headers={"Accept": "image/vnd.panoptes.depth16+png"}
    )
    assert answer.headers["content-type"] == "image/vnd.panoptes.depth16+png"
    assert answer.headers["x-depth-scale"] == "0.001"
    opened = Image.open(io.BytesIO(answer.content))
    assert opened.mode.startswith("I;16")
    assert opened.text == {"Depth-Unit": "metre", "Depth-Scale": "0.001"}
    exact = npy(ranger, sent(image))
    np.testing.assert_allclose(np.asarray(opened) / 1000, exact, atol=0.00051)


def test_png16_of_relative_depth_uses_all_sixteen_bits(ranger: Running) -> None:
    image = sent(ramp(64, 48))
    answer = ranger.client.post("/depth?model=relative&format=png16", content=image)
    scale = float(answer.headers["x-depth-scale"])
    steps = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert steps.max() > 65_000
    np.testing.assert_allclose(steps * scale, npy(ranger, image, model="relative"), atol=scale)


# -- two looks


def test_two_looks_are_symmetric_even_if_one_is_not(ranger: Running) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    options = {"model": "lopsided", "flip": True}
    depth = npy(ranger, sent(noise), **options)
    mirrored = npy(ranger, sent(noise[:, ::-1]), **options)
    np.testing.assert_allclose(depth, mirrored[:, ::-1], rtol=1e-5)
    alone = npy(ranger, sent(noise), model="lopsided")
    assert not np.allclose(depth, alone, rtol=0.1)


def test_two_looks_are_combined_as_monodepth_does(ranger: Running) -> None:
    """Godard et al. 2017, section 3.4, as their `post_process_disparity` has it."""
    noise = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    left = 1 / npy(ranger, sent(noise), model="lopsided")
    right = 1 / npy(ranger, sent(noise[:, ::-1]), model="lopsided")[:, ::-1]
    place = (np.arange(32) + 0.5) / 32
    left_mask = 1 - np.clip(20 * (place - 0.05), 0, 1)
    right_mask = left_mask[::-1]
    expected = right_mask * left + left_mask * right
    expected += (1 - left_mask - right_mask) * (left + right) / 2
    combined = 1 / npy(ranger, sent(noise), model="lopsided", flip=True)
    np.testing.assert_allclose(combined, expected, rtol=1e-5)


def test_two_looks_run_as_two_samples(ranger: Running) -> None:
    name, lane = "panoptes_batch_seconds_count", "ranger:1/depth"
    before = ranger.metric(name, lane=lane)
    assert npy(ranger, picture("black"), flip=True).mean() == pytest.approx(1)
    assert ranger.metric(name, lane=lane) - before == 2


# -- for people


def test_the_picture_has_the_colours_of_the_depth_and_a_legend(ranger: Running) -> None:
    image = ramp(640, 400)
    drawn = np.asarray(Image.open(io.BytesIO(asked(ranger, sent(image), "png"))))
    assert drawn.shape[1] == 640 and 400 < drawn.shape[0] < 500
    np.testing.assert_array_equal(drawn[200, 0], COLOUR_MAP[255])  # near is light
    np.testing.assert_array_equal(drawn[200, -1], COLOUR_MAP[0])
    near, far = 1.02, 1.98  # of which 2 % are nearer and farther
    share = (1 / 1.5 - 1 / far) / (1 / near - 1 / far)
    np.testing.assert_allclose(drawn[200, 320], COLOUR_MAP[round(share * 255)], atol=10)
    legend = drawn[400:]
    assert (legend == COLOUR_MAP[255]).all(-1).any() and (legend == COLOUR_MAP[0]).all(-1).any()


def test_a_plain_image_is_drawn_too(ranger: Running) -> None:
    drawn = Image.open(io.BytesIO(asked(ranger, picture(size=(1, 1)), "png")))
    assert drawn.mode == "RGB"


# -- points


def test_points_lie_where_the_camera_saw_them(ranger: Running) -> None:
    image = ramp(64, 48)
    comments, points, colours = read_ply(asked(ranger, sent(image), "ply"))
    assert "comment unit: metre" in comments
    assert len(points) == 64 * 48
    depth = npy(ranger, sent(image))
    np.testing.assert_array_equal(points[:, 2].reshape(48, 64), depth)
    np.testing.assert_array_equal(colours.reshape(48, 64, 3), image)
    # Projected again by the model's camera, each point falls on the middle of its pixel.
    x, y, z = points.T.reshape(3, 48, 64)
    across, down = np.meshgrid(np.arange(64) + 0.5, np.arange(48) + 0.5)
    np.testing.assert_allclose(80 * x / z + 32, across, atol=1e-3)
    np.testing.assert_allclose(80 * y / z + 24, down, atol=1e-3)


def test_there_are_no_more_points_than_asked_for(ranger: Running) -> None:
    image = ramp(64, 48)
    _, points, _ = read_ply(asked(ranger, sent(image), "ply", max_points=800))
    assert 600 < len(points) <= 800
    x, _, z = points.T
    assert (80 * x / z + 32).min() == pytest.approx(1, abs=0.05)  # the middle of a pixel of two
    assert (80 * x / z + 32).max() == pytest.approx(63, abs=0.05)


def test_points_need_a_camera(ranger: Running) -> None:
    image = picture()
    refused = ranger.client.post("/depth?model=relative&format=ply", content=image)
    assert refused.status_code == 422
    assert "focal length" in refused.json()["detail"]
    comments, points, _ = read_ply(asked(ranger, image, "ply", model="relative", focal_px=60))
    assert "comment unit: relative" in comments
    assert len(points) == 64 * 48


def test_what_was_not_seen_has_no_points(ranger: Running) -> None:
    _, points, _ = read_ply(asked(ranger, sent(ramp(300, 100)), "ply", model="crop"))
    assert len(points) == 100 * 100


# -- refusals


@pytest.mark.parametrize(
    "options",
    [{"focal_px": 0}, {"focal_px": "inf"}, {"max_points": 0}, {"flip": "perhaps"}, {"top_k": 1}],
)
def test_options_out_of_range_are_refused(options: dict[str, object], ranger: Running) -> None:
    assert ranger.client.post("/depth", content=picture(), params=options).status_code == 422


@pytest.mark.parametrize(
    ("defaults", "reason"),
    [({}, "unit"), ({"unit": "inch"}, "unit"), ({"unit": "metre", "focal_px": -1}, "focal")],
)
def test_a_bundle_must_say_what_its_numbers_are(
    defaults: dict[str, str | float], reason: str, tmp_path: Path
) -> None:
    with pytest.raises((BundleError, ValidationError), match=reason):
        check_manifest(write_tiny_depth(tmp_path, defaults=defaults).manifest)

"""POST /segment: every form of the answer, read back by readers that are not ours."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from service.imaging import class_colour, shade
from service.tasks.segment import SegmentOptions, SegmentTask
from tests.panoptic_api import PanopticFile, panoptic_counts
from tests.segment_bundle import COLOURS, write_tiny_segmenter
from tests.service.tasks.segmented import (
    FLOOR,
    GREEN,
    HOLE,
    LEFT_RED,
    PANOPTIC_TYPE,
    RIGHT_RED,
    SIZE,
    TABLE,
    ask,
    id_map,
    png,
    rgb2id,
    scene,
    told,
    within,
)
from tests.serving import Running, running

# pycocotools hands NumPy its buffers in a way that NumPy 2 remarks on.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository: Path = tmp_path_factory.mktemp("repository")
    write_tiny_segmenter(repository)
    with running(repository) as started:
        yield started


@pytest.mark.parametrize("mode", ["panoptic", "instance", "semantic"])
def test_the_panoptic_png_is_read_as_coco_reads_its_own(server: Running, mode: str) -> None:
    response = server.client.post(
        "/segment", content=png(TABLE), params={"mode": mode}, headers={"Accept": PANOPTIC_TYPE}
    )
    assert response.headers["content-type"] == PANOPTIC_TYPE
    opened = Image.open(io.BytesIO(response.content))
    ids = rgb2id(np.asarray(opened))
    answer = told(server, TABLE, mode=mode)
    np.testing.assert_array_equal(ids, id_map(answer))
    info = json.loads(opened.text["segments_info"])
    values, areas = np.unique(ids[ids > 0], return_counts=True)
    assert {entry["id"]: entry["area"] for entry in info} == dict(zip(values, areas, strict=True))
    for entry, segment in zip(info, answer["segments"], strict=True):
        assert entry["category_id"] == segment["index"] + 1
        assert (entry["label"], entry["iscrowd"]) == (segment["label"], 0)
        assert entry["isthing"] == int(segment["is_thing"])
        left, top, width, height = entry["bbox"]
        assert [left, top, left + width, top + height] == segment["box"]


def test_coco_s_own_scorer_reads_the_panoptic_png(server: Running, tmp_path: Path) -> None:
    """Against what was drawn, with one of the two red things taken for a green one."""
    red, green, blue = (1 + list(COLOURS).index(name) for name in ("red", "green", "blue"))
    drawn = [(FLOOR, blue), (LEFT_RED, red), (RIGHT_RED, green), (HOLE, 0), (GREEN, green)]
    ids = np.zeros(SIZE[::-1], np.int64)
    segments = []
    for number, ((left, top, right, bottom), category) in enumerate(drawn, 1000):
        ids[top:bottom, left:right] = number if category else 0
        if category:
            segments.append({"id": number, "category_id": category, "iscrowd": 0})
    answer = ask(server, TABLE, format="panoptic")
    info = json.loads(Image.open(io.BytesIO(answer.content)).text["segments_info"])
    found = PanopticFile(answer.content, info)
    truth = PanopticFile.of(ids, segments)
    counts = panoptic_counts([truth], [found], range(1, 1 + len(COLOURS)), tmp_path)
    assert {category: (tp, fp, fn) for category, (_, tp, fp, fn) in counts.items()} == {
        **dict.fromkeys(counts, (0, 0, 0)),
        red: (1, 1, 0),
        green: (1, 0, 1),
        blue: (1, 0, 0),
    }
    assert all(counts[category][0] > 0.85 for category in (red, green, blue))


def test_polygons_are_the_masks_again(server: Running) -> None:
    """Filled by Pillow and by OpenCV, which both count a line's own pixels as inside."""
    answer = told(server, TABLE)
    ids = id_map(answer)
    collection = ask(server, TABLE, format="polygons", tolerance_px=0).json()
    assert collection["type"] == "FeatureCollection"
    by_id = {segment["id"]: segment for segment in answer["segments"]}
    assert [feature["id"] for feature in collection["features"]] == [*by_id]
    for feature in collection["features"]:
        said = {"image": 0, **by_id[feature["id"]]}
        del said["id"], said["mask"]
        assert (feature["type"], feature["properties"]) == ("Feature", said)
        assert feature["geometry"]["type"] == "MultiPolygon"
        polygons = feature["geometry"]["coordinates"]
        by_pillow = Image.new("1", SIZE)
        pen = ImageDraw.Draw(by_pillow)
        by_opencv = np.zeros(ids.shape, np.uint8)
        for outline, *holes in polygons:
            pen.polygon([tuple(point) for point in outline], fill=1)
            for hole in holes:
                pen.polygon([tuple(point) for point in hole], fill=0)
            cv2.fillPoly(by_opencv, [np.array(ring) for ring in (outline, *holes)], 1)
        mask = ids == feature["id"]
        edge = within(mask, 1)
        for filled in (np.asarray(by_pillow), by_opencv > 0):
            assert not ((filled != mask) & ~edge).any()
    holes = [len(f["geometry"]["coordinates"][0]) - 1 for f in collection["features"]]
    assert sorted(holes) == [0, 0, 0, 1]


def test_polygons_have_fewer_points_the_farther_they_may_be(server: Running) -> None:
    disc = Image.new("RGB", SIZE, "#727272")
    ImageDraw.Draw(disc).ellipse((20, 20, 180, 220), fill="#ff0000")
    counts = []
    for options in ({"tolerance_px": 0}, {"tolerance_px": 1}, {}, {"tolerance_px": 20}):
        (feature,) = ask(server, disc, format="polygons", **options).json()["features"]
        ((outline,),) = feature["geometry"]["coordinates"]
        assert outline[0] == outline[-1]
        counts.append(len(outline))
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 2 * counts[2] > 2 * counts[3]


def test_polygons_and_results_of_several_images_are_one_list(server: Running) -> None:
    files = [("image", png(scene(("#ff0000", LEFT_RED)))), ("image", png(scene()))] * 2
    polygons = server.client.post("/segment?format=polygons", files=files).json()
    assert [f["properties"]["image"] for f in polygons["features"]] == [0, 2]
    results = server.client.post("/segment?format=coco", files=files).json()
    assert [result["image_id"] for result in results] == [0, 2]


def test_coco_results_are_read_by_coco_evaluation(
    server: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    response = server.client.post("/segment?format=coco&mode=instance", content=png(TABLE))
    assert response.headers["content-type"] == "application/vnd.coco.results+json"
    results = response.json()
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": 0, "width": SIZE[0], "height": SIZE[1]}],
        "categories": [{"id": at + 1, "name": name} for at, name in enumerate(COLOURS)],
        "annotations": [
            {
                "id": at + 1,
                "image_id": 0,
                "category_id": result["category_id"],
                "segmentation": result["segmentation"],
                "area": float(coco.area(result["segmentation"])),
                "bbox": coco.toBbox(result["segmentation"]).tolist(),
                "iscrowd": 0,
            }
            for at, result in enumerate(results)
        ],
    }
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(results), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    capsys.readouterr()
    assert evaluation.stats[0] == pytest.approx(1.0)
    areas = {truth.anns[at]["area"] for at in truth.anns}
    assert areas == {s["area"] for s in told(server, TABLE, mode="instance")["segments"]}


def test_png_shows_each_label_in_its_colour_and_tells_things_apart(server: Running) -> None:
    image = TABLE.resize((1152, 768), Image.Resampling.NEAREST)
    drawn = np.asarray(Image.open(io.BytesIO(ask(server, image, format="png").content)))
    assert drawn.shape == (768, 1152, 3)
    plain = np.asarray(image).astype(int)

    def tint(x: int, y: int) -> np.ndarray:
        """The colour that half covers the image there."""
        return 2 * drawn[y, x].astype(int) - plain[y, x]

    red, blue = class_colour(0), class_colour(3)
    seen = [tint(120, 170), tint(690, 170)]
    shades = [np.array(shade(red, turn)) for turn in (0, 1)]
    assert {tuple(np.argmin([abs(s - one).max() for s in shades]) for one in seen)} <= {
        (0, 1),
        (1, 0),
    }
    assert all(min(abs(s - one).max() for s in shades) < 8 for one in seen)
    assert abs(tint(1000, 740) - blue).max() < 8
    np.testing.assert_array_equal(drawn[20, 20], plain[20, 20])


@pytest.mark.parametrize("size", [(48, 36), (3000, 2000)])
def test_png_is_readable_at_any_size(server: Running, size: tuple[int, int]) -> None:
    image = TABLE.resize(size, Image.Resampling.NEAREST)
    drawn = Image.open(io.BytesIO(ask(server, image, format="png").content))
    assert max(drawn.size) == max(480, *size)


def test_an_image_that_cannot_be_read_fails_the_lists_of_all(server: Running) -> None:
    files = [("image", png(TABLE)), ("image", b"no image")]
    for form in ("coco", "polygons"):
        response = server.client.post(f"/segment?format={form}", files=files)
        assert response.status_code == 400


def test_a_large_image_costs_no_more_bytes_than_its_outlines_are_long(server: Running) -> None:
    large = TABLE.resize((4000, 2667), Image.Resampling.NEAREST)
    for form in ("json", "panoptic", "polygons"):
        assert len(ask(server, large, format=form).content) < 100_000


def test_the_documentation_has_the_forms_and_the_options(server: Running) -> None:
    operation = server.client.get("/openapi.json").json()["paths"]["/segment"]["post"]
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert {*SegmentOptions.model_fields} == names
    forms = set(operation["responses"]["200"]["content"])
    assert forms == {form.media_type for form in SegmentTask.forms}

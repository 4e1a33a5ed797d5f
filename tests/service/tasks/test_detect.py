from __future__ import annotations

import base64
import io
import itertools
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydantic import TypeAdapter

from service.bundle import BundleError, Manifest, read_bundle
from service.engine.cost import CostCurve
from service.engine.job import Job
from service.imaging import class_colour
from service.tasks import check_manifest
from service.tasks.detect import Detect, Detection, Detections, DetectOptions
from service.tasks.form import JSON
from service.tasks.task import ImageCall
from tests.bundles import write_tiny_classifier, write_tiny_detector
from tests.serving import Running, running

Rect = tuple[int, int, int, int]
RED: Rect = (20, 40, 100, 120)
BLUE: Rect = (140, 10, 180, 130)
COCO_TYPE = "application/vnd.coco.results+json"
ROTATED = 6
"""The EXIF orientation of a camera held upright: the stored image must be turned clockwise."""


def scene(
    *rectangles: tuple[str, Rect],
    size: tuple[int, int] = (200, 150),
    disc: tuple[str, Rect] | None = None,
) -> Image.Image:
    image = Image.new("RGB", size, "#727272")
    pen = ImageDraw.Draw(image)
    for colour, (left, top, right, bottom) in rectangles:
        pen.rectangle((left, top, right - 1, bottom - 1), fill=colour)
    if disc is not None:
        pen.ellipse(disc[1], fill=disc[0])
    return image


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


TWO = scene(("red", RED), ("blue", BLUE))
"""A red and a blue rectangle: on the finder's 64 x 64 input a pixel is 3.125 of these."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`finder` answers by default; `direct` suppresses nothing; `tiny` is no detector."""
    repository = tmp_path_factory.mktemp("repository")
    write_tiny_detector(repository)
    write_tiny_detector(repository, name="direct", suppresses=False)
    write_tiny_classifier(repository)
    with running(repository, default_models={"detect": "finder"}) as started:
        yield started


def ask(server: Running, image: Image.Image | bytes, **params: Any) -> httpx.Response:
    content = image if isinstance(image, bytes) else png(image)
    return server.client.post("/detect", content=content, params=params)


def found(response: httpx.Response) -> dict[str, list[float]]:
    """Label -> box, of the one image."""
    assert response.status_code == 200, response.text
    (image,) = response.json()["images"]
    return {d["label"]: d["box"] for d in image["detections"]}


# -- boxes


@pytest.mark.parametrize(
    ("size", "rect"),
    [
        ((200, 150), (20, 40, 100, 120)),
        ((1600, 200), (400, 40, 1200, 160)),  # wide: margins above and below
        ((90, 700), (10, 100, 70, 650)),  # tall: margins at the sides
        ((64, 64), (3, 5, 40, 61)),
        ((33, 21), (4, 2, 30, 17)),  # enlarged
        ((4000, 3000), (100, 200, 3000, 2900)),
    ],
)
def test_boxes_are_in_pixels_of_the_image_as_sent(
    server: Running, size: tuple[int, int], rect: Rect
) -> None:
    response = ask(server, scene(("red", rect), size=size))
    input_pixel = max(size) / 64
    assert found(response)["red"] == pytest.approx(rect, abs=1.01 * input_pixel)
    (image,) = response.json()["images"]
    assert (image["width"], image["height"]) == size


def test_a_box_is_mapped_back_as_plain_arithmetic_says(server: Running) -> None:
    """A 200 x 150 image lies on a 64 x 64 input as 64 x 48, eight rows below the top."""
    rect = (50, 25, 150, 100)  # 16 8 48 32 of the input, plus the margin of 8 rows
    box = found(ask(server, scene(("red", rect))))["red"]
    assert box == [50.0, 25.0, 150.0, 100.0]


def test_the_orientation_in_exif_is_applied_before_anything_is_measured(server: Running) -> None:
    upright = scene(("red", (10, 20, 90, 180)), ("blue", (100, 20, 140, 60)), size=(150, 200))
    stored = upright.transpose(Image.Transpose.ROTATE_90)  # to be turned clockwise again
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    file = io.BytesIO()
    stored.save(file, "JPEG", quality=95, exif=exif)
    response = ask(server, file.getvalue())
    (image,) = response.json()["images"]
    assert (image["width"], image["height"]) == (150, 200)
    boxes = found(response)
    assert boxes["red"] == pytest.approx((10, 20, 90, 180), abs=3.2)
    assert boxes["blue"] == pytest.approx((100, 20, 140, 60), abs=3.2)


def test_boxes_end_at_the_border_of_the_image(server: Running) -> None:
    size = (300, 100)
    box = found(ask(server, scene(("red", (-50, -50, 400, 400)), size=size)))["red"]
    assert box == [0.0, 0.0, 300.0, 100.0]


def test_a_box_may_be_asked_for_by_its_corner_and_sides(server: Running) -> None:
    image = scene(("red", (50, 25, 150, 100)))
    assert found(ask(server, image, boxes="xywh"))["red"] == [50.0, 25.0, 100.0, 75.0]


def test_nothing_found_is_an_answer(server: Running) -> None:
    assert found(ask(server, scene())) == {}


# -- ways to ask


@pytest.mark.parametrize("way", ["raw", "form", "json"])
def test_images_and_options_come_as_to_any_task(server: Running, way: str) -> None:
    image = png(TWO)
    if way == "raw":
        response = server.client.post("/detect?labels=blue", content=image)
    elif way == "form":
        response = server.client.post("/detect", files={"image": image}, data={"labels": "blue"})
    else:
        text = base64.b64encode(image).decode()
        response = server.client.post("/detect", json={"image": text, "labels": ["blue"]})
    assert set(found(response)) == {"blue"}


def test_the_answer_is_what_the_documentation_says(server: Running) -> None:
    response = ask(server, TWO, iou_threshold=0.9, score_threshold=0.1)
    (image,) = response.json()["images"]
    answer = TypeAdapter(Detections).validate_python(image)
    scores = [d.score for d in answer.detections]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    assert all(("red", "green", "blue")[d.index] == d.label for d in answer.detections)


def test_several_images_are_answered_in_the_order_sent_and_fail_alone(server: Running) -> None:
    files = [
        ("image", png(scene(("red", RED)))),
        ("image", b"no image"),
        ("image", png(scene(("blue", BLUE)))),
    ]
    images = server.client.post("/detect", files=files).json()["images"]
    assert [d["label"] for d in images[0]["detections"]] == ["red"]
    assert images[1]["error"]["status"] == 400
    assert [d["label"] for d in images[2]["detections"]] == ["blue"]


# -- options


def test_the_score_threshold_is_the_requests_else_the_bundles(server: Running) -> None:
    disc = scene(("blue", BLUE), disc=("red", RED))  # a disc fills 0.79 of its box
    assert set(found(ask(server, disc))) == {"red", "blue"}
    assert set(found(ask(server, disc, score_threshold=0.9))) == {"blue"}
    half = {"score_threshold": 0.45, "iou_threshold": 0.6}  # the blue half scores about 0.5
    (image,) = ask(server, disc, **half).json()["images"]
    assert [d["label"] for d in image["detections"]] == ["blue", "red", "blue"]


def test_a_lower_iou_threshold_suppresses_more(server: Running) -> None:
    def count(iou: float) -> int:
        answer = ask(server, TWO, iou_threshold=iou, score_threshold=0.1)
        return len(answer.json()["images"][0]["detections"])

    assert (count(0.4), count(0.6)) == (2, 4)


def test_requests_with_different_thresholds_share_a_batch(tmp_path: Path) -> None:
    """Each sample has its own thresholds in the graph; none is run with another's."""
    write_tiny_detector(tmp_path)
    image = png(scene(("blue", BLUE), disc=("red", RED)))
    expected = {0.1: 4, 0.45: 3, 0.6: 2, 0.9: 1}
    with running(tmp_path, workers=1) as server:
        model = server.serving.registry.find("detect", None)
        lane = model.lanes["detect"]
        lane.cost = CostCurve()  # knows nothing, so that all that waits is one batch
        settled = queue.SimpleQueue[Job]()
        jobs = []
        for threshold in expected:
            options = DetectOptions(score_threshold=threshold, iou_threshold=0.6)
            call = ImageCall(Detect(), model, image, options, JSON, server.serving.limits)
            jobs.append(Job(prepare=call.prepare, finish=call.finish, on_done=settled.put))
        model.device.scheduler.submit(lane, jobs)
        for _ in jobs:
            settled.get(timeout=20)
    assert [job.timing.largest_batch for job in jobs] == [4] * 4
    assert [len(job.outcome().detections) for job in jobs] == list(expected.values())


def test_labels_are_filtered_by_commas_or_by_repetition(server: Running) -> None:
    image = scene(("red", RED), ("blue", BLUE), ("lime", (60, 5, 90, 30)))
    assert set(found(ask(server, image, labels="red, blue"))) == {"red", "blue"}
    assert set(found(ask(server, image, labels=["red", "green"]))) == {"red", "green"}
    assert set(found(ask(server, image, labels="green"))) == {"green"}
    fields = {"labels": ["red", "green"]}
    form = server.client.post("/detect", files={"image": png(image)}, data=fields)
    assert set(found(form)) == {"red", "green"}


def test_the_most_detections_are_counted_after_the_filter(server: Running) -> None:
    image = scene(("blue", BLUE), disc=("red", RED))
    assert set(found(ask(server, image, max_detections=1))) == {"blue"}
    assert set(found(ask(server, image, max_detections=1, labels="red"))) == {"red"}


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"labels": "red,zebra"}, "'zebra'; it knows red, green, blue"),
        ({"labels": ""}, "nothing; it knows red"),
        ({"score_threshold": 1.5}, "score_threshold"),
        ({"iou_threshold": -0.1}, "iou_threshold"),
        ({"score_threshold": "nan"}, "score_threshold"),
        ({"max_detections": 0}, "max_detections"),
        ({"boxes": "cxcywh"}, "boxes"),
        ({"score_threshold": [0.1, 0.2]}, "score_threshold"),
        ({"model": "direct", "iou_threshold": 0.5}, "suppresses nothing"),
        ({"format": "gif"}, "'json', 'png' or 'coco'"),
        ({"top_k": 3}, "there is no option 'top_k'"),
    ],
)
def test_what_cannot_be_done_is_refused_and_named(
    server: Running, params: dict[str, Any], says: str
) -> None:
    response = ask(server, TWO, **params)
    assert response.status_code == 422
    assert says in response.json()["detail"]


def test_a_wrong_option_is_the_requests_fault_and_no_images(server: Running) -> None:
    files = [("image", png(TWO)), ("image", png(TWO))]
    response = server.client.post("/detect?labels=zebra", files=files)
    assert response.status_code == 422


def test_a_detector_without_suppression_needs_no_threshold_for_it(server: Running) -> None:
    assert set(found(ask(server, TWO, model="direct"))) == {"red", "blue"}


# -- other forms


def test_png_has_a_box_in_the_colour_of_each_class(server: Running) -> None:
    image = scene(("red", (100, 200, 300, 500)), ("blue", (400, 100, 700, 400)), size=(800, 600))
    response = server.client.post(
        "/detect", content=png(image), headers={"Accept": "image/png"}, params={"boxes": "xywh"}
    )
    assert response.headers["content-type"] == "image/png"
    drawn = np.asarray(Image.open(io.BytesIO(response.content)).convert("RGB"))
    assert drawn.shape == (600, 800, 3)
    changed = (drawn != np.asarray(image)).any(axis=-1)
    for index, (left, top, right, bottom) in ((0, (100, 200, 300, 500)), (2, (400, 100, 700, 400))):
        is_line = (drawn == class_colour(index)).all(axis=-1)
        rows, columns = np.nonzero(is_line)
        assert columns.min() == pytest.approx(left, abs=16)
        assert columns.max() == pytest.approx(right, abs=16)
        assert rows.max() == pytest.approx(bottom, abs=16)
        assert rows.min() <= top + 16  # its name tag may stand above
    assert not changed[550:, 700:].any(), "what is far from every box is left as it was"


@pytest.mark.parametrize("size", [(48, 36), (4000, 3000)])
def test_png_is_readable_at_any_size(server: Running, size: tuple[int, int]) -> None:
    width, height = size
    rect = (width // 4, height // 4, width // 2, height // 2)
    response = ask(server, scene(("red", rect), size=size), format="png")
    drawn = Image.open(io.BytesIO(response.content))
    assert max(drawn.size) == max(480, *size)
    line = (np.asarray(drawn.convert("RGB")) == class_colour(0)).all(axis=-1)
    thickness = max(
        len(list(run)) for is_on, run in itertools.groupby(line[:, drawn.width * 3 // 8]) if is_on
    )
    assert thickness >= max(3, drawn.width / 400)


def test_a_colour_in_the_bundle_is_the_one_that_is_drawn(tmp_path: Path) -> None:
    bundle = write_tiny_detector(tmp_path)
    labels = [label.model_copy(update={"colour": "#010203"}) for label in bundle.manifest.labels]
    coloured = bundle.manifest.model_copy(update={"labels": tuple(labels)})
    answer = Detections(100, 80, [Detection("red", 0, 0.9, (20.0, 20.0, 60.0, 60.0))])
    blank = np.full((480, 600, 3), 255, np.uint8)
    drawn = Detect().draw(coloured, blank, answer, DetectOptions())
    assert (drawn == (1, 2, 3)).all(axis=-1).any()


@pytest.mark.parametrize("how", ["accept", "format"])
def test_coco_results_of_all_images_are_one_list(server: Running, how: str) -> None:
    images = [scene(("red", (50, 25, 150, 100))), scene(), scene(("blue", (50, 25, 150, 100)))]
    files = [("image", png(image)) for image in images]
    if how == "accept":
        response = server.client.post("/detect", files=files, headers={"Accept": COCO_TYPE})
    else:
        response = server.client.post("/detect?format=coco&boxes=xywh", files=files)
    assert response.headers["content-type"] == COCO_TYPE
    box = [50.0, 25.0, 100.0, 75.0]
    assert response.json() == [
        {"image_id": 0, "category_id": 1, "bbox": box, "score": 1.0},
        {"image_id": 2, "category_id": 3, "bbox": box, "score": 1.0},
    ]


def test_coco_results_are_read_by_a_coco_evaluator(server: Running) -> None:
    evaluator = pytest.importorskip("faster_coco_eval")
    rects = {0: (50, 25, 150, 100), 1: (25, 50, 100, 125)}
    files = [("image", png(scene(("red", rect)))) for rect in rects.values()]
    results = server.client.post("/detect?format=coco", files=files).json()
    truth = {
        "images": [{"id": at, "width": 200, "height": 150} for at in rects],
        "categories": [{"id": 1, "name": "red"}],
        "annotations": [
            {
                "id": at + 1,
                "image_id": at,
                "category_id": 1,
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": 0,
            }
            for at, (left, top, right, bottom) in rects.items()
        ],
    }
    annotated = evaluator.COCO(truth)
    evaluation = evaluator.COCOeval_faster(annotated, annotated.loadRes(results), "bbox")
    evaluation.run()
    assert evaluation.stats_as_dict["AP_all"] == pytest.approx(1.0)


def test_an_image_that_cannot_be_read_fails_the_whole_coco_list(server: Running) -> None:
    """The list has no place for an error, and an image without results means: nothing found."""
    files = [("image", png(TWO)), ("image", b"no image")]
    assert server.client.post("/detect?format=coco", files=files).status_code == 400


def test_the_documentation_has_the_forms_and_the_options(server: Running) -> None:
    operation = server.client.get("/openapi.json").json()["paths"]["/detect"]["post"]
    parameters = {p["name"]: p for p in operation["parameters"]}
    assert {"score_threshold", "iou_threshold", "max_detections", "labels", "boxes"} < set(
        parameters
    )
    assert ["json", "png", "coco"] in [
        s.get("enum") for s in parameters["format"]["schema"]["anyOf"]
    ]
    assert set(operation["responses"]["200"]["content"]) == {
        "application/json",
        "image/png",
        COCO_TYPE,
    }


# -- bundles


def changed(manifest: Manifest, **changes: Any) -> Manifest:
    graph = manifest.graphs["detect"].model_copy(update=changes)
    return manifest.model_copy(update={"graphs": {"detect": graph}})


@pytest.mark.parametrize("suppresses", [True, False])
def test_a_bundle_that_can_detect_passes(tmp_path: Path, suppresses: bool) -> None:
    check_manifest(write_tiny_detector(tmp_path, suppresses=suppresses).manifest)


@pytest.mark.parametrize(
    ("side", "missing"),
    [
        *(("inputs", name) for name in ("image", "score_threshold")),
        *(("outputs", name) for name in ("boxes", "scores", "labels", "count")),
    ],
)
def test_a_bundle_that_lacks_an_input_or_output_is_refused(
    tmp_path: Path, side: str, missing: str
) -> None:
    manifest = write_tiny_detector(tmp_path).manifest
    tensors = getattr(manifest.graphs["detect"], side)
    broken = changed(manifest, **{side: tuple(t for t in tensors if t.name != missing)})
    with pytest.raises(BundleError, match=missing if missing != "scores" else "must give"):
        check_manifest(broken)


def test_a_bundle_without_labels_or_without_the_graph_is_refused(tmp_path: Path) -> None:
    manifest = read_bundle(write_tiny_detector(tmp_path).folder).manifest
    with pytest.raises(BundleError, match="labels"):
        check_manifest(manifest.model_copy(update={"labels": ()}))
    graphs = {"classify": manifest.graphs["detect"]}
    with pytest.raises(BundleError, match="'detect'"):
        check_manifest(manifest.model_copy(update={"graphs": graphs}))

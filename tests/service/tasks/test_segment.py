"""POST /segment: masks, modes, thresholds, and the bundles that it takes."""

from __future__ import annotations

import base64
import io
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from pydantic import TypeAdapter

from service.bundle import BundleError, Fit, Manifest, TensorSpec
from service.engine.cost import CostCurve
from service.engine.job import Job
from service.imaging import ImageInfo
from service.imaging.placement import place
from service.tasks import check_manifest
from service.tasks.form import JSON
from service.tasks.segment import SegmentOptions, SegmentTask
from service.tasks.segment_answer import Mode, Segments
from service.tasks.task import ImageCall, Seen
from tests.segment_bundle import COLOURS, STUFF, write_tiny_segmenter
from tests.service.tasks.segmented import (
    CELL,
    FOUND,
    LEFT_RED,
    RIGHT_RED,
    ROTATED,
    SIZE,
    TABLE,
    ask,
    counted,
    id_map,
    loaded,
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
    """`cutter` answers by default and sees all of an image; `centre` only its middle."""
    repository: Path = tmp_path_factory.mktemp("repository")
    write_tiny_segmenter(repository)
    write_tiny_segmenter(repository, name="centre", mode="crop")
    with running(repository, default_models={"segment": "cutter"}) as started:
        yield started


# -- masks


def test_masks_are_where_the_colours_are(server: Running) -> None:
    answer = told(server, TABLE)
    assert (answer["width"], answer["height"], answer["mode"]) == (*SIZE, "panoptic")
    assert counted(answer) == FOUND
    ids, pixels = id_map(answer), np.asarray(TABLE).astype(int)
    for segment in answer["segments"]:
        near = np.abs(pixels - COLOURS[segment["label"]]).max(axis=-1) < 40
        mask, middle = ids == segment["id"], np.arange(SIZE[0]) < SIZE[0] // 2
        if segment["is_thing"]:
            near &= middle if segment["box"][0] < SIZE[0] // 2 else ~middle
        assert not ((mask != near) & ~within(near, CELL)).any()


def test_area_box_and_score_are_those_of_the_mask(server: Running) -> None:
    answer = told(server, TABLE)
    assert TypeAdapter(Segments).validate_python(answer)
    for segment in answer["segments"]:
        assert segment["area"] == coco.area(segment["mask"])
        left, top, width, height = coco.toBbox(segment["mask"])
        assert segment["box"] == [left, top, left + width, top + height]
        assert 0.6 < segment["score"] <= 1
        assert list(COLOURS)[segment["index"]] == segment["label"]
        assert segment["is_thing"] == (segment["label"] not in STUFF)


@pytest.mark.parametrize(
    "size", [(128, 128), (640, 480), (90, 700), (33, 21), (2000, 300), (7, 5), (1, 1)]
)
def test_every_form_has_the_size_of_the_image(server: Running, size: tuple[int, int]) -> None:
    image = scene(("#ff0000", (0, 0, *size)), size=size)
    answer = told(server, image)
    assert (answer["width"], answer["height"]) == size
    assert {tuple(segment["mask"]["size"]) for segment in answer["segments"]} == {size[::-1]}
    ids = id_map(answer)
    assert (ids > 0).all()
    np.testing.assert_array_equal(loaded(ask(server, image, format="npy")), ids)
    opened = Image.open(io.BytesIO(ask(server, image, format="panoptic").content))
    np.testing.assert_array_equal(rgb2id(np.asarray(opened)), ids)


def test_an_image_is_answered_as_exif_turns_it(server: Running) -> None:
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    stored = png(TABLE.transpose(Image.Transpose.ROTATE_90), exif=exif)
    np.testing.assert_array_equal(id_map(told(server, stored)), id_map(told(server, TABLE)))


def test_what_a_crop_did_not_see_belongs_to_nothing(server: Running) -> None:
    for mode in ("panoptic", "semantic"):
        image = scene(("#0000ff", (0, 0, *SIZE)))
        ids = loaded(ask(server, image, model="centre", format="npy", mode=mode))
        assert (ids[:, 64:320] > 0).all()
        assert not ids[:, :64].any() and not ids[:, 320:].any()


def test_nothing_found_is_an_answer(server: Running) -> None:
    empty = scene()
    assert told(server, empty)["segments"] == []
    assert not loaded(ask(server, empty, format="npy")).any()
    opened = Image.open(io.BytesIO(ask(server, empty, format="panoptic").content))
    assert opened.text == {"segments_info": "[]"}
    assert ask(server, empty, format="polygons").json()["features"] == []
    assert ask(server, empty, format="coco").json() == []


# -- modes


def test_instances_are_the_things_with_the_ids_that_they_have(server: Running) -> None:
    panoptic, instance = told(server, TABLE), told(server, TABLE, mode="instance")
    assert counted(instance) == {"red": 2, "green": 1}
    things = [segment for segment in panoptic["segments"] if segment["is_thing"]]
    assert instance == {**panoptic, "mode": "instance", "segments": things}


@pytest.mark.parametrize("mode", ["panoptic", "instance"])
def test_an_id_that_no_row_is_of_is_nothing(server: Running, mode: Mode) -> None:
    manifest = server.serving.registry.find("segment", None).bundle.manifest
    task, whole = SegmentTask(), place(Fit(mode="stretch", height=4, width=4), 40, 20)
    row = np.flatnonzero([label.is_thing for label in manifest.labels])[:1]
    ids = np.zeros((4, 4), np.uint8)
    ids[:2], ids[2] = 1, 7
    outputs = {"ids": ids, "labels": row, "scores": np.ones(1, np.float32), "count": np.array(1)}
    seen = Seen(ImageInfo(40, 20, "png"), whole)
    answer = task.read(manifest, outputs, SegmentOptions(mode=mode), seen)
    assert [(segment.id, segment.area) for segment in answer.segments] == [(1, 400)]
    assert set(answer.cell_map.pixels().ravel().tolist()) == {0, 1}


def test_semantics_have_one_segment_a_label_and_leave_nothing_out(server: Running) -> None:
    answer = told(server, TABLE, mode="semantic", score_threshold=1, min_area=1)
    assert {"red": 1, "green": 1, "blue": 1}.items() <= counted(answer).items()
    assert {*counted(answer).values()} == {1}
    for segment in answer["segments"]:
        assert segment["id"] == segment["index"] + 1
        assert segment["score"] is None
    ids = id_map(answer)
    assert (ids > 0).all()
    semantic = loaded(ask(server, TABLE, mode="semantic", format="npy"))
    np.testing.assert_array_equal(semantic, ids)
    assert semantic[90, 80] == semantic[60, 230] == list(COLOURS).index("red") + 1


# -- options


def test_the_score_threshold_is_the_requests_else_the_bundles(server: Running) -> None:
    pale = scene(("#ff3000", LEFT_RED), ("#ff0000", RIGHT_RED))  # 48 of 96 away: a score of 0.5
    assert [s["score"] for s in told(server, pale)["segments"]] == [1.0]
    assert len(told(server, pale, score_threshold=0.3)["segments"]) == 2
    assert told(server, pale, score_threshold=1)["segments"] == []


def test_what_others_have_taken_is_dropped_by_the_overlap_threshold(server: Running) -> None:
    left, top, right, bottom = LEFT_RED
    middle = (left + right) // 2
    image = scene(
        ("#ff4800", (left, top, middle, bottom)),  # red and orange, nearer to orange
        ("#ff0000", (middle, top, right, bottom)),
    )
    some = {"score_threshold": 0.1, "min_area": 0.0}
    assert counted(told(server, image, overlap_threshold=0.3, **some)) == {"red": 1, "orange": 1}
    assert counted(told(server, image, overlap_threshold=0.7, **some)) == {"orange": 1}


def test_what_is_small_is_dropped_by_the_least_area(server: Running) -> None:
    assert counted(told(server, TABLE, min_area=0.02)) == {"red": 2, "blue": 1}


def test_requests_with_different_thresholds_share_a_batch(tmp_path: Path) -> None:
    write_tiny_segmenter(tmp_path)
    expected = {0.0: 4, 0.02: 3, 0.1: 1, 0.9: 0}
    with running(tmp_path, workers=1) as server:
        model = server.serving.registry.find("segment", None)
        lane = model.lanes["segment"]
        lane.cost = CostCurve()  # knows nothing, so that all that waits is one batch
        settled = queue.SimpleQueue[Job]()
        jobs = []
        for least in expected:
            options = SegmentOptions(min_area=least)
            call = ImageCall(SegmentTask(), model, png(TABLE), options, JSON, server.serving.limits)
            jobs.append(Job(prepare=call.prepare, finish=call.finish, on_done=settled.put))
        model.device.scheduler.submit(lane, jobs)
        for _ in jobs:
            settled.get(timeout=20)
    assert [job.timing.largest_batch for job in jobs] == [4] * 4
    assert [len(job.outcome().segments) for job in jobs] == list(expected.values())


@pytest.mark.parametrize("way", ["raw", "form", "json"])
def test_images_and_options_come_as_to_any_task(server: Running, way: str) -> None:
    image = png(TABLE)
    if way == "raw":
        response = server.client.post("/segment?mode=instance", content=image)
    elif way == "form":
        data = {"mode": "instance"}
        response = server.client.post("/segment", files={"image": image}, data=data)
    else:
        text = base64.b64encode(image).decode()
        response = server.client.post("/segment", json={"image": text, "mode": "instance"})
    (answer,) = response.json()["images"]
    assert counted(answer) == {"red": 2, "green": 1}


def test_several_images_are_answered_in_the_order_sent_and_fail_alone(server: Running) -> None:
    files = [("image", png(TABLE)), ("image", b"no image"), ("image", png(scene()))]
    first, broken, last = server.client.post("/segment", files=files).json()["images"]
    assert counted(first) == FOUND
    assert broken["error"]["status"] == 400
    assert last["segments"] == []


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"mode": "everything"}, "mode"),
        ({"score_threshold": 1.5}, "score_threshold"),
        ({"overlap_threshold": -0.1}, "overlap_threshold"),
        ({"min_area": "nan"}, "min_area"),
        ({"tolerance_px": -1}, "tolerance_px"),
        ({"format": "rle"}, "'json', 'png', 'panoptic', 'npy', 'polygons' or 'coco'"),
        ({"top_k": 3}, "there is no option 'top_k'"),
    ],
)
def test_what_cannot_be_done_is_refused_and_named(
    server: Running, params: dict[str, Any], says: str
) -> None:
    response = server.client.post("/segment", content=png(TABLE), params=params)
    assert response.status_code == 422
    assert says in response.json()["detail"]


# -- bundles


def without(tensors: tuple[TensorSpec, ...], name: str) -> tuple[TensorSpec, ...]:
    return tuple(tensor for tensor in tensors if tensor.name != name)


def changed(manifest: Manifest, **changes: Any) -> Manifest:
    graph = manifest.graphs["segment"].model_copy(update=changes)
    return manifest.model_copy(update={"graphs": {"segment": graph}})


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_tiny_segmenter(tmp_path_factory.mktemp("bundle")).manifest


@pytest.mark.parametrize(
    ("side", "name"),
    [
        *(("inputs", name) for name in ("image", "score_threshold", "overlap_threshold")),
        *(("inputs", name) for name in ("min_area",)),
        *(("outputs", name) for name in ("ids", "semantic", "labels", "scores", "areas", "boxes")),
        ("outputs", "count"),
    ],
)
def test_a_bundle_that_lacks_an_input_or_output_is_refused(
    manifest: Manifest, side: str, name: str
) -> None:
    check_manifest(manifest)
    tensors = getattr(manifest.graphs["segment"], side)
    with pytest.raises(BundleError, match=r"must (take|give)"):
        check_manifest(changed(manifest, **{side: without(tensors, name)}))


def test_a_bundle_whose_map_cannot_hold_its_rows_is_refused(manifest: Manifest) -> None:
    outputs = manifest.graphs["segment"].outputs

    def widened(tensor: TensorSpec) -> TensorSpec:
        if tensor.name not in ("labels", "scores", "areas", "boxes"):
            return tensor
        return tensor.model_copy(update={"shape": ("batch", 255, *tensor.shape[2:])})

    with pytest.raises(BundleError, match="no room for 255 rows"):
        check_manifest(changed(manifest, outputs=tuple(map(widened, outputs))))
    with pytest.raises(BundleError, match="labels"):
        check_manifest(manifest.model_copy(update={"labels": ()}))
    wide = [
        tensor.model_copy(update={"dtype": "int32"}) if tensor.name == "ids" else tensor
        for tensor in outputs
    ]
    with pytest.raises(BundleError, match="uint8"):
        check_manifest(changed(manifest, outputs=tuple(wide)))


def test_a_bundle_with_another_graph_is_refused(manifest: Manifest) -> None:
    graphs = {"detect": manifest.graphs["segment"]}
    with pytest.raises(BundleError, match="'segment'"):
        check_manifest(manifest.model_copy(update={"graphs": graphs}))

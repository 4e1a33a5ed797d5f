from __future__ import annotations

import numpy as np
import pytest
import torch

from exporters.detection import DetectorOptions, export_detector
from exporters.detection_accuracy import measure_detections
from exporters.detection_data import UnseenImages
from exporters.detection_graph import OUTPUTS, DetectionGraph, Selection
from exporters.errors import ExportError, ParityError
from exporters.parity import run_torch
from exporters.session import CpuSession
from models.data.boxed import ArrayScenes
from models.detection import Candidates
from service.bundle import BundleError, Manifest, check_golden
from service.tasks import check_manifest
from tests.exporters.detectors import (
    FAMILY_SPECS,
    LABELS,
    SIZE,
    CellDetector,
    cell_spec,
    lively_detector,
    patches,
)

METADATA = {
    "metrics": {"AP": 0.25},
    "provenance": {"command": "/opt/bin/panoptes train r.yaml", "data": "patches", "seed": 3},
}


def unseen(count: int = 12) -> UnseenImages:
    """Scenes of one coloured cell each; the truth is the box that the detector gives it."""
    images = np.full((count, *SIZE, 3), 90, np.uint8)
    boxes = np.zeros((count, 1, 4), np.float32)
    labels = np.zeros((count, 1), np.int64)
    for at, image in enumerate(images):
        row, column = 8 * (at % 6), 8 * (at % 9)
        image[row : row + 8, column : column + 8] = 0
        image[row : row + 8, column : column + 8, at % 3] = 250 - 3 * at
        boxes[at, 0] = column, row, column + 16, row + 16
        labels[at, 0] = at % 3
    scenes = ArrayScenes(images, boxes, labels, LABELS, "cells")
    return UnseenImages(scenes, torch.arange(count), "cells")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    options = DetectorOptions("cells", scenes=patches(24), evaluation=unseen(), score_threshold=0.4)
    repository = tmp_path_factory.mktemp("bundles")
    return export_detector(CellDetector(), cell_spec(), METADATA, repository, options)


@pytest.fixture(scope="module")
def manifest(exported) -> Manifest:
    return exported.written.bundle.manifest


def test_the_server_takes_the_bundle(exported, manifest: Manifest) -> None:
    check_manifest(manifest)
    graph = manifest.graphs["detect"]
    assert [(t.name, t.dtype, t.shape) for t in graph.inputs] == [
        ("image", "uint8", ("batch", *SIZE, 3)),
        ("score_threshold", "float32", ("batch", 1)),
        ("iou_threshold", "float32", ("batch", 1)),
    ]
    assert [(t.name, t.dtype, t.shape) for t in graph.outputs] == [
        ("boxes", "float32", ("batch", 100, 4)),
        ("scores", "float32", ("batch", 100)),
        ("labels", "int32", ("batch", 100)),
        ("count", "int32", ("batch", 1)),
    ]
    assert manifest.defaults == {
        "score_threshold": 0.4,
        "iou_threshold": 0.5,
        "max_detections": 100,
    }
    assert manifest.fit is not None and manifest.fit.mode == "letterbox"
    assert [label.name for label in manifest.labels] == list(LABELS)


def test_every_output_is_proven_at_every_batch(manifest: Manifest, exported) -> None:
    parity = manifest.graphs["detect"].parity
    assert {(entry.output, entry.batch) for entry in parity} == {
        (name, batch) for name in OUTPUTS for batch in (1, 2, 3, 8)
    }
    assert all(e.max_abs == 0 for e in parity if e.output in ("labels", "count"))
    assert exported.golden_detections >= 12


@pytest.mark.parametrize(
    ("output", "change"),
    [("labels", 1), ("count", 1), ("scores", 0.02), ("boxes", 1.0)],
)
def test_the_golden_check_is_strict_in_each_unit(exported, output: str, change: float) -> None:
    """A wrong label, one box too many, a score or a box that is off: none hides behind another."""
    bundle = exported.written.bundle
    session = CpuSession(bundle.file("detect.onnx"))
    assert check_golden(bundle, lambda role, inputs: session.run(inputs))["detect"] < 1e-5

    def wrong(role: str, inputs):
        answers = session.run(inputs)
        answers[output] = answers[output].copy()
        answers[output][0, 0] += change
        return answers

    with pytest.raises(BundleError, match=f"allows of {output}"):
        check_golden(bundle, wrong)


def test_the_golden_check_allows_what_another_engine_may_differ_by(exported) -> None:
    bundle = exported.written.bundle
    session = CpuSession(bundle.file("detect.onnx"))

    def other(role: str, inputs):
        answers = session.run(inputs)
        return answers | {"scores": answers["scores"] + 1e-3, "boxes": answers["boxes"] + 0.1}

    assert (
        0
        < check_golden(bundle, other)["detect"]
        < bundle.manifest.graphs["detect"].golden_tolerance
    )


def test_the_figures_are_those_of_the_graph(exported, manifest: Manifest) -> None:
    assert exported.measured.figures["AP"] == pytest.approx(1.0)
    measured = {q.metric: q for q in manifest.quality if "ONNX Runtime" in q.data}
    assert measured["AP"].value == exported.measured.figures["AP"]
    assert measured["AP"].data.startswith("cells")
    trained = next(q for q in manifest.quality if "PyTorch" in q.data)
    assert (trained.metric, trained.value) == ("AP", 0.25)


def test_the_card_says_what_it_knows_and_how_it_counts(exported) -> None:
    card = exported.written.bundle.file("README.md").read_text()
    for expected in (
        "red, green, blue",
        "score above 0.4",
        "overlap by more than 0.5",
        "the 256 surest candidates",
        "localhost:8000/detect?model=cells",
        "| AP | 1 | cells, ONNX Runtime on the CPU |",
    ):
        assert expected in card
    assert "/opt/bin" not in card


def test_half_precision_is_measured_beside_the_original(tmp_path) -> None:
    options = DetectorOptions("cells", precision="fp16", scenes=patches(24), evaluation=unseen())
    half = export_detector(CellDetector(), cell_spec(), METADATA, tmp_path, options)
    graph = half.written.bundle.manifest.graphs["detect"]
    assert graph.precision == "fp16"
    assert graph.golden_tolerances["labels"] == graph.golden_tolerances["count"] == 0.5
    assert {q.metric for q in half.written.bundle.manifest.quality} >= {"AP", "AP_fp32"}


@pytest.mark.parametrize("family", sorted(FAMILY_SPECS))
def test_every_family_becomes_a_bundle(tmp_path, family: str) -> None:
    network, spec = lively_detector(family)
    options = DetectorOptions(family, scenes=patches(24))
    exported = export_detector(network, spec, {}, tmp_path, options)
    manifest = exported.written.bundle.manifest
    check_manifest(manifest)
    inputs = [t.name for t in manifest.graphs["detect"].inputs]
    assert ("iou_threshold" in inputs) == spec.needs_nms == ("iou_threshold" in manifest.defaults)
    assert exported.golden_detections > 0
    assert exported.measured.figures == {}


def test_the_graph_answers_as_pytorch_does_with_thresholds_of_each_sample(tmp_path) -> None:
    options = DetectorOptions("cells", scenes=patches(24))
    exported = export_detector(CellDetector(), cell_spec(), {}, tmp_path, options)
    inputs = {
        "image": patches(5, seed=9),
        "score_threshold": np.array([[0.2], [0.9], [0.5], [0.3], [1.0]], np.float32),
        "iou_threshold": np.array([[0.5], [0.1], [0.0], [1.0], [0.5]], np.float32),
    }
    module = DetectionGraph(CellDetector().eval(), Selection.of(cell_spec(), 256))
    expected = run_torch(module, inputs, OUTPUTS)
    found = CpuSession(exported.written.bundle.file("detect.onnx")).run(inputs)
    np.testing.assert_array_equal(found["count"], expected["count"])
    np.testing.assert_allclose(found["scores"].sum(1), expected["scores"].sum(1), atol=1e-4)


class Fickle(CellDetector):
    """A network whose graph is not what it was."""

    def forward(self, image: torch.Tensor) -> Candidates:
        boxes, scores = super().forward(image)
        return Candidates(boxes, scores * (0.8 if torch.compiler.is_exporting() else 1.0))


def test_a_graph_that_finds_something_else_is_no_bundle(tmp_path) -> None:
    options = DetectorOptions("cells", scenes=patches(8))
    with pytest.raises(ParityError, match="differs from PyTorch"):
        export_detector(Fickle(), cell_spec(), {}, tmp_path, options)
    assert list(tmp_path.iterdir()) == []


def test_int8_is_refused(tmp_path) -> None:
    options = DetectorOptions("cells", precision="int8")
    with pytest.raises(ExportError, match="fp32, fp16, fp16-compute, not int8"):
        export_detector(CellDetector(), cell_spec(), {}, tmp_path, options)


def test_boxes_are_judged_in_pixels_of_the_images(tmp_path) -> None:
    """Images twice the input's size: the graph's boxes are half of the truth's."""
    count = 6
    small = unseen(count)
    pixels = small.pixels(cell_spec(), 0, count).repeat(2, axis=1).repeat(2, axis=2)
    boxes, labels = small.images.boxes(torch.arange(count))
    scenes = ArrayScenes(pixels, boxes * 2, labels, LABELS, "large cells")
    options = DetectorOptions("cells", scenes=patches(8))
    exported = export_detector(CellDetector(), cell_spec(), {}, tmp_path, options)
    graph = exported.written.bundle.file("detect.onnx")
    large = UnseenImages(scenes, torch.arange(count), "large cells")
    assert measure_detections(graph, cell_spec(), large)["AP"] == pytest.approx(1.0)

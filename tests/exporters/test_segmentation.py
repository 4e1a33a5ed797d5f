"""Segmenters on their way into a bundle, their maps against what the fusion says in PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exporters.errors import ExportError
from exporters.images import synthetic_images
from exporters.segmentation import SegmenterOptions, export_segmenter
from exporters.segmentation_accuracy import measure_segments
from exporters.segmentation_data import UnseenSegments
from exporters.segmentation_golden import NOTHING, choose_golden
from exporters.segmentation_graph import OUTPUTS, THRESHOLDS, SegmentationGraph
from exporters.session import CpuSession
from models.segmentation import Segmenter, SegmenterSpec
from models.segmentation.decoder import Answer
from models.segmentation.measures import SegmentMeasures
from models.segmentation.segmenting import Shown, segment_all
from models.training.task import Place
from service.bundle import Bundle, read_bundle
from service.tasks.segment import SegmentTask
from tests.models.segmentation.squares import NAMES, square_scenes, tiny_spec

COLOURS = torch.tensor([[70.0, 60, 50], [150, 150, 160], [230, 20, 20], [20, 210, 20]])


class ByColour(nn.Module):
    """A query for each label of the squares, whose mask is where its colour is, and four more."""

    def __init__(self) -> None:
        super().__init__()
        classes = torch.zeros(8, 5)
        classes[:4] = 4 * torch.eye(4, 5) + torch.arange(4)[:, None] * torch.eye(4, 5)
        classes[4:, 4] = 6.0
        self.register_buffer("classes", classes)
        self.register_buffer("colours", COLOURS[None, :, :, None, None])

    def forward(self, image: Tensor) -> list[Answer]:
        planes = F.avg_pool2d(image.permute(0, 3, 1, 2).float(), 4)[:, None]
        far = (planes - self.colours).abs().mean(2)  # [B, 4, h, w]
        masks = torch.cat([6 - far * 0.3, far * 0 - 8], 1)
        return [Answer(self.classes.expand(image.shape[0], 8, 5), masks)]


def lively(spec: SegmenterSpec, seed: int = 0) -> Segmenter:
    """A random network whose masks differ from query to query and from image to image."""
    torch.manual_seed(seed)
    network = Segmenter(spec)
    network.train()
    for _ in range(3):  # settles the norms
        network(torch.from_numpy(synthetic_images(64, 64, 8)))
    nn.init.normal_(network.decoder.masks[-1].weight, std=1.5)
    nn.init.normal_(network.decoder.classes.weight, std=0.5)
    return network.eval().requires_grad_(False)


def unseen(count: int) -> UnseenSegments:
    return UnseenSegments(square_scenes(count, 3), torch.arange(count), f"{count} scenes")


def run(bundle: Bundle, graph: SegmentationGraph, inputs: dict[str, Any]) -> Any:
    """How many segments there are. The graph's answers are those of PyTorch, map by map."""
    session = CpuSession(bundle.file(bundle.manifest.graphs["segment"].file))
    found = session.run(inputs)
    with torch.inference_mode():
        expected = graph(*(torch.from_numpy(value) for value in inputs.values()))
    for name, value in zip(OUTPUTS, expected, strict=True):
        np.testing.assert_allclose(found[name], value.numpy(), atol=1e-3, err_msg=name)
    return found["count"]


@pytest.mark.parametrize("map_stride", [1, 4])
def test_a_network_becomes_a_bundle_that_a_server_takes(map_stride: int, tmp_path: Path) -> None:
    network, spec = lively(tiny_spec()), tiny_spec()
    options = SegmenterOptions("squares", map_stride=map_stride, score_threshold=0.3)
    exported = export_segmenter(network, spec, {"metrics": {"PQ": 0.5}}, tmp_path, options)
    bundle = read_bundle(exported.written.bundle.folder)
    SegmentTask().check(bundle.manifest)
    graph = bundle.manifest.graphs["segment"]
    side = 64 // map_stride
    assert {t.name: t.shape[1:] for t in graph.outputs} == {
        "ids": (side, side),
        "semantic": (side, side),
        "labels": (8,),
        "scores": (8,),
        "areas": (8,),
        "boxes": (8, 4),
        "count": (),
    }
    assert graph.compared_by_share == ("ids", "semantic")
    assert {entry.batch for entry in graph.parity} == {1, 2, 3, 8}
    assert {e.max_abs for e in graph.parity if e.output in ("labels", "count")} == {0.0}
    assert exported.golden_segments > 0


def test_every_sample_has_thresholds_of_its_own(tmp_path: Path) -> None:
    spec = tiny_spec()
    options = SegmenterOptions("squares", map_stride=2, scenes=unseen(8).pixels(spec, 0, 8))
    exported = export_segmenter(ByColour().eval(), spec, {}, tmp_path, options)
    bundle = exported.written.bundle
    inputs: dict[str, Any] = {"image": unseen(5).pixels(spec, 0, 5)}
    inputs |= {
        "score_threshold": np.array([0.2, 0.97, 0.985, 0.3, 1.0], np.float32),
        "overlap_threshold": np.array([0.1, 0.5, 0.8, 0.0, 0.0], np.float32),
        "min_area": np.array([0.0, 0.01, 0.0, 0.3, 0.0], np.float32),
    }
    counts = run(bundle, SegmentationGraph(ByColour(), spec, 2).eval(), inputs)
    assert counts[4] == 0 and counts[3] < counts[0] and len(set(counts.tolist())) > 2


def test_what_ships_is_measured_with_its_own_thresholds(tmp_path: Path) -> None:
    spec = tiny_spec()
    options = SegmenterOptions(
        "squares", precision="fp16", map_stride=1, overlap_threshold=0.5, evaluation=unseen(6)
    )
    exported = export_segmenter(ByColour().eval(), spec, {}, tmp_path, options)
    manifest = exported.written.bundle.manifest
    assert manifest.defaults == {
        "score_threshold": 0.8,
        "overlap_threshold": 0.5,
        "min_area": 0.0,
    }
    assert [(label.name, label.is_thing) for label in manifest.labels] == [
        (name, name in ("red", "green")) for name in NAMES
    ]
    assert exported.golden_segments > 8
    measures = SegmentMeasures(spec.is_thing)
    scenes = square_scenes(6, 3)
    for found in segment_all(
        ByColour().eval(), spec, scenes, Place(torch.device("cpu")), shown=Shown(0.8, 0.5)
    ):
        measures.add(scenes.truth(found.image), found)
    expected = measures.figures()
    assert expected["PQ_st"] > 0.8 and expected["PQ_th"] < expected["PQ_st"]  # one mask a colour
    figures = exported.measured.figures
    assert {name: figures[name] for name in expected} == pytest.approx(expected, abs=1e-3)
    told = {quality.metric for quality in manifest.quality}
    assert {"PQ", "PQ_fp32", "mask_AP", "mIoU"} <= told and "mIoU_fp32" not in told


def test_measuring_takes_the_thresholds_that_it_is_given(tmp_path: Path) -> None:
    spec = tiny_spec()
    options = SegmenterOptions("squares", scenes=unseen(8).pixels(spec, 0, 8))
    exported = export_segmenter(ByColour().eval(), spec, {}, tmp_path, options)
    bundle = exported.written.bundle
    graph = bundle.file(bundle.manifest.graphs["segment"].file)
    assert measure_segments(graph, spec, unseen(4), Shown(0.8, 0.5))["PQ_st"] > 0.8
    nothing = measure_segments(graph, spec, unseen(4), Shown(1.1))
    assert nothing["PQ"] == 0 and nothing["mIoU"] > 0.8  # labels need no threshold


def test_golden_inputs_are_far_from_their_thresholds() -> None:
    spec = tiny_spec()
    graph = SegmentationGraph(ByColour(), spec, 1).eval()
    golden = choose_golden(graph, unseen(12).pixels(spec, 0, 12), "fp32")
    assert set(golden.tensors) == {"image", *THRESHOLDS}
    assert all(len(value) == 8 for value in golden.tensors.values())
    scores = torch.softmax(graph.network.classes, 1)[:, :4].amax(1)
    used = golden.tensors["score_threshold"]
    used = used[used < NOTHING]
    assert used.size >= 6
    assert np.abs(scores.numpy()[:, None] - used).min() > 0.01
    # The thresholds differ from sample to sample: engines must read each its own.
    assert len(set(golden.tensors["overlap_threshold"].tolist())) > 2


def test_a_map_must_have_whole_cells() -> None:
    with pytest.raises(ExportError, match="does not divide by a map stride of 3"):
        SegmentationGraph(ByColour(), tiny_spec(), 3)

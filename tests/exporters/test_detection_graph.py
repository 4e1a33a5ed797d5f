"""Suppression and selection as ONNX Runtime runs them, against torchvision's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.ops import nms

from exporters.detection_graph import OUTPUTS, Found, Selection
from exporters.graph import export_graph, save_graph
from exporters.session import CpuSession
from models.detection import Candidates
from service.bundle import Tensors

BOXES, CLASSES = 24, 3
SIZE = (64, 96)
NMS = Selection(SIZE, needs_nms=True, max_detections=20, candidates=40)
PLAIN = Selection(SIZE, needs_nms=False, max_detections=20, candidates=40)


class Given(nn.Module):
    """A selection of candidates that are inputs."""

    def __init__(self, selection: Selection) -> None:
        super().__init__()
        self.selection = selection

    def forward(
        self, boxes: Tensor, scores: Tensor, least: Tensor, iou: Tensor | None = None
    ) -> Found:
        return self.selection(Candidates(boxes, scores), least, iou)


def example(batch: int, *, boxes: int = BOXES, seed: int = 0) -> Tensors:
    """Crowded boxes, each likely to overlap several others."""
    draw = np.random.default_rng(seed)
    corners = draw.uniform(-5, 60, (batch, boxes, 2))
    sides = draw.uniform(10, 40, (batch, boxes, 2))
    return {
        "candidates": np.concatenate([corners, corners + sides], -1).astype(np.float32),
        "sureness": draw.random((batch, boxes, CLASSES)).astype(np.float32),
        "least": np.linspace(0.1, 0.6, batch, dtype=np.float32)[:, None],
        "iou": np.linspace(0.2, 0.8, batch, dtype=np.float32)[:, None],
    }


def given_to(selection: Selection, inputs: Tensors) -> Tensors:
    """Without the threshold that only suppression has."""
    return {name: inputs[name] for name in inputs if selection.needs_nms or name != "iou"}


def exported(selection: Selection, path: Path, boxes: int = BOXES) -> CpuSession:
    inputs = given_to(selection, example(2, boxes=boxes))
    made = {name: torch.from_numpy(value) for name, value in inputs.items()}
    save_graph(export_graph(Given(selection).eval(), made, OUTPUTS), path)
    return CpuSession(path)


@pytest.fixture(scope="module")
def suppressing(tmp_path_factory: pytest.TempPathFactory) -> CpuSession:
    return exported(NMS, tmp_path_factory.mktemp("graph") / "nms.onnx")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> CpuSession:
    return exported(PLAIN, tmp_path_factory.mktemp("graph") / "plain.onnx")


def by_torchvision(selection: Selection, inputs: Tensors) -> Iterator[list[tuple]]:
    """(box, score, label) of every image: torchvision's `nms`, class by class."""
    height, width = selection.size
    for boxes, scores, (least,), (iou,) in zip(*inputs.values(), strict=True):
        flat = torch.from_numpy(scores.reshape(-1))
        values, order = flat.sort(descending=True, stable=True)
        values, order = values[: selection.candidates], order[: selection.candidates]
        values, order = values[values > least], order[values > least]
        labels = order % scores.shape[1]
        chosen = torch.from_numpy(boxes)[order // scores.shape[1]]
        chosen[:, 0::2] = chosen[:, 0::2].clamp(0, width)
        chosen[:, 1::2] = chosen[:, 1::2].clamp(0, height)
        kept = torch.zeros(len(order), dtype=torch.bool)
        for label in labels.unique():
            (of_label,) = (labels == label).nonzero(as_tuple=True)
            kept[of_label[nms(chosen[of_label], values[of_label], float(iou))]] = True
        rows = zip(chosen[kept].tolist(), values[kept].tolist(), labels[kept].tolist(), strict=True)
        yield [(tuple(box), score, label) for box, score, label in rows][: selection.max_detections]


def rows(outputs: Tensors) -> Iterator[list[tuple]]:
    for boxes, scores, labels, (count,) in zip(*(outputs[n] for n in OUTPUTS), strict=True):
        assert not boxes[count:].any() and not scores[count:].any() and not labels[count:].any()
        found = zip(
            boxes[:count].tolist(), scores[:count].tolist(), labels[:count].tolist(), strict=True
        )
        yield [(tuple(box), score, label) for box, score, label in found]


@pytest.mark.parametrize("batch", [1, 2, 3, 8])
def test_it_is_torchvisions_suppression_with_each_samples_thresholds(
    suppressing: CpuSession, batch: int
) -> None:
    for seed in range(5):
        inputs = example(batch, seed=seed)
        expected = list(by_torchvision(NMS, inputs))
        assert list(rows(suppressing.run(inputs))) == expected
        assert any(expected)


# Quarters, and shares that floats hold exactly: what is equal on paper is equal in the engine.
COORDINATE = st.integers(0, 64).map(lambda at: at / 4)
SHARE = st.integers(0, 16).map(lambda at: at / 16)
BOX = st.tuples(COORDINATE, COORDINATE, COORDINATE, COORDINATE)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    boxes=st.lists(BOX, min_size=BOXES, max_size=BOXES),
    scores=st.lists(SHARE, min_size=BOXES * CLASSES, max_size=BOXES * CLASSES),
    least=SHARE,
    iou=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
)
def test_ties_points_and_identical_boxes_are_dealt_with_as_torchvision_does(
    suppressing: CpuSession,
    boxes: list[tuple[float, ...]],
    scores: list[float],
    least: float,
    iou: float,
) -> None:
    """Of equal scores the first candidate comes first: by box, then by class."""
    corners = np.array(boxes, np.float32)
    corners[:, 2:] += corners[:, :2]
    inputs: Tensors = {
        "candidates": corners[None],
        "sureness": np.array(scores, np.float32).reshape(1, BOXES, CLASSES),
        "least": np.array([[least]], np.float32),
        "iou": np.array([[iou]], np.float32),
    }
    assert list(rows(suppressing.run(inputs))) == list(by_torchvision(NMS, inputs))


def test_a_chain_is_followed_to_its_end(tmp_path: Path) -> None:
    """Each box overlaps the next alone: every second one stays, which takes a round for each."""
    count = 120
    selection = Selection((10, 1000), needs_nms=True, max_detections=100, candidates=count)
    session = exported(selection, tmp_path / "chain.onnx", boxes=count)
    left = np.arange(count, dtype=np.float32) * 4
    boxes = np.stack([left, 0 * left, left + 10, 0 * left + 10], -1)
    scores = np.zeros((count, CLASSES), np.float32)
    scores[:, 1] = np.linspace(0.9, 0.5, count)
    (found,) = rows(
        session.run(
            {
                "candidates": boxes[None],
                "sureness": scores[None],
                "least": np.array([[0.1]], np.float32),
                "iou": np.array([[0.3]], np.float32),
            }
        )
    )
    assert [box[0] for box, _, _ in found] == left[::2].tolist()
    assert {label for _, _, label in found} == {1}


@pytest.mark.parametrize("selection", [NMS, PLAIN])
def test_where_nothing_is_sure_enough_everything_is_zero(
    suppressing: CpuSession, plain: CpuSession, selection: Selection
) -> None:
    inputs = example(2) | {"least": np.array([[1.0], [0.3]], np.float32)}
    session = suppressing if selection is NMS else plain
    answer = session.run(given_to(selection, inputs))
    assert answer["count"][0, 0] == 0 < answer["count"][1, 0]
    assert not any(answer[name][0].any() for name in OUTPUTS)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_without_suppression_the_surest_are_taken(plain: CpuSession, batch: int) -> None:
    inputs = given_to(PLAIN, example(batch, seed=3))
    height, width = SIZE
    for at, found in enumerate(rows(plain.run(inputs))):
        flat = inputs["sureness"][at].reshape(-1)
        order = np.argsort(-flat, kind="stable")[: PLAIN.max_detections]
        order = order[flat[order] > inputs["least"][at]]
        boxes = inputs["candidates"][at][order // CLASSES]
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
        assert [box for box, _, _ in found] == [tuple(box) for box in boxes.tolist()]
        assert [label for _, _, label in found] == (order % CLASSES).tolist()


def test_fewer_candidates_than_detections_are_no_trouble(tmp_path: Path) -> None:
    for needs_nms in (True, False):
        selection = Selection(SIZE, needs_nms, max_detections=100, candidates=300)
        session = exported(selection, tmp_path / "few.onnx", boxes=4)
        answer = session.run(given_to(selection, example(2, boxes=4)))
        assert answer["scores"].shape == (2, 4 * CLASSES)


def test_what_only_looks_at_a_sample_does_not_change_its_neighbours(
    suppressing: CpuSession,
) -> None:
    inputs = example(8, seed=5)
    together = suppressing.run(inputs)
    for at in range(8):
        alone = suppressing.run({name: value[at : at + 1] for name, value in inputs.items()})
        for name in OUTPUTS:
            np.testing.assert_array_equal(alone[name][0], together[name][at])


def test_the_graph_is_made_of_operators_that_every_engine_has(tmp_path: Path) -> None:
    """A loop for suppression; no operator of another domain, none of a data-dependent size."""
    exported(NMS, tmp_path / "nms.onnx")
    model = onnx.load(tmp_path / "nms.onnx")
    assert {entry.domain for entry in model.opset_import} == {""}
    used = {node.op_type for node in model.graph.node}
    assert "Loop" in used
    assert not used & {"NonMaxSuppression", "NonZero", "Compress", "Unique"}

import math

import pytest
import torch

from models.backbones.spec import BackboneSpec
from models.detection.centernet.loss import CenterNetLoss, CenterNetLossSpec
from models.detection.centernet.spec import CenterNetSpec
from models.detection.centernet.targets import (
    LEAST_IOU,
    bump_radius,
    cell_targets,
    center_targets,
)
from models.detection.detector import Targets

GRID, STRIDE, CLASSES = (16, 24), 4, 3

TARGETS = Targets(
    torch.tensor(
        [
            [[10.0, 6, 50, 42], [12.5, 3.25, 20, 15], [0, 0, 0, 0]],
            [[60.0, 30, 96, 64], [58, 28, 90, 60], [3, 40, 33, 62]],
        ]
    ),
    torch.tensor([[1, 0, -1], [2, 2, 0]]),
)


def test_targets_agree_with_a_plain_loop() -> None:
    ours = center_targets(TARGETS, CLASSES, GRID, STRIDE)
    heatmap = torch.zeros(2, CLASSES, *GRID)
    for image in range(2):
        for k in range(3):
            label = int(TARGETS.labels[image, k])
            if label < 0:
                continue
            x1, y1, x2, y2 = (v / STRIDE for v in TARGETS.boxes_xyxy[image, k].tolist())
            cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
            column, row = math.floor(cx), math.floor(cy)
            sigma = (2 * int(bump_radius(torch.tensor([x2 - x1, y2 - y1]))) + 1) / 6
            for y in range(GRID[0]):
                for x in range(GRID[1]):
                    d2 = (x - column) ** 2 + (y - row) ** 2
                    bump = math.exp(-d2 / (2 * sigma**2))
                    heatmap[image, label, y, x] = max(heatmap[image, label, y, x], bump)
            assert ours.cells_xy[image, k].tolist() == [column, row]
            offset = torch.tensor([cx - column, cy - row])
            torch.testing.assert_close(ours.offsets[image, k], offset)
            torch.testing.assert_close(ours.sizes[image, k], torch.tensor([x2 - x1, y2 - y1]))
    torch.testing.assert_close(ours.heatmap, heatmap)
    assert ours.is_real.tolist() == [[True, True, False], [True, True, True]]


def test_every_centre_and_nothing_else_is_exactly_one() -> None:
    ours = center_targets(TARGETS, CLASSES, GRID, STRIDE)
    assert (ours.heatmap == 1).sum() == 5 and ours.heatmap.max() == 1


def test_corners_moved_by_the_radius_keep_the_least_iou() -> None:
    for w, h in [(7.0, 9.0), (20.0, 20.0), (40.0, 6.0), (31.5, 55.2)]:
        r = float(bump_radius(torch.tensor([w, h])))

        def kept(r: float, w: float = w, h: float = h) -> float:
            """The least IoU of the three ways to move both corners by r."""
            shared = max(w - r, 0) * max(h - r, 0)
            aside = shared / (2 * w * h - shared)
            inside = max(w - 2 * r, 0) * max(h - 2 * r, 0) / (w * h)
            outside = w * h / ((w + 2 * r) * (h + 2 * r))
            return min(aside, inside, outside)

        assert kept(r) >= LEAST_IOU > kept(r + 1)


def test_cells_near_a_centre_answer_for_the_smallest_box_there() -> None:
    boxes = torch.tensor([[[0.0, 0, 96, 64], [40, 24, 56, 40]]])
    ours = cell_targets(Targets(boxes, torch.tensor([[0, 0]])), GRID, STRIDE)
    assert ours.boxes_xyxy[0, 8, 12].tolist() == [40, 24, 56, 40]  # both are centred there
    assert ours.boxes_xyxy[0, 8, 16].tolist() == [0, 0, 96, 64]
    assert ours.weights[0, 0, 0] == 0


def test_weights_of_a_box_alone_add_up_to_one() -> None:
    ours = cell_targets(Targets(TARGETS.boxes_xyxy[:1, 1:], TARGETS.labels[:1, 1:]), GRID, STRIDE)
    assert float(ours.weights.sum()) == pytest.approx(1)


def test_the_loss_agrees_with_a_plain_loop_and_ignores_padding() -> None:
    spec = CenterNetSpec(
        labels=("a", "b", "c"), backbone=BackboneSpec("resnet10t"), input_size=(64, 96)
    )
    draw = torch.Generator().manual_seed(0)
    raw = {
        "heatmap": torch.randn(2, CLASSES, *GRID, generator=draw),
        "offsets": torch.rand(2, 2, *GRID, generator=draw),
        "sizes": torch.rand(2, 2, *GRID, generator=draw) * 9,
    }
    losses = CenterNetLoss(spec, CenterNetLossSpec())(raw, TARGETS)
    wanted = center_targets(TARGETS, CLASSES, GRID, STRIDE)
    offset = size = 0.0
    for image, k in [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]:
        x, y = wanted.cells_xy[image, k].tolist()
        offset += float((raw["offsets"][image, :, y, x] - wanted.offsets[image, k]).abs().sum())
        size += float((raw["sizes"][image, :, y, x] - wanted.sizes[image, k]).abs().sum())
    assert float(losses["offset"]) == pytest.approx(offset / 5, rel=1e-5)
    assert float(losses["size"]) == pytest.approx(size / 5, rel=1e-5)
    total = losses["heatmap"] + losses["offset"] + 0.1 * losses["size"]
    torch.testing.assert_close(losses["loss"], total)

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms, nms

from exporters.graph import export_graph, save_graph
from exporters.session import CpuSession
from models.detection.suppression import suppress

BOXES = 60


def crowd(batch: int, seed: int, boxes: int = BOXES) -> tuple[Tensor, Tensor]:
    """Boxes [B, K, 4] that overlap a lot, and groups [B, K]."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(batch, boxes, 2, generator=generator) * 60
    size = torch.rand(batch, boxes, 2, generator=generator) * 40 + 5
    groups = torch.randint(0, 3, (batch, boxes), generator=generator)
    return torch.cat([corner, corner + size], -1), groups


def falling(boxes: int) -> Tensor:
    return torch.arange(boxes, 0, -1).float()


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_keeps_what_torchvision_keeps(threshold: float) -> None:
    boxes, groups = crowd(8, seed=1)
    kept = suppress(boxes, groups, threshold)
    for image in range(8):
        indices = batched_nms(boxes[image], falling(BOXES), groups[image], threshold)
        assert kept[image].nonzero()[:, 0].tolist() == indices.sort().values.tolist()


def test_without_groups_all_boxes_compete() -> None:
    boxes, _ = crowd(2, seed=2)
    kept = suppress(boxes, None, 0.5)
    for image in range(2):
        indices = nms(boxes[image], falling(BOXES), 0.5)
        assert kept[image].nonzero()[:, 0].tolist() == indices.sort().values.tolist()


def test_follows_a_chain_to_its_end() -> None:
    """Each box overlaps the next alone, so every second one stays: the slowest case."""
    x = torch.arange(40.0) * 4
    boxes = torch.stack([x, 0 * x, x + 10, 0 * x + 10], -1)[None]
    assert suppress(boxes, None, 0.3)[0].tolist() == [True, False] * 20


def test_takes_a_threshold_for_each_sample() -> None:
    boxes, groups = crowd(2, seed=3)
    together = suppress(boxes, groups, torch.tensor([0.2, 0.8]).view(2, 1, 1))
    assert torch.equal(together[:1], suppress(boxes[:1], groups[:1], 0.2))
    assert torch.equal(together[1:], suppress(boxes[1:], groups[1:], 0.8))


class Suppression(nn.Module):
    def forward(self, boxes: Tensor, groups: Tensor) -> tuple[Tensor]:
        return (suppress(boxes, groups, 0.5),)


def test_exports_with_any_batch(tmp_path: Path) -> None:
    boxes, groups = crowd(2, seed=4)
    model = export_graph(Suppression().eval(), {"boxes": boxes, "groups": groups}, ["kept"])
    save_graph(model, tmp_path / "graph.onnx")
    session = CpuSession(tmp_path / "graph.onnx")
    for batch in (1, 3, 6):
        boxes, groups = crowd(batch, seed=batch)
        found = session.run({"boxes": boxes.numpy(), "groups": groups.numpy()})["kept"]
        np.testing.assert_array_equal(found, suppress(boxes, groups, 0.5).numpy())

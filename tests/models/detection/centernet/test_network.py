import pytest
import torch

from models.backbones import BackboneSpec
from models.detection import Candidates, postprocess
from models.detection.centernet.network import CenterNet
from models.detection.centernet.spec import CenterNetSpec
from models.detection.centernet.targets import center_targets
from models.detection.detector import Targets

TINY = BackboneSpec("resnet10t", {"channels": [8, 8, 8, 8], "stem_width": 8})
SPEC = CenterNetSpec(
    labels=("a", "b"), backbone=TINY, input_size=(64, 96), channels=8, head_channels=8
)


def test_perfect_outputs_become_the_true_boxes() -> None:
    boxes = torch.tensor([[[10.0, 6, 50, 42], [70.5, 20.25, 90, 60.75]]])
    targets = Targets(boxes, torch.tensor([[1, 0]]))
    wanted = center_targets(targets, 2, (16, 24), 4)
    raw = {
        "heatmap": torch.logit(wanted.heatmap.clamp(1e-4, 1 - 1e-4)),
        "offsets": torch.zeros(1, 2, 16, 24),
        "sizes": torch.zeros(1, 2, 16, 24),
    }
    for k in range(2):
        x, y = wanted.cells_xy[0, k].tolist()
        raw["offsets"][0, :, y, x] = wanted.offsets[0, k]
        raw["sizes"][0, :, y, x] = wanted.sizes[0, k]
    (found,) = postprocess(CenterNet(SPEC).decode(raw), SPEC, score_threshold=0.9)
    order = found.labels.argsort(descending=True)
    torch.testing.assert_close(found.boxes_xyxy[order], boxes[0])


def test_only_local_maxima_keep_their_score() -> None:
    heatmap = torch.full((1, 2, 16, 24), -9.0)
    heatmap[0, 0, 4, 4], heatmap[0, 0, 4, 5], heatmap[0, 0, 4, 7] = 2.0, 1.0, 1.5
    heatmap[0, 1, 4, 5] = 1.0  # of another class: no neighbour
    ones = torch.ones(1, 2, 16, 24)
    scores = CenterNet(SPEC).decode({"heatmap": heatmap, "offsets": ones, "sizes": ones}).scores
    sure = (scores[0] > 0.5).nonzero().tolist()
    assert sure == [[4 * 24 + 4, 0], [4 * 24 + 5, 1], [4 * 24 + 7, 0]]


def test_candidates_have_the_shape_that_the_spec_implies() -> None:
    images = torch.randint(0, 256, (2, 64, 96, 3), dtype=torch.uint8)
    candidates = CenterNet(SPEC).eval()(images)
    assert isinstance(candidates, Candidates)
    assert candidates.boxes_xyxy.shape == (2, 16 * 24, 4)
    assert candidates.scores.shape == (2, 16 * 24, 2)


def test_an_untrained_network_expects_little() -> None:
    scores = CenterNet(SPEC).eval()(torch.zeros(1, 64, 96, 3, dtype=torch.uint8)).scores
    assert scores.max() < 0.03


def test_the_input_must_fit_the_coarsest_map() -> None:
    with pytest.raises(ValueError, match=r"\(60, 96\) must be multiples of 32"):
        CenterNetSpec(labels=("a",), backbone=TINY, input_size=(60, 96))

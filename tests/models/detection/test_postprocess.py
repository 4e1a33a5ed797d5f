import torch

from models.backbones import BackboneSpec
from models.detection import Candidates, postprocess
from models.detection.centernet.spec import CenterNetSpec
from models.detection.retinanet.spec import RetinaNetSpec

COMMON = {"labels": ("a", "b"), "backbone": BackboneSpec("resnet10t"), "input_size": (64, 64)}

CANDIDATES = Candidates(
    torch.tensor([[[0.0, 0, 20, 20], [1, 0, 21, 20], [40, 40, 80, 60], [0, 0, 20, 20]]]),
    torch.tensor([[[0.9, 0.0], [0.8, 0.3], [0.0, 0.6], [0.02, 0.7]]]),
)


def test_suppression_is_within_a_class_and_boxes_stay_inside() -> None:
    spec = RetinaNetSpec(**COMMON)  # type: ignore[arg-type]
    (found,) = postprocess(CANDIDATES, spec)
    assert found.labels.tolist() == [0, 1, 1]
    torch.testing.assert_close(found.scores, torch.tensor([0.9, 0.7, 0.6]))
    assert found.boxes_xyxy[2].tolist() == [40, 40, 64, 60]


def test_families_without_suppression_keep_all_above_the_threshold() -> None:
    spec = CenterNetSpec(**COMMON)  # type: ignore[arg-type]
    (found,) = postprocess(CANDIDATES, spec, score_threshold=0.25)
    torch.testing.assert_close(found.scores, torch.tensor([0.9, 0.8, 0.7, 0.6, 0.3]))


def test_there_are_never_more_than_the_most() -> None:
    for spec in (
        CenterNetSpec(max_detections=2, **COMMON),  # type: ignore[arg-type]
        RetinaNetSpec(max_detections=2, **COMMON),  # type: ignore[arg-type]
    ):
        (found,) = postprocess(CANDIDATES, spec)
        assert len(found.scores) == 2


def test_nothing_sure_is_an_empty_answer() -> None:
    spec = RetinaNetSpec(**COMMON)  # type: ignore[arg-type]
    (found,) = postprocess(CANDIDATES, spec, score_threshold=0.95)
    assert found.boxes_xyxy.shape == (0, 4) and found.labels.dtype == torch.int64

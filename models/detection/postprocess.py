"""From dense candidates to detections, in plain torch; exported graphs do the same on their own."""

from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from models.detection.boxes import clip_to
from models.detection.detector import Candidates
from models.detection.spec import DetectorSpec

# Legend: B batch, N candidates, C classes, D detections of one image.


class Detections(NamedTuple):
    """What was found in one image, the surest first."""

    boxes_xyxy: Tensor  # [D, 4] float, pixels of the input, inside it
    scores: Tensor  # [D] float in [0, 1]
    labels: Tensor  # [D] int64


#: How many candidates of an image go into non-maximum suppression.
BEFORE_NMS = 1000


def postprocess(
    candidates: Candidates, spec: DetectorSpec, *, score_threshold: float = 0.05
) -> list[Detections]:
    """One entry an image, each with at most `spec.max_detections`.

    A candidate may count for several classes; suppression is within a class.
    """
    return [
        _of_one_image(boxes, scores, spec, score_threshold)
        for boxes, scores in zip(candidates.boxes_xyxy, candidates.scores, strict=True)
    ]


def _of_one_image(
    boxes: Tensor, scores: Tensor, spec: DetectorSpec, score_threshold: float
) -> Detections:
    boxes, flat = boxes.float(), scores.float().flatten()  # [N, 4], [N * C]
    enough = BEFORE_NMS if spec.needs_nms else spec.max_detections
    best, indices = flat.topk(min(enough, len(flat)))
    kept = best > score_threshold
    best, indices = best[kept], indices[kept]  # [D] each
    labels = indices % scores.shape[1]
    chosen = clip_to(boxes[indices // scores.shape[1]], spec.input_size)  # [D, 4]
    if spec.needs_nms:
        order = batched_nms(chosen, best, labels, spec.nms_iou)[: spec.max_detections]
        chosen, best, labels = chosen[order], best[order], labels[order]
    return Detections(chosen, best, labels.to(torch.int64))

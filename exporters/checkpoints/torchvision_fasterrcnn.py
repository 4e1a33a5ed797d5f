"""torchvision's `fasterrcnn_resnet50_fpn` and its kin on other ResNets."""

from __future__ import annotations

from typing import Final

from exporters.checkpoints.classes import Classes
from exporters.checkpoints.files import Weights
from exporters.checkpoints.names import Rule, find, rename
from exporters.checkpoints.resnet import name_resnet, unfreeze_batchnorm
from exporters.checkpoints.torchvision_pyramid import BODY, PYRAMID_RULES
from exporters.errors import CheckpointError
from models.backbones.spec import BackboneSpec
from models.detection.fasterrcnn.spec import FasterRCNNSpec

# Legend: K classes of the checkpoint with background, C those with a label, D channels.

LAYOUT: Final = "torchvision-fasterrcnn"

# Older files name the hidden convolution of the proposals without the sequence around it.
_RULES: Final[tuple[Rule, ...]] = (
    *PYRAMID_RULES,
    (r"rpn\.head\.conv(?:\.0\.0)?\.(weight|bias)", r"proposal_head.hidden.\1"),
    (r"rpn\.head\.cls_logits\.(weight|bias)", r"proposal_head.objectness.\1"),
    (r"rpn\.head\.bbox_pred\.(weight|bias)", r"proposal_head.codes.\1"),
    (r"roi_heads\.box_head\.fc6\.(weight|bias)", r"box_head.fc1.\1"),
    (r"roi_heads\.box_head\.fc7\.(weight|bias)", r"box_head.fc2.\1"),
    (r"roi_heads\.box_predictor\.cls_score\.(weight|bias)", r"box_head.classes.\1"),
    (r"roi_heads\.box_predictor\.bbox_pred\.(weight|bias)", r"box_head.codes.\1"),
)


def read_torchvision_fasterrcnn(
    weights: Weights, classes: Classes, size: tuple[int, int], *, batchnorm_eps: float
) -> tuple[FasterRCNNSpec, Weights]:
    """The spec, and the weights by our names: background comes last, and has no box."""
    renamed = rename(weights, _RULES, layout=LAYOUT)
    known = find(renamed, "box_head.classes.weight", layout=LAYOUT)  # [K, D]
    classes = classes.fitted(known.shape[0], background_first=True)
    if classes.names[0] is not None:
        raise CheckpointError(f"{LAYOUT}: class 0 is the background, not {classes.names[0]!r}")
    order = [*classes.named, *classes.unnamed[1:], 0]
    for kind in ("weight", "bias"):
        scores = find(renamed, f"box_head.classes.{kind}", layout=LAYOUT)  # [K, ...]
        codes = find(renamed, f"box_head.codes.{kind}", layout=LAYOUT)  # [K 4, ...]
        renamed[f"box_head.classes.{kind}"] = scores[order]
        renamed[f"box_head.codes.{kind}"] = codes.reshape(-1, 4, *codes.shape[1:])[
            classes.named
        ].flatten(0, 1)
    spec = FasterRCNNSpec(
        labels=classes.labels,
        backbone=BackboneSpec(name_resnet(weights, BODY)),
        input_size=size,
        channels=renamed["pyramid.outputs.0.weight"].shape[0],
        head_width=known.shape[1],
        unnamed_classes=len(classes.unnamed) - 1,
        pool_half_pixel=False,
    )
    return spec, unfreeze_batchnorm(renamed, eps=batchnorm_eps)

"""torchvision's `retinanet_resnet50_fpn` and its kin on other ResNets."""

from __future__ import annotations

from typing import Final

from torch import Tensor

from exporters.checkpoints.classes import Classes
from exporters.checkpoints.files import Weights
from exporters.checkpoints.names import Rule, find, rename
from exporters.checkpoints.resnet import name_resnet, unfreeze_batchnorm
from exporters.checkpoints.torchvision_pyramid import BODY, PYRAMID_RULES
from models.backbones.spec import BackboneSpec
from models.detection.retinanet.spec import RetinaNetSpec

# Legend: A anchors a cell, K classes of the checkpoint, C those with a label, D channels.

LAYOUT: Final = "torchvision-retinanet"
ANCHORS: Final = 9

_CLASSES, _BOXES = r"head\.classification_head", r"head\.regression_head"
# In the first version the layers of a head were a flat sequence with the ReLUs between.
_RULES: Final[tuple[Rule, ...]] = (
    *PYRAMID_RULES,
    *(
        (rf"{head}\.conv\.{first}\.(weight|bias)", rf"{ours}.{2 * index}.\1")
        for head, ours in ((_CLASSES, "class_head"), (_BOXES, "box_head"))
        for index in range(4)
        for first in (rf"{index}\.0", str(2 * index))
    ),
    (rf"{_CLASSES}\.cls_logits\.(weight|bias)", r"class_head.8.\1"),
    (rf"{_BOXES}\.bbox_reg\.(weight|bias)", r"box_head.8.\1"),
)


def read_torchvision_retinanet(
    weights: Weights, classes: Classes, size: tuple[int, int], *, batchnorm_eps: float
) -> tuple[RetinaNetSpec, Weights]:
    """The spec, and the weights by our names."""
    renamed = rename(weights, _RULES, layout=LAYOUT)
    kernel = find(renamed, "class_head.8.weight", layout=LAYOUT)  # [A K, D, 3, 3]
    bias = find(renamed, "class_head.8.bias", layout=LAYOUT)
    classes = classes.fitted(kernel.shape[0] // ANCHORS, background_first=True)
    renamed["class_head.8.weight"] = _of_named(kernel, classes)
    renamed["class_head.8.bias"] = _of_named(bias, classes)
    spec = RetinaNetSpec(
        labels=classes.labels,
        backbone=BackboneSpec(name_resnet(weights, BODY)),
        input_size=size,
        channels=kernel.shape[1],
    )
    return spec, unfreeze_batchnorm(renamed, eps=batchnorm_eps)


def _of_named(rows: Tensor, classes: Classes) -> Tensor:
    """[A K, ...] -> [A C, ...]: sigmoids do not miss the classes that nobody named."""
    return rows.reshape(ANCHORS, -1, *rows.shape[1:])[:, classes.named].flatten(0, 1)

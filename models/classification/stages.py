"""The stages of a backbone, from its input to its head."""

from collections.abc import Iterable
from typing import Any

from torch import nn

ALEXNET_STAGES = (
    ("features.0.",),
    ("features.3.",),
    ("features.6.",),
    ("features.8.",),
    ("features.10.",),
    ("classifier.1.",),
    ("classifier.4.",),
    ("classifier.6.",),
)
# The side heads stand with the blocks that they read (Szegedy et al. 2015, figure 3).
GOOGLENET_STAGES = (
    ("conv1.", "conv2.", "conv3."),
    ("inception3",),
    ("inception4", "aux1.", "aux2."),
    ("inception5",),
    ("fc.",),
)


def backbone_stages(backbone: nn.Module) -> list[list[str]]:
    """The parameter names of each stage; every parameter is in exactly one."""
    names = [name for name, _ in backbone.named_parameters()]
    kind = type(backbone).__name__
    if kind == "AlexNet":
        return _by_prefix(names, ALEXNET_STAGES)
    if kind == "GoogLeNet":
        return _by_prefix(names, GOOGLENET_STAGES)
    from timm.models import group_parameters

    matcher: Any = backbone.group_matcher  # a method that timm's networks have and nn.Module lacks
    groups = group_parameters(backbone, matcher(coarse=True))
    return [list(groups[index]) for index in sorted(groups)]


def _by_prefix(names: list[str], stages: Iterable[tuple[str, ...]]) -> list[list[str]]:
    return [[name for name in names if name.startswith(prefixes)] for prefixes in stages]

"""What torchvision's detectors on a pyramid have in common: the ResNet and the pyramid."""

from __future__ import annotations

from typing import Final

from exporters.checkpoints.names import Rule

BODY: Final = "backbone.body."

# The first version of the pyramid had bare convolutions, the second wraps each in a sequence.
_FPN: Final = r"backbone\.fpn"
PYRAMID_RULES: Final[tuple[Rule, ...]] = (
    (r"backbone\.body\.fc\..*", ""),
    (r"backbone\.body\.(.*)", r"backbone.body.\1"),
    (rf"{_FPN}\.inner_blocks\.(\d)(?:\.0)?\.(weight|bias)", r"pyramid.laterals.\1.\2"),
    (rf"{_FPN}\.layer_blocks\.(\d)(?:\.0)?\.(weight|bias)", r"pyramid.outputs.\1.\2"),
    (rf"{_FPN}\.extra_blocks\.p6\.(weight|bias)", r"pyramid.extras.0.\1"),
    (rf"{_FPN}\.extra_blocks\.p7\.(weight|bias)", r"pyramid.extras.1.\1"),
)

"""What a backbone is: the part of a spec that every family with one says alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class BackboneSpec:
    """A timm network by name, `kwargs` for its constructor, and whether to start from timm's
    published weights."""

    name: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    pretrained: bool = False

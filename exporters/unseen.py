"""The part of a model's own data that its training has not seen, for proof and measurement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from exporters.errors import ExportError
from models.training.plain import from_plain

T = TypeVar("T")


def recipe_data(kind: type[T], metadata: Mapping[str, Any]) -> T:
    """What the recipe in a checkpoint's metadata says of its data."""
    try:
        return from_plain(kind, metadata["recipe"]["data"], "recipe.data")
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError("the checkpoint does not say what data it was trained by") from error


def draw(total: int, count: int, description: str, *, seed: int = 0) -> tuple[Tensor, str]:
    """At most `count` indices below `total`, in order, and what data that is in words."""
    if count >= total:
        return torch.arange(total), description
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    return order[:count].sort().values, f"{description}, {count} drawn by seed {seed}"

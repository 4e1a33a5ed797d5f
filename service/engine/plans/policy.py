"""Where plans lie and what is asked of those who build them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from service.engine.plans.key import BEST_BATCH, Precision

PLAN_CACHE = Path("~/.cache/panoptes/plans").expanduser()


@dataclass(frozen=True)
class PlanPolicy:
    folder: Path = PLAN_CACHE
    precision: Precision = "tf32"
    best_batch: int = BEST_BATCH
    optimization_level: int = 3
    """0 to 5: how long kernels are looked for. Not part of what a plan is valid for: one that was
    built with more effort is taken as well."""
    workspace_bytes: int | None = None
    build: bool = True
    """Whether a server builds the plans that it does not find."""

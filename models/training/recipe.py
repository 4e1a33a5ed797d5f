"""The part of a recipe that every family shares: how to train, whatever is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from models.training.optimizers import OptimizerSpec
from models.training.plain import RecipeError, with_overrides
from models.training.schedules import ScheduleSpec
from models.training.transfer import TransferSpec


@dataclass(frozen=True)
class TrainingSpec:
    """How long, with what, and what to keep.

    `batch_size` counts all processes together; `accumulate` splits each process's share into that
    many passes. Say the length by `steps` or by `epochs`. `clip_norm` 0 does not clip, `ema_decay`
    0 keeps no average. `validate_every` and `save_every` count steps; 0 means only at the end.
    """

    batch_size: int = 128
    steps: int | None = None
    epochs: float | None = None
    accumulate: int = 1
    seed: int = 0
    optimizer: OptimizerSpec = field(default_factory=OptimizerSpec)
    schedule: ScheduleSpec = field(default_factory=ScheduleSpec)
    transfer: TransferSpec = field(default_factory=TransferSpec)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool = False
    clip_norm: float = 0.0
    ema_decay: float = 0.999
    validate_every: int = 500
    save_every: int = 500
    log_every: int = 20
    workers: int = 0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("say the length by exactly one of `steps` and `epochs`")
        if min(self.batch_size, self.accumulate, self.log_every) < 1:
            raise ValueError("batch_size, accumulate and log_every must be at least 1")
        if (self.steps or self.epochs or 0) <= 0:
            raise ValueError("steps or epochs must be above 0")

    def total_steps(self, samples: int) -> int:
        """The length of the run over a data set of this size."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return max(1, round(self.epochs * samples / self.batch_size))


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The mapping in a YAML file, with `a.b=value` overrides applied."""
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is no YAML: {error}") from error
    if not isinstance(data, Mapping):
        raise RecipeError(f"{path} holds no mapping at its top")
    return with_overrides(data, overrides)


def find_file(name_or_path: str, shipped: Path) -> Path:
    """A recipe's file: a path, or the name of one in the folder of those that come along."""
    for path in (Path(name_or_path), shipped / name_or_path, shipped / f"{name_or_path}.yaml"):
        if path.is_file():
            return path
    known = ", ".join(sorted(path.stem for path in shipped.glob("*.yaml")))
    raise RecipeError(f"no recipe {name_or_path!r}; those that come with the package are {known}")

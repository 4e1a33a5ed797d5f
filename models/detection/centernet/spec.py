"""The description of a CenterNet."""

from dataclasses import dataclass
from typing import ClassVar

from models.backbones.pyramid import Norm
from models.detection.spec import DetectorSpec


@dataclass(frozen=True, kw_only=True)
class CenterNetSpec(DetectorSpec):
    """A backbone, a pyramid that leads down to one map of `stride`, and two heads on it.

    `coarsest` is the largest stride that the backbone contributes; strides double in between.
    """

    family: ClassVar[str] = "centernet"
    needs_nms: ClassVar[bool] = False

    stride: int = 4
    coarsest: int = 32
    channels: int = 64
    head_channels: int = 64
    head_depth: int = 1
    norm: Norm = "batch"

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(side % self.coarsest for side in self.input_size):
            raise ValueError(f"input_size {self.input_size} must be multiples of {self.coarsest}")

    @property
    def strides(self) -> tuple[int, ...]:
        """Of the backbone's maps that are read, finest first."""
        strides = [self.stride]
        while strides[-1] < self.coarsest:
            strides.append(2 * strides[-1])
        return tuple(strides)

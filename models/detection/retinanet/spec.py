"""The description of a RetinaNet."""

from dataclasses import dataclass
from typing import ClassVar

from models.backbones.pyramid import ExtraSource, Norm
from models.detection.spec import DetectorSpec

# Three sizes an octave on P3 to P7, truncated as in torchvision.
PAPER_SIZES_PX = tuple(
    (float(base), float(int(base * 2 ** (1 / 3))), float(int(base * 2 ** (2 / 3))))
    for base in (32, 64, 128, 256, 512)
)


@dataclass(frozen=True, kw_only=True)
class RetinaNetSpec(DetectorSpec):
    """A backbone's maps of `strides`, `extra_levels` coarser ones, and two heads shared by all.

    `anchor_sizes_px` holds the sizes of each level, extra ones included; every level has the same
    number. `anchor_aspects` are heights over widths. The defaults are the paper's.
    """

    family: ClassVar[str] = "retinanet"
    needs_nms: ClassVar[bool] = True

    strides: tuple[int, ...] = (8, 16, 32)
    extra_levels: int = 2
    extra_source: ExtraSource = "pyramid"
    channels: int = 256
    head_depth: int = 4
    norm: Norm = "none"
    anchor_sizes_px: tuple[tuple[float, ...], ...] = PAPER_SIZES_PX
    anchor_aspects: tuple[float, ...] = (0.5, 1.0, 2.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        levels = len(self.strides) + self.extra_levels
        if len(self.anchor_sizes_px) != levels:
            raise ValueError(f"{levels} levels need as many rows, got {self.anchor_sizes_px}")
        if len({len(sizes) for sizes in self.anchor_sizes_px}) != 1:
            raise ValueError(f"every level needs as many sizes, got {self.anchor_sizes_px}")

    @property
    def anchors_per_cell(self) -> int:
        return len(self.anchor_sizes_px[0]) * len(self.anchor_aspects)

"""The description of a Faster R-CNN."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from models.backbones.pyramid import Norm
from models.detection.coding import Weights
from models.detection.spec import DetectorSpec


@dataclass(frozen=True, kw_only=True)
class FasterRCNNSpec(DetectorSpec):
    """A pyramid on the backbone's maps of `strides`, proposals from all levels and one coarser.

    `anchor_sizes_px` holds the sizes of each level, the coarser one last; every level has the same
    number. `anchor_aspects` are heights over widths. A level offers its best `proposals_before_nms`
    boxes; `proposals` of all levels together go to the box head. A region of `canonical_px` is
    pooled from the map of stride 16. The defaults are those of the pyramid's paper.
    """

    family: ClassVar[str] = "fasterrcnn"
    needs_nms: ClassVar[bool] = True

    strides: tuple[int, ...] = (4, 8, 16, 32)
    channels: int = 256
    norm: Norm = "none"
    anchor_sizes_px: tuple[tuple[float, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    anchor_aspects: tuple[float, ...] = (0.5, 1.0, 2.0)
    proposals_before_nms: int = 1000
    proposals: int = 1000
    proposal_nms_iou: float = 0.7
    canonical_px: float = 224.0
    pool_cells: int = 7
    pool_samples: int = 2
    #: Whether a cell's value lies at its centre; published torchvision weights expect its corner.
    pool_half_pixel: bool = True
    head_width: int = 1024
    box_weights: Weights = (10.0, 10.0, 5.0, 5.0)
    #: Classes without a label, which take part in the softmax and are never answered.
    unnamed_classes: int = 0
    #: Pairs of a region and a class that come out, the surest of an image.
    candidates: int = 1000

    # In training the head learns on a sample of regions, in part true ones.
    sampled_regions: int = 512
    sampled_foreground: float = 0.25
    region_foreground_iou: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.anchor_sizes_px) != len(self.strides) + 1:
            raise ValueError(
                f"{len(self.strides) + 1} levels need as many rows, got {self.anchor_sizes_px}"
            )
        if len({len(sizes) for sizes in self.anchor_sizes_px}) != 1:
            raise ValueError(f"every level needs as many sizes, got {self.anchor_sizes_px}")
        if any(coarse != 2 * fine for fine, coarse in pairwise(self.strides)):
            raise ValueError(f"each stride must be twice the one before, got {self.strides}")
        if not 0 < self.sampled_foreground <= 1:
            raise ValueError(f"sampled_foreground must be in (0, 1], got {self.sampled_foreground}")

    @property
    def anchors_per_cell(self) -> int:
        return len(self.anchor_sizes_px[0]) * len(self.anchor_aspects)

    @property
    def background(self) -> int:
        """The index of the last class, which says that a region shows no object."""
        return len(self.labels) + self.unnamed_classes

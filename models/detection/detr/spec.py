"""The description of a DETR."""

from dataclasses import dataclass
from typing import ClassVar

from models.detection.spec import DetectorSpec


@dataclass(frozen=True, kw_only=True)
class DETRSpec(DetectorSpec):
    """A transformer on the backbone's map of `stride`, which answers `queries` boxes an image.

    `width` is that of its tokens, `feedforward` that of its inner layers. The defaults are the
    paper's.
    """

    family: ClassVar[str] = "detr"
    needs_nms: ClassVar[bool] = False

    stride: int = 32
    width: int = 256
    heads: int = 8
    encoder_layers: int = 6
    decoder_layers: int = 6
    feedforward: int = 2048
    dropout: float = 0.1
    queries: int = 100
    #: Classes without a label, which take part in the softmax and are never answered.
    unnamed_classes: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads or self.width % 4:
            raise ValueError(f"width must divide by heads and by 4: {self.width}, {self.heads}")
        if min(self.queries, self.decoder_layers) < 1 or self.encoder_layers < 0:
            raise ValueError(
                f"queries and layers must be positive: {self.queries}, {self.decoder_layers}"
            )

    @property
    def background(self) -> int:
        """The index of the last class, ∅ in the paper: the query shows no object."""
        return len(self.labels) + self.unnamed_classes

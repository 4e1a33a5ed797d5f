"""What all detectors share: pixels in, dense candidates out, normalisation inside."""

from abc import ABC, abstractmethod
from typing import Generic, NamedTuple, TypeVar

from torch import Tensor, nn

from models.backbones.pixels import Normalisation
from models.detection.spec import DetectorSpec

# Legend: B batch, H W pixels of the input, N candidates, C classes, K places for true boxes.

SpecT = TypeVar("SpecT", bound=DetectorSpec)

#: What a network says in training; its family's loss knows the names and shapes.
RawOutputs = dict[str, Tensor]


class Candidates(NamedTuple):
    """What every family answers in evaluation mode: N follows from the spec alone."""

    boxes_xyxy: Tensor  # [B, N, 4] float, pixels of the input; may reach beyond it
    scores: Tensor  # [B, N, C] float in [0, 1]


class Targets(NamedTuple):
    """The true boxes of a batch, padded to the fullest image; there is at least one place."""

    boxes_xyxy: Tensor  # [B, K, 4] float, pixels of the input; zero where padded
    labels: Tensor  # [B, K] int64, -1 where padded


class Detector(nn.Module, ABC, Generic[SpecT]):
    """A family's network behind its normalisation.

    In training mode it answers with what the family's loss needs, in evaluation mode with
    candidates. Training may use images of another size than the spec's.
    """

    def __init__(self, spec: SpecT) -> None:
        super().__init__()
        self.spec: SpecT = spec
        self.normalise = Normalisation(spec.mean, spec.std)

    def forward(self, image: Tensor, targets: Targets | None = None) -> RawOutputs | Candidates:
        """`image` uint8 RGB [B, H, W, 3]. Families that sample in training read the targets."""
        raw = self.predict(self.normalise(image), targets)
        return raw if self.training else self.decode(raw)

    @abstractmethod
    def predict(self, pixels: Tensor, targets: Targets | None) -> RawOutputs:
        """Normalised `pixels` float [B, 3, H, W] -> what the loss and `decode` need."""

    @abstractmethod
    def decode(self, raw: RawOutputs) -> Candidates: ...

"""The families by name: adding one is adding its folder and a row here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from models.detection.centernet.loss import CenterNetLoss, CenterNetLossSpec
from models.detection.centernet.network import CenterNet
from models.detection.centernet.spec import CenterNetSpec
from models.detection.detector import Detector, RawOutputs, Targets
from models.detection.detr.loss import DETRLoss, DETRLossSpec
from models.detection.detr.network import DETR
from models.detection.detr.spec import DETRSpec
from models.detection.fasterrcnn.loss import FasterRCNNLoss, FasterRCNNLossSpec
from models.detection.fasterrcnn.network import FasterRCNN
from models.detection.fasterrcnn.spec import FasterRCNNSpec
from models.detection.retinanet.loss import RetinaNetLoss, RetinaNetLossSpec
from models.detection.retinanet.network import RetinaNet
from models.detection.retinanet.spec import RetinaNetSpec
from models.detection.spec import DetectorSpec

#: From what the network said in training to its losses, `loss` being the one to minimise.
Criterion = Callable[[RawOutputs, Targets], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Family:
    """What a family is made of.

    `loss` is called with the spec and a `loss_spec`, and answers with a `Criterion`.
    """

    spec: type[DetectorSpec]
    network: Callable[[Any], Detector[Any]]
    loss_spec: type[Any]
    loss: Callable[[Any, Any], Criterion]


FAMILIES: Mapping[str, Family] = {
    "centernet": Family(CenterNetSpec, CenterNet, CenterNetLossSpec, CenterNetLoss),
    "detr": Family(DETRSpec, DETR, DETRLossSpec, DETRLoss),
    "fasterrcnn": Family(FasterRCNNSpec, FasterRCNN, FasterRCNNLossSpec, FasterRCNNLoss),
    "retinanet": Family(RetinaNetSpec, RetinaNet, RetinaNetLossSpec, RetinaNetLoss),
}


def find_family(name: str) -> Family:
    if name not in FAMILIES:
        raise ValueError(f"no detector family is named {name!r}; there are {', '.join(FAMILIES)}")
    return FAMILIES[name]


def build_detector(spec: DetectorSpec) -> Detector[Any]:
    """A detector with random weights, in training mode."""
    return find_family(spec.family).network(spec)

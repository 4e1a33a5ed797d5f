"""CenterNet's losses: bumps, offsets, sizes."""

from dataclasses import dataclass

from torch import Tensor

from models.detection.centernet.network import cell_boxes
from models.detection.centernet.spec import CenterNetSpec
from models.detection.centernet.targets import cell_targets, center_targets
from models.detection.detector import RawOutputs, Targets
from models.detection.losses import giou_loss, heatmap_focal_loss

# Legend: B batch, K places for boxes, h w cells.


@dataclass(frozen=True)
class CenterNetLossSpec:
    """The paper's weights; with `size` in cells, as in its code.

    `giou` above 0 adds the generalised IoU of the boxes of all cells around a centre, which trains
    several times faster than the one cell of the paper (Liu et al. 2020).
    """

    alpha: float = 2.0
    beta: float = 4.0
    offset: float = 1.0
    size: float = 0.1
    giou: float = 0.0


class CenterNetLoss:
    """Sums over the batch, divided by its number of objects."""

    def __init__(self, spec: CenterNetSpec, loss: CenterNetLossSpec) -> None:
        self._spec = spec
        self._loss = loss

    def __call__(self, raw: RawOutputs, targets: Targets) -> dict[str, Tensor]:
        loss, stride = self._loss, self._spec.stride
        grid = (raw["heatmap"].shape[2], raw["heatmap"].shape[3])
        wanted = center_targets(targets, len(self._spec.labels), grid, stride)
        objects = wanted.is_real.sum().clamp_min(1)
        heatmap = heatmap_focal_loss(
            raw["heatmap"], wanted.heatmap, alpha=loss.alpha, beta=loss.beta
        )
        offset = (_at(raw["offsets"], wanted.cells_xy) - wanted.offsets).abs()  # [B, K, 2]
        size = (_at(raw["sizes"], wanted.cells_xy) - wanted.sizes).abs()
        real = wanted.is_real[..., None]
        losses = {
            "heatmap": heatmap.sum() / objects,
            "offset": (offset * real).sum() / objects,
            "size": (size * real).sum() / objects,
        }
        total = losses["heatmap"] + loss.offset * losses["offset"] + loss.size * losses["size"]
        if loss.giou:
            near = cell_targets(targets, grid, stride)
            boxes = cell_boxes(raw["offsets"], raw["sizes"], stride).permute(0, 2, 3, 1)
            giou = giou_loss(boxes, near.boxes_xyxy)  # [B, h, w]
            losses["giou"] = (giou * near.weights).sum() / objects
            total = total + loss.giou * losses["giou"]
        return {"loss": total, **losses}


def _at(maps: Tensor, cells_xy: Tensor) -> Tensor:
    """The values of maps [B, D, h, w] at cells [B, K, 2]: [B, K, D]."""
    places = cells_xy[..., 1] * maps.shape[3] + cells_xy[..., 0]  # [B, K]
    flat = maps.flatten(2).transpose(1, 2)  # [B, h w, D]
    return flat.gather(1, places[..., None].expand(-1, -1, maps.shape[1]))

"""Closing the loop: a detector and a classifier look whether a picture shows what was asked for."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import nms

from models.classification import Classifier, load_classifier
from models.data.world.names import COLOURS, OBJECT_NAMES, SHAPES, object_name
from models.detection.checkpoint import load_detector
from models.detection.postprocess import Detections, postprocess
from models.detection.spec import DetectorSpec
from models.diffusion.autoencoder_recipe import PictureData

# Legend: B pictures, S their side in pixels, D things found in one.

#: How sure the detector must be.
THRESHOLD = 0.3

#: A place is one thing, of the surest shape: boxes that overlap by more than this are one.
_SAME_PLACE_IOU = 0.6

#: How much of the detector's view a still life fills, in a grey frame: its things are then of the
#: sizes that the detector was taught with.
_STILL_LIFE_SHARE = 0.65
_GREY = 114.0

#: The side of what the classifier sees, in lengths of the box's longer side.
_SURROUNDINGS = 1.5
_BATCH = 32


@dataclass(frozen=True)
class Verdict:
    """How a picture agrees with what was said of it.

    `is_true` if exactly the stated things are seen: names and numbers. The others are the shares of
    stated things whose shape, or whose colour, is seen as often as stated, and whether as many
    things are seen as were stated.
    """

    stated: int
    is_true: bool
    shapes: float
    colours: float
    count: bool


class Onlooker:
    """The tabletop's detector finds things and their shapes, its classifier says their colours.

    A picture fills `share` of what the detector sees, side by side; around it is grey.
    """

    def __init__(
        self,
        detector: nn.Module,
        spec: DetectorSpec,
        classifier: Classifier,
        *,
        threshold: float,
        share: float = 1.0,
    ) -> None:
        if spec.labels != SHAPES or classifier.spec.labels != OBJECT_NAMES:
            raise ValueError("these are not a detector and a classifier of the tabletop world")
        self._detector, self._spec, self._classifier = detector, spec, classifier
        self._threshold = threshold
        self._margin = (1 / share - 1) / 2  # on each side, in sides of a picture

    @classmethod
    def of(cls, detector: Path, classifier: Path, data: PictureData) -> "Onlooker":
        """From two checkpoints, for pictures like these."""
        finder, spec, _ = load_detector(detector)
        namer, _, _ = load_classifier(classifier)
        near = data.world is not None and data.world.still_life
        share = _STILL_LIFE_SHARE if near else 1.0
        return cls(finder, spec, namer, threshold=THRESHOLD, share=share)

    @torch.inference_mode()
    def see(self, pictures: Tensor) -> list[Counter[str]]:
        """Object name -> how many, for each of uint8 [B, S, S, 3]."""
        seen = []
        for part in torch.split(pictures, _BATCH):
            margins = [round(self._margin * part.shape[1])] * 4
            planes = F.pad(part.permute(0, 3, 1, 2).float(), margins, value=_GREY)
            answers = self._detector(_whole(_scaled(planes, self._spec.input_size)))
            found = postprocess(answers, self._spec, score_threshold=self._threshold)
            seen += [self._name(plane, each) for plane, each in zip(planes, found, strict=True)]
        return seen

    def features(self, pictures: Tensor) -> Tensor:
        """The classifier's view of whole pictures, before its head, [B, D]."""
        size = self._classifier.spec.input_size
        views = [
            _scaled(part.permute(0, 3, 1, 2).float(), size)
            for part in torch.split(pictures, _BATCH)
        ]
        backbone = self._classifier.backbone
        with torch.inference_mode():
            return torch.cat(
                [
                    backbone.forward_features(  # type: ignore[operator] # timm's
                        self._classifier.normalise(_whole(view))
                    ).mean((2, 3))
                    for view in views
                ]
            )

    def _name(self, plane: Tensor, found: Detections) -> Counter[str]:
        """`plane` float [3, S, S] in 0..255."""
        if not len(found.boxes_xyxy):
            return Counter()
        kept = nms(found.boxes_xyxy, found.scores, _SAME_PLACE_IOU)  # [D]
        factor = plane.shape[1] / self._spec.input_size[0]
        crops = torch.stack([self._crop(plane, box * factor) for box in found.boxes_xyxy[kept]])
        names = self._classifier(_whole(crops)).softmax(1)  # [D, names]
        colours = names.unflatten(1, (len(SHAPES), len(COLOURS))).sum(1).argmax(1)  # [D]
        return Counter(
            object_name(COLOURS[c], SHAPES[s])
            for c, s in zip(colours.tolist(), found.labels[kept].tolist(), strict=True)
        )

    def _crop(self, plane: Tensor, box: Tensor) -> Tensor:
        """A square around a box, in pixels of the plane, at the classifier's size."""
        side = plane.shape[1]
        centre = (box[:2] + box[2:]) / 2
        half = float((box[2:] - box[:2]).max()) * _SURROUNDINGS / 2
        left, top = (int(x) for x in (centre - half).clamp(0, side - 2))
        right, bottom = (int(x) + 1 for x in (centre + half).clamp(2, side - 1))
        return _scaled(plane[None, :, top:bottom, left:right], self._classifier.spec.input_size)[0]


def judge(stated: Counter[str], seen: Counter[str]) -> Verdict:
    """How what is seen agrees with what was stated."""
    return Verdict(
        stated=stated.total(),
        is_true=stated == seen,
        shapes=_shared(stated, seen, part=1),
        colours=_shared(stated, seen, part=0),
        count=stated.total() == seen.total(),
    )


def summarise(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """The shares: of all, of those that state one thing, and of those that state more."""
    groups = {
        "": list(verdicts),
        "_one": [v for v in verdicts if v.stated == 1],
        "_more": [v for v in verdicts if v.stated > 1],
    }
    figures: dict[str, float] = {}
    for suffix, group in groups.items():
        if group:
            count = len(group)
            figures |= {
                f"true{suffix}": sum(v.is_true for v in group) / count,
                f"shapes{suffix}": sum(v.shapes for v in group) / count,
                f"colours{suffix}": sum(v.colours for v in group) / count,
                f"count{suffix}": sum(v.count for v in group) / count,
            }
    return figures


def _shared(stated: Counter[str], seen: Counter[str], part: int) -> float:
    """The share of stated things that are seen, by the colour (0) or the shape (1) alone."""
    wanted, there = Counter[str](), Counter[str]()
    for names, words in ((stated, wanted), (seen, there)):
        for name, count in names.items():
            words[name.split()[part]] += count
    return (wanted & there).total() / max(1, wanted.total())


def _scaled(planes: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(planes, size, mode="bilinear", align_corners=False, antialias=True)


def _whole(planes: Tensor) -> Tensor:
    """Float [B, 3, H, W] -> uint8 [B, H, W, 3], which the networks take."""
    return planes.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)

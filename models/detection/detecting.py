"""A detector over a whole set of images, with boxes in the images' own pixels."""

import torch
from torch import Tensor, nn

from models.data.boxed import BoxedImages
from models.detection.boxes import clip_to
from models.detection.postprocess import Detections, postprocess
from models.detection.spec import DetectorSpec
from models.detection.windows import boxes_to_image, fit_windows
from models.training.task import Place

EVALUATION_BATCH = 32

#: Low, for average precision counts the unsure ones too.
EVALUATION_THRESHOLD = 0.01


@torch.inference_mode()
def detect_all(
    network: nn.Module, spec: DetectorSpec, images: BoxedImages, place: Place
) -> list[Detections]:
    """What a network in evaluation mode finds in every image, all processes together."""
    rows = torch.zeros(len(images), spec.max_detections, 6)  # x1 y1 x2 y2 score, label + 1
    share = place.share.of(len(images))
    for start in range(share.start, share.stop, EVALUATION_BATCH):
        indices = torch.arange(start, min(start + EVALUATION_BATCH, share.stop))
        sizes_px = images.sizes_px(indices)
        windows = fit_windows(sizes_px, spec.input_size, spec.fit)
        batch = images.read(indices, spec.input_size, windows).to(place.device)
        detections = postprocess(network(batch), spec, score_threshold=EVALUATION_THRESHOLD)
        for index, window, size, found in zip(
            indices.tolist(), windows, sizes_px.tolist(), detections, strict=True
        ):
            boxes = boxes_to_image(found.boxes_xyxy.cpu()[None], window[None], spec.input_size)[0]
            rows[index, : len(boxes)] = torch.cat(
                [
                    clip_to(boxes, (size[1], size[0])),
                    found.scores.cpu()[:, None],
                    found.labels.cpu()[:, None] + 1,
                ],
                1,
            )
    rows = place.total(rows.to(place.device)).cpu()
    return [_unpack(row) for row in rows]


def _unpack(row: Tensor) -> Detections:
    """The filled rows of one image [D, 6]."""
    filled = row[row[:, 5] > 0]
    return Detections(filled[:, :4], filled[:, 4], filled[:, 5].long() - 1)

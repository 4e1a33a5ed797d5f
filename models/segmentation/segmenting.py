"""A segmenter over a whole set of images, with segments in the images' own pixels."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.data.panoptic import VOID, SegmentedImages
from models.detection.windows import fit_windows
from models.segmentation.fusion import Panoptic, Thresholds, fuse
from models.segmentation.spec import SegmenterSpec
from models.training.task import Place

# Legend: n segments, h w pixels of an image, H W of the map.

EVALUATION_BATCH = 16


class Shown(NamedTuple):
    """Which segments a person or a server is shown; see `Thresholds`. The paper's figures."""

    score: float = 0.8
    overlap: float = 0.8
    min_area: float = 0.0


PAPER = Shown()


class Found(NamedTuple):
    """The segments of one image."""

    image: int
    numbers: Tensor  # [h, w] int16, rows of the others, or VOID
    semantic: Tensor  # [h, w] uint8, the likeliest label of every pixel
    labels: Tensor  # [n] int64
    scores: Tensor  # [n] float


@torch.inference_mode()
def segment_all(
    network: nn.Module,
    spec: SegmenterSpec,
    images: SegmentedImages,
    place: Place,
    *,
    shown: Shown = PAPER,
    map_size: tuple[int, int] | None = None,
    chosen: Tensor | None = None,
) -> Iterator[Found]:
    """What a network in evaluation mode finds in this process's share of the images, or of the
    chosen ones int64 [N]; the map has the input's size if no other is given."""
    numbers = torch.arange(len(images)) if chosen is None else chosen
    for indices in torch.split(numbers[place.share.of(len(numbers))], EVALUATION_BATCH):
        windows = fit_windows(images.sizes_px(indices), spec.input_size, spec.fit)
        batch = images.read(indices, spec.input_size, windows).to(place.device)
        (answer,) = network(batch)
        thresholds = Thresholds.same(len(batch), *shown, like=answer.mask_logits)
        fused = fuse(answer, spec, thresholds, map_size or spec.input_size)
        yield from in_images(fused, spec, images, indices)


def in_images(
    fused: Panoptic, spec: SegmenterSpec, images: SegmentedImages, indices: Tensor
) -> Iterator[Found]:
    """What was found in a batch of images, in their own pixels."""
    sizes_px = images.sizes_px(indices)
    windows = fit_windows(sizes_px, spec.input_size, spec.fit)
    for row, index in enumerate(indices.tolist()):
        width, height = sizes_px[row].tolist()
        yield _found(index, fused, row, windows[row], (height, width))


def _found(index: int, fused: Panoptic, row: int, window: Tensor, size: tuple[int, int]) -> Found:
    count = int(fused.counts[row])
    maps = torch.stack([fused.ids[row].to(torch.int16) - 1, fused.semantic[row].to(torch.int16)])
    numbers, semantic = to_image(maps.cpu(), window, size)
    return Found(
        index,
        numbers,
        semantic.to(torch.uint8),
        fused.labels[row, :count].cpu(),
        fused.scores[row, :count].cpu(),
    )


def to_image(maps: Tensor, window: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps [..., H, W] of what a window [4] shows, at the pixels of its image: [..., h, w].

    The nearest cell; VOID where the window does not reach.
    """
    rows = _cells_under(float(window[1]), float(window[3]), size[0], maps.shape[-2])
    columns = _cells_under(float(window[0]), float(window[2]), size[1], maps.shape[-1])
    inside = ((rows >= 0) & (rows < maps.shape[-2]))[:, None]
    inside = inside & (columns >= 0) & (columns < maps.shape[-1])
    found = maps[..., rows.clamp(0, maps.shape[-2] - 1), :]
    found = found[..., columns.clamp(0, maps.shape[-1] - 1)]
    return found.where(inside, VOID)


def _cells_under(start: float, end: float, pixels: int, cells: int) -> Tensor:
    """Which cell lies under the middle of each pixel: int64 [pixels]."""
    middles = torch.arange(pixels) + 0.5
    return ((middles - start) / (end - start) * cells).floor().long()

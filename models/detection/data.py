"""The images that a detector's recipe asks for, and the batches that training draws from them."""

from pathlib import Path

from torch import Generator, Tensor

from models.data.boxed import ArrayScenes, BoxedImages
from models.data.coco import CocoImages
from models.detection.augment import (
    AugmentSpec,
    augment_pixels,
    draw_mirrored,
    draw_windows,
)
from models.detection.recipe import DataSpec, WorldData
from models.detection.spec import Fit
from models.detection.windows import boxes_to_input, fit_windows, keep_visible, mirror_boxes
from models.training.batches import ShuffledBatches


def open_boxed_images(
    spec: DataSpec,
    split: str,
    *,
    names: tuple[str, ...] | None = None,
    progress: bool = False,
) -> BoxedImages:
    """One split: `train`, `val` or `test`. `names` number the categories of a COCO file."""
    if spec.world is not None:
        return _open_world(spec.world, split, progress)
    assert spec.coco is not None
    source = {"train": spec.coco.train, "val": spec.coco.val, "test": spec.coco.test}[split]
    if source is None:
        raise ValueError(f"the data has no {split} split")
    images, annotations = Path(source.images), Path(source.annotations)
    return CocoImages(images.expanduser(), annotations.expanduser(), names)


def _open_world(spec: WorldData, split: str, progress: bool) -> ArrayScenes:
    from models.data.world import SHAPES, SceneSpec, WorldSpec, open_world

    count = {"train": spec.train, "val": spec.val, "test": spec.test}[split]
    world = open_world(
        WorldSpec(
            SceneSpec(max_objects=spec.objects),
            count,
            size_px=spec.size_px,
            split=split,
            seed=spec.seed,
            supersample=spec.train_supersample if split == "train" else spec.supersample,
            truths=("boxes",),
        ),
        Path(spec.root).expanduser() if spec.root else None,
        workers=spec.workers,
        progress=progress,
    )
    description = (
        f"tabletop world, {split} split of seed {spec.seed}, {count} scenes of 1 to "
        f"{spec.objects} objects at {spec.size_px} px"
    )
    boxes, shapes = world.array("boxes")[:], world.array("box_shape")[:]
    return ArrayScenes(world.array("image"), boxes, shapes, SHAPES, description)


class DetectionBatches(ShuffledBatches[BoxedImages]):
    """Shuffled and augmented batches, addressed by step."""

    def __init__(
        self,
        images: BoxedImages,
        *,
        sizes: tuple[tuple[int, int], ...],
        fit: Fit,
        batch_size: int,
        augment: AugmentSpec,
        seed: int,
    ) -> None:
        super().__init__(images, batch_size=batch_size, seed=seed)
        self._sizes = sizes
        self._fit = fit
        self._augment = augment

    def make(self, step: int, indices: Tensor, generator: Generator) -> dict[str, Tensor]:
        """`image` uint8 [B, H, W, 3], `boxes` float [B, K, 4] xyxy px, `labels` int64 [B, K]."""
        size = self.choose(step, self._sizes)
        seen = fit_windows(self.samples.sizes_px(indices), size, self._fit)
        windows = draw_windows(self._augment, seen, generator)
        mirrored = draw_mirrored(self._augment, len(indices), generator)
        boxes, labels = self.samples.boxes(indices)
        boxes = mirror_boxes(boxes_to_input(boxes, windows, size), mirrored, size)
        boxes, labels = keep_visible(
            boxes,
            labels,
            size,
            least_share=self._augment.least_share,
            least_side_px=self._augment.least_side_px,
        )
        images = self.samples.read(indices, size, windows)
        pixels = augment_pixels(self._augment, images, mirrored, generator)
        return {"image": pixels, "boxes": boxes, "labels": labels}

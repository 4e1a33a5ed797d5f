import torch

from models.detection.augment import AugmentSpec, augment_pixels
from models.detection.data import DetectionBatches
from models.training.task import Share
from tests.models.detection.rectangles import SIZE, rectangle_scenes


def batches(augment: AugmentSpec | None = None, **changes: object) -> DetectionBatches:
    options = {"sizes": (SIZE,), "fit": "letterbox", "batch_size": 16, "seed": 0} | changes
    scenes = rectangle_scenes(48, 0, side_px=96)
    return DetectionBatches(scenes, augment=augment or AugmentSpec(), **options)  # type: ignore[arg-type]


def test_boxes_stay_on_their_pixels() -> None:
    """Whatever the window and the mirror, a box is where the pixels of its colour are."""
    augment = AugmentSpec(
        zoom=(0.6, 1.5), shift=0.2, aspect=0.2, brightness=0, contrast=0, saturation=0, tint=0,
        sharpness=0, least_share=0.01, least_side_px=1,
    )  # fmt: skip
    source, seen = batches(augment, sizes=(SIZE, (96, 64))), 0
    for step in range(6):
        batch = source.batch(step, Share())
        for image, boxes, labels in zip(
            batch["image"].float(), batch["boxes"], batch["labels"], strict=True
        ):
            for box, label in zip(boxes, labels.tolist(), strict=True):
                if label < 0 or (box[2:] - box[:2]).min() < 4:
                    continue
                rest = [c for c in range(3) if c != label]
                mask = (image[..., label] > 165) & (image[..., rest].amax(2) < 60)
                rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
                drawn = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                assert (torch.stack(drawn) - box).abs().max() < 1.6
                seen += 1
    assert seen > 80


def test_nothing_changes_where_nothing_may() -> None:
    still = AugmentSpec(
        zoom=(1, 1), aspect=0, shift=0, flip=0, brightness=0, contrast=0, saturation=0, tint=0,
        sharpness=0,
    )  # fmt: skip
    scenes = rectangle_scenes(48, 0, side_px=96)
    batch = batches(still, sizes=((96, 96),), batch_size=48).batch(0, Share())
    order = batches()._epochs.take(0, 48)
    whole = torch.tensor([0.0, 0, 96, 96]).expand(48, 4)
    assert torch.equal(batch["image"], scenes.read(order, (96, 96), whole))
    assert torch.equal(batch["boxes"], scenes.boxes(order)[0])


def test_colours_change_but_grey_stays_grey_without_tint() -> None:
    images = torch.randint(0, 256, (4, 8, 8, 1), dtype=torch.uint8).expand(4, 8, 8, 3)
    draw = torch.Generator().manual_seed(1)
    changed = augment_pixels(AugmentSpec(tint=0), images, torch.zeros(4) > 0, draw)
    assert not torch.equal(changed, images)
    assert (changed.amax(3).int() - changed.amin(3).int()).max() <= 1


def test_shares_of_a_step_show_the_same_images() -> None:
    still = AugmentSpec(zoom=(1, 1), aspect=0, shift=0)
    source = batches(still, sizes=(SIZE, (32, 32)))
    whole = source.batch(3, Share())
    parts = [source.batch(3, Share(i, 2)) for i in range(2)]
    assert torch.equal(torch.cat([part["labels"] for part in parts]), whole["labels"])
    assert {part["image"].shape[1:] for part in parts} == {whole["image"].shape[1:]}


def test_a_step_gives_the_same_batch_again() -> None:
    first, again = batches().batch(5, Share()), batches().batch(5, Share())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["image"], batches().batch(6, Share())["image"])


def test_steps_take_turns_between_the_sizes() -> None:
    source = batches(sizes=((64, 64), (32, 96)))
    shapes = [tuple(source.batch(step, Share())["image"].shape[1:3]) for step in range(12)]
    assert set(shapes) == {(64, 64), (32, 96)}

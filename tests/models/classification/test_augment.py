import pytest
import torch
from torchvision.transforms.v2 import functional as V

from models.classification.augment import (
    NO_AUGMENT,
    AugmentSpec,
    augment_pixels,
    draw_windows,
)
from models.classification.recipe import ClassifierRecipe

WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]])


def images(count: int = 8) -> torch.Tensor:
    """Smooth random images, uint8 [B, 32, 32, 3]."""
    coarse = torch.randint(0, 256, (count, 3, 6, 6), dtype=torch.uint8)
    return V.resize(coarse, [32, 32]).permute(0, 2, 3, 1).contiguous()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def only(**changes: object) -> AugmentSpec:
    return AugmentSpec(**{**vars(NO_AUGMENT), **changes})


def test_nothing_asked_changes_nothing() -> None:
    batch = images()
    assert torch.equal(augment_pixels(NO_AUGMENT, batch, generator()), batch)
    assert torch.allclose(draw_windows(NO_AUGMENT, 4, generator()), WHOLE.expand(4, 4))


def test_a_seed_gives_the_same_images_again() -> None:
    batch, spec = images(), AugmentSpec()
    first = augment_pixels(spec, batch, generator(3))
    assert torch.equal(first, augment_pixels(spec, batch, generator(3)))
    assert not torch.equal(first, augment_pixels(spec, batch, generator(4)))


def test_the_images_handed_in_stay_as_they_are() -> None:
    batch = images()
    before = batch.clone()
    augment_pixels(AugmentSpec(jpeg=1.0, rescale=1.0), batch, generator())
    assert torch.equal(batch, before)


def test_a_flip_is_a_mirror() -> None:
    batch = images()
    assert torch.equal(augment_pixels(only(flip=1.0), batch, generator()), batch.flip(2))


def test_windows_keep_to_their_ranges() -> None:
    windows = draw_windows(only(zoom=(0.5, 0.8), shift=0.1), 500, generator())
    sides = windows[:, 2:] - windows[:, :2]
    assert sides.min() >= 0.5 and sides.max() <= 0.8
    centres = (windows[:, 2:] + windows[:, :2]) / 2
    assert (centres - 0.5).abs().max() <= 0.1
    assert sides.max() > 0.78 and sides.min() < 0.52


def test_saturation_is_that_of_a_blend_with_grey() -> None:
    batch = images(1)
    changed = augment_pixels(only(saturation=0.5), batch, generator(1)).float()
    grey = batch.float().mean(3, keepdim=True)
    offset, found = batch.float() - grey, changed - grey
    inside = (changed > 0) & (changed < 255) & (offset.abs() > 40)
    ratios = (found / offset)[inside]
    assert ratios.std() < 0.02 and 0.5 <= ratios.mean() <= 1.5


def test_contrast_turns_around_the_mean() -> None:
    batch = images() // 2 + 64
    changed = augment_pixels(only(contrast=0.4), batch, generator(2)).float().flatten(1)
    before = batch.float().flatten(1)
    torch.testing.assert_close(changed.mean(1), before.mean(1), rtol=0, atol=0.3)
    ratios = changed.std(1) / before.std(1)
    assert ratios.min() > 0.59 and ratios.max() < 1.41 and ratios.max() - ratios.min() > 0.2


@pytest.mark.parametrize("loss", ["rescale", "jpeg", "noise", "sharpness", "brightness", "tint"])
def test_every_change_keeps_the_image_recognisable(loss: str) -> None:
    batch = images()
    changed = augment_pixels(
        only(**{loss: getattr(AugmentSpec(), loss) or 1.0}), batch, generator()
    )
    difference = (changed.float() - batch.float()).abs().mean()
    assert changed.dtype == torch.uint8 and changed.shape == batch.shape
    assert 0 < difference < 25


def test_an_impossible_zoom_is_refused() -> None:
    with pytest.raises(ValueError, match="rising range"):
        AugmentSpec(zoom=(1.0, 0.5))
    assert ClassifierRecipe.__dataclass_fields__["augment"].default_factory is AugmentSpec

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from models.backbones import IMAGENET_MEAN, IMAGENET_STD, Normalisation


def test_pixels_are_normalised_as_torchvision_does() -> None:
    image = torch.randint(0, 256, (2, 5, 7, 3), dtype=torch.uint8)
    found = Normalisation(IMAGENET_MEAN, IMAGENET_STD)(image)
    unit = reference.to_dtype(image.permute(0, 3, 1, 2), torch.float32, scale=True)
    expected = reference.normalize(unit, list(IMAGENET_MEAN), list(IMAGENET_STD))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_checkpoint_does_not_hold_what_the_spec_says() -> None:
    assert not Normalisation(IMAGENET_MEAN, IMAGENET_STD).state_dict()


def test_a_deviation_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.0"):
        Normalisation(IMAGENET_MEAN, (0.2, 0.0, 0.2))

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as V

from models.data.labelled import ArrayImages

ALL = torch.arange(3)


def make_images() -> tuple[ArrayImages, torch.Tensor]:
    coarse = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    planes = V.resize(coarse, [40, 40])
    pixels = planes.permute(0, 2, 3, 1).contiguous()
    return ArrayImages(pixels.numpy(), [0, 1, 0], ("a", "b"), "three"), planes


def test_an_image_of_the_right_size_is_read_as_it_is() -> None:
    images, planes = make_images()
    read = images.read(torch.tensor([2, 0]), (40, 40))
    assert torch.equal(read, planes[[2, 0]].permute(0, 2, 3, 1))
    assert images.labels.tolist() == [0, 1, 0] and len(images) == 3


def test_another_size_is_resampled_like_torchvision_does() -> None:
    images, planes = make_images()
    expected = V.resize(planes, [16, 24], antialias=True).permute(0, 2, 3, 1)
    difference = (images.read(ALL, (16, 24)).int() - expected.int()).abs()
    assert difference.max() <= 1


def test_the_whole_window_is_the_image() -> None:
    images, planes = make_images()
    windows = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(3, 4)
    assert torch.equal(images.read(ALL, (40, 40), windows), planes.permute(0, 2, 3, 1))


def test_a_window_is_the_crop_of_that_place() -> None:
    images, planes = make_images()
    windows = torch.tensor([[0.25, 0.5, 0.75, 1.0]]).expand(3, 4)
    expected = planes[:, :, 20:40, 10:30].permute(0, 2, 3, 1)
    assert torch.equal(images.read(ALL, (20, 20), windows), expected)


def test_beyond_the_image_its_border_is_repeated() -> None:
    images, planes = make_images()
    windows = torch.tensor([[-0.5, 0.0, 0.5, 1.0]]).expand(3, 4)
    read = images.read(ALL, (40, 40), windows)
    left = planes[:, :, :, :1].permute(0, 2, 3, 1).expand(3, 40, 19, 3)
    assert torch.equal(read[:, :, :19], left)


def test_as_many_labels_as_images_are_needed() -> None:
    with pytest.raises(ValueError, match="2 images, but 3 labels"):
        ArrayImages(np.zeros((2, 4, 4, 3), np.uint8), [0, 1, 0], ("a", "b"), "")

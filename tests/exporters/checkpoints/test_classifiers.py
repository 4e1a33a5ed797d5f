import pytest
import timm
import torch
import torchvision

from exporters.checkpoints.classifiers import convert_classifier, read_labels
from exporters.errors import CheckpointError

NAMES = tuple("abcdefg")


def pixels(size: tuple[int, int]) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, *size, 3), dtype=torch.uint8, generator=draw)


def normalised(images: torch.Tensor, mean: float | list[float], std: float | list[float]):
    planes = images.permute(0, 3, 1, 2).float() / 255
    return torchvision.transforms.functional.normalize(planes, mean, std)


@torch.no_grad()
def test_torchvision_answers_the_same() -> None:
    model = torchvision.models.resnet18(num_classes=7).eval()
    found, spec = convert_classifier(
        model.state_dict(), NAMES, backbone="resnet18.tv_in1k", size=(64, 96)
    )
    images = pixels((64, 96))
    expected = model(normalised(images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    torch.testing.assert_close(found(images), expected, atol=1e-4, rtol=1e-4)
    assert (spec.labels, spec.input_size) == (NAMES, (64, 96))


@torch.no_grad()
def test_timm_answers_the_same_with_the_normalisation_of_its_weights() -> None:
    model = timm.create_model("mobilenetv2_035", num_classes=7).eval()
    tag = "tf_efficientnet_lite0.in1k"
    lite = timm.create_model("tf_efficientnet_lite0", num_classes=7).eval()
    found, spec = convert_classifier(lite.state_dict(), NAMES, backbone=tag, size=(64, 64))
    assert spec.mean == (0.5, 0.5, 0.5)
    images = pixels((64, 64))
    expected = lite(normalised(images, [0.5] * 3, [0.5] * 3))
    torch.testing.assert_close(found(images), expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(CheckpointError, match="does not fit mobilenetv2_035 of 6 labels"):
        convert_classifier(model.state_dict(), NAMES[:6], backbone="mobilenetv2_035")


def test_the_size_is_that_of_the_published_weights() -> None:
    weights = timm.create_model("resnet10t", num_classes=7).state_dict()
    _, spec = convert_classifier(weights, NAMES, backbone="resnet10t.c3_in1k")
    assert spec.input_size == (176, 176)


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"no 'resnet19'; near it: \['resnet"):
        convert_classifier({}, NAMES, backbone="resnet19")


def test_imagenet_has_a_thousand_different_names() -> None:
    labels = read_labels("imagenet")
    assert len(labels) == len(set(labels)) == 1000
    assert labels[:2] == ("tench", "goldfish")
    assert [x for x in labels if "crane" in x] == ["crane (n02012849)", "crane (n03126707)"]

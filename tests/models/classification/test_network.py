"""Architectures against the counts of parameters that their papers and libraries state."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.backbones.pixels import IMAGENET_MEAN, IMAGENET_STD
from models.classification import Classifier, ClassifierSpec
from models.classification.backbones import MeanPool, build_backbone

LABELS = ("a", "b", "c")


def tiny(backbone: str = "resnet10t", **kwargs: object) -> ClassifierSpec:
    kwargs = kwargs or {"channels": [8, 16, 24, 32], "stem_width": 8}
    return ClassifierSpec(backbone, LABELS, (32, 32), kwargs)


@pytest.mark.parametrize(
    ("backbone", "parameters"),
    [
        ("alexnet", 61_100_840),  # torchvision's is of the later paper; the first had 60,965,224
        ("googlenet", 6_624_904),  # torchvision's 5×5 branches are 3×3; the paper's has 6,998,552
        ("vgg16", 138_357_544),
        ("resnet18", 11_689_512),
        ("resnet50", 25_557_032),
        ("mobilenetv2_100", 3_504_872),
        ("resnext50_32x4d", 25_028_904),
        ("wide_resnet50_2", 68_883_240),
        ("densenet121", 7_978_856),
        ("efficientnet_b0", 5_288_548),
        ("vit_base_patch16_224", 86_567_656),
    ],
)
def test_parameter_counts(backbone: str, parameters: int) -> None:
    with torch.device("meta"):
        network = build_backbone(backbone, 1000, {})
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_the_grouped_alexnet_of_the_paper_would_be_smaller() -> None:
    # Two groups in layers 2, 4 and 5 (Krizhevsky 2012): C_out (C_in K² / groups + 1) each.
    layers = [(96, 3, 11, 1), (256, 96, 5, 2), (384, 256, 3, 1), (384, 384, 3, 2), (256, 384, 3, 2)]
    convolutions = sum(o * (i * k * k // g + 1) for o, i, k, g in layers)
    dense = sum(o * (i + 1) for o, i in [(4096, 256 * 6 * 6), (4096, 4096), (1000, 4096)])
    assert convolutions + dense == 60_965_224
    ungrouped = sum(o * (i * k * k + 1) for o, i, k, _ in layers)
    assert ungrouped + dense == 62_378_344


def test_normalisation_is_inside() -> None:
    classifier = Classifier(tiny()).eval()
    image = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    pixels = image.permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    expected = classifier.backbone((pixels - mean) / std)
    torch.testing.assert_close(classifier(image), expected, rtol=1e-4, atol=1e-5)


def test_normalisation_is_not_in_the_weights() -> None:
    assert all(name.startswith("backbone.") for name in Classifier(tiny()).state_dict())


def test_timm_s_pooling_is_replaced_by_the_same_mean() -> None:
    import timm

    network = build_backbone("resnet18", 3, {}).eval()
    reference = timm.create_model("resnet18", num_classes=3).eval()
    reference.load_state_dict(network.state_dict())
    assert isinstance(network.global_pool, MeanPool)
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(pixels), reference(pixels), rtol=1e-4, atol=1e-5)


def test_the_side_heads_answer_in_training_only() -> None:
    spec = ClassifierSpec("googlenet", LABELS, (64, 64))
    classifier = Classifier(spec, auxiliary_heads=True)
    image = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    assert [logits.shape for logits in classifier.train()(image)] == [(2, 3)] * 3
    assert classifier.eval()(image).shape == (2, 3)


@pytest.mark.parametrize(
    "backbone", ["resnet18", "vgg11", "mobilenetv2_100", "vit_tiny_patch16_224", "alexnet"]
)
def test_stages_part_the_parameters_from_stem_to_head(backbone: str) -> None:
    with torch.device("meta"):
        classifier = Classifier(ClassifierSpec(backbone, LABELS))
    stages = classifier.stages()
    names = [name for stage in stages for name in stage]
    own = dict(classifier.named_parameters())
    assert sorted(names) == sorted(own)
    assert any(own[name].shape[0] == len(LABELS) for name in stages[-1])


def test_googlenet_s_stages_part_its_parameters_too() -> None:
    with torch.device("meta"):
        classifier = Classifier(ClassifierSpec("googlenet", LABELS), auxiliary_heads=True)
    names = [name for stage in classifier.stages() for name in stage]
    assert sorted(names) == sorted(dict(classifier.named_parameters()))


def test_an_unknown_backbone_is_named_with_its_neighbours() -> None:
    with pytest.raises(ValueError, match=r"no backbone is named 'resnet18x'.*resnet"):
        build_backbone("resnet18x", 3, {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("a", "a")}, r"repeated: \['a'\]"),
        ({"input_size": (0, 32)}, "input_size"),
        ({"std": (1.0, 0.0, 1.0)}, "std"),
    ],
)
def test_impossible_specs_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassifierSpec(**{"backbone": "resnet18", "labels": LABELS, **changes})


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"), [(227, 11, 4, 0), (64, 3, 2, 1), (33, 5, 1, 2)]
)
def test_the_output_size_formula_holds(size: int, kernel: int, stride: int, padding: int) -> None:
    layer = nn.Conv2d(1, 1, kernel, stride, padding)
    assert (
        layer(torch.zeros(1, 1, size, size)).shape[2] == (size - kernel + 2 * padding) // stride + 1
    )


def test_the_receptive_field_formula_holds() -> None:
    # r = 1 + Σ (K − 1) ∏ S of the layers before; the gradient of one output shows the real one.
    layers = [(3, 1), (3, 2), (5, 1), (3, 2)]
    x = torch.zeros(1, 1, 61, 61, requires_grad=True)
    y, field, jump = x, 1, 1
    for kernel, stride in layers:
        y = F.conv2d(y, torch.ones(1, 1, kernel, kernel), stride=stride)
        field += (kernel - 1) * jump
        jump *= stride
    y[0, 0, y.shape[2] // 2, y.shape[3] // 2].backward()
    assert x.grad is not None
    assert int((x.grad[0, 0].sum(0) > 0).sum()) == field

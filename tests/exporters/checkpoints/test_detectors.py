"""Published layouts, built by their own libraries with random weights, against ours."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection._utils import overwrite_eps
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from torchvision.ops.misc import FrozenBatchNorm2d

from exporters.checkpoints.classes import Classes
from exporters.checkpoints.detectors import convert_detector
from exporters.errors import CheckpointError
from models.detection import Detections, DetectorSpec, postprocess

NAMES = Classes((None, "ant", "bee", None, "cat", "dog"))
WIDE, TALL = (96, 160), (128, 64)
DRIFT = 1e-3


def pictures(size: tuple[int, int], count: int = 2) -> Tensor:
    """Smooth uint8 images [B, H, W, 3]."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(count, 3, 6, 6, generator=generator) * 255
    fine = nn.functional.interpolate(coarse, size, mode="bicubic").clamp(0, 255)
    return fine.permute(0, 2, 3, 1).to(torch.uint8)


def enliven(model: nn.Module, *, seed: int = 0) -> None:
    """Statistics, and heads that tell one place from another, as training would leave them."""
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in model.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith("running_mean"):
            buffer.normal_(0, 0.2, generator=generator)
        elif name.endswith(".weight"):
            buffer.uniform_(0.7, 1.0, generator=generator)
    for name, parameter in model.named_parameters():
        if re.search(r"(cls_logits|cls_score|bbox_pred|bbox_reg)\.weight", name):
            # Proposals less sure than that: sigmoids of 1 would leave their order to chance.
            spread = 0.05 if "rpn.head.cls" in name else 0.3 if "cls" in name else 0.02
            parameter.data.normal_(0, spread, generator=generator)
        elif name.endswith("cls_logits.bias"):
            parameter.data.fill_(-2)


def torchvision_model(kind: str, network: str, size: tuple[int, int]) -> nn.Module:
    """As `retinanet_resnet50_fpn` and `fasterrcnn_resnet50_fpn` build it for COCO_V1."""
    torch.manual_seed(0)
    body = getattr(torchvision.models, network)(weights=None, norm_layer=FrozenBatchNorm2d)
    kept: Any = {"min_size": min(size), "max_size": max(size)}
    if kind == "torchvision-retinanet":
        levels = LastLevelP6P7(256, 256)
        backbone = _resnet_fpn_extractor(body, 5, returned_layers=[2, 3, 4], extra_blocks=levels)
        model = RetinaNet(backbone, len(NAMES.names), detections_per_img=4000, **kept)
    else:
        backbone = _resnet_fpn_extractor(body, 5)
        model = FasterRCNN(backbone, len(NAMES.names), box_detections_per_img=4000, **kept)
    overwrite_eps(model, 0.0)
    enliven(model)
    return model.eval()


def as_first_published(weights: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """By the names in the files that torchvision offers, which its newer classes still load."""
    first: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        name = re.sub(r"(fpn\.\w+_blocks\.\d)\.0\.", r"\1.", name)
        if kind == "torchvision-fasterrcnn":
            name = name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        if found := re.fullmatch(r"(head\.\w+\.conv)\.(\d)\.0\.(\w+)", name):
            name = f"{found[1]}.{2 * int(found[2])}.{found[3]}"
        first[name] = tensor
    return first


@torch.no_grad()
def torchvision_detections(model: nn.Module, images: Tensor) -> list[dict[str, Tensor]]:
    """Those of classes with a name, labels by their place among the names."""
    found = model(list(images.permute(0, 3, 1, 2).float() / 255))
    place = torch.full((len(NAMES.names),), -1)
    place[NAMES.named] = torch.arange(len(NAMES.named))
    kept = [place[one["labels"]] >= 0 for one in found]
    return [
        {"boxes": f["boxes"][k], "scores": f["scores"][k], "labels": place[f["labels"][k]]}
        for f, k in zip(found, kept, strict=True)
    ]


def assert_same(ours: Detections, boxes: Tensor, scores: Tensor, labels: Tensor) -> None:
    """The same detections, but for the order of those that score alike."""
    assert len(ours.scores) > 5, "the comparison is of nothing"
    torch.testing.assert_close(ours.scores, scores[:100], atol=DRIFT, rtol=0)
    for box, score, label in zip(ours.boxes_xyxy, ours.scores, ours.labels, strict=True):
        alike = (labels == label) & ((scores - score).abs() < DRIFT)
        apart = (boxes[alike] - box).abs().amax(1)
        assert len(apart) and apart.min() < DRIFT, (box, score, label)


@pytest.mark.parametrize(
    ("layout", "network", "size"),
    [
        ("torchvision-retinanet", "resnet50", WIDE),
        ("torchvision-retinanet", "resnet18", TALL),
        ("torchvision-fasterrcnn", "resnet50", WIDE),
        ("torchvision-fasterrcnn", "resnet18", TALL),
    ],
)
@torch.no_grad()
def test_torchvision_detects_the_same(layout: str, network: str, size: tuple[int, int]) -> None:
    model = torchvision_model(layout, network, size)
    published = as_first_published(model.state_dict(), layout)
    model.load_state_dict(published)  # torchvision itself takes these names for its own
    detector, spec = convert_detector(published, NAMES, layout=layout, size=size)
    assert spec.labels == ("ant", "bee", "cat", "dog")
    images = pictures(size)
    found = postprocess(detector(images), spec)
    for ours, theirs in zip(found, torchvision_detections(model, images), strict=True):
        assert_same(ours, theirs["boxes"], theirs["scores"], theirs["labels"])


@pytest.mark.parametrize("layout", ["torchvision-retinanet", "torchvision-fasterrcnn"])
def test_newer_names_are_the_same_model(layout: str) -> None:
    model = torchvision_model(layout, "resnet18", TALL)
    newer, _ = convert_detector(model.state_dict(), NAMES, layout=layout, size=TALL)
    older = as_first_published(model.state_dict(), layout)
    expected, _ = convert_detector(older, NAMES, layout=layout, size=TALL)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(tensor, newer.state_dict()[name]), name


def hugging_face_detr(network: str, folder: Path) -> nn.Module:
    """With random weights, saved to `folder` as the hub has them."""
    from transformers import DetrConfig, DetrForObjectDetection
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    config = DetrConfig(
        backbone=network,
        use_timm_backbone=True,
        use_pretrained_backbone=False,
        encoder_layers=2,
        decoder_layers=3,
        encoder_ffn_dim=512,
        decoder_ffn_dim=512,
        num_queries=30,
        num_labels=len(NAMES.names),
    )
    torch.manual_seed(0)
    model = DetrForObjectDetection(config).eval()
    enliven(model)
    for name, parameter in model.named_parameters():
        if name.startswith("model.query"):
            parameter.data.normal_(0, 1)
        elif name.endswith(("norm.weight", "norm.bias")):
            parameter.data.add_(torch.randn(parameter.shape) * 0.2)
        elif "backbone" not in name and parameter.dim() == 2:
            parameter.data.normal_(0, 0.12)
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize(("network", "size"), [("resnet50", WIDE), ("resnet18", TALL)])
@torch.no_grad()
def test_hugging_face_detr_detects_the_same(
    network: str, size: tuple[int, int], tmp_path: Path
) -> None:
    model = hugging_face_detr(network, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    assert "model.backbone.conv_encoder.model.conv1.weight" in weights  # as published
    detector, spec = convert_detector(weights, NAMES, layout="hf-detr", size=size)
    images = pictures(size)
    found = detector(images)
    boxes, scores, labels = transformers_detections(model, images, spec)
    torch.testing.assert_close(found.boxes_xyxy, boxes, atol=DRIFT, rtol=0)
    ours, named = found.scores.max(-1)
    torch.testing.assert_close(ours, scores, atol=1e-4, rtol=0)
    assert torch.equal(named, labels)
    assert boxes.std(1).mean() > 0.3, "all queries answer alike: the comparison is of nothing"


def transformers_detections(
    model: nn.Module, images: Tensor, spec: DetectorSpec
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes in pixels, scores and labels among the named classes, of every query."""
    from transformers import DetrImageProcessor

    processor = DetrImageProcessor(do_resize=False, do_pad=False)
    answer = model(**processor(images=list(images), return_tensors="pt"))
    # Classes without a name are never true in training, so that their logits fall away.
    logits = answer.logits.softmax(-1)[..., NAMES.named]
    scores, labels = logits.max(-1)
    height, width = spec.input_size
    (cx, cy), (w, h) = answer.pred_boxes[..., :2].unbind(-1), answer.pred_boxes[..., 2:].unbind(-1)
    corners = torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], -1)
    return corners * torch.tensor([width, height, width, height]), scores, labels


def test_newer_transformers_names_are_the_same_model(tmp_path: Path) -> None:
    model = hugging_face_detr("resnet18", tmp_path)
    published = load_file(tmp_path / "model.safetensors")
    expected, _ = convert_detector(published, NAMES, layout="hf-detr", size=TALL)
    newer, _ = convert_detector(model.state_dict(), NAMES, layout="hf-detr", size=TALL)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(tensor, newer.state_dict()[name]), name


def test_a_file_of_another_layout_is_refused() -> None:
    weights = torchvision_model("torchvision-retinanet", "resnet18", TALL).state_dict()
    with pytest.raises(CheckpointError, match="torchvision-fasterrcnn has no head"):
        convert_detector(weights, NAMES, layout="torchvision-fasterrcnn", size=TALL)


def test_a_file_that_lacks_a_tensor_is_refused() -> None:
    weights = torchvision_model("torchvision-retinanet", "resnet18", TALL).state_dict()
    del weights["backbone.fpn.inner_blocks.1.0.bias"]
    with pytest.raises(CheckpointError, match=r"lacks pyramid\.laterals\.1\.bias"):
        convert_detector(weights, NAMES, layout="torchvision-retinanet", size=TALL)


def test_labels_must_be_as_many_as_the_classes() -> None:
    weights = torchvision_model("torchvision-fasterrcnn", "resnet18", TALL).state_dict()
    with pytest.raises(CheckpointError, match="knows 6 classes, and 3 are named"):
        convert_detector(
            weights, Classes(("a", "b", "c")), layout="torchvision-fasterrcnn", size=TALL
        )
    with pytest.raises(CheckpointError, match="class 0 is the background, not 'a'"):
        convert_detector(
            weights, Classes(tuple("abcdef")), layout="torchvision-fasterrcnn", size=TALL
        )
    detector, _ = convert_detector(
        weights, Classes(tuple("abcde")), layout="torchvision-fasterrcnn", size=TALL
    )
    assert detector.spec.labels == tuple("abcde")


def test_sides_must_divide_by_the_coarsest_stride() -> None:
    with pytest.raises(CheckpointError, match="divide by 32: 100x64"):
        convert_detector({}, NAMES, layout="hf-detr", size=(100, 64))

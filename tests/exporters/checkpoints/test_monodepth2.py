"""Monodepth2's published layout, written down once more as its paper and files describe it."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from exporters.checkpoints.monodepth2 import read_monodepth2
from exporters.errors import CheckpointError

SIZE = (64, 96)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = torchvision.models.resnet18(weights=None)

    def forward(self, image: Tensor) -> list[Tensor]:
        net = self.encoder
        x = net.relu(net.bn1(net.conv1((image - 0.45) / 0.225)))
        features = [x]
        x = net.maxpool(x)
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = layer(x)
            features.append(x)
        return features


class Conv3x3(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(1)
        self.conv = nn.Conv2d(inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.pad(x))


class ConvBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = Conv3x3(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(self.conv(x))


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        encoder, own = [64, 64, 128, 256, 512], [16, 32, 64, 128, 256]
        layers: list[nn.Module] = []
        for i in range(4, -1, -1):
            layers.append(ConvBlock(encoder[4] if i == 4 else own[i + 1], own[i]))
            layers.append(ConvBlock(own[i] + (encoder[i - 1] if i > 0 else 0), own[i]))
        layers += [Conv3x3(own[scale], 1) for scale in range(4)]
        self.decoder = nn.ModuleList(layers)

    def forward(self, features: list[Tensor]) -> Tensor:
        x = features[-1]
        for place, i in enumerate(range(4, -1, -1)):
            x = self.decoder[2 * place](x)
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            if i > 0:
                x = torch.cat([x, features[i - 1]], 1)
            x = self.decoder[2 * place + 1](x)
        return torch.sigmoid(self.decoder[10](x))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Encoder, Decoder]:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("mono+stereo_640x192")
    encoder, decoder = Encoder().eval(), Decoder().eval()
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):  # as training would leave them
            module.running_mean.normal_(0, 0.2)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    nn.init.normal_(decoder.decoder[10].conv.weight, 0, 0.2)
    settings = {"height": SIZE[0], "width": SIZE[1], "use_stereo": True}
    torch.save({**encoder.state_dict(), **settings}, folder / "encoder.pth")
    torch.save(decoder.state_dict(), folder / "depth.pth")
    return folder, encoder, decoder


@torch.inference_mode()
def test_it_answers_as_the_published_network(published: tuple[Path, Encoder, Decoder]) -> None:
    folder, encoder, decoder = published
    network, spec = read_monodepth2(folder)
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 256, (2, *SIZE, 3), dtype=torch.uint8, generator=generator)
    said = decoder(encoder(image.permute(0, 3, 1, 2) / 255))[:, 0]
    assert said.std() > 0.01  # it tells places apart
    inverse = 1 / 100 + (1 / 0.1 - 1 / 100) * said
    expected_m = 5.4 / inverse
    assert spec.input_size == SIZE and spec.metres is not None
    torch.testing.assert_close(spec.metres / network(image), expected_m, rtol=1e-3, atol=0)


def test_one_that_was_taught_without_stereo_knows_no_metres(
    published: tuple[Path, Encoder, Decoder], tmp_path: Path
) -> None:
    found = torch.load(published[0] / "encoder.pth", weights_only=True)
    del found["use_stereo"]
    torch.save(found, tmp_path / "encoder.pth")
    (tmp_path / "depth.pth").write_bytes((published[0] / "depth.pth").read_bytes())
    assert read_monodepth2(tmp_path)[1].metres is None


def test_other_files_are_refused(published: tuple[Path, Encoder, Decoder], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"lacks encoder\.pth"):
        read_monodepth2(tmp_path)
    for name in ("encoder.pth", "depth.pth"):
        (tmp_path / name).write_bytes((published[0] / "depth.pth").read_bytes())
    with pytest.raises(CheckpointError, match="does not say its 'height'"):
        read_monodepth2(tmp_path)
    torch.save({"height": 64, "width": 96, "pose.0.weight": torch.zeros(1)}, tmp_path / "depth.pth")
    (tmp_path / "encoder.pth").write_bytes((published[0] / "encoder.pth").read_bytes())
    with pytest.raises(CheckpointError, match=r"monodepth2 has no .*pose\.0\.weight"):
        read_monodepth2(tmp_path)

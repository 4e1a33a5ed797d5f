"""Monodepth2's published layout, written down once more as its paper and files describe it."""

from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

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


def publish(folder: Path, *, stereo: bool = True) -> tuple[Encoder, Decoder]:
    """Write `encoder.pth` and `depth.pth` of random weights; the networks that have them."""
    torch.manual_seed(0)
    encoder, decoder = Encoder().eval(), Decoder().eval()
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):  # as training would leave them
            module.running_mean.normal_(0, 0.2)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    nn.init.normal_(decoder.decoder[10].conv.weight, 0, 0.2)
    settings = {"height": SIZE[0], "width": SIZE[1], **({"use_stereo": True} if stereo else {})}
    torch.save({**encoder.state_dict(), **settings}, folder / "encoder.pth")
    torch.save(decoder.state_dict(), folder / "depth.pth")
    return encoder, decoder


@torch.inference_mode()
def published_depth(encoder: Encoder, decoder: Decoder, image: Tensor) -> Tensor:
    """uint8 [B, H, W, 3] -> [B, H, W], in metres by its authors' factor of 5.4."""
    said = decoder(encoder(image.permute(0, 3, 1, 2) / 255))[:, 0]
    assert said.std() > 0.01  # it tells places apart
    return 5.4 / (1 / 100 + (1 / 0.1 - 1 / 100) * said)

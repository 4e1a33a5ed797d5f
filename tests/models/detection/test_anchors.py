import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from models.detection.anchors import anchor_shapes, grid_anchors
from models.detection.retinanet.spec import PAPER_SIZES_PX


def test_anchors_agree_with_torchvision_on_every_level() -> None:
    aspects = (0.5, 1.0, 2.0)
    generator = AnchorGenerator(PAPER_SIZES_PX, (aspects,) * len(PAPER_SIZES_PX))
    grids = [(24, 40), (12, 20), (6, 10), (3, 5), (2, 3)]
    images = ImageList(torch.zeros(1, 3, 192, 320), [(192, 320)])
    (expected,) = generator(images, [torch.zeros(1, 1, *grid) for grid in grids])
    ours = [
        grid_anchors(anchor_shapes(sizes, aspects), (h, w), (192 // h, 320 // w))
        for sizes, (h, w) in zip(PAPER_SIZES_PX, grids, strict=True)
    ]
    torch.testing.assert_close(torch.cat(ours), expected)


def test_the_paper_has_three_sizes_an_octave() -> None:
    assert PAPER_SIZES_PX[0] == (32, 40, 50)
    assert PAPER_SIZES_PX[-1] == (512, 645, 812)

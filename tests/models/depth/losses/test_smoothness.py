import math

import torch

from models.depth.losses import smoothness


def test_it_is_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    d = torch.rand(1, 1, 3, 4, generator=generator)
    image = torch.rand(1, 3, 3, 4, generator=generator)
    across, down = [], []
    for y in range(3):
        for x in range(4):
            if x < 3:
                edge = sum(abs(float(image[0, c, y, x + 1] - image[0, c, y, x])) for c in range(3))
                step = abs(float(d[0, 0, y, x + 1] - d[0, 0, y, x]))
                across.append(step * math.exp(-edge / 3))
            if y < 2:
                edge = sum(abs(float(image[0, c, y + 1, x] - image[0, c, y, x])) for c in range(3))
                step = abs(float(d[0, 0, y + 1, x] - d[0, 0, y, x]))
                down.append(step * math.exp(-edge / 3))
    expected = sum(across) / len(across) + sum(down) / len(down)
    torch.testing.assert_close(smoothness(d, image), torch.tensor(expected))


def test_an_edge_of_the_image_excuses_one_of_the_disparity() -> None:
    d = torch.zeros(1, 1, 4, 4)
    d[..., 2:] = 1
    flat = torch.zeros(1, 3, 4, 4)
    assert smoothness(d, d.expand(1, 3, 4, 4)) < 0.5 * smoothness(d, flat)

"""Vectors whose three components lie along the first axis, [3, ...]: each component is contiguous.

Of a flat field [..., M], `pick` and `put` read and write a list of places [N]: `index_select` and
`scatter` are several times faster at it than brackets.
"""

import torch
from torch import Tensor


def dot(a: Tensor, b: Tensor) -> Tensor:
    """[3, ...] x [3, ...] -> [...], broadcasting. Written out: a reduction over three is slow."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def normalise(a: Tensor) -> Tensor:
    """To length one; a null vector stays null."""
    return a * dot(a, a).clamp_min(1e-20).rsqrt()


def cross(a: Tensor, b: Tensor) -> Tensor:
    return torch.stack(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )


def turn_about_y(a: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """From a frame turned by an angle about the vertical into the frame around it."""
    return torch.stack([cosine * a[0] + sine * a[2], a[1], cosine * a[2] - sine * a[0]])


def turn_back_about_y(a: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """The inverse of `turn_about_y`."""
    return turn_about_y(a, cosine, -sine)


def pick(field: Tensor, places: Tensor) -> Tensor:
    """[..., M] at [N] -> [..., N]"""
    return field.index_select(-1, places)


def put(field: Tensor, places: Tensor, values: Tensor) -> None:
    """Write values [..., N] at the places [N] of a contiguous field [..., M]."""
    field.scatter_(-1, places.expand(values.shape), values)

"""Points in space, against the geometry that depth is learnt with."""

from __future__ import annotations

import numpy as np
import torch

from models.geometry import Camera
from models.geometry import back_project as back_project_torch
from service.imaging import PinholeCamera, back_project, encode_ply


def test_pixels_are_seen_back_as_training_sees_them() -> None:
    depth = np.random.default_rng(0).uniform(1, 9, (12, 20)).astype(np.float32)
    points = back_project(depth, PinholeCamera(33.0, 10.5, 5.0).scaled(1, 1))
    expected = back_project_torch(torch.from_numpy(depth), Camera(33.0, 33.0, 10.5, 5.0))
    np.testing.assert_allclose(points, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_a_scaled_image_has_a_scaled_camera() -> None:
    """The same surface, seen in half as many pixels each way, is at the same place."""
    camera = PinholeCamera(40.0, 20.0, 10.0)
    whole = back_project(np.full((20, 40), 3, np.float32), camera.scaled(1, 1))
    half = back_project(np.full((10, 20), 3, np.float32), camera.scaled(0.5, 0.5))
    means = whole.reshape(10, 2, 20, 2, 3).mean((1, 3))
    np.testing.assert_allclose(half, means, atol=1e-5)


def test_a_cloud_of_nothing_is_a_file_all_the_same() -> None:
    empty = encode_ply(np.empty((0, 3), np.float32), np.empty((0, 3), np.uint8), ["nothing"])
    assert empty.startswith(b"ply\nformat binary_little_endian 1.0\ncomment nothing\n")
    assert b"element vertex 0\n" in empty and empty.endswith(b"end_header\n")

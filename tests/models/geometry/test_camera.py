import cv2
import numpy as np
import pytest
import torch

from models.geometry import Camera, back_project, project

CAMERA = Camera(90.0, 80.0, 33.0, 21.5)
POINTS = torch.tensor([[0.3, -0.2, 2.0], [-1.0, 0.5, 4.0], [0.0, 0.0, 1.0], [2.0, 1.0, 9.0]])


def test_points_are_projected_as_by_opencv() -> None:
    matrix = CAMERA.matrix.double().numpy()
    matrix[:2, 2] -= 0.5  # OpenCV counts from the middle of the first pixel
    zero = np.zeros(3)
    expected, _ = cv2.projectPoints(POINTS.double().numpy(), zero, zero, matrix, None)
    ours = project(POINTS, CAMERA).numpy()
    np.testing.assert_allclose(ours - 0.5, expected[:, 0], atol=1e-4)


def test_back_projection_undoes_projection() -> None:
    depth = torch.rand(2, 43, 66, generator=torch.Generator().manual_seed(0)) + 0.5
    points = back_project(depth, CAMERA)
    assert points.shape == (2, 43, 66, 3)
    torch.testing.assert_close(points[..., 2], depth)
    pixels = project(points, CAMERA)
    across, down = torch.arange(66) + 0.5, torch.arange(43) + 0.5
    torch.testing.assert_close(pixels[..., 0], across.expand(2, 43, 66), atol=1e-3, rtol=0)
    torch.testing.assert_close(pixels[..., 1], down[:, None].expand(2, 43, 66), atol=1e-3, rtol=0)


def test_points_behind_the_camera_have_no_pixel() -> None:
    assert project(torch.tensor([[0.0, 0.0, -1.0], [1.0, 1.0, 0.0]]), CAMERA).isnan().all()


def test_scaling_the_picture_scales_the_pixels() -> None:
    doubled = CAMERA.resized((40, 60), (80, 180))
    scaled = project(POINTS, CAMERA) * torch.tensor([3.0, 2.0])
    torch.testing.assert_close(project(POINTS, doubled), scaled)


def test_cutting_the_picture_moves_the_pixels() -> None:
    moved = project(POINTS, CAMERA) - torch.tensor([5.0, 2.0])
    torch.testing.assert_close(project(POINTS, CAMERA.cropped(5, 2)), moved)


def test_a_focal_length_is_positive() -> None:
    with pytest.raises(ValueError, match="focal lengths must be positive"):
        Camera(0.0, 1.0, 0.0, 0.0)

import numpy as np

from exporters.images import LabelledPixels, golden_images, synthetic_images


def test_synthetic_images_are_unlike_one_another_and_always_the_same():
    made = synthetic_images(24, 32, 8)
    assert made.shape == (8, 24, 32, 3) and made.dtype == np.uint8
    assert len({image.tobytes() for image in made}) == 8
    np.testing.assert_array_equal(made, synthetic_images(24, 32, 8))


def test_half_of_the_golden_images_are_real_where_there_are_any():
    real = np.full((10, 16, 16, 3), 7, np.uint8)
    assert (golden_images(16, 16, real) == 7).all(axis=(1, 2, 3)).sum() == 4
    assert len(golden_images(16, 16, real)) == len(golden_images(16, 16, None)) == 8
    assert len(golden_images(16, 16, real[:1])) == 8


def test_a_split_shares_no_image():
    data = LabelledPixels(np.arange(5 * 12).reshape(5, 2, 2, 3).astype(np.uint8), np.arange(5), "d")
    first, rest = data.split(3)
    assert list(first.labels) == [0, 1, 2] and list(rest.labels) == [3, 4]
    assert rest.images[0, 0, 0, 0] == 36

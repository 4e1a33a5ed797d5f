"""Each solid against its plain definition: where is a point inside, and where does a ray enter."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from models.data.world.names import SHAPES
from models.data.world.solids import SOLIDS

Array = npt.NDArray[np.float64]
STEPS = 1500


def outside_ball(p: Array, s: Array) -> Array:
    return np.linalg.norm(p, axis=0) - s[0]


def outside_cube(p: Array, s: Array) -> Array:
    return np.abs(p).max(0) - s[0]


def outside_cylinder(p: Array, s: Array) -> Array:
    return np.maximum(np.hypot(p[0], p[2]) - s[0], np.abs(p[1]) - s[1])


def outside_cone(p: Array, s: Array) -> Array:
    return np.maximum(-p[1] - s[1], np.hypot(p[0], p[2]) - s[0] * (s[1] - p[1]) / (2 * s[1]))


def outside_pyramid(p: Array, s: Array) -> Array:
    sides = np.maximum(np.abs(p[0]), np.abs(p[2])) - s[0] * (s[1] - p[1]) / (2 * s[1])
    return np.maximum(-p[1] - s[1], sides)


def outside_torus(p: Array, s: Array) -> Array:
    return np.hypot(np.hypot(p[0], p[2]) - (s[0] - s[1]), p[1]) - s[1]


def outside_capsule(p: Array, s: Array) -> Array:
    along = np.clip(p[0], -(s[0] - s[1]), s[0] - s[1])
    return np.sqrt((p[0] - along) ** 2 + p[1] ** 2 + p[2] ** 2) - s[1]


def outside_prism(p: Array, s: Array) -> Array:
    slopes = np.abs(p[2]) - s[2] * (s[1] - p[1]) / (2 * s[1])
    return np.maximum(np.maximum(np.abs(p[0]) - s[0], -p[1] - s[1]), slopes)


OUTSIDE: dict[str, Callable[[Array, Array], Array]] = {
    "ball": outside_ball,
    "cube": outside_cube,
    "cylinder": outside_cylinder,
    "cone": outside_cone,
    "pyramid": outside_pyramid,
    "torus": outside_torus,
    "capsule": outside_capsule,
    "prism": outside_prism,
}
SIZES = {
    "ball": (0.5, 0.5, 0.5),
    "cube": (0.4, 0.4, 0.4),
    "cylinder": (0.3, 0.5, 0.3),
    "cone": (0.4, 0.6, 0.4),
    "pyramid": (0.5, 0.4, 0.5),
    "torus": (0.6, 0.15, 0.6),
    "capsule": (0.6, 0.25, 0.25),
    "prism": (0.6, 0.35, 0.4),
}


def random_rays(count: int) -> tuple[Array, Array]:
    """Unit rays [3, N] from around towards somewhere near the middle."""
    rng = np.random.default_rng(0)
    origin = rng.normal(size=(3, count))
    origin *= rng.uniform(1.5, 3, count) / np.linalg.norm(origin, axis=0)
    ray = rng.uniform(-0.6, 0.6, (3, count)) - origin
    return origin, ray / np.linalg.norm(ray, axis=0)


def march(name: str, origin: Array, ray: Array, size: Array) -> Array:
    """Step along each ray until inside, then halve the last step: the distance, or infinity."""
    outside = OUTSIDE[name]
    step = 5.0 / STEPS
    t = np.full(origin.shape[1], np.inf)
    for i in range(1, STEPS):
        entered = np.isinf(t) & (outside(origin + i * step * ray, size) < 0)
        t[entered] = i * step
    hit = np.isfinite(t)
    o, d, high = origin[:, hit], ray[:, hit], t[hit]
    low = high - step
    for _ in range(30):
        middle = (low + high) / 2
        inside = outside(o + middle * d, size) < 0
        low, high = np.where(inside, low, middle), np.where(inside, middle, high)
    t[hit] = high
    return t


@pytest.fixture(params=SHAPES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def hits(name: str) -> tuple[Array, Array, Array, Array]:
    """Rays on a solid: origin, ray, the distance it says, the distance by marching."""
    origin, ray = random_rays(3000)
    size = np.array(SIZES[name])[:, None]
    t = SOLIDS[SHAPES.index(name)].hit(*(_tensor(x, 3000) for x in (origin, ray, size)))
    return origin, ray, t.double().numpy(), march(name, origin, ray, size)


def _tensor(values: Array, count: int) -> torch.Tensor:
    return torch.from_numpy(values).float().expand(3, count).contiguous()


def test_rays_enter_where_marching_enters(hits: tuple[Array, Array, Array, Array]) -> None:
    _, _, found, expected = hits
    both = np.isfinite(found) & np.isfinite(expected)
    assert both.sum() > 400
    error = np.abs(found[both] - expected[both])
    assert np.quantile(error, 0.99) < 1e-3
    assert error.max() < 1e-2  # sphere tracing stops a little early where it grazes


def test_rays_miss_where_marching_misses(
    name: str, hits: tuple[Array, Array, Array, Array]
) -> None:
    """Marching steps over the thinnest edges: even there the point must lie on the surface."""
    origin, ray, found, expected = hits
    differ = np.isfinite(found) != np.isfinite(expected)
    assert differ.mean() < 0.01
    grazing = differ & np.isfinite(found)
    point = (origin + np.where(grazing, found, 0) * ray)[:, grazing]
    assert np.all(np.abs(OUTSIDE[name](point, np.array(SIZES[name])[:, None])) < 2e-3)


def test_normals_point_out_of_the_solid(name: str, hits: tuple[Array, Array, Array, Array]) -> None:
    origin, ray, found, expected = hits
    hit = np.isfinite(found) & np.isfinite(expected)
    point, size = (origin + np.where(hit, found, 0) * ray)[:, hit], np.array(SIZES[name])[:, None]
    count = point.shape[1]
    normal = SOLIDS[SHAPES.index(name)].facing(_tensor(point, count), _tensor(size, count)).numpy()
    slope = gradient(OUTSIDE[name], point, size)
    cosine = (normal * slope).sum(0)
    np.testing.assert_allclose(np.linalg.norm(normal, axis=0), 1, atol=1e-4)
    assert (cosine > 0.999).mean() > 0.6  # all but the rounded edges
    assert (cosine > 0.3).mean() > 0.998  # all but the very rim of a cone


def gradient(outside: Callable[[Array, Array], Array], point: Array, size: Array) -> Array:
    shifts = 1e-5 * np.eye(3)
    slope = np.stack(
        [
            outside(point + shift[:, None], size) - outside(point - shift[:, None], size)
            for shift in shifts
        ]
    )
    return slope / np.linalg.norm(slope, axis=0)


def test_no_solid_leaves_the_box_of_its_size(hits: tuple[Array, Array, Array, Array]) -> None:
    origin, ray, found, _ = hits
    hit = np.isfinite(found)
    assert hit.any()
    assert np.all(np.abs(origin + np.where(hit, found, 0) * ray)[:, hit] < 0.605)


def test_rays_that_look_away_hit_nothing(name: str) -> None:
    origin, ray = random_rays(500)
    size = np.array(SIZES[name])[:, None]
    t = SOLIDS[SHAPES.index(name)].hit(*(_tensor(x, 500) for x in (origin, -ray, size)))
    assert not t.isfinite().any()

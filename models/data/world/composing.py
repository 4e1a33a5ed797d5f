"""From a spec, a seed and scene numbers to scenes: objects, light, room and camera."""

import math

import torch
from torch import Tensor

from models.data.world import palette, still_life
from models.data.world.names import COLOURS, MATERIALS, SHAPES, TABLES, WALLS
from models.data.world.noise import TILES
from models.data.world.randomness import Draws
from models.data.world.scenes import Camera, Light, Room, Scenes
from models.data.world.spec import SceneSpec
from models.data.world.vectors import normalise

_DEGREE = math.pi / 180
_ROOM_BETWEEN = 0.05  # metres between the round footprints of two objects
_TRIES = 24
_TWINS = 0.3  # the share of objects that take after an earlier one

# Half extents along x, y, z per unit of scale, from the stockiest to the slenderest of its kind.
# They keep the kinds apart: cones are taller than wide and pyramids wider than tall, capsules and
# prisms lie.
_PROPORTIONS = {
    "ball": ((0.84, 0.84, 0.84), (0.84, 0.84, 0.84)),
    "cube": ((0.68, 0.68, 0.68), (0.68, 0.68, 0.68)),
    "cylinder": ((0.66, 0.66, 0.66), (0.54, 0.82, 0.54)),
    "cone": ((0.72, 0.80, 0.72), (0.62, 0.95, 0.62)),
    "pyramid": ((0.82, 0.58, 0.82), (0.78, 0.70, 0.78)),
    "torus": ((0.98, 0.22, 0.98), (0.94, 0.28, 0.94)),
    "capsule": ((0.88, 0.46, 0.46), (1.00, 0.40, 0.40)),
    "prism": ((0.80, 0.56, 0.62), (0.96, 0.52, 0.58)),
}

# How far an object may be turned away from facing the camera, least and most, and the turn after
# which it looks alike, degrees. Never face-on: a cube shows two sides, a prism its triangle and a
# slope, a capsule its length.
_TURNS = {
    "cube": (22.0, 68.0, 90.0),
    "pyramid": (18.0, 72.0, 90.0),
    "prism": (28.0, 58.0, 90.0),
    "capsule": (-48.0, 48.0, 180.0),
}


def compose_scenes(spec: SceneSpec, *, seed: int, indices: Tensor) -> Scenes:
    """The scenes with these numbers [B] (int64), made on the device that `indices` lie on.

    A scene depends on (spec, seed, its number) alone.
    """
    draws = Draws(seed, indices)
    objects = spec.max_objects
    shape, colour = _kinds(draws, objects)
    size = _sizes(spec, draws, shape)
    reach, foot = _reach(shape, size), _footprint(shape, size)
    if spec.still_life:
        here = len(indices), indices.device
        camera, light = still_life.camera(*here), still_life.light(*here)
        present, x, z = still_life.places(spec, draws)
    else:
        camera = _close_camera(draws, size, reach) if spec.close_up else _table_camera(draws)
        light = _light(draws, camera)
        present, x, z = _places(spec, draws, camera, foot)
    position = torch.stack([x, size[1], z])
    room = _room(draws, (z + foot).where(present, -math.inf).amax(1))
    return Scenes(
        present=present,
        shape=shape,
        colour=colour,
        material=draws.integers("material", len(MATERIALS), objects),
        size=size,
        position=position,
        yaw=_yaw(spec, draws, shape, position, camera),
        reach=reach,
        telling=draws.words("telling"),
        camera=camera,
        light=light,
        room=still_life.settled(room) if spec.still_life else room,
    )


def _kinds(draws: Draws, objects: int) -> tuple[Tensor, Tensor]:
    """The shapes and colours [B, K], every pair as likely as any other; some are twins, so that
    there is something to count."""
    shape = draws.integers("shape", len(SHAPES), objects)
    colour = draws.integers("colour", len(COLOURS), objects)
    twin = draws.uniform("twin", objects) < _TWINS
    whose = draws.uniform("whose twin", objects)
    for k in range(1, objects):
        other = (whose[:, k, None] * k).long()
        for kind in (shape, colour):
            kind[:, k] = torch.where(twin[:, k], kind.gather(1, other)[:, 0], kind[:, k])
    return shape, colour


def _sizes(spec: SceneSpec, draws: Draws, shape: Tensor) -> Tensor:
    table = torch.tensor([_PROPORTIONS[name] for name in SHAPES], device=shape.device)  # [S, 2, 3]
    stocky, slender = table[shape].unbind(2)  # [B, K, 3]
    slenderness = draws.uniform("proportion", *shape.shape[1:])[..., None]
    low, high = (
        (0.40, 0.60) if spec.close_up else still_life.SCALES if spec.still_life else (0.30, 0.54)
    )
    scale = draws.uniform("scale", *shape.shape[1:], low=low, high=high)
    return ((stocky + (slender - stocky) * slenderness) * scale[..., None]).permute(2, 0, 1)


def _reach(shape: Tensor, size: Tensor) -> Tensor:
    """The radius [B, K] of the ball around each object that just holds it."""
    x, y, z = size
    corner = (x * x + y * y + z * z).sqrt()
    rim = (x * x + y * y).sqrt()
    per_shape = {"ball": x, "cylinder": rim, "cone": rim, "torus": x, "capsule": x}
    stacked = torch.stack([per_shape.get(name, corner) for name in SHAPES])
    return stacked.gather(0, shape[None])[0] * 1.001


def _footprint(shape: Tensor, size: Tensor) -> Tensor:
    """The radius [B, K] of the round patch of table that each object needs however it is turned."""
    x, _, z = size
    diagonal = (x * x + z * z).sqrt()
    per_shape = {"cube": diagonal, "pyramid": diagonal, "prism": diagonal}
    stacked = torch.stack([per_shape.get(name, x) for name in SHAPES])
    return stacked.gather(0, shape[None])[0]


def _view_from(draws: Draws, distance: Tensor, target: Tensor, half_width: Tensor) -> Camera:
    """A camera at a distance [B] from its target [3, B], from above and a little to one side."""
    elevation = draws.uniform("elevation", low=24 * _DEGREE, high=40 * _DEGREE)
    azimuth = draws.uniform("azimuth", low=-24 * _DEGREE, high=24 * _DEGREE)
    level = distance * elevation.cos()
    back = torch.stack([-level * azimuth.sin(), distance * elevation.sin(), -level * azimuth.cos()])
    return Camera.looking_at(target, target + back, half_width, 0.045 * distance)


def _close_camera(draws: Draws, size: Tensor, reach: Tensor) -> Camera:
    """Near enough that the object fills a drawn share of the image, and lies all inside it."""
    half_width = (draws.uniform("view", low=28 * _DEGREE, high=40 * _DEGREE) / 2).tan()
    share = draws.uniform("share", low=0.50, high=0.80)
    distance = reach[:, 0] / (share * half_width)
    middle = torch.zeros_like(size[:, :, 0])
    middle[1] = size[1, :, 0]
    centred = _view_from(draws, distance, middle, half_width)
    slack = 0.8 * (1 - share) * half_width * distance
    aside = slack * draws.uniform("aside", low=-1, high=1)
    above = slack * draws.uniform("above", low=-0.8, high=0.8)
    return _view_from(
        draws, distance, middle + aside * centred.right + above * centred.up, half_width
    )


def _table_camera(draws: Draws) -> Camera:
    half_width = (draws.uniform("view", low=38 * _DEGREE, high=46 * _DEGREE) / 2).tan()
    distance = draws.uniform("distance", low=4.2, high=5.0)
    aside = draws.uniform("aside", low=-0.15, high=0.15)
    above = draws.uniform("above", low=0.10, high=0.35)
    return _view_from(
        draws, distance, torch.stack([aside, above, torch.zeros_like(aside)]), half_width
    )


def _places(
    spec: SceneSpec, draws: Draws, camera: Camera, foot: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Which objects are there and where they stand: present, x, z, each [B, K].

    Each takes the first of its tries that leaves room to those before it, or stays away.
    """
    if spec.close_up:
        return torch.ones_like(foot, dtype=torch.bool), torch.zeros_like(foot), foot * 0
    objects = foot.shape[1]
    wanted = spec.min_objects + draws.integers("count", 1 + spec.max_objects - spec.min_objects)
    away = draws.uniform("away", objects, _TRIES, low=-1.35, high=1.35)  # [B, K, T]
    across = draws.uniform("across", objects, _TRIES, low=-1, high=1) * (1.0 + 0.25 * (away + 1.2))
    ahead = normalise(camera.forward * torch.tensor([[1.0], [0.0], [1.0]], device=foot.device))
    east, north = ahead[0, :, None, None], ahead[2, :, None, None]
    try_x, try_z = across * north + away * east, away * north - across * east
    x, z = torch.zeros_like(foot), torch.zeros_like(foot)
    present = torch.zeros_like(foot, dtype=torch.bool)
    for k in range(objects):
        gap_x, gap_z = try_x[:, k, :, None] - x[:, None], try_z[:, k, :, None] - z[:, None]
        needed = foot[:, k, None] + foot + _ROOM_BETWEEN  # [B, K]
        free = (gap_x**2 + gap_z**2 > needed[:, None] ** 2) | ~present[:, None]  # [B, T, K]
        fits = free.all(-1)
        chosen = fits.to(torch.uint8).argmax(1, keepdim=True)
        present[:, k] = fits.any(1) & (k < wanted)
        x[:, k] = try_x[:, k].gather(1, chosen)[:, 0]
        z[:, k] = try_z[:, k].gather(1, chosen)[:, 0]
    return present, x, z


def _yaw(spec: SceneSpec, draws: Draws, shape: Tensor, position: Tensor, camera: Camera) -> Tensor:
    """Turned at random, solids with sides within their `_TURNS` from facing the camera. [B, K]"""
    turns = [_TURNS.get(name, (0.0, 360.0, 360.0)) for name in SHAPES]
    low, high, period = torch.tensor(turns, device=shape.device)[shape].unbind(-1)
    objects = shape.shape[1]
    least, most = still_life.TURNS if spec.still_life else (0.0, 1.0)
    turned = low + (high - low) * draws.uniform("turn", objects, low=least, high=most)
    turned = turned + period * draws.integers("quarter", 4, objects)
    sight = position - camera.eye[:, :, None]
    return torch.atan2(sight[0], sight[2]) + turned * _DEGREE


def _light(draws: Draws, camera: Camera) -> Light:
    """From the upper left or right, a little in front, so that the sides of a solid differ."""
    side = draws.sign("side") * draws.uniform("slant", low=0.65, high=1.3)
    front = draws.uniform("front", low=0.0, high=0.6)
    direction = side * camera.right - front * camera.forward
    direction[1] = 1.0
    warmth = draws.uniform("warmth", low=-1, high=1)
    tint = torch.stack([1 + 0.08 * warmth, torch.ones_like(warmth), 1 - 0.12 * warmth])
    power = draws.uniform("power", low=1.45, high=1.75)
    gloom = draws.uniform("ambient", low=0.24, high=0.36)
    bluish = torch.stack([gloom * 0.95, gloom, gloom * 1.07])
    return Light(normalise(direction), power * tint, bluish)


def _room(draws: Draws, farthest_z: Tensor) -> Room:
    table, wall = draws.integers("table", len(TABLES)), draws.integers("wall", len(WALLS))
    tone = draws.integers("table tone", palette.TABLE_TONES)
    wall_tone = draws.integers("wall tone", palette.WALL_TONES)
    return Room(
        table=table,
        wall=wall,
        table_rgb=palette.table_rgb(table.device)[table, tone].T,
        wall_rgb=palette.wall_rgb(wall.device)[wall, wall_tone].T,
        wall_z=farthest_z + draws.uniform("wall gap", low=0.35, high=1.9),
        grain=draws.uniform("grain", low=0.8, high=1.5),
        turn=draws.uniform("table turn", high=2 * math.pi),
        tile=draws.integers("tile", TILES),
        shift=draws.uniform("shift", 2).T,
    )

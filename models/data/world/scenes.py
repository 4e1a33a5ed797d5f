"""A batch of scenes as numbers: what stands where, how it is lit and from where it is seen.

The table is the plane y = 0, the wall the plane z = wall_z; y points up, distances are metres.
Vectors lie along the first axis. Legend: B scenes, K places for objects (some empty), P rays.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.data.world.vectors import cross, normalise


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with square pixels, its axis through the middle of the image."""

    eye: Tensor  # [3, B]
    right: Tensor  # [3, B], unit, as are up and forward
    up: Tensor  # [3, B]
    forward: Tensor  # [3, B]
    half_width: Tensor  # [B] of the image at distance one: tan(field of view / 2)
    baseline: Tensor  # [B] metres to the right-hand eye

    @classmethod
    def looking_at(
        cls, target: Tensor, eye: Tensor, half_width: Tensor, baseline: Tensor
    ) -> "Camera":
        forward = normalise(target - eye)
        upright = torch.zeros_like(eye)
        upright[1] = 1.0
        right = normalise(cross(upright, forward))
        return cls(eye, right, cross(forward, right), forward, half_width, baseline)

    def right_eye(self) -> "Camera":
        """The other camera of the stereo pair: the same, one baseline further right."""
        return replace(self, eye=self.eye + self.baseline * self.right)

    def intrinsics(self, size_px: int) -> Tensor:
        """[B, 4] float32: focal length px, centre x and y px (0 the image's edge), baseline m."""
        focal = size_px / (2 * self.half_width)
        centre = torch.full_like(focal, size_px / 2)
        return torch.stack([focal, centre, centre, self.baseline], dim=-1)

    def cast(self, size_px: int, supersample: int = 1) -> tuple[Tensor, Tensor]:
        """Unit rays [3, B, P] in rows from the top left, and their depth per unit length [B, P]."""
        across = size_px * supersample
        offset = (torch.arange(across, device=self.eye.device) + 0.5) * (2 / across) - 1
        x = self.half_width[:, None] * offset.repeat(across)  # [B, P]
        y = self.half_width[:, None] * -offset.repeat_interleave(across)
        depth_per_length = (1 + x * x + y * y).rsqrt()
        right, up, forward = (axis[:, :, None] for axis in (self.right, self.up, self.forward))
        return (right * x + up * y + forward) * depth_per_length, depth_per_length


@dataclass(frozen=True)
class Light:
    """One far lamp with a soft edge, and the light of the room around it."""

    direction: Tensor  # [3, B] unit, towards the lamp
    colour: Tensor  # [3, B] linear RGB
    ambient: Tensor  # [3, B] linear RGB


@dataclass(frozen=True)
class Room:
    """The table, the wall and what they are covered with."""

    table: Tensor  # [B] int64, index in TABLES
    wall: Tensor  # [B] int64, index in WALLS
    table_rgb: Tensor  # [3, B] linear
    wall_rgb: Tensor  # [3, B] linear
    wall_z: Tensor  # [B]
    grain: Tensor  # [B] pattern repeats per metre, relative to the pattern's own
    turn: Tensor  # [B] radians by which the table's pattern is turned
    tile: Tensor  # [B] int64, which noise tile to use
    shift: Tensor  # [2, B] where in it to begin


@dataclass(frozen=True)
class Scenes:
    """B scenes of up to K objects. `shape`, `colour` and `material` index the lists in `names`."""

    present: Tensor  # [B, K] bool
    shape: Tensor  # [B, K] int64
    colour: Tensor  # [B, K] int64
    material: Tensor  # [B, K] int64
    size: Tensor  # [3, B, K] half extents along the object's own axes
    position: Tensor  # [3, B, K] of its centre
    yaw: Tensor  # [B, K] radians about the vertical
    reach: Tensor  # [B, K] radius of a ball around the centre that holds it all
    telling: Tensor  # [B] int64, random bits that choose between the ways to describe the scene
    camera: Camera
    light: Light
    room: Room

    def __len__(self) -> int:
        return len(self.present)

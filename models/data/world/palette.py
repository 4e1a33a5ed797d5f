"""Colours in linear light: saturated for the objects, muted for the table and the wall."""

import torch
from torch import Tensor

from models.data.world.names import COLOURS, TABLES, WALLS

_OBJECT_RGB = {
    "red": (0.72, 0.040, 0.045),
    "orange": (0.90, 0.300, 0.020),
    "yellow": (0.92, 0.720, 0.040),
    "green": (0.070, 0.420, 0.080),
    "cyan": (0.050, 0.600, 0.640),
    "blue": (0.045, 0.120, 0.640),
    "purple": (0.330, 0.075, 0.520),
    "white": (0.78, 0.78, 0.765),
}

_TABLE_RGB = {
    "wooden": ((0.44, 0.28, 0.15), (0.28, 0.17, 0.095), (0.52, 0.38, 0.24), (0.34, 0.25, 0.18)),
    "checked": ((0.44, 0.41, 0.36), (0.36, 0.39, 0.42), (0.46, 0.38, 0.31), (0.38, 0.42, 0.36)),
    "stone": ((0.42, 0.41, 0.39), (0.30, 0.32, 0.35), (0.50, 0.46, 0.40), (0.36, 0.38, 0.34)),
    "tiled": ((0.44, 0.43, 0.41), (0.36, 0.40, 0.42), (0.46, 0.37, 0.30), (0.34, 0.38, 0.36)),
    "cloth": ((0.46, 0.44, 0.40), (0.34, 0.37, 0.43), (0.46, 0.37, 0.36), (0.37, 0.41, 0.35)),
}

_WALL_RGB = {
    "plaster": ((0.52, 0.50, 0.46), (0.38, 0.44, 0.48), (0.47, 0.40, 0.36), (0.36, 0.41, 0.36)),
    "striped": ((0.50, 0.48, 0.44), (0.36, 0.42, 0.47), (0.44, 0.37, 0.36), (0.38, 0.42, 0.37)),
    "brick": ((0.40, 0.29, 0.24), (0.44, 0.42, 0.39), (0.34, 0.33, 0.34), (0.46, 0.38, 0.30)),
}

TABLE_TONES = len(_TABLE_RGB["wooden"])
WALL_TONES = len(_WALL_RGB["plaster"])


def object_rgb(device: torch.device) -> Tensor:
    """[len(COLOURS), 3]"""
    return torch.tensor([_OBJECT_RGB[name] for name in COLOURS], device=device)


def table_rgb(device: torch.device) -> Tensor:
    """[len(TABLES), TABLE_TONES, 3]"""
    return torch.tensor([_TABLE_RGB[name] for name in TABLES], device=device)


def wall_rgb(device: torch.device) -> Tensor:
    """[len(WALLS), WALL_TONES, 3]"""
    return torch.tensor([_WALL_RGB[name] for name in WALLS], device=device)

"""Captions in plain English."""

from models.data.world.scenes import Scenes
from models.data.world.views import Views

VOCABULARY: tuple[str, ...] = ()


def caption_scenes(scenes: Scenes, views: Views) -> list[str]:
    return [""] * len(scenes)

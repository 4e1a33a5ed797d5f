"""The tabletop world: endless pictures of named solids, with every ground truth, from a seed."""

from models.data.world.cache import CachedWorld, default_root, open_world
from models.data.world.captions import caption_scenes
from models.data.world.columns import LineColumn, ShardedArray
from models.data.world.composing import compose_scenes
from models.data.world.names import (
    CLASS_NAMES,
    COLOURS,
    MATERIALS,
    OBJECT_NAMES,
    SHAPES,
    STUFF,
    TABLES,
    WALLS,
    object_name,
)
from models.data.world.scenes import Scenes
from models.data.world.spec import CLOSE_UP, SPLITS, TABLETOP, TRUTHS, SceneSpec, WorldSpec
from models.data.world.views import Truth, Views, render_views
from models.data.world.vocabulary import VOCABULARY

__all__ = [
    "CLASS_NAMES",
    "CLOSE_UP",
    "COLOURS",
    "MATERIALS",
    "OBJECT_NAMES",
    "SHAPES",
    "SPLITS",
    "STUFF",
    "TABLES",
    "TABLETOP",
    "TRUTHS",
    "VOCABULARY",
    "WALLS",
    "CachedWorld",
    "LineColumn",
    "SceneSpec",
    "Scenes",
    "ShardedArray",
    "Truth",
    "Views",
    "WorldSpec",
    "caption_scenes",
    "compose_scenes",
    "default_root",
    "object_name",
    "open_world",
    "render_views",
]

"""What to make: descriptions of a scene and of a data set of scenes, frozen and hashable."""

import hashlib
import json
from dataclasses import asdict, dataclass

# Raise it whenever the same seed would give other pixels: cached worlds are named after it.
WORLD_VERSION = 1

SPLITS = ("train", "val", "test")

# What may be kept beside the image and its labels.
TRUTHS = ("right", "depth", "instances", "classes", "boxes", "captions", "camera")


@dataclass(frozen=True)
class SceneSpec:
    """How many objects a scene holds and how near the camera stands.

    A close-up shows exactly one object, whole and large, which is what a classifier is taught with.
    A still life shows a few from nearby, which is what a painter is taught with.
    """

    min_objects: int = 1
    max_objects: int = 6
    close_up: bool = False
    still_life: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.min_objects <= self.max_objects <= 16:
            raise ValueError(f"need 1 <= min <= max <= 16 objects, got {self}")
        if self.close_up and self.max_objects != 1:
            raise ValueError(f"a close-up shows one object, not {self.max_objects}")
        if self.still_life and (self.close_up or self.max_objects > 4):
            raise ValueError(f"a still life shows 1 to 4 objects and is no close-up, got {self}")


CLOSE_UP = SceneSpec(min_objects=1, max_objects=1, close_up=True)
TABLETOP = SceneSpec()


@dataclass(frozen=True)
class WorldSpec:
    """A data set: `count` scenes of one kind, rendered at one size, with the truths worth keeping.

    Splits of one seed, and of any two seeds, share no scene.
    """

    scene: SceneSpec
    count: int
    size_px: int = 64
    split: str = "train"
    seed: int = 0
    supersample: int = 2
    truths: tuple[str, ...] = ()
    shard_scenes: int = 1024

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ValueError(f"split {self.split!r} is none of {SPLITS}")
        if unknown := set(self.truths) - set(TRUTHS):
            raise ValueError(f"no such truths: {sorted(unknown)}; there are {TRUTHS}")
        if min(self.count, self.size_px, self.supersample, self.shard_scenes) < 1 or self.seed < 0:
            raise ValueError(f"sizes and counts must be positive, the seed not negative: {self}")

    @property
    def scene_seed(self) -> int:
        """The seed of this split: no other (seed, split) has the same one."""
        return len(SPLITS) * self.seed + SPLITS.index(self.split)

    @property
    def shards(self) -> int:
        return -(-self.count // self.shard_scenes)

    def shard_indices(self, shard: int) -> range:
        """The scene numbers that a shard holds."""
        first = shard * self.shard_scenes
        return range(first, min(first + self.shard_scenes, self.count))

    @property
    def folder_name(self) -> str:
        """Readable in front, a hash of everything that changes a pixel or a file behind.

        The count stays out of the hash: a larger set of the same kind grows the same folder.
        """
        described = asdict(self) | {"version": WORLD_VERSION, "truths": sorted(self.truths)}
        del described["count"]
        if not self.scene.still_life:
            del described["scene"]["still_life"]  # Worlds kept from before it was said stay valid.
        digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:12]
        kind = "stilllife" if self.scene.still_life else "tabletop"
        kind = "closeup" if self.scene.close_up else f"{kind}{self.scene.max_objects}"
        return f"{kind}-{self.size_px}px-{self.split}-{self.seed}-{digest}"

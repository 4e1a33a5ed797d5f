"""Worlds on disk: rendered once, shard by shard, then memory-mapped."""

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.data.world.columns import LineColumn, ShardedArray
from models.data.world.progress import RenderProgress
from models.data.world.shards import render_shard
from models.data.world.spec import WorldSpec


def default_root() -> Path:
    """Where worlds are kept when nobody says otherwise: $PANOPTES_CACHE, or the user's cache."""
    if root := os.environ.get("PANOPTES_CACHE"):
        return Path(root)
    return Path.home() / ".cache" / "panoptes" / "world"


@dataclass(frozen=True)
class CachedWorld:
    """A data set on disk. Open one with `open_world`."""

    spec: WorldSpec
    folder: Path

    def __len__(self) -> int:
        return self.spec.count

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that this world keeps."""
        first = self.folder / _shard_name(self.spec, 0)
        return tuple(sorted(file.stem for file in first.iterdir()))

    def column(self, name: str) -> ShardedArray | LineColumn:
        """One column over all scenes, N of them. K is the most objects a scene may hold.

        image [N, H, W, 3] uint8, label [N] int64 (close-ups: index in OBJECT_NAMES);
        right [N, H, W, 3] uint8; depth [N, H, W] float32 in metres along the optical axis;
        instances [N, H, W] uint8 (0 none, 1 + k object k); classes [N, H, W] uint8 (CLASS_NAMES);
        boxes [N, K, 4] float32 xyxy px, padded, with box_count [N], box_instance [N, K],
        box_shape, box_colour, box_material [N, K] int64 (-1 where padded);
        camera [N, 4] float32: focal length px, centre x and y px, baseline m;
        captions, a sequence of N strings.
        """
        shards = [self.folder / _shard_name(self.spec, i) for i in range(self.spec.shards)]
        for suffix, opened in ((".npy", ShardedArray), (".jsonl", LineColumn)):
            if (shards[0] / f"{name}{suffix}").exists():
                return opened([shard / f"{name}{suffix}" for shard in shards])
        raise KeyError(f"this world keeps no {name!r}; it has {', '.join(self.names)}")

    def array(self, name: str) -> ShardedArray:
        """`column` for those who know that it holds numbers."""
        found = self.column(name)
        if isinstance(found, LineColumn):
            raise TypeError(f"{name!r} holds text")
        return found


def open_world(
    spec: WorldSpec,
    root: Path | None = None,
    *,
    workers: int = 1,
    progress: bool = False,
    device: str = "cpu",
) -> CachedWorld:
    """Render whatever shard is missing, then open the world.

    It may be killed at any moment and called again: a shard is either whole or absent. `workers`
    processes of one thread each share the work; with one, this process does it, on `device`.
    """
    folder = (root or default_root()) / spec.folder_name
    folder.mkdir(parents=True, exist_ok=True)
    missing = [i for i in range(spec.shards) if not (folder / _shard_name(spec, i)).is_dir()]
    if missing:
        to_render = sum(len(spec.shard_indices(shard)) for shard in missing)
        with RenderProgress(to_render, shown=progress) as bar:
            for scenes in _render(spec, folder, missing, workers, device):
                bar.advance(scenes)
    return CachedWorld(spec, folder)


def _render(
    spec: WorldSpec, folder: Path, missing: list[int], workers: int, device: str
) -> Iterator[int]:
    """Render the missing shards and tell after each piece how many scenes it held."""
    workers = min(workers, len(missing))
    if workers <= 1:
        for shard in missing:
            yield from _write_shard(spec, folder, shard, device)
        return
    spawn = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    pool = ProcessPoolExecutor(workers, spawn, _use_one_thread)
    try:
        shards = [pool.submit(_write_whole_shard, spec, folder, i, device) for i in missing]
        for done in as_completed(shards):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _write_whole_shard(spec: WorldSpec, folder: Path, shard: int, device: str) -> int:
    return sum(_write_shard(spec, folder, shard, device))


def _write_shard(spec: WorldSpec, folder: Path, shard: int, device: str) -> Iterator[int]:
    """Write a shard beside its place and rename it, so that no reader ever sees half of one."""
    pieces: dict[str, list[np.ndarray]] = {}
    captions: list[str] = []
    yield from render_shard(spec, spec.shard_indices(shard), device, pieces, captions)
    scratch = Path(tempfile.mkdtemp(prefix=".shard-", dir=folder))
    try:
        for name, arrays in pieces.items():
            np.save(scratch / f"{name}.npy", np.concatenate(arrays))
        if captions:
            (scratch / "captions.jsonl").write_text("".join(captions), encoding="utf-8")
        _move_into_place(scratch, folder / _shard_name(spec, shard))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _move_into_place(scratch: Path, place: Path) -> None:
    scratch.chmod(0o755)
    try:
        scratch.rename(place)
    except OSError:
        if not place.is_dir():  # otherwise another process was first with the same pixels
            raise


def _shard_name(spec: WorldSpec, shard: int) -> str:
    indices = spec.shard_indices(shard)
    return f"{indices.start:08d}-{indices.stop:08d}"


def _use_one_thread() -> None:
    torch.set_num_threads(1)

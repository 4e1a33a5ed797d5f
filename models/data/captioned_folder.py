"""Images with texts in files: a folder of pairs, or shards, as image-text sets are handed on."""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.data.captioned import CaptionedImages
from models.data.folder import SUFFIXES, decode_square

#: Under which keys a JSON file beside an image may keep its text.
TEXT_KEYS = ("caption", "text", "txt")
#: The file that may say all texts of a folder, as Hugging Face's image folders have it.
LISTING = "metadata.jsonl"


def open_captioned(root: Path, split: str) -> CaptionedImages:
    """`root/<split>`: shards (*.tar), or images with their texts in one listing or a file each."""
    folder = root / split
    if not folder.is_dir():
        raise ValueError(f"{root} has no folder {split!r}")
    shards = sorted(folder.glob("*.tar"))
    return CaptionShards(shards) if shards else CaptionFolder(folder)


class CaptionFolder:
    """`a.jpg` beside `a.txt`, whose lines are each a text that is true of the image, in any depth
    of folders; or `metadata.jsonl`, each line with a `file_name` and a `text`."""

    def __init__(self, folder: Path) -> None:
        listing = folder / LISTING
        found = list(_listed(listing) if listing.is_file() else _pairs(folder))
        if not found:
            raise ValueError(
                f"{folder} holds no image that has a .txt beside it, no {LISTING} and no .tar"
            )
        self.files = [file for file, _ in found]
        self._texts = [texts for _, texts in found]
        self.description = f"caption folder {folder.parent.name}/{folder.name}, {len(self)} images"

    def __len__(self) -> int:
        return len(self.files)

    def read(self, indices: Tensor, size: tuple[int, int], windows: Tensor | None = None) -> Tensor:
        """See `CaptionedImages.read`."""
        return _read([self.files[i] for i in indices.tolist()], size, windows)

    def texts(self, index: int) -> tuple[str, ...]:
        return self._texts[index]


def _pairs(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    for file in sorted(folder.rglob("*")):
        beside = file.with_suffix(".txt")
        if file.suffix.lower() in SUFFIXES and beside.is_file():
            yield file, _lines(beside.read_text(encoding="utf-8"), beside)


def _listed(listing: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    lines = listing.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{listing}:{number}"
            yield listing.parent / _value(line, ("file_name",), where), _keyed(line, where)


class _Member(NamedTuple):
    """Where an image lies in a shard."""

    shard: Path
    offset: int
    bytes: int


class CaptionShards:
    """WebDataset's shards: tar files in which `key.jpg` stands beside `key.txt` or `key.json`.

    The tables are read when the set is opened, the images whenever they are asked for: a shard is
    read at any place, not from its beginning to its end. Shards must not be compressed.
    """

    def __init__(self, shards: list[Path]) -> None:
        self._members: list[_Member] = []
        self._texts: list[tuple[str, ...]] = []
        for shard in shards:
            for member, texts in _samples(shard):
                self._members.append(member)
                self._texts.append(texts)
        if not self._members:
            raise ValueError(f"{shards[0].parent}: no shard holds an image with a text")
        place = shards[0].parent
        self.description = (
            f"caption shards {place.parent.name}/{place.name}, {len(self)} images in "
            f"{len(shards)} files"
        )

    def __len__(self) -> int:
        return len(self._members)

    def read(self, indices: Tensor, size: tuple[int, int], windows: Tensor | None = None) -> Tensor:
        """See `CaptionedImages.read`."""
        files = []
        for index in indices.tolist():
            member = self._members[index]
            with member.shard.open("rb") as shard:
                shard.seek(member.offset)
                files.append(io.BytesIO(shard.read(member.bytes)))
        return _read(files, size, windows)

    def texts(self, index: int) -> tuple[str, ...]:
        return self._texts[index]


def _samples(shard: Path) -> Iterator[tuple[_Member, tuple[str, ...]]]:
    """The images of a shard that have a text, in the order of the shard."""
    images: dict[str, _Member] = {}
    texts: dict[str, tuple[str, ...]] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for entry in tar:
                stem, _, suffix = entry.name.rpartition(".")
                if not entry.isfile():
                    continue
                if f".{suffix.lower()}" in SUFFIXES:
                    images[stem] = _Member(shard, entry.offset_data, entry.size)
                elif suffix in ("txt", "json") and stem not in texts:
                    content = tar.extractfile(entry)
                    assert content is not None
                    said = content.read().decode("utf-8")
                    where = f"{shard.name}/{entry.name}"
                    texts[stem] = _lines(said, where) if suffix == "txt" else _keyed(said, where)
    except (tarfile.TarError, UnicodeDecodeError) as error:
        raise ValueError(f"{shard} is no shard that can be read: {error}") from error
    for stem, member in images.items():
        if stem in texts:
            yield member, texts[stem]


def _lines(text: str, where: Path | str) -> tuple[str, ...]:
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not lines:
        raise ValueError(f"{where} says nothing")
    return lines


def _keyed(text: str, where: str) -> tuple[str, ...]:
    return _lines(_value(text, TEXT_KEYS, where), where)


def _value(text: str, keys: Sequence[str], where: str) -> str:
    """What a JSON object has under the first of `keys` that it has."""
    try:
        document: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is no JSON: {error}") from error
    for key in keys:
        if isinstance(document, Mapping) and isinstance(document.get(key), str):
            return str(document[key])
    raise ValueError(f"{where} has {'none of' if len(keys) > 1 else 'no'} {', '.join(keys)}")


def _read(
    files: Sequence[Path | io.BytesIO], size: tuple[int, int], windows: Tensor | None
) -> Tensor:
    result = torch.empty(len(files), *size, 3, dtype=torch.uint8)  # [B, H, W, 3]
    for row, file in enumerate(files):
        window = (0.0, 0.0, 1.0, 1.0) if windows is None else tuple(windows[row].tolist())
        result[row] = decode_square(file, size, window)
    return result

"""A folder in numbered pieces of a bounded size, and back, for machines without a network.

Each piece is a file `part-0000-of-0003`, and `parcel.json` has their hashes. They may arrive in any
order; unpacking needs Python's standard library alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import tarfile
from pathlib import Path
from typing import IO, Any, Final

MANIFEST: Final = "parcel.json"
MIB: Final = 1 << 20
PIECE_MAX_BYTES: Final = 58 * MIB
BLOCK: Final = 4 * MIB
FILTERS: Final = (
    {"id": lzma.FILTER_X86},  # calls in machine code pack better with absolute addresses
    {"id": lzma.FILTER_LZMA2, "preset": 6},
)


class ParcelError(Exception):
    """A piece is missing or is not what was packed."""


def pack(source: Path, target: Path, *, piece_bytes: int = PIECE_MAX_BYTES) -> list[Path]:
    """The folder `source` as pieces in the new folder `target`."""
    target.mkdir(parents=True)
    pieces = _Pieces(target, piece_bytes)
    stream: Any = pieces
    with (
        lzma.open(stream, "wb", filters=list(FILTERS)) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        for path in sorted(source.rglob("*")):
            tar.add(path, path.relative_to(source), recursive=False, filter=_anonymous)
    pieces.end()
    count = len(pieces.paths)
    named = [p.rename(target / f"part-{i:04}-of-{count:04}") for i, p in enumerate(pieces.paths)]
    listed = [{"name": p.name, "sha256": _sha256(p), "size_bytes": p.stat().st_size} for p in named]
    (target / MANIFEST).write_text(json.dumps({"pieces": listed}, indent=2) + "\n")
    return named


def unpack(parcel: Path, target: Path) -> None:
    """Check every piece, then unpack. ParcelError where one is missing or differs."""
    listed = json.loads((parcel / MANIFEST).read_text())["pieces"]
    paths = []
    for piece in listed:
        path = parcel / piece["name"]
        if not path.is_file():
            raise ParcelError(f"{piece['name']} has not arrived")
        if _sha256(path) != piece["sha256"]:
            raise ParcelError(f"{piece['name']} is not what was packed")
        paths.append(path)
    target.mkdir(parents=True, exist_ok=True)
    joined: Any = io.BufferedReader(_Joined(paths), BLOCK)
    with lzma.open(joined) as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
        tar.extractall(target, filter="data")


class _Pieces(io.RawIOBase):
    """Writes on into the next file when one is full."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self.paths: list[Path] = []
        self._file: IO[bytes] | None = None
        self._left = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        written = 0
        while written < len(view):
            if self._file is None or not self._left:
                self._next()
            assert self._file is not None
            now = view[written : written + self._left]
            self._file.write(now)
            written += len(now)
            self._left -= len(now)
        return written

    def end(self) -> None:
        if self._file is not None:
            self._file.close()

    def _next(self) -> None:
        self.end()
        self.paths.append(self._folder / f"piece-{len(self.paths)}")
        self._file, self._left = self.paths[-1].open("wb"), self._most


class _Joined(io.RawIOBase):
    """Reads one file after the other."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = list(paths)
        self._file: IO[bytes] | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._file is None:
                if not self._paths:
                    return 0
                self._file = self._paths.pop(0).open("rb")
            data = self._file.read(len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
            self._file.close()
            self._file = None


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

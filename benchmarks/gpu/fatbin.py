"""The GPU code in a shared library by architecture, and the same library without some of it.

CUDA puts its code for every architecture one after the other into the ELF section `.nv_fatbin`: for
each translation unit a container (magic 0xBA55ED50) with entries, each machine code (ELF) for one
architecture or PTX for one and later. What is filled with zeros is never looked at on another
architecture and packs to nothing. Nothing moves, so that every offset stays true.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SECTIONS: Final = frozenset({b".nv_fatbin", b"__nv_relfatbin"})
MAGIC: Final = 0xBA55ED50
ALIGNMENT: Final = 8
CONTAINER: Final = struct.Struct("<IHHQ")  # magic, version, header's size, size of what follows
ENTRY: Final = struct.Struct("<HHIQ")  # kind, version, header's size, size of the code
ARCHITECTURE_AT: Final = 28
"""In an entry's header, as a number: 90 for sm_90."""
PTX: Final = 1
Bytes = bytes | bytearray | mmap.mmap


@dataclass(frozen=True)
class Entry:
    is_ptx: bool
    architecture: int
    start: int
    size: int
    """Of the code in the file, without its header."""


class NotElfError(ValueError):
    """Only 64-bit little-endian ELF is read."""


def entries(data: Bytes) -> Iterator[Entry]:
    """Every piece of GPU code in an ELF file; none where it has no such section."""
    for start, size in _sections(data):
        yield from _of_section(data, start, start + size)


def sizes(path: Path) -> Counter[str]:
    """Bytes by architecture, such as `sm_90` and `ptx_90`."""
    counted: Counter[str] = Counter()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for entry in entries(data):
            kind = "ptx" if entry.is_ptx else "sm"
            counted[f"{kind}_{entry.architecture}"] += entry.size
    return counted


def keep_only(path: Path, architectures: Collection[int]) -> int:
    """Fill all other code with zeros, in place; how many bytes that were.

    ValueError, and nothing changed, if code would be left for none of `architectures`.
    """
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        found = list(entries(data))
        if found and not any(entry.architecture in architectures for entry in found):
            there = sorted({entry.architecture for entry in found})
            raise ValueError(f"{path.name} has code for {there} and for none of {architectures}")
        dropped = [entry for entry in found if entry.architecture not in architectures]
        for entry in dropped:
            data[entry.start : entry.start + entry.size] = bytes(entry.size)
    return sum(entry.size for entry in dropped)


def _of_section(data: Bytes, at: int, end: int) -> Iterator[Entry]:
    while at + CONTAINER.size <= end:
        magic, _, header_size, size = CONTAINER.unpack_from(data, at)
        if magic != MAGIC:
            at += ALIGNMENT
            continue
        inner = at + header_size
        at = inner + size
        if at > end:
            raise ValueError("a container of GPU code is longer than its section")
        while inner + ENTRY.size <= at:
            kind, _, entry_header, code_size = ENTRY.unpack_from(data, inner)
            if not entry_header:
                break
            (architecture,) = struct.unpack_from("<I", data, inner + ARCHITECTURE_AT)
            yield Entry(kind == PTX, architecture, inner + entry_header, code_size)
            inner += entry_header + code_size


def _sections(data: Bytes) -> Iterator[tuple[int, int]]:
    """Where the sections with GPU code begin, and how long they are."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise NotElfError("no 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", data, 0x28)
    each, count, names_index = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", data, table + each * i) for i in range(count)]
    if not headers:
        return
    names = headers[names_index][4]
    for name, _, _, _, offset, size in headers:
        begin = names + name
        if data[begin : data.find(b"\0", begin)] in SECTIONS:
            yield offset, size

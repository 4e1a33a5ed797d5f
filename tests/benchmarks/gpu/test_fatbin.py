"""GPU code by architecture, in ELF files made by hand as the specification has them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from benchmarks.gpu.fatbin import Entry, NotElfError, entries, keep_only, sizes

ELF, PTX = 2, 1


def entry(kind: int, architecture: int, code: bytes) -> bytes:
    head = struct.pack("<HHIQ", kind, 0x0101, 64, len(code))
    head += struct.pack("<IIHHI", 0, 0, 0, 0, architecture) + bytes(64 - 32)
    assert len(head) == 64 and struct.unpack_from("<I", head, 28)[0] == architecture
    return head + code


def container(*inner: bytes) -> bytes:
    body = b"".join(inner)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def elf(**sections: bytes) -> bytes:
    """A file of sections: `.shstrtab` is the last, and names them all."""
    names, offsets = b"\0", []
    every = {".".join(("", name)): data for name, data in sections.items()}
    for name in (*every, ".shstrtab"):
        offsets.append(len(names))
        names += name.encode() + b"\0"
    body, places = b"", []
    for data in (*every.values(), names):
        body += bytes(-len(body) % 8)
        places.append((64 + len(body), len(data)))
        body += data
    body += bytes(-len(body) % 8)
    table = bytes(64)
    for name_at, (start, size) in zip(offsets, places, strict=True):
        table += struct.pack("<IIQQQQIIQQ", name_at, 1, 0, 0, start, size, 0, 0, 8, 0)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64,
                        len(places) + 1, len(places))  # fmt: skip
    return head + body + table


CODE = {80: b"eighty.." * 4, 90: b"ninety.." * 8, 100: b"hundred." * 2}
LIBRARY = elf(
    text=b"machine code",
    nv_fatbin=container(*(entry(ELF, sm, code) for sm, code in CODE.items()))
    + bytes(8)  # padding between two translation units
    + container(entry(ELF, 90, b"again..."), entry(PTX, 100, b"portable")),
    data=struct.pack("<I", 0xBA55ED50) + b"not a container",
)


def test_every_piece_of_code_is_found_with_its_architecture() -> None:
    found = list(entries(LIBRARY))

    assert [(e.is_ptx, e.architecture, LIBRARY[e.start : e.start + e.size]) for e in found] == [
        (False, 80, CODE[80]),
        (False, 90, CODE[90]),
        (False, 100, CODE[100]),
        (False, 90, b"again..."),
        (True, 100, b"portable"),
    ]


def test_sizes_are_told_by_architecture(tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(LIBRARY)

    assert sizes(path) == {"sm_80": 32, "sm_90": 72, "sm_100": 16, "ptx_100": 8}


def test_other_architectures_become_zeros_and_nothing_moves(tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(LIBRARY)

    assert keep_only(path, {90}) == 32 + 16 + 8

    slim = path.read_bytes()
    expected = LIBRARY
    for gone in (CODE[80], CODE[100], b"portable"):
        expected = expected.replace(gone, bytes(len(gone)))
    assert slim == expected
    kept = [e for e in entries(slim) if e.architecture == 90]
    assert [slim[e.start : e.start + e.size] for e in kept] == [CODE[90], b"again..."]


def test_a_library_is_left_alone_if_nothing_would_run(tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(LIBRARY)

    with pytest.raises(ValueError, match=r"has code for \[80, 90, 100\]"):
        keep_only(path, {75})
    assert path.read_bytes() == LIBRARY


def test_a_library_without_gpu_code_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "plain.so"
    path.write_bytes(plain := elf(text=b"machine code"))

    assert keep_only(path, {90}) == 0
    assert path.read_bytes() == plain


def test_what_is_no_elf_file_and_what_is_torn_are_refused() -> None:
    with pytest.raises(NotElfError):
        list(entries(b"#!/bin/sh\n" + bytes(64)))
    torn = elf(nv_fatbin=container(entry(ELF, 90, b"ninety.."))[:-4])
    with pytest.raises(ValueError, match="longer than its section"):
        list(entries(torn))


def test_an_entry_is_what_it_says() -> None:
    (only,) = entries(elf(nv_fatbin=container(entry(PTX, 75, b"12345678"))))
    assert only == Entry(True, 75, only.start, 8)

"""Folders in pieces, and back."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu.pack import locked, slim
from benchmarks.gpu.parcel import ParcelError, pack, unpack
from benchmarks.process import ROOT
from tests.benchmarks.gpu.test_fatbin import CODE, LIBRARY

NOISE = np.random.default_rng(0).bytes(300_000)  # which does not pack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "noise").write_bytes(NOISE)
    (source / "deep" / "er" / "text").write_text("words")
    (source / "deep" / "run").write_text("#!/bin/sh\n")
    (source / "deep" / "run").chmod(0o755)
    (source / "link").symlink_to("deep/run")
    (source / "empty").mkdir()
    return source


def test_a_folder_comes_back_from_its_pieces(folder: Path, tmp_path: Path) -> None:
    pieces = pack(folder, tmp_path / "parcel", piece_bytes=100_000)
    unpack(tmp_path / "parcel", tmp_path / "back")

    assert len(pieces) == 4
    assert max(piece.stat().st_size for piece in pieces) == 100_000
    back = tmp_path / "back"
    assert (back / "noise").read_bytes() == NOISE
    assert (back / "deep" / "er" / "text").read_text() == "words"
    assert os.stat(back / "deep" / "run").st_mode & stat.S_IXUSR
    assert os.readlink(back / "link") == "deep/run"
    assert (back / "empty").is_dir()


def test_a_piece_that_is_missing_or_changed_is_named(folder: Path, tmp_path: Path) -> None:
    pieces = pack(folder, tmp_path / "parcel", piece_bytes=100_000)
    data = bytearray(pieces[1].read_bytes())
    data[5] ^= 1
    pieces[1].write_bytes(data)
    with pytest.raises(ParcelError, match="part-0001-of-0004 is not what was packed"):
        unpack(tmp_path / "parcel", tmp_path / "back")
    pieces[1].unlink()
    with pytest.raises(ParcelError, match="part-0001-of-0004 has not arrived"):
        unpack(tmp_path / "parcel", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_the_command_unpacks(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "parcel")
    command = [sys.executable, "-m", "benchmarks.gpu.pack", "unpack"]
    done = subprocess.run(
        [*command, str(tmp_path / "parcel"), str(tmp_path / "back")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "back" / "noise").read_bytes() == NOISE


def test_only_what_runs_models_is_packed(tmp_path: Path) -> None:
    capi = tmp_path / "onnxruntime" / "capi"
    (tmp_path / "onnxruntime" / "transformers").mkdir(parents=True)
    capi.mkdir()
    (capi / "libonnxruntime.so.1.31.1").write_bytes(LIBRARY)
    (capi / "libonnxruntime_providers_cuda.so").write_bytes(LIBRARY)
    (capi / "notes.so").write_text("a linker's script")

    dropped = slim(tmp_path, {90})

    assert dropped == 32 + 16 + 8
    assert sorted(path.name for path in capi.iterdir()) == [
        "libonnxruntime_providers_cuda.so",
        "notes.so",
    ]
    assert CODE[80] not in (capi / "libonnxruntime_providers_cuda.so").read_bytes()
    assert not (tmp_path / "onnxruntime" / "transformers").exists()


def test_packages_are_those_of_the_image() -> None:
    runtime = {spec.partition("==")[0] for spec in locked(everything=False)}
    everything = {spec.partition("==")[0] for spec in locked(everything=True)}

    assert runtime == {"onnxruntime-gpu", "cuda-bindings", "cuda-pathfinder"}
    assert runtime | {"fastapi", "orjson", "tokenizers"} <= everything
    assert not any(name.startswith("nvidia-") for name in everything)

"""`python -m benchmarks.gpu.pack`: what the check needs on a machine without a network.

python -m benchmarks.gpu.pack packages PARCEL --sm 90      # here; --server for all that it needs
python -m benchmarks.gpu.pack unpack PARCEL TARGET         # there; then PYTHONPATH=TARGET
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.gpu import fatbin, parcel
from benchmarks.process import ROOT

RUNTIME = ("onnxruntime-gpu", "cuda-bindings", "cuda-pathfinder")
LOCK = ROOT / "docker" / "locks" / "gpu.txt"
LIBRARIES = ("nvidia-", "cuda-toolkit")
"""CUDA's own and cuDNN are 2 GB: a machine with PyTorch for CUDA 13 has them already."""
UNUSED = ("tools", "transformers", "datasets", "quantization")
"""Of ONNX Runtime: what makes models, not what runs them."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def packages(
    target: Annotated[Path, typer.Argument(help="A new folder for the pieces")],
    sm: Annotated[list[int], typer.Option(help="Keep GPU code for this architecture, as 90")],
    server: Annotated[
        bool, typer.Option(help="All that the server needs, not ONNX Runtime and bindings alone")
    ] = False,
    python: Annotated[str, typer.Option(help="The version of Python there")] = "3.12",
    piece_mib: Annotated[int, typer.Option(min=1, help="The largest piece")] = 58,
) -> None:
    """Fetch packages by pip, drop GPU code of other architectures, and pack what is left."""
    with tempfile.TemporaryDirectory(prefix="panoptes-pack-") as made:
        site = Path(made, "site")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        command += [str(site), "--only-binary=:all:", "--python-version", python]
        for tag in ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64"):
            command += ["--platform", tag]
        subprocess.run([*command, *locked(everything=server)], check=True)
        # The project too, by which Python knows its version and its commands.
        own = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        subprocess.run([*own, str(site), str(ROOT)], check=True)
        slim(site, set(sm))
        pieces = parcel.pack(site, target, piece_bytes=piece_mib * parcel.MIB)
    total = sum(piece.stat().st_size for piece in pieces)
    typer.echo(f"{len(pieces)} pieces, {total / parcel.MIB:.0f} MiB, in {target}")


@app.command()
def unpack(
    source: Annotated[Path, typer.Argument(help="The folder with the pieces and parcel.json")],
    target: Annotated[Path, typer.Argument(help="Where to unpack")],
) -> None:
    """Check the pieces and put the folder together."""
    try:
        parcel.unpack(source, target)
    except parcel.ParcelError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(f"unpacked: export PYTHONPATH={target}")


def locked(*, everything: bool) -> list[str]:
    """Packages in the versions that the image of GPUs has, but for CUDA's own libraries."""
    wanted = []
    for line in LOCK.read_text().splitlines():
        if (match := re.match(r"([A-Za-z0-9._-]+)==[^ ]+", line)) is None:
            continue
        name = match[1]
        if name in RUNTIME or (everything and not name.startswith(LIBRARIES)):
            wanted.append(match[0])
    return wanted


def slim(site: Path, architectures: set[int]) -> int:
    """Without what the server does not need; how many bytes of GPU code went."""
    for name in UNUSED:
        shutil.rmtree(site / "onnxruntime" / name, ignore_errors=True)
    for path in site.glob("onnxruntime/capi/libonnxruntime.so*"):
        path.unlink()  # for programs in C: the extension module has all of it
    dropped = 0
    for path in sorted(site.rglob("*.so*")):
        if path.is_file() and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF":
            dropped += fatbin.keep_only(path, architectures)
    return dropped


if __name__ == "__main__":
    app()

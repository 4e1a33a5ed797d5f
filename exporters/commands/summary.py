"""What an export command tells of the bundle that it wrote, whatever its task."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from exporters.export import Exported
from service.bundle import Bundle, Parity


def show_exported(exported: Exported, console: Console) -> None:
    """Files and sizes, the parity of the float32 graphs, the drift of the graphs that ship."""
    bundle, manifest = exported.written.bundle, exported.written.bundle.manifest
    console.print(f"[bold]{manifest.ref}[/bold] is in {bundle.folder}", soft_wrap=True)
    console.print(_files(bundle))
    console.print(_parities(exported.parity))
    for role, drift in exported.written.drift.items():
        graph = manifest.graphs[role]
        console.print(
            f"{role} ({graph.precision}): golden drift {drift:.2e}, "
            f"tolerance {graph.golden_tolerance:.1e}"
        )


def show_figures(exported: Exported, console: Console) -> None:
    """The figures of what ships, and of the float32 graphs where those are others."""
    if not exported.measured.figures:
        console.print("[yellow]not evaluated[/yellow]: the model card has no accuracy")
        return
    console.print(_listed(exported.measured.figures))
    if exported.measured.original:
        console.print(f"as fp32: {_listed(exported.measured.original)}")


def _files(bundle: Bundle) -> Table:
    files = Table("File", "kB")
    for file, digest in sorted(bundle.manifest.files.items()):
        files.add_row(file, f"{digest.size_bytes / 1000:,.1f}")
    return files


def _parities(parity: Mapping[str, tuple[Parity, ...]]) -> Table:
    table = Table("Output of the fp32 graph", "Batch", "max |Δ| to PyTorch", "Allowed")
    for role, entries in parity.items():
        for entry in entries:
            output = entry.output if len(parity) == 1 else f"{role}: {entry.output}"
            allowed = f"{entry.tolerance:.0e}"
            table.add_row(output, str(entry.batch), f"{entry.max_abs:.1e}", allowed)
    return table


def _listed(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items())

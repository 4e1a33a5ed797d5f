"""What an export command tells of the bundle that it wrote, whatever its task."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from exporters.bundle import Written
from service.bundle import Parity


def show_written(written: Written, parity: Sequence[Parity], console: Console) -> None:
    """Files and sizes, the parity of the float32 graphs, the drift of the graphs that ship."""
    bundle, manifest = written.bundle, written.bundle.manifest
    console.print(f"[bold]{manifest.ref}[/bold] is in {bundle.folder}", soft_wrap=True)
    files = Table("File", "kB")
    for file, digest in sorted(manifest.files.items()):
        files.add_row(file, f"{digest.size_bytes / 1000:,.1f}")
    console.print(files)
    table = Table("Output of the fp32 graph", "Batch", "max |Δ| to PyTorch", "Allowed")
    for entry in parity:
        allowed = f"{entry.tolerance:.0e}"
        table.add_row(entry.output, str(entry.batch), f"{entry.max_abs:.1e}", allowed)
    console.print(table)
    for role, drift in written.drift.items():
        graph = manifest.graphs[role]
        console.print(
            f"{role} ({graph.precision}): golden drift {drift:.2e}, "
            f"tolerance {graph.golden_tolerance:.1e}"
        )

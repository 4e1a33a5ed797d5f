"""`panoptes models`: look at bundles without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.settings import STARTER_PACK

app = typer.Typer(help="Look at bundles without a server.", no_args_is_help=True)

Repositories = Annotated[
    list[str] | None, typer.Argument(help="Folders or URLs with bundles [the starter pack]")
]


@app.command("list")
def list_bundles(repositories: Repositories = None) -> None:
    """Say what is in repositories, as far as the manifests tell."""
    from service.bundle import BundleError, open_repository, read_manifest
    from service.settings import Settings

    table = Table("model", "task", "MB", "quality", "summary", box=None, pad_edge=False)
    for location in repositories or [str(STARTER_PACK)]:
        repository = open_repository(location, Settings().cache_dir)
        for ref in repository.list():
            try:
                manifest, _ = read_manifest(repository.fetch(ref))
            except BundleError as error:
                table.add_row(str(ref), "[red]broken", "", "", str(error))
                continue
            size_mb = sum(f.size_bytes for f in manifest.files.values()) / 1e6
            quality = ", ".join(f"{q.metric} {q.value:.4g}" for q in manifest.quality)
            table.add_row(str(ref), manifest.task, f"{size_mb:.1f}", quality, manifest.summary)
    Console().print(table)


@app.command()
def pull(
    source: Annotated[str, typer.Argument(help="URL or folder with bundles")],
    target: Annotated[Path, typer.Argument(help="Folder that becomes a repository")],
    model: Annotated[
        list[str] | None,
        typer.Option(help="name or name:version; may be given again [all versions of all]"),
    ] = None,
) -> None:
    """Copy bundles into a folder and check their hashes. What is there already stays."""
    from service.bundle import BundleError, parse_ref
    from service.bundle.repository import FolderRepository, RemoteRepository

    url = source if "://" in source else Path(source).resolve().as_uri()
    target.mkdir(parents=True, exist_ok=True)
    try:
        wanted = [parse_ref(name) for name in model or ()]
        repository = RemoteRepository(url, cache=target)
        chosen = [
            ref
            for ref in repository.list()
            if not wanted or (ref.name, ref.version) in wanted or (ref.name, None) in wanted
        ]
        if not chosen:
            raise BundleError(f"{source} has nothing of {', '.join(model or ['any model'])}")
        for ref in chosen:
            typer.echo(f"{ref} is in {repository.copy(ref, FolderRepository(target))}")
    except (BundleError, ValueError) as error:
        typer.echo(f"panoptes: {error}", err=True)
        raise typer.Exit(1) from None


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="The bundle: a folder with a manifest.json")],
    device: Annotated[str, typer.Option(help="Compute on cpu, cuda or tensorrt")] = "cpu",
) -> None:
    """Check a bundle as the server does: its hashes, its task, its golden outputs."""
    from service.bundle import BundleError, read_bundle
    from service.engine.backends.choose import check_compute
    from service.engine.backends.unplanned import Unplanned
    from service.engine.compute import KINDS, ComputeError
    from service.engine.device import device_of
    from service.engine.model import load_model
    from service.settings import Settings
    from service.tasks import check_bundle

    console = Console()
    kind = next((known for known in KINDS if known == device), None)
    if kind is None:
        raise typer.BadParameter(f"{device} is none of {', '.join(KINDS)}", param_hint="--device")
    compute = Settings(device=kind).compute
    try:
        check_compute(compute)
        bundle = read_bundle(folder)
        check_bundle(bundle)
        model = load_model(bundle, device_of(compute, cores=1), queue_capacity=1)
    except (BundleError, ComputeError) as error:
        console.print(f"[red]{folder}: {escape(str(error))}")
        raise typer.Exit(1) from None
    for role, lane in model.lanes.items():
        if isinstance(lane.backend, Unplanned):
            console.print(f"[yellow]{role} ran on ONNX Runtime: {escape(lane.backend.why)}")
        console.print(
            f"[green]ok[/] {model.ref} {role}: drift {model.drift[role]:.2g} of at most "
            f"{bundle.manifest.graphs[role].golden_tolerance:.2g}; "
            + ", ".join(f"batch {b} {s * 1e3:.2f} ms" for b, s in lane.cost.points().items())
        )

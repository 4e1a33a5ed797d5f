"""`panoptes engine`: TensorRT plans, ahead of time and looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.settings import STARTER_PACK, Settings

if TYPE_CHECKING:
    from rich.console import Console

    from service.bundle import Bundle
    from service.engine.compute import Compute
    from service.engine.plans.cache import Found
    from service.engine.plans.key import Target
    from service.engine.plans.planner import Planner

app = typer.Typer(help="Build TensorRT plans and look at them.", no_args_is_help=True)

Repositories = Annotated[
    list[str] | None,
    typer.Option("--repository", help="Folder or URL; may be given again (what `serve` serves)"),
]
Cache = Annotated[Path | None, typer.Option(help="Where plans lie")]
Gpu = Annotated[int, typer.Option(min=0, help="The GPU to build on")]


@app.command()
def build(
    models: Annotated[
        list[str] | None, typer.Argument(help="name or name:version (all of all)")
    ] = None,
    repository: Repositories = None,
    cache: Cache = None,
    precision: Annotated[
        str | None, typer.Option(help="Of products of float32: tf32 or fp32")
    ] = None,
    best_batch: Annotated[int | None, typer.Option(min=1, help="What plans are fastest at")] = None,
    effort: Annotated[
        int | None, typer.Option(min=0, max=5, help="How long to look for kernels")
    ] = None,
    workspace_mb: Annotated[
        int | None, typer.Option(min=1, help="GPU memory that a kernel may use for itself")
    ] = None,
    gpu: Gpu = 0,
    again: Annotated[bool, typer.Option(help="Build what is in the cache, too")] = False,
) -> None:
    """Build the plans of every graph that has none, and say what came of each.

    What is not given is as PANOPTES_PLAN_… says. Ends with status 1 where not one graph has a plan.
    """
    from rich.console import Console

    from service.engine.backends.planned import check_tensorrt, planners_of
    from service.engine.compute import ComputeError

    compute = _compute(
        gpu,
        plan_dir=cache,
        plan_precision=precision,
        plan_best_batch=best_batch,
        plan_effort=effort,
        plan_workspace_bytes=workspace_mb and workspace_mb << 20,
    )
    try:
        check_tensorrt(compute)
        (planner,) = planners_of(compute)
    except ComputeError as error:
        typer.secho(f"panoptes: {error}", err=True, fg="red")
        raise typer.Exit(1) from None
    console = Console(stderr=True, highlight=False)
    console.print(f"for {planner.target}, into {planner.cache.root}", soft_wrap=True)
    planned = 0
    for bundle in _bundles(repository, models or []):
        for role in bundle.manifest.graphs:
            outcome, has_plan = _build_one(planner, bundle, role, compute, console, again=again)
            planned += has_plan
            typer.echo(f"{bundle.manifest.ref}/{role}: {outcome}")
    if not planned:
        raise typer.Exit(1)


@app.command("list")
def list_plans(repository: Repositories = None, cache: Cache = None, gpu: Gpu = 0) -> None:
    """Say which plans there are, and which of them a server here would use, or why not."""
    from rich.console import Console
    from rich.table import Table

    from service.engine.plans.cache import PlanCache
    from service.engine.plans.key import digest_of

    compute = _compute(gpu, plan_dir=cache)
    target, why = _target(compute)
    graphs = {
        digest_of(bundle.manifest, role)
        for bundle in _bundles(repository, [])
        for role in bundle.manifest.graphs
    }
    table = Table("graph", "plan", "MB", "built", "here", box=None, pad_edge=False)
    for found in PlanCache(compute.plans.folder).entries():
        if (facts := found.facts) is None:
            table.add_row("[red]?", found.folder.name, "", "", f"[red]broken: {found.problem}")
            continue
        profile, key = facts.key.profile, facts.key
        table.add_row(
            facts.graph,
            f"{key.target}, {key.precision}, {profile}, effort {facts.optimization_level}",
            f"{facts.size_bytes / 1e6:.1f}",
            f"{facts.built:%Y-%m-%d}, {facts.build_s:.0f} s",
            _standing(found, target, why, graphs),
        )
    Console().print(table)


# --


def _compute(gpu: int, **given: object) -> Compute:
    """As the environment says, but for what was given; a value that is none is told."""
    from pydantic import ValidationError

    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        settings = Settings.model_validate({"device": "tensorrt", "gpus": (gpu,), **chosen})
    except ValidationError as error:
        first = error.errors()[0]
        where = "--" + str(first["loc"][0]).removeprefix("plan_").replace("_", "-")
        raise typer.BadParameter(first["msg"], param_hint=where) from None
    return settings.compute


def _bundles(repositories: list[str] | None, models: list[str]) -> Iterator[Bundle]:
    """Those that can be read, in order; what is wrong with others is told."""
    from service.bundle import BundleError, open_repository, parse_ref, read_bundle

    settings = Settings()
    try:
        wanted = {parse_ref(model) for model in models}
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    seen = set()
    for location in repositories or settings.repositories or (str(STARTER_PACK),):
        try:
            opened = open_repository(location, settings.cache_dir)
            for ref in opened.list():
                asked = not wanted or wanted & {(ref.name, None), (ref.name, ref.version)}
                if asked and ref not in seen:
                    seen.add(ref)
                    yield read_bundle(opened.fetch(ref))
        except BundleError as error:
            typer.secho(f"{location}: {error}", err=True, fg="red")
    for name, version in sorted(wanted, key=str):
        if not any(ref.name == name and version in (None, ref.version) for ref in seen):
            full = name if version is None else f"{name}:{version}"
            typer.secho(f"there is no {full}", err=True, fg="red")


def _build_one(
    planner: Planner, bundle: Bundle, role: str, compute: Compute, console: Console, *, again: bool
) -> tuple[str, bool]:
    """What came of it, in words, and whether there is a plan now."""
    from service.engine.backends.planned import make_plan
    from service.engine.plans.tensorrt import PlanError

    try:
        found = planner.look(bundle, role)
        if found is not None and not again:
            if found.problem:  # built, and refused: it would be again
                return f"cannot: {found.problem} (--again builds it anew)", False
            return "cached", True
        if found is not None:
            planner.cache.discard(found)
        with console.status(f"{bundle.manifest.ref}/{role}") as status:
            made = make_plan(
                planner,
                bundle,
                role,
                compute,
                gpu=compute.gpus[0],
                on_progress=lambda phase, share: status.update(
                    f"{bundle.manifest.ref}/{role}: {phase}, {share:.0%}"
                ),
            )
        assert made.facts is not None
        return f"built in {made.facts.build_s:.1f} s", True
    except PlanError as error:
        return f"cannot: {error}", False


def _target(compute: Compute) -> tuple[Target | None, str]:
    """What plans must be for here; None where there is nothing to run them, and why."""
    from service.engine.backends.planned import planners_of
    from service.engine.compute import ComputeError

    try:
        return planners_of(compute)[0].target, ""
    except ComputeError as error:
        return None, str(error)


def _standing(found: Found, target: Target | None, why: str, graphs: set[str]) -> str:
    assert found.facts is not None
    key = found.facts.key
    if found.problem:
        return f"[red]not used: {found.problem}"
    if key.graph_sha256 not in graphs:
        return "[yellow]stale: no bundle here has this graph"
    if target is None:
        return f"cannot tell: {why}"
    if key.target != target:
        wanted = key.model_copy(update={"target": target})
        kind = "foreign" if key.target.gpu != target.gpu else "stale"
        return f"[yellow]{kind}: {key.why_not(wanted)}"
    return "[green]used"

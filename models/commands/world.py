"""`panoptes world`: look at the tabletop world, take pictures of it, fill its cache."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from models.data.world import Scenes, SceneSpec, Views

app = typer.Typer(
    help="The tabletop world: pictures with every ground truth, from a seed.",
    no_args_is_help=True,
)


class Split(StrEnum):
    train = "train"
    val = "val"
    test = "test"


Seed = Annotated[int, typer.Option(min=0, help="Another seed, other scenes.")]
Size = Annotated[int, typer.Option(min=8, help="Pixels across each picture.")]
Single = Annotated[
    bool, typer.Option("--single/--multi", help="One object in close-up, or a whole table.")
]
StillLife = Annotated[
    bool, typer.Option("--still-life", help="A few objects, arranged, seen from one place.")
]
Objects = Annotated[int, typer.Option(min=1, max=16, help="The most objects on a table.")]
Supersample = Annotated[int, typer.Option(min=1, max=8, help="Samples a pixel, each way.")]
Device = Annotated[str, typer.Option(help="Where to render: cpu or cuda.")]


@app.command()
def sheet(
    out: Annotated[Path, typer.Argument(help="The PNG to write.")],
    seed: Seed = 0,
    size: Size = 192,
    rows: Annotated[int, typer.Option(min=1)] = 4,
    cols: Annotated[int, typer.Option(min=1)] = 6,
    single: Single = False,
    still_life: StillLife = False,
    truths: Annotated[bool, typer.Option("--truths", help="A row of truths a scene.")] = False,
    objects: Objects = 6,
    supersample: Supersample = 3,
    device: Device = "cpu",
) -> None:
    """Draw a page of pictures, or of pictures beside their truths."""
    from models.data.world.records import scene_records
    from models.data.world.sheet import stack_rows, tile_pictures, truth_rows

    count = rows if truths else rows * cols
    batches = _render(
        _spec(single, still_life, objects), count, seed, size, supersample, device, truths=truths
    )
    if truths:
        page = stack_rows(
            [
                row
                for _, scenes, views in batches
                for row in truth_rows(views, scene_records(scenes, views))
            ]
        )
    else:
        pictures = [picture for _, _, views in batches for picture in views.image]
        page = tile_pictures([picture.numpy(force=True) for picture in pictures], cols)
    out.parent.mkdir(parents=True, exist_ok=True)
    page.save(out)
    _say(f"[green]{out}[/] shows {count} scenes of seed {seed}")


@app.command()
def render(
    out_dir: Annotated[Path, typer.Argument(help="The folder to fill.")],
    count: Annotated[int, typer.Option(min=1, help="How many scenes.")] = 8,
    seed: Seed = 0,
    size: Size = 256,
    single: Single = False,
    still_life: StillLife = False,
    objects: Objects = 6,
    supersample: Supersample = 3,
    device: Device = "cpu",
) -> None:
    """Write pictures, one PNG each, with what is true of them beside as JSON."""
    import json

    from PIL import Image

    from models.data.world.records import scene_records

    out_dir.mkdir(parents=True, exist_ok=True)
    spec = _spec(single, still_life, objects)
    for first, scenes, views in _render(spec, count, seed, size, supersample, device, truths=True):
        assert views.right is not None
        for i, record in enumerate(scene_records(scenes, views)):
            name = f"{seed}-{first + i:06d}"
            Image.fromarray(views.image[i].numpy(force=True)).save(out_dir / f"{name}.png")
            Image.fromarray(views.right[i].numpy(force=True)).save(out_dir / f"{name}-right.png")
            text = json.dumps({"seed": seed, "scene": first + i, **record}, indent=2)
            (out_dir / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    _say(f"[green]{out_dir}[/] holds {count} scenes of seed {seed}")


@app.command()
def cache(
    count: Annotated[int, typer.Option(min=1, help="How many scenes.")] = 10_000,
    split: Annotated[Split, typer.Option(help="Splits share no scene.")] = Split.train,
    seed: Seed = 0,
    size: Size = 64,
    single: Single = False,
    still_life: StillLife = False,
    objects: Objects = 6,
    truth: Annotated[
        list[str] | None, typer.Option(help="A truth to keep; may be given several times.")
    ] = None,
    supersample: Supersample = 2,
    workers: Annotated[int, typer.Option(min=1, help="Processes of one thread each.")] = 1,
    root: Annotated[Path | None, typer.Option(help="Default: $PANOPTES_CACHE.")] = None,
    device: Device = "cpu",
) -> None:
    """Render a data set ahead, so that training need not wait. It may be stopped and resumed."""
    from models.data.world import WorldSpec, open_world

    try:
        spec = WorldSpec(
            _spec(single, still_life, objects),
            count,
            size_px=size,
            split=split.value,
            seed=seed,
            supersample=supersample,
            truths=tuple(truth or ()),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    world = open_world(spec, root, workers=workers, progress=True, device=device)
    _say(f"[green]{world.folder}[/] holds {len(world):,} scenes: {', '.join(world.names)}")


def _spec(single: bool, still_life: bool, objects: int) -> "SceneSpec":
    from models.data.world import CLOSE_UP, SceneSpec

    if single and still_life:
        raise typer.BadParameter("--single and --still-life exclude each other")
    if still_life:
        return SceneSpec(max_objects=min(objects, 4), still_life=True)
    return CLOSE_UP if single else SceneSpec(max_objects=objects)


def _render(
    spec: "SceneSpec",
    count: int,
    seed: int,
    size_px: int,
    supersample: int,
    device: str,
    *,
    truths: bool,
) -> Iterator[tuple[int, "Scenes", "Views"]]:
    """Batches of scenes 0..count of a seed: the first one's number, the scenes, their views."""
    import torch

    from models.data.world import compose_scenes, render_views
    from models.data.world.progress import RenderProgress
    from models.data.world.shards import batch_scenes

    step = batch_scenes(size_px, supersample, device)
    with RenderProgress(count, shown=True) as progress:
        for first in range(0, count, step):
            numbers = torch.arange(first, min(first + step, count), device=device)
            scenes = compose_scenes(spec, seed=seed, indices=numbers)
            views = render_views(
                scenes, size_px=size_px, supersample=supersample, stereo=truths, truths=truths
            )
            yield first, scenes, views
            progress.advance(len(numbers))


def _say(text: str) -> None:
    from rich import print

    print(text)

"""The evaluation of a painter: does it paint what it is told, and how near to the real thing?"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.data.world.reading import read_caption
from models.diffusion.autoencoder_recipe import PictureData
from models.diffusion.checkpoint import load_painter
from models.diffusion.data import CaptionedPictures, open_pictures
from models.diffusion.fidelity import frechet_distance, manifold_precision_recall
from models.diffusion.looking import Onlooker, Verdict, judge, summarise
from models.diffusion.painter import Painter
from models.diffusion.painting import paint
from models.diffusion.pictures import draw_pictures, draw_prompts_by_seeds
from models.training.plain import from_plain

# Legend: B pictures, S their side in pixels.

#: From prompts and seeds to pictures uint8 [B, S, S, 3].
Paint = Callable[[Sequence[str], Sequence[int]], Tensor]

SHOWN = 24
SHEET_ROWS, SHEET_SEEDS = 6, 6
_BATCH = 16


@dataclass(frozen=True)
class Painted:
    """Pictures uint8 [B, S, S, 3] of prompts, and how they were judged."""

    prompts: tuple[str, ...]
    pictures: Tensor
    verdicts: tuple[Verdict, ...]


def measure_painting(
    paint_prompts: Paint,
    onlooker: Onlooker,
    unseen: CaptionedPictures,
    count: int,
    *,
    first_seed: int = 0,
) -> tuple[Painted, dict[str, float]]:
    """Paint the captions of the first `count` pictures and look at what came of them.

    `real_...` are the same figures of the pictures that the captions are of: what the onlooker
    allows at best. `frechet`, `precision` and `recall` compare both sets in its features.
    """
    numbers = torch.arange(min(count, len(unseen)))
    prompts = tuple(unseen.captions[i] for i in numbers.tolist())
    made = paint_prompts(prompts, range(first_seed, first_seed + len(prompts)))
    real = unseen.read(numbers)
    verdicts = _judged(onlooker, prompts, made)
    figures = summarise(verdicts)
    figures |= {f"real_{k}": v for k, v in summarise(_judged(onlooker, prompts, real)).items()}
    features = onlooker.features(real), onlooker.features(made)
    manifold = manifold_precision_recall(*features)
    figures |= {"frechet": frechet_distance(*features), **asdict(manifold)}
    return Painted(prompts, made, verdicts), figures


def evaluate_painter(
    checkpoint: Path,
    *,
    detector: Path,
    classifier: Path,
    prompts: int = 500,
    sampler: str = "dpm++",
    steps: int = 20,
    guidance: float = 4.0,
    sheet: Sequence[str] = (),
    out: Path,
    device: str = "cpu",
) -> dict[str, Any]:
    """Measure a checkpoint on captions of the world that it was not trained on.

    `rebuilt_...` are the figures of the real pictures once they went through the autoencoder: what
    it allows at best. Writes `evaluation.json`, `painted.png`, `failed.png` and `sheet.png`: the
    prompts of `sheet`, or a few captions, each with several seeds.
    """
    painter, _, tokenizer, metadata = load_painter(checkpoint)
    painter = painter.to(device)
    data = from_plain(PictureData, metadata["recipe"]["data"], "data")
    onlooker = Onlooker.of(detector, classifier, data)
    unseen = open_pictures(data, "test")

    def paint_prompts(texts: Sequence[str], seeds: Sequence[int]) -> Tensor:
        return paint(
            painter, tokenizer, texts, seeds, sampler=sampler, steps=steps, guidance=guidance
        )

    painted, figures = measure_painting(paint_prompts, onlooker, unseen, prompts)
    rebuilt = rebuild(painter, unseen.read(torch.arange(len(painted.prompts))))
    through = summarise(_judged(onlooker, painted.prompts, rebuilt))
    report = {
        "checkpoint": str(checkpoint),
        "data": unseen.description,
        "prompts": len(painted.prompts),
        "settings": {"sampler": sampler, "steps": steps, "guidance": guidance},
        "parameters": sum(p.numel() for p in painter.parameters()),
        **figures,
        **{f"rebuilt_{name}": value for name, value in through.items()},
        "provenance": metadata.get("provenance", {}),
    }
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    (out / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    _draw(painted, range(len(painted.prompts)), out / "painted.png")
    failed = [i for i, verdict in enumerate(painted.verdicts) if not verdict.is_true]
    if failed:
        _draw(painted, failed, out / "failed.png")
    rows = list(sheet) or list(painted.prompts[:SHEET_ROWS])
    seeds = range(SHEET_SEEDS)
    draw_prompts_by_seeds(
        [list(paint_prompts([row] * len(seeds), seeds)) for row in rows], rows, out / "sheet.png"
    )
    return report


@torch.inference_mode()
def rebuild(painter: Painter, pictures: Tensor) -> Tensor:
    """uint8 [B, S, S, 3] through the autoencoder and back."""
    device = painter.shift.device
    return torch.cat(
        [
            painter.decode(painter.encode(part.to(device))).cpu()
            for part in torch.split(pictures, _BATCH)
        ]
    )


def _judged(onlooker: Onlooker, prompts: Sequence[str], pictures: Tensor) -> tuple[Verdict, ...]:
    return tuple(
        judge(read_caption(prompt), seen)
        for prompt, seen in zip(prompts, onlooker.see(pictures), strict=True)
    )


def _draw(painted: Painted, numbers: Sequence[int], path: Path) -> None:
    chosen = list(numbers)[:SHOWN]
    titles = [painted.prompts[i] for i in chosen]
    draw_pictures([painted.pictures[i] for i in chosen], titles, path)

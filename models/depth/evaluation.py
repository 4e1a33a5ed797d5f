"""The evaluation of a checkpoint: the figures of depth, and sheets of the best and the worst."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.data.stereo import StereoPairs
from models.depth.checkpoint import load_depth
from models.depth.data import open_pairs
from models.depth.estimating import Estimate, Figures, estimate_all
from models.depth.measures import FIGURES, depth_figures, median_scaled
from models.depth.pictures import draw_sheet
from models.depth.recipe import DataSpec, FolderData
from models.depth.spec import DepthSpec
from models.training.plain import from_plain
from models.training.task import Place

SHOWN = 6


def evaluate_depth(
    checkpoint: Path,
    *,
    split: str | None = None,
    folder: Path | None = None,
    scenes: int | None = None,
    out: Path,
    device: str = "cpu",
) -> dict[str, Any]:
    """Measure a checkpoint on the test split of its own data, or of another stereo folder.

    Writes `evaluation.json`, `typical.png` and `worst.png`: image, truth, answer, error.
    """
    network, spec, metadata = load_depth(checkpoint)
    pairs = open_pairs(_data(metadata, folder, scenes), split or "test")
    if not pairs.has_depth:
        raise ValueError(f"{pairs.description}: no depth to measure against")
    place = Place(torch.device(device))
    figures = Figures.zero(place.device)
    errors: list[float] = []
    for estimate in estimate_all(network.to(place.device), spec, pairs, place):
        figures.add(estimate, spec)
        errors.append(float(depth_figures(_shown(estimate, spec), estimate.truth_m)[0]))
    report = {
        "checkpoint": str(checkpoint),
        "data": pairs.description,
        "samples": len(pairs),
        "parameters": sum(p.numel() for p in network.parameters()),
        **figures.named(place),
        "provenance": metadata.get("provenance", {}),
    }
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    (out / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    order = torch.tensor(errors).argsort()
    middle = max(0, (len(order) - SHOWN) // 2)
    for name, chosen in (("typical", order[middle:][:SHOWN]), ("worst", order.flip(0)[:SHOWN])):
        estimates = list(estimate_all(network, spec, pairs, place, chosen))
        _draw(estimates, spec, pairs, out / f"{name}.png")
    return report


def _data(metadata: dict[str, Any], folder: Path | None, scenes: int | None) -> DataSpec:
    if folder is not None:
        return DataSpec(folder=FolderData(str(folder)))
    if "recipe" not in metadata:
        raise ValueError("this checkpoint names no data: give a stereo folder")
    data = from_plain(DataSpec, metadata["recipe"]["data"], "recipe.data")
    if scenes is None:
        return data
    if data.world is None:
        raise ValueError("only the world has as many scenes as you like")
    return DataSpec(world=replace(data.world, train=scenes, val=scenes, test=scenes))


def _shown(estimate: Estimate, spec: DepthSpec) -> Tensor:
    """In metres by the best camera that is known, else with its median made right."""
    metres = estimate.metres or spec.metres
    if metres is not None:
        return estimate.depth(metres)
    return median_scaled(estimate.depth(None), estimate.truth_m)


def _draw(estimates: Sequence[Estimate], spec: DepthSpec, pairs: StereoPairs, path: Path) -> None:
    rows, captions = [], []
    for estimate in estimates:
        answer, truth = _shown(estimate, spec).cpu(), estimate.truth_m.cpu()
        size = (truth.shape[0], truth.shape[1])
        rows.append((pairs.read(torch.tensor([estimate.pair]), size)[0][0], answer, truth))
        figures = dict(zip(FIGURES, depth_figures(answer, truth).tolist(), strict=True))
        captions.append(
            f"pair {estimate.pair}: abs-rel {figures['abs_rel']:.3f}, "
            f"rmse {figures['rmse']:.2f} m, within 25 %: {figures['d1']:.1%}"
        )
    draw_sheet(rows, captions, path)

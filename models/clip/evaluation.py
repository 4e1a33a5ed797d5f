"""The evaluation of a checkpoint: zero-shot names, retrieval both ways, and what was retrieved."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from models.clip.checkpoint import load_clip
from models.clip.data import open_captions, open_names
from models.clip.embedding import embed_images, embed_texts
from models.clip.measures import RANKS, recalls
from models.clip.pictures import Retrieval, draw_retrievals
from models.clip.recipe import DataSpec, PairsData
from models.clip.task import GALLERY, measure_names
from models.data.captioned import distinct
from models.data.folder import FolderImages
from models.data.labelled import LabelledImages
from models.training.plain import from_plain

#: How many queries a picture shows, and how many images of each.
QUERIES, SHOWN = 8, 6


def evaluate_clip(
    checkpoint: Path,
    *,
    split: str = "test",
    pairs: Path | None = None,
    classes: Path | None = None,
    templates: Sequence[str] = (),
    captions: int = GALLERY,
    out: Path,
    device: str = "cpu",
) -> dict[str, Any]:
    """Measure a checkpoint on a split of its own data, of other pairs, of an image folder's names.

    Retrieval is among the first `captions` images whose captions differ. Writes `evaluation.json`
    and `retrievals.png`: captions, the images that are nearest to each, the right one framed.
    """
    network, spec, tokenizer, metadata = load_clip(checkpoint)
    place = torch.device(device)
    network.to(place)
    data = _data(metadata, pairs, classes)
    images = open_captions(data, split) if data is not None else None
    named = _names(data, split, classes)
    report: dict[str, Any] = {
        "checkpoint": str(checkpoint),
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    out.mkdir(parents=True, exist_ok=True)
    if named is not None:
        chosen = list(templates) or [spec.template]
        top1, top5 = measure_names(network, tokenizer, named, chosen, place)
        report["zero_shot"] = {
            "data": named.description,
            "images": len(named),
            "names": len(named.names),
            "templates": chosen,
            "top1": top1,
            "top5": top5,
        }
    if images is not None:
        rows = distinct(images, captions)
        said = [images.texts(index)[0] for index in rows.tolist()]
        texts = embed_texts(network, tokenizer, said, place)
        seen = embed_images(network, images, rows, place)
        forth, back = recalls(texts, seen), recalls(seen, texts)
        report["retrieval"] = {
            "data": images.description,
            "captions": len(rows),
            **{f"text_to_image_{rank}": forth[rank] for rank in RANKS},
            **{f"image_to_text_{rank}": back[rank] for rank in RANKS},
        }
        nearest = (texts @ seen.T).topk(min(SHOWN, len(rows)), 1).indices  # [N, K]
        draw_retrievals(
            [
                Retrieval(said[query], images.read(rows[nearest[query]], (128, 128)), hit)
                for query, hit in _shown(nearest)
            ],
            out / "retrievals.png",
        )
    report["provenance"] = metadata.get("provenance", {})
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    (out / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    return report


def _data(metadata: dict[str, Any], pairs: Path | None, classes: Path | None) -> DataSpec | None:
    """What retrieval is measured on: the pairs if given, nothing if only classes are."""
    if pairs is not None:
        return DataSpec(pairs=PairsData(str(pairs)))
    if classes is not None:
        return None
    if "recipe" not in metadata:
        raise ValueError("this checkpoint names no data: give pairs, or an image folder of classes")
    return from_plain(DataSpec, metadata["recipe"]["data"], "recipe.data")


def _names(data: DataSpec | None, split: str, classes: Path | None) -> LabelledImages | None:
    if classes is not None:
        return FolderImages(classes, split)
    return None if data is None else open_names(data, split)


def _shown(nearest: torch.Tensor) -> list[tuple[int, int | None]]:
    """Queries to show, each with the place of its own image: every other one that was missed."""
    own = torch.arange(len(nearest))[:, None] == nearest  # [N, K]
    missed = [q for q in range(len(nearest)) if not own[q, 0]]
    found = [q for q in range(len(nearest)) if own[q, 0]]
    chosen = sorted([*found[: QUERIES - QUERIES // 2], *missed[: QUERIES // 2]])
    return [(q, int(own[q].int().argmax()) if own[q].any() else None) for q in chosen]

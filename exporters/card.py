"""The model card: README.md inside a bundle, for the person who finds the folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.bundle import Manifest, TensorSpec

CARD_FILE = "README.md"


@dataclass(frozen=True)
class Card:
    """What only the exporter of a task can say, in Markdown."""

    knows: str
    limits: str
    usage: str


IMAGE_REQUEST = "curl --data-binary @image.jpg -H 'Content-Type: image/jpeg'"


def usage(*requests: str) -> str:
    """How to serve a bundle and ask it something."""
    commands = ("panoptes serve --repository bundles", *requests)
    return "With `bundles/` the folder that holds this model's:\n" + "".join(
        f"\n    {command}" for command in commands
    )


def listed_labels(labels: Sequence[str]) -> str:
    """How many there are, and the first hundred."""
    return f"{len(labels)} labels: {', '.join(labels[:100])}" + " …" * (len(labels) > 100)


def render_card(manifest: Manifest, card: Card) -> str:
    """The card of a bundle whose manifest is complete but for the card itself."""
    origin = manifest.provenance
    parts = [
        f"# {manifest.name}, version {manifest.version}",
        manifest.summary,
        "## What it knows",
        card.knows,
        "## What it does not know",
        card.limits,
        "## Figures",
        _figures(manifest),
        "## Run it",
        card.usage,
        "## Contents",
        _contents(manifest),
        "## Origin",
        f"- Made by `{origin.command}`, {origin.created:%Y-%m-%d}",
        f"- Data: {origin.data or 'not recorded'}",
        *([f"- Source: {origin.source}"] if origin.source else []),
        *([f"- Seed: {origin.seed}"] if origin.seed is not None else []),
        *([f"- Commit: `{origin.commit}`"] if origin.commit else []),
        f"- Licence: {manifest.licence}",
    ]
    text = ""
    for part in filter(None, parts):
        text += ("\n" if text and not _both_items(text, part) else "") + part + "\n"
    return text


def _both_items(text: str, part: str) -> bool:
    return part.startswith("- ") and text.rsplit("\n", 2)[-2].startswith("- ")


def _figures(manifest: Manifest) -> str:
    if not manifest.quality:
        return "Not measured."
    rows = [f"| {q.metric} | {q.value:.4g} | {q.data} |" for q in manifest.quality]
    return "\n".join(["| Measure | Value | Data |", "|---|---|---|", *rows])


def _contents(manifest: Manifest) -> str:
    rows = ["| File | kB | What it is |", "|---|---|---|"]
    of_file = {graph.file: (role, graph) for role, graph in manifest.graphs.items()}
    for name, digest in sorted(manifest.files.items()):
        what = (
            "tensors that PyTorch computed, to check an engine" if name == manifest.golden else ""
        )
        if name in of_file:
            role, graph = of_file[name]
            what = (
                f"`{role}`, {graph.precision}: {_listed(graph.inputs)} → {_listed(graph.outputs)}"
            )
        rows.append(f"| {name} | {digest.size_bytes / 1000:.1f} | {what} |")
    return "\n".join(rows)


def _listed(tensors: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{t.name} {t.dtype} {' × '.join(map(str, t.shape))}" for t in tensors)

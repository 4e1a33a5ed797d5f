"""Classifiers of timm, and of torchvision where timm builds the same network."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Final

from exporters.checkpoints.files import Weights
from exporters.checkpoints.names import Rule, check_fit, rename
from exporters.errors import CheckpointError
from models.classification import Classifier, ClassifierSpec

LAYOUT: Final = "timm"
IMAGENET: Final = "imagenet"

# The side heads of GoogLeNet serve training alone.
_RULES: Final[tuple[Rule, ...]] = (
    (r"(?:backbone\.)?aux[12]\..*", ""),
    (r"(?:backbone\.)?(.*)", r"backbone.\1"),
)


def convert_classifier(
    weights: Weights, labels: tuple[str, ...], *, backbone: str, size: tuple[int, int] | None = None
) -> tuple[Classifier, ClassifierSpec]:
    """The classifier in evaluation mode, with the weights of timm's `backbone`.

    `backbone` may have a tag, as in `resnet50.a1_in1k`: the means, deviations and the size that
    those weights expect are taken from timm. CheckpointError where the weights do not fit.
    """
    import timm

    name = backbone.partition(".")[0]
    try:
        published = timm.get_pretrained_cfg(backbone, allow_unregistered=False)
    except RuntimeError as error:
        near = difflib.get_close_matches(backbone, timm.list_models(), n=4)
        raise CheckpointError(f"timm has no {backbone!r}; near it: {near}") from error
    assert published is not None
    height, width = size or published.input_size[1:]
    (r, g, b), (r_std, g_std, b_std) = published.mean, published.std
    spec = ClassifierSpec(
        name, labels, input_size=(height, width), mean=(r, g, b), std=(r_std, g_std, b_std)
    )
    classifier = Classifier(spec)
    ours = rename(weights, _RULES, layout=LAYOUT)
    check_fit(classifier.state_dict(), ours, layout=f"{name} of {len(labels)} labels")
    classifier.load_state_dict(ours)
    return classifier.eval().requires_grad_(False), spec


def read_labels(source: str) -> tuple[str, ...]:
    """`imagenet`, its 1,000 classes in the usual order, or a file with one label a line."""
    path = Path(source).expanduser()
    if source == IMAGENET:
        return _imagenet_labels()
    if not path.is_file():
        raise CheckpointError(f"no file of labels at {source}; {IMAGENET!r} is known by name")
    labels = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    if not all(labels) or len(set(labels)) != len(labels):
        raise CheckpointError(f"{source}: labels must be there and differ from one another")
    return labels


def _imagenet_labels() -> tuple[str, ...]:
    """The first name of each class; where two share it all names, or the synset (crane)."""
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    described = [info.index_to_description(index) for index in range(1000)]
    words = [text.split(",")[0] for text in described]
    labels = [d if words.count(w) > 1 else w for d, w in zip(described, words, strict=True)]
    return tuple(
        f"{label} ({info.index_to_label_name(index)})" if labels.count(label) > 1 else label
        for index, label in enumerate(labels)
    )

"""The PyTorch network behind a starter bundle: its architecture with random weights, which cost
as much time as trained ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from benchmarks.process import ROOT
from service.bundle import Bundle, Manifest

if TYPE_CHECKING:
    from torch import nn

CANDIDATES = 256


def twin_of(bundle: Bundle, role: str) -> nn.Module | None:
    """What was exported as this graph; None where that is not known. Needs torch."""
    from models.training.plain import RecipeError

    build = TWINS.get(bundle.manifest.name)
    try:
        return None if build is None else build(bundle, role).eval()
    except (RecipeError, ValueError):  # the recipe has gone on since the bundle was made
        return None


def _network(path: str) -> Mapping[str, Any]:
    from models.training.recipe import read_recipe

    found: Mapping[str, Any] = read_recipe(ROOT / "models" / path)["network"]
    return found


def _labels(manifest: Manifest) -> tuple[str, ...]:
    return tuple(label.name for label in manifest.labels)


def _classifier(bundle: Bundle, role: str) -> nn.Module:
    from exporters.classification import ClassificationGraph
    from models.classification.network import Classifier
    from models.classification.spec import ClassifierSpec
    from models.training.plain import from_plain

    plain = {**_network("classification/recipes/tabletop.yaml"), "labels": _labels(bundle.manifest)}
    return ClassificationGraph(Classifier(from_plain(ClassifierSpec, plain)))


def _detector(bundle: Bundle, role: str) -> nn.Module:
    from exporters.detection_graph import DetectionGraph, Selection
    from models.detection.centernet.network import CenterNet
    from models.detection.centernet.spec import CenterNetSpec
    from models.training.plain import from_plain

    plain = _network("detection/recipes/tabletop-centernet-256.yaml")
    spec = from_plain(CenterNetSpec, {**plain, "labels": _labels(bundle.manifest)})
    return DetectionGraph(CenterNet(spec), Selection.of(spec, CANDIDATES))


def _depth(bundle: Bundle, role: str) -> nn.Module:
    from exporters.depth import DepthGraph, Scale
    from models.depth.network import DepthNetwork
    from models.depth.spec import DepthSpec
    from models.training.plain import from_plain

    spec = from_plain(DepthSpec, {**_network("depth/recipes/tabletop-256.yaml"), "views": 1})
    return DepthGraph(DepthNetwork(spec), Scale.of(spec, 10.0))


def _clip(bundle: Bundle, role: str) -> nn.Module:
    from exporters.clip import ImageGraph, TextGraph
    from models.clip.network import ClipNetwork
    from models.clip.recipe import NetworkSpec
    from models.clip.tokenizing import shipped_tokenizer, special_ids
    from models.training.plain import from_plain

    words = shipped_tokenizer("tabletop")
    plain = from_plain(NetworkSpec, _network("clip/recipes/tabletop.yaml"))
    network = ClipNetwork(plain.with_vocabulary(words.get_vocab_size(), *special_ids(words)))
    return TextGraph(network) if role == "text" else ImageGraph(network)


def _segmenter(bundle: Bundle, role: str) -> nn.Module:
    from exporters.segmentation_graph import SegmentationGraph
    from models.segmentation.network import Segmenter
    from models.segmentation.spec import SegmenterSpec
    from models.training.plain import from_plain

    labels = bundle.manifest.labels
    plain = {
        **_network("segmentation/recipes/tabletop-panoptic-256.yaml"),
        "labels": _labels(bundle.manifest),
        "is_thing": tuple(label.is_thing for label in labels),
    }
    spec = from_plain(SegmenterSpec, plain)
    return SegmentationGraph(Segmenter(spec), spec, 1)


TWINS: Mapping[str, Callable[[Bundle, str], nn.Module]] = {
    "tabletop-classifier": _classifier,
    "tabletop-detector": _detector,
    "tabletop-depth": _depth,
    "tabletop-clip": _clip,
    "tabletop-panoptic": _segmenter,
}

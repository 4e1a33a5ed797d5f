"""What a bundle must have to be painted with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.bundle import BundleError, Manifest
from service.generation import sizes_of
from service.tasks import check_manifest
from tests.painters import PAINTER_DEFAULTS, write_tiny_painter


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    repository: Path = tmp_path_factory.mktemp("repository")
    return write_tiny_painter(repository).manifest


def changed(manifest: Manifest, **changes: Any) -> Manifest:
    return Manifest.model_validate({**manifest.model_dump(), **changes})


def with_tensor(manifest: Manifest, role: str, side: str, at: int, **changes: Any) -> Manifest:
    document = manifest.model_dump()
    document["graphs"][role][side] = list(document["graphs"][role][side])
    document["graphs"][role][side][at] |= changes
    document["graphs"][role]["parity"] = ()
    return Manifest.model_validate(document)


def test_the_sizes_are_read_from_the_graphs(manifest: Manifest) -> None:
    sizes = sizes_of(manifest)
    assert (sizes.tokens, sizes.width, sizes.latents, sizes.image) == (6, 4, (4, 8, 8), (32, 32))
    assert (sizes.next_latents, sizes.estimate) == ("next_latents", "clean")
    check_manifest(manifest)


@pytest.mark.parametrize("role", ["text", "step", "decode"])
def test_every_graph_must_be_there(role: str, manifest: Manifest) -> None:
    graphs = {name: graph for name, graph in manifest.graphs.items() if name != role}
    with pytest.raises(BundleError, match=role):
        check_manifest(changed(manifest, graphs=graphs))


@pytest.mark.parametrize(
    ("role", "side", "at", "change", "reason"),
    [
        ("text", "outputs", 0, {"name": "features"}, "hidden"),
        ("text", "outputs", 0, {"shape": ("batch", 6, 8)}, "cond"),
        ("text", "inputs", 0, {"dtype": "int32"}, "tokens"),
        ("step", "inputs", 0, {"shape": ("batch", 4, 8, 9)}, "latents"),
        ("step", "inputs", 4, {"shape": ("batch", 1)}, "guidance"),
        ("step", "inputs", 5, {"shape": ("batch", 4)}, "coefficients"),
        ("step", "outputs", 1, {"shape": ("batch", 3, 8, 8)}, "estimate"),
        ("decode", "outputs", 0, {"dtype": "float32"}, "image"),
        ("decode", "outputs", 0, {"shape": ("batch", "height", "width", 3)}, "fixed"),
    ],
)
def test_graphs_that_do_not_fit_together_are_refused(
    role: str, side: str, at: int, change: dict[str, Any], reason: str, manifest: Manifest
) -> None:
    with pytest.raises(BundleError, match=reason):
        check_manifest(with_tensor(manifest, role, side, at, **change))


@pytest.mark.parametrize(
    ("defaults", "reason"),
    [
        ({"schedule": "wavy"}, "wavy"),
        ({"sampler": "guess"}, "guess"),
        ({"steps": 0}, "0 steps"),
        ({"steps": 80}, "at most 60"),
        ({"max_steps": 1000}, "100 in training"),
        ({"preview": "1,2,3"}, "preview"),
    ],
)
def test_defaults_must_make_sense(
    defaults: dict[str, Any], reason: str, manifest: Manifest
) -> None:
    with pytest.raises(BundleError, match=reason):
        check_manifest(changed(manifest, defaults={**PAINTER_DEFAULTS, **defaults}))


def test_the_schedule_must_be_told(manifest: Manifest) -> None:
    defaults = {name: value for name, value in PAINTER_DEFAULTS.items() if name != "schedule"}
    with pytest.raises(BundleError, match="'schedule'"):
        check_manifest(changed(manifest, defaults=defaults))


def test_a_prompt_needs_a_tokenizer(manifest: Manifest) -> None:
    with pytest.raises(BundleError, match="tokenizer"):
        check_manifest(changed(manifest, tokenizer=None))

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from exporters.bundle import BundleSpec, Part, build_bundle, check_target, next_version
from exporters.card import Card
from exporters.errors import ExportError
from exporters.graph import export_graph
from exporters.parity import run_torch
from service.bundle import Provenance, Quality
from tests.bundles import write_tiny_classifier
from tests.exporters.networks import SmallClassifier, images


@pytest.fixture(scope="module")
def part() -> Part:
    module = SmallClassifier().eval()
    inputs = {"image": images(3).numpy()}
    return Part(
        model=export_graph(module, {"image": images(2)}, ["logits"]),
        precision="fp32",
        golden_inputs=inputs,
        golden_outputs=run_torch(module, inputs, ["logits"]),
        golden_tolerance=1e-3,
        parity=(),
        max_batch=4,
    )


def spec(version: int | None = None) -> BundleSpec:
    return BundleSpec(
        name="thing",
        task="sort",
        summary="Sorts things",
        licence="MIT",
        provenance=Provenance(
            command="make thing", created=dt.datetime(2025, 1, 2, tzinfo=dt.UTC), seed=4
        ),
        card=Card(knows="Things.", limits="No persons.", usage="    run it"),
        version=version,
        quality=(Quality(metric="order", value=0.5, data="ten things"),),
    )


def test_a_part_of_any_task_becomes_a_checked_bundle(part: Part, tmp_path: Path):
    written = build_bundle(tmp_path, spec(), {"sorter": part})
    assert set(written.bundle.manifest.files) == {"sorter.onnx", "golden.npz", "README.md"}
    assert written.drift["sorter"] <= 1e-5


def test_the_next_free_version_is_taken(part: Part, tmp_path: Path):
    assert next_version(tmp_path, "thing") == 1
    build_bundle(tmp_path, spec(7), {"sorter": part})
    (tmp_path / "thing" / "notes").mkdir()
    assert build_bundle(tmp_path, spec(), {"sorter": part}).bundle.manifest.version == 8


def test_a_version_that_exists_is_refused_at_once(tmp_path: Path):
    write_tiny_classifier(tmp_path, name="thing", version=2)
    check_target(tmp_path, "thing", 3)
    with pytest.raises(ExportError, match="exists already"):
        check_target(tmp_path, "thing", 2)


@pytest.mark.parametrize("name", ["Thing", "two words", "thing:2", "../thing", ""])
def test_a_name_that_no_url_carries_is_refused(name: str, tmp_path: Path):
    with pytest.raises(ExportError):
        check_target(tmp_path, name, None)


def test_golden_tensors_that_the_graph_does_not_answer_are_refused(part: Part, tmp_path: Path):
    wrong = {"logits": part.golden_outputs["logits"] + np.float32(1)}
    changed = Part(**{**vars(part), "golden_outputs": wrong})
    with pytest.raises(ExportError, match="drifts"):
        build_bundle(tmp_path, spec(), {"sorter": changed})
    assert not (tmp_path / "thing").exists()


def test_the_card_reads_as_one_page(part: Part, tmp_path: Path):
    card = build_bundle(tmp_path, spec(), {"sorter": part}).bundle.file("README.md").read_text()
    for line in (
        "# thing, version 1",
        "Sorts things",
        "| order | 0.5 | ten things |",
        "    run it",
        "- Made by `make thing`, 2025-01-02",
        "- Seed: 4",
        "- Licence: MIT",
    ):
        assert line in card.splitlines()
    assert "image uint8 batch × 16 × 16 × 3 → logits float32 batch × 5" in card
    assert "\n\n\n" not in card


def test_a_tokenizer_travels_with_the_bundle(part: Part, tmp_path: Path):
    tokenizer = tmp_path / "words.json"
    tokenizer.write_text("{}")
    with_tokenizer = BundleSpec(**{**vars(spec()), "tokenizer": tokenizer})
    bundle = build_bundle(tmp_path / "repository", with_tokenizer, {"sorter": part}).bundle
    assert bundle.manifest.tokenizer == "tokenizer.json"
    assert bundle.file("tokenizer.json").read_text() == "{}"


def test_weights_beside_the_graph_are_files_of_the_bundle(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("exporters.graph.ONE_FILE_MAX_BYTES", 1000)
    written = build_bundle(tmp_path, spec(), {"sorter": part})
    assert "sorter.weights" in written.bundle.manifest.files
    assert written.drift["sorter"] <= 1e-5

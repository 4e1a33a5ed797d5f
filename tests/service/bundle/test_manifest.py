"""What a manifest may say, and the sentence that tells what it may not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.bundle import Manifest, TensorSpec, example_shape, parse_ref
from tests.bundles import write_tiny_classifier


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    bundle = write_tiny_classifier(tmp_path_factory.mktemp("models"))
    return json.loads(bundle.file("manifest.json").read_text())


def changed(document: dict[str, Any], path: str, value: object) -> str:
    """The manifest as JSON with one place set to something else."""
    document = copy.deepcopy(document)
    *parents, last = path.split("/")
    place: Any = document
    for step in parents:
        place = place[int(step) if step.isdigit() else step]
    place[int(last) if last.isdigit() else last] = value
    return json.dumps(document)


def reasons(text: str) -> str:
    with pytest.raises(ValidationError) as refusal:
        Manifest.model_validate_json(text)
    return "\n".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in refusal.value.errors())


def test_a_manifest_survives_being_written_and_read(document: dict[str, Any]) -> None:
    manifest = Manifest.model_validate(document)

    again = Manifest.model_validate_json(manifest.model_dump_json())

    assert again == manifest
    assert json.loads(again.model_dump_json()) == document


@pytest.mark.parametrize("value", [True, 5, 0.5, 1.0, "letters"])
def test_a_default_keeps_its_type(document: dict[str, Any], value: object) -> None:
    text = changed(document, "defaults", {"it": value})

    found = Manifest.model_validate_json(text).defaults["it"]

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (
            "graphs/classify/parity/0/max_abs",
            0.5,
            "probabilities at batch 3 differs by 0.5, more than 1e-05",
        ),
        ("graphs/classify/parity/0/tolerance", 0.0, "greater than 0"),
        (
            "graphs/classify/inputs/0/shape/0",
            1,
            "image: the first axis is 1, not 'batch'",
        ),
        (
            "graphs/classify/outputs/0/shape/0",
            "n",
            "probabilities: the first axis is 'n', not 'batch'",
        ),
        ("graphs/classify/inputs/0/shape", [], "at least 1 item"),
        ("graphs/classify/inputs/0/dtype", "float64", "'float16', 'float32' or 'bool'"),
        ("graphs/classify/inputs", [], "at least 1 item"),
        ("graphs/classify/outputs", [], "at least 1 item"),
        ("graphs/classify/max_batch", 0, "greater than or equal to 1"),
        ("graphs/classify/golden_tolerance", 0.0, "greater than 0"),
        ("graphs/classify/golden_tolerances", {"probabilities": 0.0}, "greater than 0"),
        ("graphs/classify/golden_tolerances", {"boxes": 1.0}, "tolerances of no output: boxes"),
        ("graphs/classify/compared_by_share", ["ids"], "tolerances of no output: ids"),
        ("graphs/classify/precision", "bf16", "'fp32', 'fp16', 'int8', 'fp8' or 'fp16-compute'"),
        ("graphs", {}, "at least 1 item"),
        ("graphs/classify/file", "other.onnx", "files without a sha256: other.onnx"),
        ("golden", "other.npz", "files without a sha256: other.npz"),
        ("tokenizer", "tokenizer.json", "files without a sha256: tokenizer.json"),
        ("files/classify.onnx/sha256", "A" * 64, "files.classify.onnx.sha256: String should match"),
        ("files/classify.onnx/size_bytes", -1, "greater than or equal to 0"),
        (
            "files/manifest.json",
            {"sha256": "0" * 64, "size_bytes": 1},
            "cannot hold its own sha256",
        ),
        ("surprise", 1, "surprise: Extra inputs are not permitted"),
        ("graphs/classify/surprise", 1, "graphs.classify.surprise: Extra inputs"),
        ("schema_version", 2, "schema_version: Input should be 1"),
        ("name", "Tiny", "name: String should match pattern"),
        ("name", "../tiny", "name: String should match pattern"),
        ("version", 0, "version: Input should be greater than or equal to 1"),
        ("task", "classify!", "task: String should match pattern"),
        ("licence", "", "licence: String should have at least 1 character"),
        ("labels/0/colour", "red", "labels.0.colour: String should match pattern"),
        ("labels/0/name", "", "labels.0.name: String should have at least 1 character"),
        ("fit/mode", "squeeze", "fit.mode: Input should be 'stretch', 'crop' or 'letterbox'"),
        ("fit/crop_fraction", 1.5, "fit.crop_fraction: Input should be less than or equal to 1"),
        ("fit/height", 0, "fit.height: Input should be greater than or equal to 1"),
        ("provenance/created", "yesterday", "provenance.created: Input should be a valid datetime"),
    ],
)
def test_what_a_manifest_may_not_say_is_named(
    document: dict[str, Any], path: str, value: object, reason: str
) -> None:
    assert reason in reasons(changed(document, path, value))


@pytest.mark.parametrize(
    "name",
    ["../evil.onnx", "a/b.onnx", "/etc/passwd", "..", ".hidden", "a\\b", "a\n", "", "a" * 200, "é"],
)
@pytest.mark.parametrize("path", ["graphs/classify/file", "golden", "tokenizer"])
def test_a_file_name_that_leads_elsewhere_is_refused(
    document: dict[str, Any], path: str, name: str
) -> None:
    assert f"{path.replace('/', '.')}: String should" in reasons(changed(document, path, name))


def test_a_listed_file_that_leads_elsewhere_is_refused(document: dict[str, Any]) -> None:
    digest = {"sha256": "0" * 64, "size_bytes": 1}

    assert "String should match pattern" in reasons(
        changed(document, "files", document["files"] | {"../evil": digest})
    )


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
@pytest.mark.parametrize(
    "key", ['"golden_tolerance": 0.25', '"max_abs": 0.25', '"tolerance": 0.25', '"value": 0.25']
)
def test_a_number_that_is_not_finite_is_refused(
    document: dict[str, Any], key: str, number: str
) -> None:
    document = copy.deepcopy(document)
    graph = document["graphs"]["classify"]
    graph["golden_tolerance"] = 0.25
    graph["parity"][0] |= {"max_abs": 0.25, "tolerance": 0.25}
    document["quality"] = [{"metric": "top1", "value": 0.25, "data": "test"}]
    text = json.dumps(document)
    assert key in text
    Manifest.model_validate_json(text)

    assert "finite number" in reasons(text.replace(key, key.replace("0.25", number)))


def test_a_manifest_is_not_changed_in_place(document: dict[str, Any]) -> None:
    manifest = Manifest.model_validate(document)

    with pytest.raises(ValidationError, match="frozen"):
        manifest.version = 2


def test_a_reference_is_a_name_or_a_name_and_a_version() -> None:
    assert parse_ref("tiny") == ("tiny", None)
    assert parse_ref("tiny-v1.5_x:12") == ("tiny-v1.5_x", 12)


@pytest.mark.parametrize(
    "text", ["", ":1", "tiny:", "tiny:0", "tiny:01", "tiny:x", "Tiny", "a/b", "tiny:1\n", "../a"]
)
def test_what_is_no_reference_is_refused_with_its_words(text: str) -> None:
    with pytest.raises(ValueError, match="is not a model name, nor name:version"):
        parse_ref(text)


@given(name=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True), version=st.integers(1))
def test_every_reference_that_is_written_is_read(name: str, version: int) -> None:
    assert parse_ref(f"{name}:{version}") == (name, version)


def test_an_example_takes_the_sizes_that_are_known_and_else_one() -> None:
    spec = TensorSpec(name="x", dtype="float32", shape=("batch", 3, "height", "width"))

    assert example_shape(spec, 4, {"height": 32}) == (4, 3, 32, 1)

"""The check of a GPU in little, on the processor: every part runs, and says what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import large, serving, throughput
from benchmarks.gpu.context import Context
from benchmarks.gpu.halving import halved
from benchmarks.gpu.report import Findings, Part, SkippedError, markdown
from benchmarks.gpu.twins import TWINS, twin_of
from benchmarks.process import ROOT
from service.bundle import load_golden, read_bundle
from service.engine.compute import Compute
from service.settings import STARTER_PACK
from tests.bundles import write_iterative, write_tiny_classifier
from tests.painters import write_tiny_painter
from tests.serving import running

PANOPTES_CPU = Compute()


def context_of(repository: Path, scratch: Path, compute: Compute = PANOPTES_CPU) -> Context:
    return Context(
        compute=compute,
        repository=repository,
        scratch=scratch,
        cores=1,
        quick=True,
        tell=lambda text: None,
    )


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    write_tiny_classifier(folder)
    write_tiny_painter(folder)
    return folder


def test_every_part_runs_on_the_path_of_a_gpu(repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.gpu", "--device", "cuda", "--allow-cpu", "--quick"),
            *("--repository", str(repository), "--out", str(out)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (stored,) = out.glob("*.json")
    (told,) = out.glob("*.md")
    results = json.loads(stored.read_bytes())
    parts = {part["name"]: part for part in results["parts"]}

    assert {name: part["state"] for name, part in parts.items()} == {
        "correctness": "passed",
        "throughput": "passed",
        "serving": "passed",
        "painting": "passed",
    }
    checked = {(row["graph"], row["precision"]) for row in parts["correctness"]["rows"]}
    graphs = {"tiny:1/classify", "painter:1/text", "painter:1/step", "painter:1/decode"}
    assert checked == {(graph, kind) for graph in graphs for kind in ("fp32", "fp16-compute")}
    assert all(row["drift warm"] <= 1 for row in parts["correctness"]["rows"])
    assert all(row["largest bucket"] for row in parts["correctness"]["rows"])  # they are padded
    assert {row["batch"] for row in parts["throughput"]["rows"]} == {1, 4}
    assert all(row["samples/s"] > 0 for row in parts["throughput"]["rows"])
    assert {row["body"] for row in parts["serving"]["rows"]} == {"tensors", "JPEG"}
    assert all(row["requests/s"] > 0 for row in parts["serving"]["rows"])
    servers = [row["server"] for row in parts["painting"]["rows"]]
    assert servers[0] == "Panoptes, step by step"
    assert servers[-1] == "/classify beside 8 prompts"
    assert "should not be quoted" in told.read_text()


def test_a_drift_fails_its_part_and_the_exit_status(repository: Path, tmp_path: Path) -> None:
    bundle = read_bundle(repository / "tiny" / "1")
    broken = tmp_path / "repository" / "tiny" / "1"
    broken.mkdir(parents=True)
    for name in ("manifest.json", *bundle.manifest.files):
        (broken / name).write_bytes((bundle.folder / name).read_bytes())
    inputs, outputs = load_golden(bundle)["classify"]
    arrays = {f"classify/in/{name}": value for name, value in inputs.items()}
    arrays |= {f"classify/out/{name}": value + 0.1 for name, value in outputs.items()}
    np.savez(broken / "golden.npz", **arrays)
    manifest = json.loads((broken / "manifest.json").read_text())
    from service.bundle.bundle import digest_of

    manifest["files"]["golden.npz"] = digest_of(broken / "golden.npz").model_dump()
    (broken / "manifest.json").write_text(json.dumps(manifest))

    results = command.run(
        context_of(tmp_path / "repository", tmp_path), ["correctness", "painting"]
    )

    correctness, painting = results.parts
    assert correctness.state == "failed"
    assert "drifts from its golden outputs" in correctness.failures[0]
    assert painting.state == "skipped"  # without a painter
    assert not results.passed
    assert "no model for generate" in markdown(results)


def test_a_part_that_breaks_keeps_what_it_found(
    monkeypatch: pytest.MonkeyPatch, repository: Path, tmp_path: Path
) -> None:
    def breaking(context: Context, found: Findings) -> None:
        found.rows.append({"figure": 3})
        raise RuntimeError("half way")

    monkeypatch.setitem(command.PARTS, "throughput", ("Breaking", breaking))
    results = command.run(context_of(repository, tmp_path), ["throughput", "correctness"])

    assert results.parts[0] == Part(
        "throughput",
        "Breaking",
        "failed",
        results.parts[0].seconds,
        ({"figure": 3},),
        (),
        ("RuntimeError: half way",),
    )
    assert results.parts[1].state == "passed"


def test_half_precision_makes_another_bundle_of_the_same_name(
    repository: Path, tmp_path: Path
) -> None:
    bundle = read_bundle(repository / "painter" / "1")
    half = halved(bundle, tmp_path / "half")

    assert half.manifest.ref == bundle.manifest.ref
    assert {graph.precision for graph in half.manifest.graphs.values()} == {"fp16-compute"}
    with running(tmp_path / "half") as server:
        answer = server.client.post("/generate", json={"prompt": "a red ball", "seed": 1})
        assert answer.headers["content-type"] == "image/png"


def test_tensors_are_sent_as_the_protocol_has_them(repository: Path) -> None:
    bundle = read_bundle(repository / "tiny" / "1")
    inputs, outputs = load_golden(bundle)["classify"]
    with running(repository) as server:
        request = serving.tensor_request(0, "tiny", {n: v[:1] for n, v in inputs.items()})
        answer = server.client.post(
            request.path,
            content=request.body,
            headers={"Content-Type": request.content_type, **request.headers},
        )
    assert answer.status_code == 200, answer.text
    start = int(answer.headers["Inference-Header-Content-Length"])
    (name,) = outputs
    found = np.frombuffer(answer.content[start:], np.float32)
    np.testing.assert_allclose(found, outputs[name][0].ravel(), atol=1e-5)


class TinyNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)

    def forward(self, image: Tensor) -> Tensor:
        pixels = self.first(image.permute(0, 3, 1, 2).float() / 255).relu()
        answer: Tensor = self.last(pixels.mean((2, 3)))
        return answer


def tiny_network() -> large.Made:
    image = np.zeros((1, 8, 8, 3), np.uint8)
    return large.Made(TinyNetwork().eval(), {"image": image}, ("answer",), 4)


def no_room() -> large.Made:
    raise MemoryError("no room for it")


def test_large_networks_are_made_and_measured_and_those_that_do_not_fit_are_told(
    repository: Path, tmp_path: Path
) -> None:
    found = Findings()
    large.check(
        context_of(repository, tmp_path),
        found,
        builders={"too large": no_room, "tiny": tiny_network},
    )

    assert found.failures == ["too large: no room for it"]
    assert [(row["graph"], row["precision"], row["batch"]) for row in found.rows] == [
        ("tiny", precision, batch) for precision in ("fp32", "fp16-compute") for batch in (1, 4)
    ]
    assert all(row["eager ms"] for row in found.rows)
    assert not list((tmp_path / "large").iterdir())


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_answers_in_the_shapes_of_its_starter(name: str) -> None:
    bundle = read_bundle(STARTER_PACK / name / "1")
    for role, (inputs, outputs) in load_golden(bundle).items():
        twin = twin_of(bundle, role)
        assert twin is not None, role
        with torch.inference_mode():
            answers = twin(*(torch.from_numpy(value[:1]) for value in inputs.values()))
        shapes = [tuple(a.shape) for a in ([answers] if isinstance(answers, Tensor) else answers)]
        for output in outputs.values():
            assert (1, *output.shape[1:]) in shapes


def test_a_graph_without_a_twin_is_measured_without_it(tmp_path: Path) -> None:
    write_iterative(tmp_path / "repository")
    found = Findings()
    throughput.check(context_of(tmp_path / "repository", tmp_path), found)

    assert not found.failures
    assert any("is not known" in note for note in found.notes)
    assert all("eager ms" not in row for row in found.rows)


def test_what_a_part_needs_is_named_where_it_is_missing(repository: Path, tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path / "repository")
    with pytest.raises(SkippedError, match="no model for generate"):
        context_of(tmp_path / "repository", tmp_path).first("generate")

"""Building plans. TensorRT for RTX stands in for TensorRT: it parses and builds without a GPU.

What it builds cannot be run without one; whether it was built right, only golden outputs can say.
"""

from __future__ import annotations

import threading
from pathlib import Path

import onnx
import pytest

from service.bundle import Graph, read_bundle
from service.bundle.manifest import FileDigest
from service.engine.plans.builder import BuildOptions, build_plan, parse
from service.engine.plans.key import Profile, digest_of, profile_of
from service.engine.plans.tensorrt import PlanError, TensorRt, find_tensorrt
from service.settings import STARTER_PACK
from tests.bundles import write_iterative, write_tiny_classifier

STAND_IN = BuildOptions(build_for="SM89")


@pytest.fixture(scope="module")
def trt() -> TensorRt:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    return find_tensorrt("tensorrt_rtx")


@pytest.mark.parametrize(
    "folder", sorted(STARTER_PACK.glob("*/*")), ids=lambda folder: folder.parent.name
)
def test_every_graph_of_the_starter_pack_is_read(trt: TensorRt, folder: Path) -> None:
    bundle = read_bundle(folder)
    builder = trt.module.Builder(trt.logger)
    for graph in bundle.manifest.graphs.values():
        definition = parse(trt, builder, bundle.file(graph.file)).definition

        given = {
            tensor.name: (str(trt.module.nptype(tensor.dtype).__name__), tuple(tensor.shape))
            for index in range(definition.num_outputs)
            for tensor in [definition.get_output(index)]
        }
        assert given == {
            tensor.name: (tensor.dtype, (-1, *tensor.shape[1:])) for tensor in graph.outputs
        }


def test_a_plan_is_built_for_the_manifests_batches(trt: TensorRt, tmp_path: Path) -> None:
    bundle = write_tiny_classifier(tmp_path, max_batch=6)
    graph = bundle.manifest.graphs["classify"]
    told: list[tuple[str, float]] = []

    built = build_plan(
        trt,
        bundle.file(graph.file),
        graph,
        profile_of(graph),
        STAND_IN,
        on_progress=lambda phase, share: told.append((phase, share)),
    )

    assert len(built.plan) > 1000
    assert built.seconds > 0
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert told[-1][1] == 1.0


def test_precision_and_workspace_are_taken(trt: TensorRt, tmp_path: Path) -> None:
    bundle = write_iterative(tmp_path)
    graph = bundle.manifest.graphs["step"]
    options = BuildOptions(precision="fp32", workspace_bytes=1 << 20, build_for="SM89")

    built = build_plan(trt, bundle.file(graph.file), graph, profile_of(graph), options)

    assert built.plan
    assert built.timings == b"", "TensorRT for RTX times nothing at build time"


def test_weights_beside_the_graph_are_read(trt: TensorRt, tmp_path: Path) -> None:
    bundle = write_tiny_classifier(tmp_path)
    graph = bundle.manifest.graphs["classify"]
    model = onnx.load(bundle.file(graph.file))
    (tmp_path / "out").mkdir()
    file = tmp_path / "out" / "classify.onnx"
    onnx.save(
        model,
        file,
        save_as_external_data=True,
        location="classify.weights",
        size_threshold=0,
    )

    assert build_plan(trt, file, graph, profile_of(graph), STAND_IN).plan
    (tmp_path / "out" / "classify.weights").unlink()
    with pytest.raises(PlanError, match=r"cannot read classify\.onnx"):
        build_plan(trt, file, graph, profile_of(graph), STAND_IN)


def test_other_weights_beside_the_same_graph_are_another_plan(tmp_path: Path) -> None:
    bundle = write_tiny_classifier(tmp_path)
    manifest = bundle.manifest
    plain = digest_of(manifest, "classify")

    def beside(sha256: str, name: str = "classify.weights") -> str:
        files = {**manifest.files, name: FileDigest(sha256=sha256 * 64, size_bytes=1)}
        return digest_of(manifest.model_copy(update={"files": files}), "classify")

    assert plain == manifest.files["classify.onnx"].sha256
    assert len({plain, beside("a"), beside("b")}) == 3
    assert beside("a", "README.md") == plain


def test_a_build_can_be_given_up(trt: TensorRt, tmp_path: Path) -> None:
    bundle = write_tiny_classifier(tmp_path)
    graph = bundle.manifest.graphs["classify"]
    cancelled = threading.Event()

    with pytest.raises(PlanError, match="given up"):
        build_plan(
            trt,
            bundle.file(graph.file),
            graph,
            profile_of(graph),
            STAND_IN,
            on_progress=lambda phase, share: cancelled.set(),
            cancelled=cancelled,
        )


def test_a_graph_that_is_not_as_its_manifest_says_is_refused(trt: TensorRt, tmp_path: Path) -> None:
    small = write_tiny_classifier(tmp_path, size_px=16)
    large = write_tiny_classifier(tmp_path, name="large", size_px=32)
    file = small.file(small.manifest.graphs["classify"].file)
    graph = large.manifest.graphs["classify"]

    with pytest.raises(PlanError, match="'image' is not as the manifest says"):
        build_plan(trt, file, graph, profile_of(graph), STAND_IN)


def test_a_gpu_that_is_not_built_for_is_a_reason(trt: TensorRt, tmp_path: Path) -> None:
    bundle = write_iterative(tmp_path)
    graph = bundle.manifest.graphs["step"]
    options = BuildOptions(build_for="SM42")

    with pytest.raises(PlanError, match="does not build for SM42"):
        build_plan(trt, bundle.file(graph.file), graph, profile_of(graph), options)


def test_the_profile_ends_at_the_largest_batch(tmp_path: Path) -> None:
    graph = write_tiny_classifier(tmp_path, max_batch=4).manifest.graphs["classify"]

    assert profile_of(graph) == Profile(best=4, most=4)
    assert profile_of(graph, best=2) == Profile(best=2, most=4)


def test_what_varies_beside_the_batch_cannot_be_built(tmp_path: Path) -> None:
    graph = write_tiny_classifier(tmp_path).manifest.graphs["classify"]
    facts = graph.model_dump()
    facts["inputs"][0]["shape"] = ("batch", "height", 32, 3)

    with pytest.raises(PlanError, match="how large 'height' of its input 'image' may be"):
        profile_of(Graph.model_validate(facts))


def test_without_tensorrt_there_is_a_reason() -> None:
    with pytest.raises(PlanError, match=r"there is no TensorRT: .*panoptes\[tensorrt\]"):
        find_tensorrt("a_module_that_nobody_has")


def test_a_package_without_its_libraries_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hollow_trt.py").write_text("__version__ = '10.0'\n")
    (tmp_path / "unlinked_trt.py").write_text("raise OSError('libnvinfer.so.10: not found')\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(PlanError, match="hollow_trt is an empty package"):
        find_tensorrt("hollow_trt")
    with pytest.raises(PlanError, match="unlinked_trt cannot be imported: libnvinfer"):
        find_tensorrt("unlinked_trt")

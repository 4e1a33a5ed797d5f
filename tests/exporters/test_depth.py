"""A depth network on its way into a bundle, its depth against what its disparity says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from exporters.commands.export import app
from exporters.depth import DepthGraph, DepthOptions, Scale, export_depth
from exporters.depth_data import UnseenPairs, measure_depth
from exporters.errors import ExportError
from exporters.graph import export_graph, save_graph
from exporters.images import synthetic_images
from exporters.session import CpuSession
from models.backbones.spec import BackboneSpec
from models.data.stereo import ArrayPairs
from models.depth import DepthNetwork, DepthSpec, save_depth
from models.depth.measures import depth_figures
from service.bundle import read_bundle

SIZE = 32


def small(**given: Any) -> DepthSpec:
    return DepthSpec(
        padding="zeros",
        backbone=BackboneSpec(
            "resnet10t", kwargs={"channels": (4, 4, 8, 8), "stem_width": 4}, pretrained=False
        ),
        input_size=(SIZE, SIZE),
        decoder_channels=(4, 4, 4, 8, 8),
        **given,
    )


METRIC = small(focal_px=40.0, baseline_m=0.2)
FACTOR = 40.0 / SIZE * 0.2
RELATIVE = small()


def network(spec: DepthSpec) -> DepthNetwork:
    torch.manual_seed(0)
    made = DepthNetwork(spec)
    made.train()
    for _ in range(3):  # settles the norms
        made(torch.from_numpy(synthetic_images(SIZE, SIZE, 8)))
    return made.eval()


class Brightness(nn.Module):
    """A twentieth of the brightness as disparity, so that the truth is known."""

    def forward(self, image: Tensor) -> Tensor:
        return image.float().mean(-1) / 255 / 20


def test_metres_come_of_focal_length_and_baseline() -> None:
    scale = Scale.of(METRIC)
    assert (scale.unit, scale.factor) == ("metre", pytest.approx(FACTOR))
    images = torch.from_numpy(synthetic_images(SIZE, SIZE, 4))
    disparity, depth = DepthGraph(Brightness(), scale)(images)
    inside = (disparity > FACTOR / 80) & (disparity < 0.3)
    assert inside.any() and not inside.all()
    torch.testing.assert_close(depth[inside], 40.0 * 0.2 / (disparity[inside] * SIZE))
    assert depth.max() == pytest.approx(80) and depth.min() >= FACTOR / 0.3


def test_without_a_camera_depth_is_relative() -> None:
    scale = Scale.of(RELATIVE)
    assert (scale.unit, scale.factor) == ("relative", 1.0)
    assert scale.farthest == pytest.approx(256 * scale.nearest)


def test_the_spec_may_know_a_nearer_horizon() -> None:
    assert Scale.of(small(min_disparity=0.1)).farthest == pytest.approx(10)
    with pytest.raises(ExportError, match="too near"):
        Scale.of(METRIC, farthest=0.5)


@pytest.mark.parametrize(("spec", "unit"), [(METRIC, "metre"), (RELATIVE, "relative")])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "fp16-compute"])
def test_a_bundle_answers_what_pytorch_answers(
    precision: Any, spec: DepthSpec, unit: str, tmp_path: Path
) -> None:
    made = network(spec)
    options = DepthOptions("far", precision=precision)
    exported = export_depth(made, spec, {"metrics": {"d1": 0.5}}, tmp_path, options)
    bundle = read_bundle(exported.written.bundle.folder)
    manifest = bundle.manifest
    assert (manifest.task, manifest.defaults["unit"]) == ("depth", unit)
    assert ("focal_px" in manifest.defaults) == (unit == "metre")
    graph = manifest.graphs["depth"]
    assert [(t.name, t.shape) for t in graph.outputs] == [("depth", ("batch", SIZE, SIZE))]
    assert {entry.batch for entry in graph.parity} == {1, 2, 3, 8}
    session = CpuSession(bundle.file(graph.file))
    images = synthetic_images(SIZE, SIZE, 5, seed=3)
    expected = DepthGraph(made, Scale.of(spec))(torch.from_numpy(images))[1].detach().numpy()
    found = session.run({"image": images})["depth"]
    np.testing.assert_allclose(found, expected, rtol=1e-4 if precision == "fp32" else 1e-2)


def test_the_graph_is_measured_with_each_pairs_own_camera(tmp_path: Path) -> None:
    """Against the figures of depths computed by hand."""
    images = synthetic_images(SIZE, SIZE, 6, seed=1).clip(40, 255)
    truth = np.random.default_rng(0).uniform(5, 9, (6, SIZE, SIZE)).astype(np.float32)
    focal = np.linspace(30, 50, 6)
    cameras = np.stack([focal, focal * 0 + 16, focal * 0 + 16, focal * 0 + 0.2], -1)
    pairs = ArrayPairs(images, images, cameras, truth, "made up")
    scale = Scale.of(METRIC)
    path = tmp_path / "brightness.onnx"
    example = {"image": torch.from_numpy(images[:2])}
    save_graph(
        export_graph(DepthGraph(Brightness(), scale).eval(), example, ["disparity", "depth"]), path
    )
    chosen = torch.tensor([1, 4])
    figures = measure_depth(path, METRIC, UnseenPairs(pairs, chosen, "two"), scale.factor)
    disparity_px = images.mean(-1) / 255 / 20 * SIZE
    for prefix, focal_px in (("", focal), ("spec_", np.full(6, 40.0))):
        rows = [
            depth_figures(
                torch.from_numpy(focal_px[i] * 0.2 / disparity_px[i]), torch.from_numpy(truth[i])
            )
            for i in chosen.tolist()
        ]
        expected = torch.stack(rows).mean(0)
        assert figures[f"{prefix}abs_rel"] == pytest.approx(float(expected[0]), rel=1e-4)
        assert figures[f"{prefix}d1"] == pytest.approx(float(expected[4]), abs=1e-3)
    assert "scaled_abs_rel" in figures


def test_from_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANOPTES_CACHE", str(tmp_path / "cache"))
    world = {"train": 2, "val": 2, "test": 2, "size_px": SIZE, "root": str(tmp_path / "world")}
    metadata = {"recipe": {"data": {"world": world}}, "metrics": {}, "provenance": {}}
    save_depth(tmp_path / "best", METRIC, network(METRIC).state_dict(), metadata)
    command = ["depth", str(tmp_path / "best"), "--name", "far", "--evaluate", "3"]
    told = CliRunner().invoke(app, [*command, "--repository", str(tmp_path / "bundles")])
    assert told.exit_code == 0, told.output
    assert "spec_abs_rel" in told.output
    manifest = read_bundle(tmp_path / "bundles" / "far" / "1").manifest
    measured = [q for q in manifest.quality if "test split" in q.data]
    assert {q.metric for q in measured} >= {"abs_rel", "spec_abs_rel", "scaled_d1"}
    assert all("3 stereo pairs" in q.data for q in measured)


def test_a_folder_that_is_no_depth_network_is_refused(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["depth", str(tmp_path), "--name", "far"])
    assert told.exit_code == 2

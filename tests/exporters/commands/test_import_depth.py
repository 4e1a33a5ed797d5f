"""Monodepth2's published files become a bundle that a server serves."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from exporters.commands.importing import app
from models.depth import load_depth
from service.bundle import read_bundle
from tests.exporters.monodepth2 import SIZE, publish, published_depth
from tests.models.depth.test_commands import write_split
from tests.serving import running


def test_a_server_answers_what_the_published_network_does(tmp_path: Path) -> None:
    folder = tmp_path / "stereo_96x64"
    folder.mkdir()
    encoder, decoder = publish(folder)
    write_split(tmp_path / "floors" / "test", 3, 0)
    command = ["depth", str(folder), "--name", "kitti", "--repository", str(tmp_path / "bundles")]
    options = ["--pairs", str(tmp_path / "floors"), "--evaluate", "2", "--precision", "fp16"]
    kept = ["--checkpoint", str(tmp_path / "kept"), "--licence", "Monodepthv2"]
    told = CliRunner().invoke(app, [*command, *options, *kept])
    assert told.exit_code == 0, told.output
    assert "spec_abs_rel" in told.output and "as fp32" in told.output
    manifest = read_bundle(tmp_path / "bundles" / "kitti" / "1").manifest
    assert manifest.provenance.source == "stereo_96x64, monodepth2"
    assert manifest.licence == "Monodepthv2"
    assert any("3 pairs, 2 drawn by seed 0" in q.data for q in manifest.quality)
    assert load_depth(tmp_path / "kept")[1].input_size == SIZE

    pixels = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    with running(tmp_path / "bundles") as server:
        answer = server.client.post("/depth?format=npy", content=file.getvalue())
        assert answer.status_code == 200, answer.text
        (metres,) = server.client.post("/depth", content=file.getvalue()).json()["images"]
    found = np.load(io.BytesIO(answer.content)).reshape(SIZE)
    expected = published_depth(encoder, decoder, torch.from_numpy(pixels[None]))[0]
    np.testing.assert_allclose(found, expected.clamp(max=80).numpy(), rtol=0.02)
    assert metres["unit"] == "metre"


def test_without_pairs_it_is_proven_on_synthetic_images(tmp_path: Path) -> None:
    publish(tmp_path, stereo=False)
    told = CliRunner().invoke(
        app, ["depth", str(tmp_path), "--name", "mono", "--repository", str(tmp_path / "bundles")]
    )
    assert told.exit_code == 0, told.output
    assert "not evaluated" in told.output
    bundle = read_bundle(tmp_path / "bundles" / "mono" / "1")
    assert bundle.manifest.defaults["unit"] == "relative"
    assert "spec_" not in bundle.file("README.md").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pairs", "nowhere"], "has no folder 'test'"),
        (["--farthest", "0.1"], "is too near"),
        (["--name", "Not A Name"], "small letters"),
    ],
)
def test_what_is_wrong_is_said(options: list[str], said: str, tmp_path: Path) -> None:
    publish(tmp_path)
    result = CliRunner().invoke(app, ["depth", str(tmp_path), "--name", "x", *options])
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    result = CliRunner().invoke(app, ["depth", str(tmp_path / "nowhere"), "--name", "x"])
    assert result.exit_code == 2 and "lacks encoder.pth" in " ".join(result.stderr.split())

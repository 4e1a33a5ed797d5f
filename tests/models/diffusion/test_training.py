"""Both recipes from the command line, and what their parts promise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from models.commands.train import app
from models.diffusion import load_autoencoder, load_painter, paint
from models.diffusion.autoencoder_recipe import FolderPictures, WorldPictures
from models.diffusion.data import CaptionedFolder, PictureCrops, WorldCaptions
from models.diffusion.latents import channel_figures, encode_pictures
from models.training.checkpoint import read_checkpoint
from models.training.task import Share

WORLD = WorldPictures(train=16, val=4, test=8, size_px=64, supersample=1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An autoencoder, a painter trained on it, and the world both saw."""
    folder = tmp_path_factory.mktemp("runs")
    world = f"data.world.root={folder / 'world'}"
    for kind, more in (
        ("autoencoder", []),
        ("painter", [f"autoencoder={folder}/autoencoder/best", f"latents={folder / 'latents'}"]),
    ):
        arguments = [kind, f"tiny-{kind}", "--out", str(folder / kind)]
        for assignment in (world, *more):
            arguments += ["--set", assignment]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    return folder


def test_a_checkpoint_of_an_autoencoder_leaves_its_adversary_behind(runs: Path) -> None:
    _, spec, metadata = load_autoencoder(runs / "autoencoder" / "best")
    assert spec.attention and metadata["metrics"]["psnr"] > 3
    weights, _ = read_checkpoint(runs / "autoencoder" / "best")
    assert not [name for name in weights if name.startswith("discriminator.")]


def test_a_painter_keeps_the_autoencoder_that_it_was_given(runs: Path) -> None:
    painter, spec, _, metadata = load_painter(runs / "painter" / "best")
    given, _, _ = load_autoencoder(runs / "autoencoder" / "best")
    for name, weight in given.state_dict().items():
        assert torch.equal(weight, painter.autoencoder.state_dict()[name])
    assert metadata["metrics"]["error"] > 0 and len(spec.latent_scale) == 4
    assert spec.latent_shape == (4, 16, 16)


def test_the_same_seed_paints_the_same_picture_alone_and_among_others(runs: Path) -> None:
    painter, _, tokenizer, _ = load_painter(runs / "painter" / "best")
    alone = paint(painter, tokenizer, ["a red ball"], [5], steps=3, sampler="ddpm")
    both = paint(painter, tokenizer, ["a cone", "a red ball"], [4, 5], steps=3, sampler="ddpm")
    assert (alone[0].int() - both[1].int()).abs().max() <= 1
    assert (both[0].int() - both[1].int()).abs().max() > 5


def test_a_run_goes_on_where_it_was_stopped(runs: Path) -> None:
    arguments = ["painter", "tiny-painter", "--out", str(runs / "painter"), "--resume"]
    for assignment in (
        f"data.world.root={runs / 'world'}",
        f"autoencoder={runs}/autoencoder/best",
        f"latents={runs / 'latents'}",
    ):
        arguments += ["--set", assignment]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0 and "finished at step 4" in result.output, result.output


def test_a_painter_may_train_on_some_captions_only(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "painter"
    world = replace(WORLD, root=str(runs / "world"))
    said = WorldCaptions(world, "train").captions
    one = said[0].split()[-1]

    def train(only: str) -> Any:
        arguments = ["painter", "tiny-painter", "--out", str(out)]
        for assignment in (
            f"data.world.root={world.root}",
            f"autoencoder={runs}/autoencoder/best",
            f"latents={runs / 'latents'}",
            f"only={only}",
        ):
            arguments += ["--set", assignment]
        return CliRunner().invoke(app, arguments)

    refused = train("unheard-of")
    assert refused.exit_code == 2 and "no caption matches 'unheard-of'" in refused.output
    result = train(one)
    assert result.exit_code == 0, result.output
    _, _, _, metadata = load_painter(out / "last")
    matching = sum(one in caption for caption in said)
    assert 0 < matching < len(said)
    assert f"of which the {matching} with" in metadata["provenance"]["data"]


def test_latents_are_read_back_and_made_anew_for_another_encoder(runs: Path) -> None:
    autoencoder, _, _ = load_autoencoder(runs / "autoencoder" / "best")
    pictures = WorldCaptions(WorldPictures(**{**vars(WORLD), "root": str(runs / "world")}), "val")
    root, device = runs / "again", torch.device("cpu")
    first = encode_pictures(autoencoder, pictures, root, device=device)
    (file,) = root.glob("*/*.npy")
    np.save(file, np.zeros_like(np.load(file)))
    assert not encode_pictures(autoencoder, pictures, root, device=device).any()
    autoencoder.encoder.head.bias += 1
    other = encode_pictures(autoencoder, pictures, root, device=device)
    assert other.shape == first.shape and not torch.equal(other, first)
    shift, scale = channel_figures(first)
    flat = first.float().transpose(0, 1).flatten(1)
    torch.testing.assert_close(torch.tensor(shift), flat.mean(1), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(torch.tensor(scale), 1 / flat.std(1), atol=1e-4, rtol=1e-3)


def test_latents_are_made_anew_for_pictures_that_changed(runs: Path, tmp_path: Path) -> None:
    autoencoder, _, _ = load_autoencoder(runs / "autoencoder" / "best")
    folder = tmp_path / "val"
    folder.mkdir()
    (folder / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "a square"}\n')
    latents = []
    for colour in ("red", "blue"):
        Image.new("RGB", (32, 32), colour).save(folder / "a.png")
        pictures = CaptionedFolder(FolderPictures(str(tmp_path), 32), "val")
        root = tmp_path / "latents"
        latents.append(encode_pictures(autoencoder, pictures, root, device=torch.device("cpu")))
    assert not torch.equal(*latents)


def test_cells_are_covered_where_boxes_are(runs: Path) -> None:
    pictures = WorldCaptions(WorldPictures(**{**vars(WORLD), "root": str(runs / "world")}), "val")
    covered = pictures.covered(16)
    boxes, shapes = (pictures.world.array(name)[:] for name in ("boxes", "box_shape"))
    for i in range(len(pictures)):
        expected = np.zeros((16, 16), bool)
        for (x1, y1, x2, y2), shape in zip(boxes[i] / 4, shapes[i], strict=True):
            if shape >= 0:
                expected[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = True
        np.testing.assert_array_equal(covered[i].numpy(), expected)


def test_a_folder_of_captioned_pictures_is_cut_square(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 10:30] = 200
    Image.fromarray(pixels).save(tmp_path / "train" / "a.png")
    line = json.dumps({"file_name": "a.png", "text": "a grey square"})
    (tmp_path / "train" / "metadata.jsonl").write_text(line + "\n")
    folder = CaptionedFolder(FolderPictures(str(tmp_path), size_px=10), "train")
    assert folder.captions == ["a grey square"] and folder.covered(4) is None
    picture = folder.read(torch.tensor([0]))
    assert picture.shape == (1, 10, 10, 3) and (picture[:, :, 2:-2] == 200).all()
    with pytest.raises(ValueError, match="no folder 'val'"):
        CaptionedFolder(FolderPictures(str(tmp_path)), "val")


def test_crops_lie_within_their_pictures(runs: Path) -> None:
    pictures = WorldCaptions(WorldPictures(**{**vars(WORLD), "root": str(runs / "world")}), "val")
    crops = PictureCrops(pictures, crop_px=16, batch_size=4, seed=1)
    batch = crops.batch(3, Share())
    assert batch.shape == (4, 16, 16, 3) and torch.equal(batch, crops.batch(3, Share()))
    whole = pictures.read(torch.arange(4)).unfold(1, 16, 1).unfold(2, 16, 1)  # all crops there are
    for crop in batch:
        planes = torch.stack([crop, crop.flip(1)]).permute(0, 3, 1, 2)
        found = [(whole == plane).all(-1).all(-1).all(-1).any() for plane in planes]
        assert any(found)
    with pytest.raises(ValueError, match="64 px"):
        PictureCrops(pictures, crop_px=96, batch_size=4, seed=1)

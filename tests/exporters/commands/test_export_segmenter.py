from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from exporters.commands.export import app
from models.data.world import CLASS_NAMES, STUFF
from models.segmentation import Segmenter, SegmenterSpec, save_segmenter
from models.training.plain import from_plain
from service.bundle import read_bundle
from tests.models.segmentation.squares import plain_network

SPEC = from_plain(
    SegmenterSpec,
    {
        **plain_network(),
        "labels": CLASS_NAMES,
        "is_thing": [name not in STUFF for name in CLASS_NAMES],
    },
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that knows nothing yet, of a recipe on a very small world."""
    folder = tmp_path_factory.mktemp("work")
    torch.manual_seed(0)
    world = {"train": 8, "val": 4, "test": 8, "size_px": 64, "root": str(folder / "world")}
    metadata = {"recipe": {"data": {"world": {**world, "supersample": 1}}}}
    save_segmenter(folder / "best", SPEC, Segmenter(SPEC).state_dict(), metadata)
    return folder


def export(work: Path, repository: Path, *options: str, checkpoint: str = "best") -> Result:
    arguments = ["segmenter", str(work / checkpoint), "--name", "solids"]
    return CliRunner().invoke(app, [*arguments, "--repository", str(repository), *options])


def test_it_is_measured_on_unseen_scenes_and_says_so(work: Path, tmp_path: Path) -> None:
    options = ("--evaluate", "6", "--precision", "fp16", "--map-stride", "2", "--min-area", "0.01")
    result = export(work, tmp_path, *options)
    assert result.exit_code == 0, result.output
    for expected in ("solids:1", "segment.onnx", "golden inputs with", "PQ ", "as fp32: PQ "):
        assert expected in result.output
    manifest = read_bundle(tmp_path / "solids" / "1").manifest
    assert manifest.defaults["min_area"] == 0.01
    measured = {quality.metric: quality for quality in manifest.quality}
    assert {"PQ", "mIoU", "PQ_fp32"} <= set(measured)
    assert "test split of seed 0, 6 scenes" in measured["PQ"].data
    card = (tmp_path / "solids" / "1" / "README.md").read_text()
    assert "Things, each by itself: 8 labels: ball" in card and "32 × 32 cells" in card


@pytest.mark.parametrize(
    ("checkpoint", "options", "said"),
    [
        ("best", ["--name", "Not A Name"], "small letters"),
        ("best", ["--map-stride", "5"], "map stride of 5"),
        ("nowhere", [], "nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    work: Path, tmp_path: Path, checkpoint: str, options: list[str], said: str
) -> None:
    result = export(work, tmp_path, *options, checkpoint=checkpoint)
    assert result.exit_code == 2
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []

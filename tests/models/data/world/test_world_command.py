"""`panoptes world` writes what it says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from models.commands.world import app


def size_of(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as image:
        return image.size


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("kind", ["--single", "--multi", "--still-life"])
def test_a_sheet_shows_rows_and_columns(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "deep" / "sheet.png"
    run("sheet", str(out), kind, "--size", "16", "--rows", "2", "--cols", "3", "--supersample", "1")
    assert size_of(out) == (4 + 3 * 20, 4 + 2 * 20)


def test_a_still_life_is_no_close_up(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["sheet", str(tmp_path / "x.png"), "--single", "--still-life"])
    assert result.exit_code == 2 and "exclude each other" in result.output


def test_a_truth_sheet_shows_five_pictures_a_row(tmp_path: Path) -> None:
    out = tmp_path / "truths.png"
    run("sheet", str(out), "--truths", "--size", "32", "--rows", "2", "--supersample", "1")
    assert size_of(out)[0] == 4 + 5 * 36


def test_pictures_come_with_their_truth(tmp_path: Path) -> None:
    run("render", str(tmp_path), "--count", "2", "--size", "32", "--seed", "3")
    assert len(list(tmp_path.iterdir())) == 6
    record = json.loads((tmp_path / "3-000001.json").read_text())
    assert record["caption"] and record["camera"]["focal_px"] > 0
    assert all(len(thing["box_xyxy_px"]) == 4 for thing in record["objects"])


def test_the_cache_is_filled(tmp_path: Path) -> None:
    output = run(
        *("cache", "--count", "3", "--size", "16", "--single", "--split", "test"),
        *("--truth", "depth", "--root", str(tmp_path)),
    )
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("closeup-16px-test-0") and "depth" in output


def test_an_unknown_truth_is_refused_by_name() -> None:
    result = CliRunner().invoke(app, ["cache", "--truth", "smell"])
    assert result.exit_code == 2 and "smell" in result.output


def test_the_command_starts_without_torch() -> None:
    code = "import sys, models.commands.world; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

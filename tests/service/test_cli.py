from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from service.cli import build
from tests.bundles import write_tiny_classifier

RUNNER = CliRunner(env={"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"})


def test_every_subcommand_is_found_and_explains_itself() -> None:
    shown = RUNNER.invoke(build(), ["--help"]).output
    for command in ("serve", "models", "world", "train", "eval", "export"):
        assert command in shown


def test_help_needs_neither_torch_nor_a_web_server() -> None:
    code = (
        "import sys; from service.cli import build; build(); "
        "sys.exit(str(sorted({'torch', 'timm', 'onnxruntime', 'fastapi'} & set(sys.modules))))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.stderr.strip() == "[]"


def test_models_list_says_what_a_repository_has(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path)
    (tmp_path / "broken" / "1").mkdir(parents=True)
    shown = RUNNER.invoke(build(), ["models", "list", str(tmp_path)]).output
    assert "tiny:1" in shown
    assert "broken:1" in shown
    assert "no manifest.json" in shown


def test_models_check_holds_a_bundle_to_its_golden_outputs(tmp_path: Path) -> None:
    bundle = write_tiny_classifier(tmp_path)
    good = RUNNER.invoke(build(), ["models", "check", str(bundle.folder)])
    assert good.exit_code == 0
    assert "tiny:1 classify: drift" in good.output
    bundle.file("golden.npz").write_bytes(b"")
    bad = RUNNER.invoke(build(), ["models", "check", str(bundle.folder)])
    assert bad.exit_code == 1
    assert "golden.npz has 0 bytes" in bad.output.replace("\n", " ")

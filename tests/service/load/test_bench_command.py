"""`panoptes bench` against a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from service.access import KeySpec
from service.access.keys import hash_key
from service.commands.bench import bench
from tests.bundles import write_tiny_classifier
from tests.serving import Running, picture, running

app = typer.Typer()
app.command()(bench)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "red.png"
    file.write_bytes(picture("red"))
    return file


def test_clients_and_rates_are_told_apart(server: Running, image: Path) -> None:
    url = f"{server.url}/classify?model=tiny"
    for options, rows in ((["-c", "1", "-c", "2"], "1 clients"), (["--rate", "20"], "20/s")):
        done = CliRunner().invoke(app, [url, str(image), "-s", "0.3", *options])
        assert done.exit_code == 0, done.output
        assert rows in done.stdout
        assert f"POST {url}" in done.stdout


def test_json_can_be_sent_and_failures_are_counted(server: Running) -> None:
    done = CliRunner().invoke(
        app, [f"{server.url}/classify", "--json", '{"image": "x"}', "-c", "1", "-s", "0.2"]
    )
    assert done.exit_code == 1
    assert "0.0" in done.stdout


def test_a_key_is_sent_along(tmp_path: Path, image: Path) -> None:
    repository = tmp_path / "models"
    write_tiny_classifier(repository)
    with running(repository, api_keys={"a": KeySpec(sha256=hash_key("see"))}) as server:
        given = [f"{server.url}/classify", str(image), "-c", "1", "-s", "0.2"]
        assert CliRunner().invoke(app, given).exit_code == 1
        assert CliRunner().invoke(app, [*given, "--key", "see"]).exit_code == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["https://localhost/classify", "--json", "{}"], "http:// URL"),
        (["localhost:1/classify"], "a file or --json"),
        (["localhost:1/classify", "nowhere.png"], "there is no file"),
    ],
)
def test_what_cannot_be_sent_is_said(given: list[str], said: str) -> None:
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 2
    assert said in done.output

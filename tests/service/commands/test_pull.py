"""`panoptes models pull`: bundles come over HTTP, whole and checked, or not at all."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.bundle import read_bundle
from service.cli import build
from tests.bundles import write_iterative, write_tiny_classifier


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    write_tiny_classifier(folder, version=1)
    write_tiny_classifier(folder, version=2)
    write_iterative(folder)
    return folder


@pytest.fixture
def url(source: Path) -> Iterator[str]:
    """The folder as a web server lists it."""
    handler = functools.partial(_Quiet, directory=source)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def pull(*arguments: object) -> Result:
    return CliRunner().invoke(build(), ["models", "pull", *map(str, arguments)])


def versions(folder: Path) -> list[str]:
    return sorted(
        str(manifest.parent.relative_to(folder)) for manifest in folder.glob("*/*/manifest.json")
    )


def test_everything_comes_over_http_as_it_was(url: str, source: Path, tmp_path: Path) -> None:
    pulled = pull(url, tmp_path / "here")
    assert pulled.exit_code == 0, pulled.output
    assert versions(tmp_path / "here") == ["iterative/1", "tiny/1", "tiny/2"]
    for version in versions(source):
        assert read_bundle(tmp_path / "here" / version).digest == (
            read_bundle(source / version).digest
        )


def test_models_and_versions_may_be_chosen(url: str, tmp_path: Path) -> None:
    assert pull(url, tmp_path, "--model", "tiny:2", "--model", "iterative").exit_code == 0
    assert {"iterative/1", "tiny/2"} <= set(versions(tmp_path))
    assert "tiny/1" not in versions(tmp_path)


def test_a_folder_is_pulled_like_a_url(source: Path, tmp_path: Path) -> None:
    assert pull(source, tmp_path / "here", "--model", "iterative").exit_code == 0
    assert versions(tmp_path / "here") == ["iterative/1"]


def test_what_is_there_already_stays(source: Path, tmp_path: Path) -> None:
    pull(source, tmp_path / "here")
    before = (tmp_path / "here/tiny/1/manifest.json").stat().st_mtime_ns
    assert pull(source, tmp_path / "here").exit_code == 0
    assert (tmp_path / "here/tiny/1/manifest.json").stat().st_mtime_ns == before


def test_a_damaged_bundle_is_not_kept(url: str, source: Path, tmp_path: Path) -> None:
    (source / "tiny/1/classify.onnx").write_bytes(b"something else")
    pulled = pull(url, tmp_path / "here", "--model", "tiny:1")
    assert pulled.exit_code == 1
    assert "classify.onnx" in pulled.output
    assert versions(tmp_path / "here") == []


def test_a_name_that_nobody_has_is_an_error(source: Path, tmp_path: Path) -> None:
    pulled = pull(source, tmp_path / "here", "--model", "tinny")
    assert pulled.exit_code == 1
    assert "has nothing of tinny" in pulled.output

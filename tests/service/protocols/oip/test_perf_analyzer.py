"""Triton's own load generator makes load here."""

from __future__ import annotations

import csv
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundles import write_tiny_classifier
from tests.serving import Running, running
from tests.tools import need

REQUESTS = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository = tmp_path_factory.mktemp("repository")
    write_tiny_classifier(repository)
    with running(repository, grpc_port=0) as started:
        yield started


@pytest.mark.parametrize(
    ("protocol", "options"),
    [
        ("http", ["--concurrency-range", "1:3:2"]),
        ("http", ["-b", "4", "--concurrency-range", "2", "--input-tensor-format", "json"]),
        ("http", ["--request-rate-range", "50"]),
        ("grpc", ["--concurrency-range", "1:3:2"]),
        ("grpc", ["-b", "4", "--concurrency-range", "2", "--async"]),
    ],
)
def test_it_measures_a_model(
    server: Running, tmp_path: Path, protocol: str, options: list[str]
) -> None:
    program = need("perf_analyzer/perf_analyzer")
    url = server.url.removeprefix("http://")
    if protocol == "grpc":
        url = f"127.0.0.1:{server.app.api.state.grpc.port}"
    answered = {"lane": "tiny:1/classify", "outcome": "answered"}
    before = server.metric("panoptes_settled_total", **answered)

    ended = subprocess.run(
        [
            *(program, "-m", "tiny", "-u", url, "-i", protocol, "-f", tmp_path / "report.csv"),
            *("--measurement-mode", "count_windows", "--measurement-request-count", str(REQUESTS)),
            *("--stability-percentage", "999", *options),  # a test is not to wait for quiet
        ],
        env={**os.environ, "LD_LIBRARY_PATH": str(program.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    with (tmp_path / "report.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows and all(float(row["Inferences/Second"]) > 0 for row in rows)
    samples = REQUESTS * int(options[1] if options[0] == "-b" else 1) * len(rows)
    assert server.metric("panoptes_settled_total", **answered) - before >= samples

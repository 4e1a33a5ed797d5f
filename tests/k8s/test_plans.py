"""The Job that builds plans, and the servers that read them, mean the same folder and command."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from service.cli import build
from service.settings import Settings
from tests.k8s.rendering import Document, container, only, overlay


def job() -> Document:
    return container(only(overlay("gpu-tensorrt"), "Job", "panoptes-plans"))


def server() -> Document:
    return container(only(overlay("gpu-tensorrt"), "Deployment"))


def settings(found: Document, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As the container reads them from its ConfigMap."""
    (source,) = found["envFrom"]
    for key, value in only(overlay("gpu-tensorrt"), "ConfigMap", source["configMapRef"]["name"])[
        "data"
    ].items():
        monkeypatch.setenv(key, value)
    return Settings()


def mounts(found: Document) -> dict[str, bool]:
    """Where volumes are, and whether they may be written."""
    return {m["mountPath"]: not m.get("readOnly", False) for m in found["volumeMounts"]}


def test_the_job_builds_where_servers_look(monkeypatch: pytest.MonkeyPatch) -> None:
    read, written = settings(server(), monkeypatch), settings(job(), monkeypatch)

    assert read.plan_dir == written.plan_dir
    assert read.device == written.device == "tensorrt"
    assert read.repositories == written.repositories == ("/bundles",)
    assert mounts(job())[str(written.plan_dir)] is True


def test_servers_write_no_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes a plan runs code in every server that reads it."""
    chosen = settings(server(), monkeypatch)

    assert mounts(server())[str(chosen.plan_dir)] is False
    assert chosen.build_plans is False


def test_the_job_runs_a_command_of_ours_on_the_servers_image() -> None:
    shown = CliRunner().invoke(build(), [*job()["args"], "--help"])

    assert shown.exit_code == 0
    assert job()["image"] == server()["image"]
    assert "command" not in job()  # the image's is panoptes


def test_plans_are_built_on_the_kind_of_node_that_servers_run_on() -> None:
    pods = [
        only(overlay("gpu-tensorrt"), kind, name)["spec"]["template"]["spec"]
        for kind, name in (("Deployment", "panoptes"), ("Job", "panoptes-plans"))
    ]
    assert pods[0]["nodeSelector"] == pods[1]["nodeSelector"]
    assert pods[0]["tolerations"] == pods[1]["tolerations"]
    gpus = [pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] for pod in pods]
    assert gpus == ["1", "1"]

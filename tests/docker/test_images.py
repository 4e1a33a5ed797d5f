"""What images are made of, as far as it shows without building them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from service.settings import Settings
from tests.docker.engine import OFFICIAL, ROOT

DOCKER = ROOT / "docker"
LOCKS = {
    "cpu": ("cpu", "grpc", "otel", "remote"),
    "gpu": ("gpu", "grpc", "otel", "remote"),
    "train": ("cpu", "remote", "train"),
}
"""Lock to the extras of pyproject.toml that it holds."""


@pytest.mark.parametrize("name", ["Dockerfile", "bundles.Dockerfile"])
def test_hadolint_finds_nothing(name: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    ended = subprocess.run(
        [hadolint, "--no-color", DOCKER / name], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout


# -- locks


def locked(name: str) -> dict[str, Version]:
    text = (DOCKER / f"locks/{name}.txt").read_text()
    found = re.findall(r"^([a-z0-9.-]+)(?:\[[^]]+\])?==([^ ;]+)", text, re.MULTILINE)
    return {canonicalize_name(package): Version(version) for package, version in found}


@pytest.mark.parametrize("name", ["build", "plans", *LOCKS])
def test_locks_have_hashes_and_no_addresses(name: str) -> None:
    text = (DOCKER / f"locks/{name}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)  # no option: no index, no find-links
    for package in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in package, package.splitlines()[0]


@pytest.mark.parametrize(("name", "extras"), LOCKS.items())
def test_locks_hold_what_pyproject_asks_for(name: str, extras: tuple[str, ...]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    versions = locked(name)
    environment = {**default_environment(), "sys_platform": "linux", "python_version": "3.11"}
    for requirement in map(Requirement, wanted):
        if requirement.marker and not requirement.marker.evaluate(environment):
            continue
        found = versions.get(canonicalize_name(requirement.name))
        assert found is not None, f"`make lock`: {name} has no {requirement}"
        assert found in requirement.specifier, f"`make lock`: {name} has {found}, not {requirement}"


def test_what_builds_plans_fits_into_the_gpu_image() -> None:
    gpu, plans = locked("gpu"), locked("plans")
    assert "onnx" in plans
    assert {name: plans[name] for name in plans if name in gpu} == {
        name: gpu[name] for name in gpu if name in plans
    }


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_servers_carry_no_torch(name: str) -> None:
    assert not {"torch", "torchvision", "timm", "transformers"} & set(locked(name))


def test_one_onnxruntime_an_image() -> None:
    for name, extra in {"cpu": "onnxruntime", "gpu": "onnxruntime-gpu"}.items():
        assert [p for p in locked(name) if p.startswith("onnxruntime")] == [extra]


# -- the bill of materials


def test_the_bill_of_materials_is_valid_and_whole() -> None:
    """Of this environment: that of an image is checked where images are built."""
    text = subprocess.run(
        [sys.executable, DOCKER / "sbom.py"], capture_output=True, text=True, check=True
    ).stdout
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    for expected in ("pkg:pypi/fastapi@", "pkg:pypi/panoptes@", "model:tabletop-classifier@1"):
        assert expected in text


# -- compose


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    return found


def test_docker_compose_accepts_the_file() -> None:
    """It needs no engine to read."""
    docker_compose = Path(sys.executable).with_name("docker-compose")
    command = [docker_compose, "--file", DOCKER / "compose.yaml", "config", "--quiet"]
    read = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")


def test_everyone_in_compose_is_without_rights(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name


def test_compose_mounts_what_there_is(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for volume in service["volumes"]:
            source = volume.rsplit(":", 2)[0] if volume.endswith(":ro") else volume.split(":")[0]
            if source.startswith("."):
                assert (DOCKER / source).is_file(), f"{name}: {source}"
            else:
                assert source.removeprefix("${PANOPTES_BUNDLES:-").rstrip("}") in compose["volumes"]
    assert (DOCKER / compose["services"]["panoptes"]["build"]["dockerfile"]).name == "Dockerfile"


def test_compose_lets_the_server_drain(compose: dict[str, Any]) -> None:
    server = compose["services"]["panoptes"]
    drain = {
        key: float(server["environment"][f"PANOPTES_{key.upper()}"])
        for key in ("drain_notice_s", "drain_s")
    }
    assert set(drain) <= set(Settings.model_fields)
    assert int(server["stop_grace_period"].removesuffix("s")) >= sum(drain.values()) + 10


def test_grafana_finds_prometheus_and_the_dashboard(compose: dict[str, Any]) -> None:
    (source,) = yaml.safe_load((DOCKER / "grafana/datasource.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((DOCKER / "grafana/dashboards.yaml").read_text())["providers"]
    places = [v.split(":")[1] for v in compose["services"]["grafana"]["volumes"]]
    assert f"{provider['options']['path']}/dashboard.json" in places
    (job,) = yaml.safe_load((DOCKER / "prometheus.yaml").read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["panoptes:8000"]}]


# -- the Dockerfile


def test_the_base_has_the_python_that_was_locked_for() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    assert f"ARG BASE={OFFICIAL}\n" in text
    assert ":3.11-" in OFFICIAL
    assert "--python-version 3.11" in (DOCKER / "lock.sh").read_text()


def test_what_the_image_needs_is_let_through() -> None:
    allowed = re.findall(r"^!(.+)$", (DOCKER / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    assert all((ROOT / path).exists() for path in allowed)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DOCKER / "Dockerfile").read_text(), re.M)
    for path in " ".join(copied).split():
        assert any(path == let or path.startswith(f"{let}/") for let in allowed), path

"""The image `cpu`, really built, and run as it should be: no root, no rights, nothing to write."""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.docker.engine import BASE, PICTURE, ROOT, START_S, Engine, why_not

pytestmark = [
    pytest.mark.container,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(why_not()), reason=why_not() or ""),
]
TAG = "localhost/panoptes:cpu"
LARGEST_MB = 450


@pytest.fixture(scope="module")
def engine() -> Engine:
    made = Engine()
    made.build("cpu", TAG)
    return made


def test_the_image_is_small_and_says_what_it_is(engine: Engine) -> None:
    image = engine.inspect_image(TAG)
    size_mb = image["Size"] / 1e6
    base_mb = engine.inspect_image(BASE)["Size"] / 1e6
    print(f"{size_mb:.0f} MB, of which the stand-in for the base is {base_mb:.0f} MB")
    assert size_mb <= LARGEST_MB
    config = image["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["panoptes"]
    assert config["StopSignal"] in ("SIGTERM", "15")
    labels = config["Labels"]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.version"] == "0.1.0"


def test_the_bill_of_materials_names_what_was_locked(engine: Engine) -> None:
    text = engine.podman(
        "run",
        "--rm",
        "--no-healthcheck",
        "--entrypoint",
        "cat",
        TAG,
        "/usr/share/sbom/panoptes.cdx.json",
    )
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = json.loads(text)["components"]
    lock = (ROOT / "docker/locks/cpu.txt").read_text()
    locked = dict(re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", lock, re.MULTILINE))
    python = {
        c["name"]: c["version"] for c in components if c.get("purl", "").startswith("pkg:pypi/")
    }
    assert {name: python.get(name) for name in locked} == locked
    kinds = {c.get("purl", c["type"]).split("/")[0] for c in components}
    assert kinds == {"pkg:pypi", "pkg:deb", "machine-learning-model"}


def test_it_runs_without_rights_and_answers_every_task(engine: Engine) -> None:
    with engine.serving(TAG) as (container, client):
        status = engine.podman("exec", container, "cat", "/proc/1/status")
        assert re.search(r"^Uid:\s+10001\s+10001", status, re.MULTILINE)
        assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
        for place in ("/opt/project", "/etc", "/"):
            refused = engine.try_podman("exec", container, "touch", f"{place}/written")
            assert refused.returncode != 0
        for module in ("torch", "pip"):
            code = f"import {module}"
            absent = engine.try_podman("exec", container, "/opt/panoptes/bin/python", "-c", code)
            assert "ModuleNotFoundError" in absent.stderr

        check = engine.inspect_image(TAG)["Healthcheck"]["Test"]
        assert check[0] == "CMD"
        assert '"alive"' in engine.podman("exec", container, *check[1:])

        models = client.get("/models").json()["models"]
        assert models
        assert {model["state"] for model in models} == {"ready"}
        bodies = client.get("/openapi.json").json()["paths"]
        for task in {model["task"] for model in models}:
            answer = client.post(f"/{task}", **_request(bodies[f"/{task}"]["post"]))
            assert answer.status_code == 200, f"/{task}: {answer.text}"
            assert answer.headers["x-model"]
        used = engine.podman("stats", "--no-stream", "--format", "{{.MemUsage}}", container)
        print(f"memory after an answer of each task: {used.strip()}")


def _request(operation: dict[str, Any]) -> dict[str, Any]:
    """A body that the operation takes: a picture where it can, else a prompt."""
    content = operation["requestBody"]["content"]
    if any(kind.startswith("image/") for kind in content):
        return {"content": PICTURE, "headers": {"Content-Type": "image/jpeg"}}
    assert "application/json" in content
    return {"json": {"prompt": "a red ball on a table"}}


def test_what_it_imports_is_compiled_and_whole(engine: Engine) -> None:
    """With a root that cannot be written, what is not compiled is compiled at every start."""
    code = """
import json, os, sys
import service.app, service.server, service.text.tokenizer, tokenizers
cached = [m.__spec__.cached for m in list(sys.modules.values()) if getattr(m, "__spec__", None)]
sources = [path for path in cached if path]
missing = [path for path in sources if not os.path.exists(path)]
import botocore.session
botocore.session.get_session().create_client("s3", region_name="eu-west-1")
print(json.dumps([len(sources), missing]))
"""
    python = ("--entrypoint", "/opt/panoptes/bin/python", TAG, "-c", code)
    said = engine.podman("run", "--rm", "--no-healthcheck", "--read-only", *python)
    sources, missing = json.loads(said)
    assert sources > 500
    assert len(missing) < 0.02 * sources, missing


def test_stopped_under_load_it_loses_nothing(engine: Engine) -> None:
    statuses: list[int] = []
    with engine.serving(TAG, PANOPTES_DRAIN_NOTICE_S="5") as (container, client):
        task = client.get("/models").json()["models"][0]["task"]

        def ask() -> None:
            with httpx.Client(base_url=client.base_url, timeout=30.0) as own:
                while True:
                    try:
                        statuses.append(own.post(f"/{task}", content=PICTURE).status_code)
                    except (httpx.ConnectError, httpx.RemoteProtocolError):
                        return  # it listens no more, or closed an idle connection unread

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        while len(statuses) < 50:
            time.sleep(0.01)
        engine.podman("kill", "--signal", "TERM", container)
        while client.get("/readyz").status_code == 200:
            time.sleep(0.01)
        # Balancers look away now; whoever still comes is still served.
        assert client.post(f"/{task}", content=PICTURE).status_code == 200
        for thread in threads:
            thread.join(START_S)
            assert not thread.is_alive()
        assert engine.podman("wait", container).strip() == "0"
        said = engine.podman("logs", container)
        assert '"level":"error"' not in said
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 50


def test_bundles_are_pulled_as_an_init_container_does(engine: Engine, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    said = engine.podman(
        *("run", "--rm", "--no-healthcheck", "--read-only", "--tmpfs", "/tmp"),
        *("--cap-drop", "all"),
        *("--volume", f"{tmp_path}:/bundles", TAG),
        *("models", "pull", "/opt/project/service/starter", "/bundles"),
    )
    assert "tabletop-classifier:1 is in /bundles/tabletop-classifier/1" in said
    assert (tmp_path / "tabletop-classifier/1/manifest.json").exists()

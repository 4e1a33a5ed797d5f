"""Containers without a Docker engine: buildah builds them, podman runs them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
BASE_SCRIPT = Path(__file__).with_name("base.sh")
OFFICIAL = "python:3.11-slim-bookworm"
BASE = f"localhost/{OFFICIAL}"
"""Our stand-in for it."""
FOLDER = Path("/var/tmp/panoptes-containers")
"""Images stay here from one run to the next: what has not changed is not built again."""
HARDENED = (
    *("--no-healthcheck", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "all"),
    *("--security-opt", "no-new-privileges"),
)
"""How a container should run: no root, no rights, nothing to write."""
START_S = 60.0
PICTURE = (ROOT / "service/web/samples/red-ball.jpg").read_bytes()
CA = Path("/etc/ssl/certs/ca-certificates.crt")


def why_not(target: str = "cpu") -> str | None:
    """What keeps this machine from building an image, if anything does."""
    wanted = os.environ.get("CONTAINER_CHECK", "").split(",")
    if target not in wanted:
        images = "" if target == "cpu" else f" IMAGES={target}"
        return f"takes minutes: `make container-check{images}` runs it"
    if sys.platform != "linux" or os.getuid() != 0:
        return "building containers without Docker needs Linux and root"
    if not shutil.which("apt-get"):
        return "the base is made by Debian's debootstrap"
    return None


class Engine:
    """Every command fails with what it said."""

    def __init__(self) -> None:
        self._environment = {
            **os.environ,
            "CONTAINERS_CONF": str(FOLDER / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(FOLDER / "storage.conf"),
        }
        self._do("sh", BASE_SCRIPT, FOLDER, BASE)

    def build(self, target: str, tag: str) -> None:
        """One target of docker/Dockerfile; pip's settings and the CA travel as secrets."""
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as pip_conf:
            pip_conf.write("[global]\n")
            index = subprocess.run(
                [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
                capture_output=True,
                text=True,
                check=False,
            )
            if index.returncode == 0:
                pip_conf.write(f"index-url = {index.stdout.strip()}\n")
            pip_conf.flush()
            self._do(
                *("buildah", "bud", "--pull-never", "--layers", "--isolation", "chroot"),
                *("--network", "host", "--format", "docker", "--build-arg", f"BASE={BASE}"),
                *("--secret", f"id=pip_conf,src={pip_conf.name}", "--secret", f"id=ca,src={CA}"),
                *("--file", ROOT / "docker/Dockerfile", "--target", target, "--tag", tag),
                *("--ignorefile", ROOT / "docker/Dockerfile.dockerignore", ROOT),
            )

    @contextlib.contextmanager
    def serving(
        self, tag: str, *options: str, **environment: str
    ) -> Iterator[tuple[str, httpx.Client]]:
        """A container that is ready, and a client of it."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        variables = {"PANOPTES_HOST": "127.0.0.1", "PANOPTES_PORT": str(port), **environment}
        container = self.podman(
            *("run", "--detach", "--network", "host", *HARDENED),
            *("--memory", "2g", "--pids-limit", "256", *options),
            *(f"--env={key}={value}" for key, value in variables.items()),
            tag,
        ).strip()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30.0) as client:
                end = time.monotonic() + START_S
                while not _ready(client):
                    assert time.monotonic() < end, self.podman("logs", container)
                    time.sleep(0.1)
                yield container, client
        finally:
            self.podman("rm", "--force", "--time", "0", container)

    def inspect_image(self, tag: str) -> dict[str, Any]:
        (found,) = json.loads(self.podman("image", "inspect", tag))
        return dict(found)

    def podman(self, *arguments: object) -> str:
        return self._do("podman", *arguments)

    def try_podman(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """As `podman`, where failing is the answer."""
        return self._run("podman", *arguments)

    def _do(self, *command: object) -> str:
        ended = self._run(*command)
        if ended.returncode:
            said = "\n".join((ended.stdout + ended.stderr).splitlines()[-40:])
            raise RuntimeError(f"{' '.join(map(str, command))}:\n{said}")
        return ended.stdout

    def _run(self, *command: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            list(map(str, command)),
            env=self._environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False

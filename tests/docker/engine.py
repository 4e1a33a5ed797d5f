"""Containers without a Docker engine: buildah builds them, podman runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BASE_SCRIPT = Path(__file__).with_name("base.sh")
OFFICIAL = "python:3.11-slim-bookworm"
BASE = f"localhost/{OFFICIAL}"
"""Our stand-in for it."""
FOLDER = Path("/var/tmp/panoptes-containers")
"""Images stay here from one run to the next: what has not changed is not built again."""
CA = Path("/etc/ssl/certs/ca-certificates.crt")


def why_not() -> str | None:
    """What keeps this machine from building containers, if anything does."""
    if not os.environ.get("CONTAINER_CHECK"):
        return "takes minutes: `make container-check` runs it"
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

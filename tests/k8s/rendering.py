"""What kubectl makes of k8s/, and what the checks need that pip does not bring."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
KUBECTL = Path(sys.executable).with_name("kubectl")

OVERLAYS = sorted(path.name for path in (K8S / "overlays").iterdir() if path.is_dir())
COMPONENTS = sorted(path.name for path in (K8S / "components").iterdir() if path.is_dir())
SERVING = [name for name in OVERLAYS if name != "kserve"]
"""Those that deploy the server themselves."""

Document = dict[str, Any]


@functools.cache
def render(folder: Path) -> tuple[Document, ...]:
    """The documents of one kustomization."""
    made = subprocess.run(
        [KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, f"{folder}: {made.stderr}"
    assert not made.stderr, f"{folder}: {made.stderr}"  # kustomize warns there
    return tuple(yaml.safe_load_all(made.stdout))


def overlay(name: str) -> tuple[Document, ...]:
    return render(K8S / "overlays" / name)


def training() -> tuple[Document, ...]:
    return render(K8S / "training")


@functools.cache
def with_component(name: str, around: Path) -> tuple[Document, ...]:
    """The base and one component, put together in a folder of the test's own."""
    folder = around / name
    folder.mkdir()
    base, component = (
        os.path.relpath(K8S / part, folder.resolve()) for part in ("base", f"components/{name}")
    )
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [base],
        "components": [component],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return render(folder)


def only(documents: tuple[Document, ...], kind: str, name: str = "panoptes") -> Document:
    found = [d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} {kind} {name}"
    return found[0]


def container(document: Document) -> Document:
    """The one container of a Deployment, a Job or a ServingRuntime."""
    spec = document["spec"]
    (found,) = spec["template"]["spec"]["containers"] if "template" in spec else spec["containers"]
    return dict(found)


def walk(node: object) -> Iterator[Document]:
    """Every mapping in a document."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)

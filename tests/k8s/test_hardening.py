"""Pods keep to the restricted profile, and checkov finds nothing that was not thought about."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.k8s.rendering import COMPONENTS, OVERLAYS, SERVING, Document, overlay, training
from tests.k8s.rendering import with_component as rendered_with
from tests.tools import need

ACCEPTED = {
    "CKV_K8S_15": "images have versions that do not change: they need not be pulled each time",
    "CKV_K8S_43": "which registry, and so which digest, is for whoever deploys to say",
    "CKV_K8S_35": "credentials for object stores are read from the environment by their libraries",
}
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "secret", "image"}
"""Those that we use, of those that the profile allows."""


def pods() -> list[tuple[str, Document]]:
    found = [
        (name, document["spec"]["template"]["spec"])
        for name in SERVING
        for document in overlay(name)
        if document["kind"] in ("Deployment", "Job")
    ]
    (job,) = (d for d in training() if d["kind"] == "Job")
    return [*found, ("training", job["spec"]["template"]["spec"])]


@pytest.mark.parametrize(("name", "pod"), pods(), ids=lambda value: value if str(value) else "")
def test_pods_keep_to_the_restricted_profile(name: str, pod: Document) -> None:
    check_restricted(pod)


@pytest.mark.parametrize("name", [c for c in COMPONENTS if c.startswith("bundles-")])
def test_pods_with_bundles_do_too(name: str, tmp_path: Path) -> None:
    (deployment,) = (d for d in rendered_with(name, tmp_path) if d["kind"] == "Deployment")
    check_restricted(deployment["spec"]["template"]["spec"])


def check_restricted(pod: Document) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards, and no root to write."""
    for forbidden in ("hostNetwork", "hostPID", "hostIPC"):
        assert not pod.get(forbidden)
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] > 10_000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for volume in pod["volumes"]:
        assert set(volume) - {"name"} <= VOLUMES
        if "emptyDir" in volume:
            assert "sizeLimit" in volume["emptyDir"]
    for container in (*pod["containers"], *pod.get("initContainers", [])):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert not any("hostPort" in port for port in container.get("ports", []))
        assert {"cpu", "memory"} <= set(container["resources"]["limits"])


def test_the_namespace_demands_the_profile() -> None:
    for name in OVERLAYS:
        (namespace,) = (d for d in overlay(name) if d["kind"] == "Namespace")
        labels = namespace["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_checkov_finds_nothing(tmp_path: Path) -> None:
    for name in OVERLAYS:
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump_all(overlay(name)))
    (tmp_path / "training.yaml").write_text(yaml.safe_dump_all(training()))
    ended = subprocess.run(
        [
            *(need("checkov/bin/python"), "-m", "checkov.main", "--directory", tmp_path),
            *("--framework", "kubernetes", "--skip-download", "--output", "json", "--quiet"),
            *("--skip-check", ",".join(ACCEPTED)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(ended.stdout)
    assert report["summary"]["passed"] > 400
    failed = [
        f"{c['check_id']} {c['check_name']}: {c['file_path']} {c['resource']}"
        for c in report["results"]["failed_checks"]
    ]
    assert not failed, "\n".join(failed)

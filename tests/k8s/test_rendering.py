"""Every overlay and component renders to what the API servers of three releases accept."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate
import pytest

from tests.k8s.rendering import (
    COMPONENTS,
    OVERLAYS,
    Document,
    only,
    overlay,
    training,
    with_component,
)
from tests.k8s.test_custom_resources import KSERVE, PACKAGES

RELEASES = ("1.33", "1.35", "1.37")
CUSTOM = {*PACKAGES, *KSERVE}


def check(documents: tuple[Document, ...]) -> None:
    for document in documents:
        if f"{document['apiVersion']}/{document['kind']}" in CUSTOM:
            continue
        for release in RELEASES:  # a kind without a schema raises, too
            kubernetes_validate.validate(document, release, strict=True)


@pytest.mark.parametrize("name", OVERLAYS)
def test_overlays_are_valid(name: str) -> None:
    check(overlay(name))


@pytest.mark.parametrize("name", COMPONENTS)
def test_components_are_valid_on_the_base(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check(with_component(name, _around(tmp_path_factory)))


def test_training_is_valid() -> None:
    check(training())


def test_the_check_would_notice() -> None:
    (deployment,) = (d for d in overlay("cpu") if d["kind"] == "Deployment")
    wrong = {**deployment, "spec": {**deployment["spec"], "replica": 3}}
    with pytest.raises(kubernetes_validate.ValidationError):
        check((wrong,))
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        check(({**deployment, "apiVersion": "apps/v1beta9"},))


@pytest.mark.parametrize("name", OVERLAYS)
def test_nothing_is_named_that_is_not_there(name: str) -> None:
    """Selectors select, and volumes, configuration and accounts exist or are optional."""
    documents = overlay(name)
    there = {(d["kind"], d["metadata"]["name"]) for d in documents}
    for workload in (d for d in documents if d["kind"] in ("Deployment", "Job")):
        pod = workload["spec"]["template"]
        labels = pod["metadata"]["labels"].items()
        for service in (d for d in documents if d["kind"] in ("Service", "PodDisruptionBudget")):
            selector = service["spec"]["selector"]
            selected = selector.get("matchLabels", selector).items() <= labels
            assert selected == (workload["kind"] == "Deployment")
        account = pod["spec"].get("serviceAccountName")
        assert account is None or ("ServiceAccount", account) in there
        for volume in pod["spec"]["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                assert ("PersistentVolumeClaim", claim["claimName"]) in there
        for part in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])):
            volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
            assert {mount["name"] for mount in part["volumeMounts"]} <= volumes
            for source in part["envFrom"]:
                if reference := source.get("configMapRef"):
                    assert ("ConfigMap", reference["name"]) in there
    for scaler in (
        d for d in documents if d["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")
    ):
        assert ("Deployment", scaler["spec"]["scaleTargetRef"]["name"]) in there


@pytest.mark.parametrize("name", OVERLAYS)
def test_everything_lies_in_one_namespace(name: str) -> None:
    lie = {d["metadata"].get("namespace") for d in overlay(name) if d["kind"] != "Namespace"}
    assert lie == {only(overlay(name), "Namespace")["metadata"]["name"]}


@pytest.mark.parametrize("name", ["cpu", "keda", "monitoring"])
def test_whoever_scales_is_alone(name: str) -> None:
    """A Deployment that says how many it is would fight its autoscaler at every apply."""
    documents = overlay(name)
    (deployment,) = (d for d in documents if d["kind"] == "Deployment")
    assert "replicas" not in deployment["spec"]
    kinds = [d["kind"] for d in documents]
    assert kinds.count("HorizontalPodAutoscaler") + kinds.count("ScaledObject") == 1


@pytest.mark.parametrize("name", ["bundles-image", "bundles-pvc", "bundles-url"])
def test_bundles_are_mounted_where_the_server_looks(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    documents = with_component(name, _around(tmp_path_factory))
    (deployment,) = (d for d in documents if d["kind"] == "Deployment")
    (server,) = deployment["spec"]["template"]["spec"]["containers"]
    (settings,) = (
        d["data"]
        for d in documents
        if d["kind"] == "ConfigMap" and "PANOPTES_REPOSITORIES" in d["data"]
    )
    assert settings["PANOPTES_REPOSITORIES"] == '["/bundles"]'
    (mount,) = (m for m in server["volumeMounts"] if m["name"] == "bundles")
    assert mount["mountPath"] == "/bundles"
    assert mount["readOnly"]


_FOLDERS: list[Path] = []


def _around(factory: pytest.TempPathFactory) -> Path:
    """One folder for all: what was rendered once is rendered."""
    if not _FOLDERS:
        _FOLDERS.append(factory.mktemp("components"))
    return _FOLDERS[0]

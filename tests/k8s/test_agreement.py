"""The manifests and the server mean the same: paths, ports, settings, and how long things take."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.app import create_app
from service.protocols.health import PROBE_TIMEOUT_S
from service.settings import STARTER_PACK, Settings
from tests.k8s.rendering import (
    ROOT,
    SERVING,
    Document,
    container,
    only,
    overlay,
    training,
    walk,
)

OURS = re.compile(r"PANOPTES_[A-Z_]+")
SERVERS = [*SERVING, "kserve"]
MARGIN_S = 10
"""For the last batch to end and the process to leave, after the drain."""


def server(name: str) -> Document:
    return container(
        next(d for d in overlay(name) if d["kind"] in ("Deployment", "ServingRuntime"))
    )


def environment(name: str) -> dict[str, str]:
    """What the server's container gets, where it is written down."""
    found = {e["name"]: e["value"] for e in server(name).get("env", []) if "value" in e}
    sources = [s["configMapRef"]["name"] for s in server(name).get("envFrom", [])]
    for config in (d for d in overlay(name) if d["kind"] == "ConfigMap"):
        if config["metadata"]["name"] in sources:
            found |= config["data"]
    return found


def settings(name: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for key, value in environment(name).items():
        monkeypatch.setenv(key, value)
    return Settings()


@pytest.mark.parametrize("name", SERVERS)
def test_every_variable_is_a_setting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {f"PANOPTES_{field.upper()}" for field in Settings.model_fields}
    given = {e["name"] for e in server(name).get("env", [])} | set(environment(name))
    assert {key for key in given if OURS.fullmatch(key)} <= known
    settings(name, monkeypatch)  # and every value can be read


def test_the_variables_of_the_image_and_of_compose_are_settings() -> None:
    known = {f"PANOPTES_{field.upper()}" for field in Settings.model_fields}
    # Where worlds are kept, of the images that train; a folder of the host, in compose.
    elsewhere = {"PANOPTES_CACHE", "PANOPTES_BUNDLES"}
    for file in ("Dockerfile", "compose.yaml"):
        text = Path(ROOT, "docker", file).read_text()
        assert set(OURS.findall(text)) <= known | elsewhere, file
    trained = {e["name"] for e in container(only(training(), "Job", "panoptes-train"))["env"]}
    assert {key for key in trained if OURS.fullmatch(key)} <= elsewhere


@pytest.mark.parametrize("name", SERVERS)
def test_probes_ask_what_the_server_answers(name: str) -> None:
    paths = create_app().api.openapi()["paths"]
    found = server(name)
    ports = {found["ports"][0]["containerPort"], found["ports"][0]["name"]}
    asked = {}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked[probe] = found[probe]["httpGet"]["path"]
        assert "get" in paths[asked[probe]]
        assert found[probe]["httpGet"]["port"] in ports
    assert asked["livenessProbe"] == asked["startupProbe"] == "/livez"
    assert asked["readinessProbe"] == "/readyz"


@pytest.mark.parametrize("name", SERVERS)
def test_the_server_listens_where_it_is_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings(name, monkeypatch)
    assert server(name)["ports"][0]["containerPort"] == chosen.port


def test_readiness_may_try_every_starter_model() -> None:
    models = len(list(STARTER_PACK.glob("*/*/manifest.json")))
    probe = server("cpu")["readinessProbe"]
    assert probe["timeoutSeconds"] <= probe["periodSeconds"]
    # Each is given up after this long; that all of them hang is not to be waited for.
    assert probe["timeoutSeconds"] >= PROBE_TIMEOUT_S * min(models, 4)


@pytest.mark.parametrize("name", SERVERS)
def test_a_pod_has_the_time_to_drain(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings(name, monkeypatch)
    kind = "InferenceService" if name == "kserve" else "Deployment"
    (grace_s,) = (
        node["terminationGracePeriodSeconds"]
        for node in walk(only(overlay(name), kind))
        if "terminationGracePeriodSeconds" in node
    )
    assert grace_s >= chosen.drain_notice_s + chosen.drain_s + MARGIN_S
    # Endpoints take some seconds to change everywhere; what was admitted may use its deadline.
    assert chosen.drain_notice_s >= 5
    assert chosen.drain_s >= chosen.deadline_ms / 1e3


@pytest.mark.parametrize("name", SERVERS)
def test_no_service_sets_a_variable_of_ours(name: str) -> None:
    """A Service `panoptes` would set PANOPTES_PORT to tcp://…, which is no port."""
    kind = "InferenceService" if name == "kserve" else "Deployment"
    links = [n["enableServiceLinks"] for n in walk(only(overlay(name), kind)) if _has_links(n)]
    assert links == [False]


def _has_links(node: Document) -> bool:
    return "enableServiceLinks" in node


def test_the_gateway_waits_longer_than_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    deadline_s = settings("cpu", monkeypatch).deadline_ms / 1e3
    (rule,) = (r for r in only(overlay("cpu"), "HTTPRoute")["spec"]["rules"] if "timeouts" in r)
    request_s, backend_s = (
        int(rule["timeouts"][key].removesuffix("s")) for key in ("request", "backendRequest")
    )
    assert request_s > backend_s > deadline_s


def test_what_is_for_the_cluster_has_a_port_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway sends to one port; metrics and admin calls are on the other, for monitoring."""
    chosen = settings("monitoring", monkeypatch)
    ports = {port["name"]: port["containerPort"] for port in server("monitoring")["ports"]}
    assert ports == {"http": chosen.port, "admin": chosen.admin_port}
    served = {
        port["targetPort"]: port for port in only(overlay("monitoring"), "Service")["spec"]["ports"]
    }
    (rule,) = only(overlay("monitoring"), "HTTPRoute")["spec"]["rules"]
    assert rule["backendRefs"] == [{"name": "panoptes", "port": served["http"]["port"]}]
    (endpoint,) = only(overlay("monitoring"), "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["port"] == served["admin"]["name"]
    assert endpoint["path"] == "/metrics"
    _, admin = only(overlay("monitoring"), "NetworkPolicy")["spec"]["ingress"]
    assert admin["ports"] == [{"port": "admin"}]
    assert all("podSelector" not in source for source in admin["from"])


@pytest.mark.parametrize("name", SERVERS)
def test_workers_are_as_many_as_whole_cores(name: str) -> None:
    (workers,) = (e for e in server(name)["env"] if e["name"] == "PANOPTES_WORKERS")
    assert workers["valueFrom"]["resourceFieldRef"]["resource"] == "limits.cpu"
    resources = server(name)["resources"]
    assert resources["requests"]["cpu"] == resources["limits"]["cpu"]
    assert resources["limits"]["cpu"].isdigit()
    assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_a_gpu_is_asked_for_once() -> None:
    def gpus(name: str) -> dict[str, str]:
        limits = server(name)["resources"]["limits"]
        return {key: value for key, value in limits.items() if key.startswith("nvidia.com/")}

    assert gpus("gpu") == {"nvidia.com/gpu": "1"}
    assert gpus("gpu-mig") == {"nvidia.com/mig-1g.10gb": "1"}
    assert gpus("cpu") == {}


def test_the_body_that_gateways_are_told_to_allow_is_the_servers_largest() -> None:
    largest = Settings.model_fields["max_body_bytes"].default
    text = Path(ROOT, "docs", "kubernetes.md").read_text()
    assert f"{largest >> 20}m" in text

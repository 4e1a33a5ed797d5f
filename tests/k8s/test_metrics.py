"""Rules, dashboards and scalers ask for metrics and labels that the server really gives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.bundles import write_tiny_classifier
from tests.k8s.rendering import K8S, only, overlay
from tests.serving import Running, picture, running

DASHBOARD = json.loads((K8S / "components/monitoring/dashboard.json").read_text())
TARGET_LABELS = {"namespace", "pod", "job", "instance", "container", "service", "endpoint"}
"""What Prometheus adds to every series of a target."""
ELSEWHERE = {
    # NVIDIA's DCGM exporter, https://docs.nvidia.com/datacenter/dcgm, its default counters.
    "DCGM_FI_DEV_FB_USED": {"gpu"},
    "DCGM_FI_DEV_FB_FREE": {"gpu"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository = tmp_path_factory.mktemp("repository")
    write_tiny_classifier(repository)
    with running(repository, queue_capacity=1) as started:
        yield started


@pytest.fixture(scope="module")
def exposed(server: Running) -> dict[str, set[str]]:
    """Series name to its labels, after one answer, one refusal and one lost device."""
    assert server.client.post("/classify", content=picture()).status_code == 200
    files = [("image", picture())] * 2  # more than the queue holds
    assert server.client.post("/classify", files=files).status_code == 413
    server.serving.metrics.device_lost("cpu", "for the test")
    server.serving.metrics.device_rebuilt("cpu")
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(server.client.get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def rules() -> list[dict[str, str]]:
    groups = only(overlay("monitoring"), "PrometheusRule")["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[tuple[str, str]]:
    """Title and query, with Grafana's variables as Prometheus would get them."""
    found = []
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$__rate_interval", "1m").replace("$__range", "1h")
            found.append((panel["title"], re.sub(r"\$\w+", ".*", query)))
    return found


def queries() -> list[tuple[str, str]]:
    adapter = yaml.safe_load((K8S / "components/hpa/prometheus-adapter.yaml").read_text())
    (rule,) = adapter["rules"]["custom"]
    scaler = only(overlay("keda"), "ScaledObject")
    return [
        *((r.get("alert") or r["record"], r["expr"]) for r in rules()),
        *panels(),
        *((t["name"], t["metadata"]["query"]) for t in scaler["spec"]["triggers"]),
        ("adapter", rule["seriesQuery"]),
    ]


def selectors(node: object) -> Iterator[promql_parser.VectorSelector]:
    """Every instant selector in a parsed query."""
    match node:
        case promql_parser.VectorSelector():
            yield node
        case promql_parser.MatrixSelector():
            yield from selectors(node.vector_selector)
        case promql_parser.Call():
            for argument in node.args:
                yield from selectors(argument)
        case promql_parser.AggregateExpr() | promql_parser.ParenExpr() | promql_parser.UnaryExpr():
            yield from selectors(node.expr)
        case promql_parser.SubqueryExpr():
            yield from selectors(node.expr)
        case promql_parser.BinaryExpr():
            yield from selectors(node.lhs)
            yield from selectors(node.rhs)


def grouped(node: object) -> Iterator[tuple[set[str], object]]:
    """Every `by (…)`, and what it is over."""
    match node:
        case promql_parser.AggregateExpr():
            if node.modifier is not None:
                yield set(node.modifier.labels), node.expr
            yield from grouped(node.expr)
        case promql_parser.BinaryExpr():
            yield from grouped(node.lhs)
            yield from grouped(node.rhs)
        case promql_parser.ParenExpr():
            yield from grouped(node.expr)
        case promql_parser.Call():
            for argument in node.args:
                yield from grouped(argument)


def labels_of(name: str, exposed: dict[str, set[str]]) -> set[str] | None:
    """None if nobody has this metric."""
    recorded = {r["record"] for r in rules() if "record" in r}
    if name in recorded:
        return {"namespace"}
    labels = exposed.get(name, ELSEWHERE.get(name))
    return None if labels is None else labels | TARGET_LABELS


@pytest.mark.parametrize(("where", "query"), queries(), ids=lambda text: text[:40])
def test_queries_ask_for_what_there_is(
    where: str, query: str, exposed: dict[str, set[str]]
) -> None:
    parsed = promql_parser.parse(query)
    found = list(selectors(parsed))
    assert found
    for selector in found:
        names = [selector.name] if selector.name else []
        wanted = set()
        for matcher in selector.matchers.matchers:
            if matcher.name == "__name__":
                names += matcher.value.split("|")
            else:
                wanted.add(matcher.name)
        for name in names:
            labels = labels_of(name, exposed)
            assert labels is not None, f"{where}: nobody has {name}"
            assert wanted <= labels, f"{where}: {name} has no {wanted - labels}"
    for by, over in grouped(parsed):
        for selector in selectors(over):
            labels = labels_of(selector.name, exposed)
            assert labels is not None
            assert by <= labels, f"{where}: {selector.name} has no {by - labels}"


def test_the_check_would_notice(exposed: dict[str, set[str]]) -> None:
    with pytest.raises(AssertionError, match="nobody has panoptes_queue_length"):
        test_queries_ask_for_what_there_is("x", "sum(panoptes_queue_length)", exposed)
    with pytest.raises(AssertionError, match="panoptes_queue_depth has no"):
        test_queries_ask_for_what_there_is("x", "sum by (model) (panoptes_queue_depth)", exposed)


def test_the_hpa_scales_on_what_the_adapter_gives(exposed: dict[str, set[str]]) -> None:
    adapter = yaml.safe_load((K8S / "components/hpa/prometheus-adapter.yaml").read_text())
    (rule,) = adapter["rules"]["custom"]
    metrics = only(overlay("cpu"), "HorizontalPodAutoscaler")["spec"]["metrics"]
    names = [metric["pods"]["metric"]["name"] for metric in metrics]
    assert set(names) <= set(exposed)
    (series,) = re.findall(r'__name__=~"([^"]+)"', rule["seriesQuery"])
    assert sorted(series.split("|")) == sorted(names)


def test_both_scalers_have_the_same_targets() -> None:
    hpa = only(overlay("cpu"), "HorizontalPodAutoscaler")["spec"]
    keda = only(overlay("keda"), "ScaledObject")["spec"]
    targets = {
        m["pods"]["metric"]["name"]: m["pods"]["target"]["averageValue"] for m in hpa["metrics"]
    }
    asked = {
        re.findall(r"panoptes_\w+", t["metadata"]["query"])[0]: t["metadata"]["threshold"]
        for t in keda["triggers"]
    }
    assert asked == targets
    assert keda["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == hpa["behavior"]
    assert (keda["minReplicaCount"], keda["maxReplicaCount"]) == (
        hpa["minReplicas"],
        hpa["maxReplicas"],
    )


def test_tasks_count_for_the_objective_and_nothing_else_does(server: Running) -> None:
    """Rules and dashboard leave routes out by a pattern: a new task counts by itself."""
    patterns = {
        matcher.value
        for _, query in queries()
        for selector in selectors(promql_parser.parse(query))
        for matcher in selector.matchers.matchers
        if matcher.name == "route"
    }
    (pattern,) = patterns
    paths = server.client.get("/openapi.json").json()["paths"]
    tasks = {path for path, methods in paths.items() if "post" in methods}
    tasks -= {path for path in tasks if path.startswith(("/models", "/v2/repository"))}
    assert tasks >= {"/classify", "/generate", "/v2/models/{name}/infer"}
    assert not {path for path in tasks if re.fullmatch(pattern, path)}
    others = (set(paths) - tasks) | {"/", "/web", "/openapi.json", "(none)"}
    assert {path for path in others if re.fullmatch(pattern, path)} == others


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_clusters_and_compose_show_the_same_dashboard() -> None:
    compose = yaml.safe_load(Path(K8S.parent, "docker/compose.yaml").read_text())
    mounted = [v for v in compose["services"]["grafana"]["volumes"] if "dashboard.json" in v]
    (source,) = {volume.split(":")[0] for volume in mounted}
    assert Path(K8S.parent, "docker", source).resolve() == (
        K8S / "components/monitoring/dashboard.json"
    )
    (config,) = (d for d in overlay("monitoring") if d["metadata"]["name"] == "panoptes-dashboard")
    assert json.loads(config["data"]["panoptes.json"]) == DASHBOARD

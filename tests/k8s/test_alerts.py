"""The alerts, judged by Prometheus's own promtool; and what people are told to do at each."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.rendering import ROOT, only, overlay
from tests.tools import need

CASES = Path(__file__).with_name("alerts.yaml")


def groups() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = only(overlay("monitoring"), "PrometheusRule")["spec"]["groups"]
    return found


def alerts() -> list[str]:
    return [rule["alert"] for group in groups() for rule in group["rules"] if "alert" in rule]


def promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups()}))
    return subprocess.run(
        [need("promtool"), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_prometheus_accepts_the_rules(tmp_path: Path) -> None:
    checked = promtool(tmp_path, "check", "rules", "rules.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    (tmp_path / CASES.name).write_text(CASES.read_text())
    tested = promtool(tmp_path, "test", "rules", CASES.name)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_is_tested() -> None:
    cases = yaml.safe_load(CASES.read_text())["tests"]
    fired = {t["alertname"] for case in cases for t in case["alert_rule_test"] if t["exp_alerts"]}
    assert fired == set(alerts())


def test_prometheus_accepts_what_compose_gives_it() -> None:
    config = ROOT / "docker/prometheus.yaml"
    checked = subprocess.run(
        [need("promtool"), "check", "config", config], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("alert", alerts())
def test_every_alert_says_what_to_do(alert: str) -> None:
    assert f"### {alert}\n" in (ROOT / "docs/operations.md").read_text()

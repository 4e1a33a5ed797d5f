"""The horizontal pod autoscaler's algorithm, with the targets and limits of a manifest.

https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

TOLERANCE = 0.1
"""How far a ratio may be from 1 without any change."""


@dataclass(frozen=True)
class Step:
    """At most so much change within so many seconds."""

    percent: float
    pods: int
    period_s: float


@dataclass(frozen=True)
class Policy:
    """How many samples each pod should run and queue on average, and how fast to get there."""

    targets: Mapping[str, float]
    """Metric to its target a pod."""
    least: int
    most: int
    up: Step
    down: Step
    down_after_s: float
    """The largest wish of so long decides how far to go down."""

    def fixed(self, pods: int) -> Policy:
        return replace(self, targets={}, least=pods, most=pods)


def read_policy(manifest: Path) -> Policy:
    """From a HorizontalPodAutoscaler."""
    spec = yaml.safe_load(manifest.read_text())["spec"]
    up, down = spec["behavior"]["scaleUp"], spec["behavior"]["scaleDown"]
    return Policy(
        targets={
            m["pods"]["metric"]["name"]: float(m["pods"]["target"]["averageValue"])
            for m in spec["metrics"]
        },
        least=spec["minReplicas"],
        most=spec["maxReplicas"],
        up=_step(up["policies"]),
        down=_step(down["policies"]),
        down_after_s=down["stabilizationWindowSeconds"],
    )


def _step(policies: list[dict[str, Any]]) -> Step:
    values = {p["type"]: p["value"] for p in policies}
    (period_s,) = {p["periodSeconds"] for p in policies}
    return Step(values.get("Percent", 0), values.get("Pods", 0), period_s)


@dataclass
class Scaler:
    """Called every now and then with the metrics' sums over all pods."""

    policy: Policy
    replicas: int
    _wishes: list[tuple[float, int]] = field(default_factory=list)
    _history: list[tuple[float, int]] = field(default_factory=list)

    def decide(self, now_s: float, totals: Mapping[str, float]) -> int:
        """How many replicas there should be."""
        policy = self.policy
        wish = max((self._wish(totals[m], t) for m, t in policy.targets.items()), default=0)
        wish = min(max(wish, policy.least), policy.most)
        self._wishes = [(s, w) for s, w in self._wishes if s > now_s - policy.down_after_s]
        self._wishes.append((now_s, wish))
        self._history.append((now_s, self.replicas))
        if wish > self.replicas:
            before = self._before(now_s - policy.up.period_s, min)
            limit = max(before * (1 + policy.up.percent / 100), before + policy.up.pods)
            self.replicas = min(wish, max(math.ceil(limit), self.replicas))
        else:
            wish = min(max(w for _, w in self._wishes), self.replicas)
            before = self._before(now_s - policy.down.period_s, max)
            limit = before * (1 - policy.down.percent / 100)
            self.replicas = max(wish, min(math.floor(limit), self.replicas))
        return self.replicas

    def _wish(self, total: float, target: float) -> int:
        ratio = total / self.replicas / target
        return self.replicas if abs(ratio - 1) <= TOLERANCE else math.ceil(total / target)

    def _before(self, since_s: float, choose: Callable[[Iterable[int]], int]) -> int:
        """The fewest or the most replicas since then, from which a period's change is counted."""
        self._history = [(s, r) for s, r in self._history if s >= since_s]
        return choose(r for _, r in self._history)

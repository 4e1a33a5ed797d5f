"""Custom resources are what their definitions allow: no field unknown, no value out of its pattern.

TypeScript's check of literals finds fields that nobody knows; the validators find values that the
types let pass. KServe publishes neither, but its Python client has the type of every field.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import pytest

from tests.k8s.rendering import Document, overlay
from tests.tools import need

PACKAGES = {
    "gateway.networking.k8s.io/v1/HTTPRoute": "@kubernetes-models/gateway-api",
    "keda.sh/v1alpha1/ScaledObject": "@kubernetes-models/keda",
    "monitoring.coreos.com/v1/PrometheusRule": "@kubernetes-models/prometheus-operator",
    "monitoring.coreos.com/v1/ServiceMonitor": "@kubernetes-models/prometheus-operator",
}
KSERVE = {
    "serving.kserve.io/v1alpha1/ServingRuntime": "V1alpha1ServingRuntimeSpec",
    "serving.kserve.io/v1beta1/InferenceService": "V1beta1InferenceServiceSpec",
}
VALIDATE = (Path(__file__).parent / "validate.mjs").read_text()


def custom() -> list[Document]:
    """One of each kind."""
    everyone = (*overlay("monitoring"), *overlay("keda"))
    found = {_name(d): d for d in everyone if _name(d) in PACKAGES}
    assert set(found) == set(PACKAGES)
    return list(found.values())


def _name(document: Document) -> str:
    return f"{document['apiVersion']}/{document['kind']}"


# -- those with published types


def complaints_of_validators(documents: list[Document]) -> str:
    ended = subprocess.run(
        ["node", "--input-type=module", "-e", VALIDATE],
        cwd=need("schemas/node_modules").parent,
        input=json.dumps({"known": PACKAGES, "documents": documents}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert not ended.stderr
    assert bool(ended.returncode) is bool(ended.stdout)
    return ended.stdout


def complaints_of_the_compiler(documents: list[Document], tmp_path: Path) -> str:
    schemas = need("schemas/node_modules").parent
    lines = []
    for index, document in enumerate(documents):
        name = _name(document)
        lines += [
            f'import type {{ I{document["kind"]} as T{index} }} from "{PACKAGES[name]}/{name}";',
            f"export const d{index}: T{index} = {json.dumps(document)};",
        ]
    (tmp_path / "check.ts").write_text("\n".join(lines))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").symlink_to(schemas / "node_modules")
    ended = subprocess.run(
        [
            *("node", schemas / "node_modules/typescript/bin/tsc", "--noEmit", "--strict"),
            *("--skipLibCheck", "--module", "nodenext", "check.ts"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not ended.stderr
    assert bool(ended.returncode) is bool(ended.stdout)
    return ended.stdout


def test_every_field_is_known_and_of_its_type(tmp_path: Path) -> None:
    assert complaints_of_the_compiler(custom(), tmp_path) == ""


def test_every_value_is_allowed() -> None:
    assert complaints_of_validators(custom()) == ""


def test_the_checks_would_notice(tmp_path: Path) -> None:
    wrong = json.loads(json.dumps(custom()))
    for document in wrong:
        spec = document["spec"]
        match document["kind"]:
            case "HTTPRoute":
                spec["rules"][0]["timeouts"]["request"] = "forty seconds"
            case "ScaledObject":
                spec["polingInterval"] = 5
            case "PrometheusRule":
                spec["groups"][0]["rules"][0]["alarm"] = "typo"
            case "ServiceMonitor":
                spec["endpoints"][0]["interval"] = "soon"
    said = complaints_of_validators(wrong)
    assert "timeouts/request" in said
    assert "endpoints/0/interval" in said
    compiled = complaints_of_the_compiler(wrong, tmp_path)
    assert "polingInterval" in compiled
    assert "alarm" in compiled


# -- KServe's


class KserveTypes:
    """The fields of KServe's types, read from its client without running it."""

    def __init__(self, models: Path) -> None:
        self._models = models

    def complaints(self, value: object, kind: str, where: str) -> Iterator[str]:
        """What a value has that its type does not."""
        if inner := re.fullmatch(r"list\[(.+)\]", kind):
            if not isinstance(value, list):
                yield f"{where} is no list"
                return
            for index, item in enumerate(value):
                yield from self.complaints(item, inner[1], f"{where}[{index}]")
        elif plain := {"str": str, "int": int, "bool": bool}.get(kind):
            if not isinstance(value, plain):
                yield f"{where} is no {kind}"
        elif kind.startswith(("V1alpha1", "V1beta1")):
            if not isinstance(value, dict):
                yield f"{where} is no {kind}"
                return
            fields = self._fields(kind)
            for key, item in value.items():
                if key not in fields:
                    yield f"{where}.{key} is unknown"
                else:
                    yield from self.complaints(item, fields[key], f"{where}.{key}")
        # Kubernetes' own types are checked as parts of a pod.

    def _fields(self, kind: str) -> dict[str, str]:
        """JSON name to type."""
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower().replace("v1_alpha1", "v1alpha1")
        source = (self._models / f"{name.replace('v1_beta1', 'v1beta1')}.py").read_text()
        tables = {
            target.id: ast.literal_eval(node.value)
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Assign)
            and isinstance(target := node.targets[0], ast.Name)
            and target.id in ("openapi_types", "attribute_map")
        }
        return {tables["attribute_map"][k]: kind for k, kind in tables["openapi_types"].items()}


def kserve_complaints(documents: tuple[Document, ...] | list[Document]) -> list[str]:
    types = KserveTypes(need("kserve/kserve/models"))
    return [
        complaint
        for document in documents
        if (kind := KSERVE.get(_name(document)))
        for complaint in types.complaints(document["spec"], kind, document["kind"])
    ]


def test_kserve_knows_every_field() -> None:
    documents = overlay("kserve")
    assert {_name(d) for d in documents} >= set(KSERVE)
    assert kserve_complaints(documents) == []


def test_kserves_check_would_notice() -> None:
    wrong = json.loads(json.dumps(overlay("kserve")))
    for document in wrong:
        match document["kind"]:
            case "ServingRuntime":
                document["spec"]["supportedModelFormats"][0]["autoPick"] = True
            case "InferenceService":
                document["spec"]["predictor"]["minReplicas"] = "one"
    assert kserve_complaints(wrong) == [
        "ServingRuntime.supportedModelFormats[0].autoPick is unknown",
        "InferenceService.predictor.minReplicas is no int",
    ]


@pytest.mark.parametrize("release", ["1.33", "1.35", "1.37"])
def test_the_runtimes_container_is_one_of_a_pod(release: str) -> None:
    (runtime,) = (d for d in overlay("kserve") if d["kind"] == "ServingRuntime")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "runtime"},
        "spec": {key: runtime["spec"][key] for key in ("containers", "volumes")},
    }
    kubernetes_validate.validate(pod, release, strict=True)

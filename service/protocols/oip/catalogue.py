"""Lanes under the names of the Open Inference Protocol: every graph is a model of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.bundle import Graph, Manifest, TensorSpec
from service.engine.lane import Lane
from service.engine.model import Model
from service.errors import NotFoundError
from service.protocols.oip.datatypes import BYTES, name_of
from service.registry import Registry

PLATFORM = "onnxruntime_onnx"


@dataclass(frozen=True)
class Served:
    """One graph of a loaded model."""

    model: Model
    role: str

    @property
    def manifest(self) -> Manifest:
        return self.model.bundle.manifest

    @property
    def graph(self) -> Graph:
        return self.manifest.graphs[self.role]

    @property
    def lane(self) -> Lane:
        return self.model.lanes[self.role]

    @property
    def name(self) -> str:
        """The bundle's name; with the role behind a dot where the bundle has several graphs."""
        alone = len(self.manifest.graphs) == 1
        return self.manifest.name if alone else f"{self.manifest.name}.{self.role}"

    @property
    def version(self) -> str:
        return str(self.manifest.version)

    def takes_images(self, tensor: TensorSpec) -> bool:
        """Whether encoded images may come instead of this tensor's pixels."""
        return self.manifest.fit is not None and tensor.name == "image" and tensor.dtype == "uint8"

    def takes_texts(self, tensor: TensorSpec) -> bool:
        """Whether texts may come instead of this tensor's tokens."""
        return self.manifest.tokenizer is not None and tensor.name == "tokens"

    def metadata(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": PLATFORM,
            "inputs": [_described(tensor) for tensor in self.graph.inputs],
            "outputs": [_described(tensor) for tensor in self.graph.outputs],
        }

    def config(self) -> dict[str, Any]:
        """What Triton's clients ask for before they make load."""
        return {
            "name": self.name,
            "platform": PLATFORM,
            "backend": "onnxruntime",
            "max_batch_size": self.graph.max_batch,
            "input": [_configured(tensor) for tensor in self.graph.inputs],
            "output": [_configured(tensor) for tensor in self.graph.outputs],
        }


def find(registry: Registry, name: str, version: str) -> Served:
    """The graph that goes by this name; of several versions the newest, if none is given."""
    if version and not version.isdecimal():
        raise NotFoundError(f"{version!r} is no version: they are whole numbers")
    candidates = [
        served
        for served in listed(registry)
        if served.name == name and version in ("", served.version)
    ]
    if not candidates:
        wanted = f"{name}:{version}" if version else name
        known = ", ".join(sorted({served.name for served in listed(registry)}))
        raise NotFoundError(f"no model {wanted!r} is ready; there is {known or 'none'}")
    return max(candidates, key=lambda served: served.manifest.version)


def listed(registry: Registry) -> list[Served]:
    """Every graph of every model that is ready."""
    return [Served(model, role) for model in registry.ready() for role in model.lanes]


def index(registry: Registry) -> list[dict[str, str]]:
    """Every version, served or not, with the reason why not."""
    rows = []
    for entry in registry.entries():
        if entry.model is None:
            row = {"name": entry.ref.name, "version": str(entry.ref.version)}
            rows.append(row | {"state": "UNAVAILABLE", "reason": entry.reason or entry.state})
            continue
        for role in entry.model.lanes:
            served = Served(entry.model, role)
            rows.append({"name": served.name, "version": served.version, "state": "READY"})
    return rows


def _described(tensor: TensorSpec) -> dict[str, Any]:
    shape = [axis if isinstance(axis, int) else -1 for axis in tensor.shape]
    return {"name": tensor.name, "datatype": name_of(tensor.dtype), "shape": shape}


def _configured(tensor: TensorSpec) -> dict[str, Any]:
    """Triton leaves the batch axis out, and calls a string of bytes TYPE_STRING."""
    datatype = name_of(tensor.dtype)
    assert datatype != BYTES
    dims = [axis if isinstance(axis, int) else -1 for axis in tensor.shape[1:]]
    # Triton has no scalar: a value a sample is a vector of one.
    return {"name": tensor.name, "data_type": f"TYPE_{datatype}", "dims": dims or [1]}

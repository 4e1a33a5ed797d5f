"""What a plan is valid for: all of it must be the same, or the plan is of no use."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.bundle import Graph, Manifest
from service.engine.plans.tensorrt import PlanError

BEST_BATCH = 8
"""What a plan is fastest at, where nobody says otherwise."""

Precision = Literal["tf32", "fp32"]
"""How float32 is multiplied. Everything else is as the graph's own types say."""
Word = Annotated[str, Field(min_length=1, max_length=200)]


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(_Fact):
    """Where a plan runs. Plans are of one kind of GPU and one version of TensorRT."""

    gpu: Word
    sm: Annotated[str, Field(pattern=r"^[0-9]{2,3}$")]
    library: Word
    version: Word

    def __str__(self) -> str:
        return f"{self.gpu} (sm {self.sm}), {self.library} {self.version}"


class Profile(_Fact):
    """Batches from 1 to `most`, fastest at `best`."""

    best: int = Field(ge=1)
    most: int = Field(ge=1)

    def __str__(self) -> str:
        return f"batches of 1 to {self.most}, best at {self.best}"


class PlanKey(_Fact):
    graph_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    target: Target
    precision: Precision
    profile: Profile

    @property
    def folder(self) -> str:
        """Readable, and told apart by its digest from any other."""
        words = (self.target.gpu, f"sm{self.target.sm}", self.target.library, self.target.version)
        readable = "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", word).strip("-") for word in words)
        batches = f"b{self.profile.best}-{self.profile.most}"
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]
        return f"{readable[:120]}-{self.precision}-{batches}-{digest}"

    def why_not(self, wanted: PlanKey) -> str:
        """In words, what is wrong with a plan of this key where another is wanted."""
        mine, other = self.target, wanted.target
        if (mine.gpu, mine.sm) != (other.gpu, other.sm):
            return f"for {mine.gpu} (sm {mine.sm}), here is {other.gpu} (sm {other.sm})"
        if (mine.library, mine.version) != (other.library, other.version):
            return f"by {mine.library} {mine.version}, here is {other.library} {other.version}"
        if self.precision != wanted.precision:
            return f"in {self.precision}, not {wanted.precision}"
        if self.profile != wanted.profile:
            return f"for {self.profile}, not {wanted.profile}"
        return "of another graph"


def digest_of(manifest: Manifest, role: str) -> str:
    """What a graph computes: its file's sha256, or one of it and of the weights that lie beside.

    Which of a bundle's other files those are only the graph knows: all that may be are counted.
    """
    graph = manifest.graphs[role].file
    known = {part.file for part in manifest.graphs.values()} | {manifest.golden, manifest.tokenizer}
    beside = sorted(name for name in {*manifest.files} - known if not name.endswith(".md"))
    whole = [manifest.files[name].sha256 for name in (graph, *beside)]
    return hashlib.sha256("".join(whole).encode()).hexdigest() if beside else whole[0]


def profile_of(graph: Graph, best: int = BEST_BATCH) -> Profile:
    """The batches that a graph's plan is made for; PlanError where more than those varies."""
    for tensor in graph.inputs:
        for axis in tensor.shape[1:]:
            if isinstance(axis, str):
                raise PlanError(
                    f"how large {axis!r} of its input {tensor.name!r} may be is not in the manifest"
                )
    return Profile(best=min(best, graph.max_batch), most=graph.max_batch)


def input_shapes(graph: Graph, batch: int) -> dict[str, tuple[int, ...]]:
    """Of a graph whose inputs vary in nothing but the batch."""
    return {t.name: (batch, *(int(axis) for axis in t.shape[1:])) for t in graph.inputs}

"""The manifest of a bundle: all that a server must know of a model, typed."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator

SCHEMA_VERSION: Final = 1
MANIFEST_FILE: Final = "manifest.json"
BATCH_AXIS = "batch"

DType = Literal["uint8", "int8", "int32", "int64", "float16", "float32", "bool"]
Precision = Literal["fp32", "fp16", "int8", "fp8", "fp16-compute"]
"""Of weights and arithmetic, but that `fp16` stores weights so and computes in float32."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]
ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]


class _Part(BaseModel):
    # Infinity is not JSON, and a tolerance of it would let anything pass.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Label(_Part):
    """One class. A thing has instances (a cup); stuff has only extent (the sky)."""

    name: str = Field(min_length=1, max_length=200)
    is_thing: bool = True
    colour: Colour | None = None


class Fit(_Part):
    """How the host brings an image to the size that the graph takes."""

    mode: Literal["stretch", "crop", "letterbox"]
    height: int = Field(ge=1, le=8192)
    width: int = Field(ge=1, le=8192)
    interpolation: Literal["bilinear", "bicubic", "box"] = "bilinear"
    crop_fraction: float = Field(default=1.0, gt=0.0, le=1.0)
    pad_value: tuple[int, int, int] = (114, 114, 114)


class TensorSpec(_Part):
    """One input or output of a graph. A name in the shape stands for a size that may vary."""

    name: str
    dtype: DType
    shape: tuple[int | str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _batch_is_dynamic(self) -> Self:
        if self.shape[0] != BATCH_AXIS:
            raise ValueError(f"{self.name}: the first axis is {self.shape[0]!r}, not 'batch'")
        return self


class Parity(_Part):
    """How far the graph was from PyTorch when it was exported, at one batch size."""

    batch: int = Field(ge=1)
    output: str
    max_abs: float = Field(ge=0.0)
    tolerance: float = Field(gt=0.0)

    @model_validator(mode="after")
    def _within(self) -> Self:
        if not self.max_abs <= self.tolerance:
            raise ValueError(
                f"{self.output} at batch {self.batch} differs by {self.max_abs:.3g}, "
                f"more than {self.tolerance:.3g}"
            )
        return self


class Graph(_Part):
    """One ONNX file and the part that it plays in the task."""

    file: FileName
    precision: Precision
    inputs: tuple[TensorSpec, ...] = Field(min_length=1)
    outputs: tuple[TensorSpec, ...] = Field(min_length=1)
    max_batch: int = Field(ge=1, le=4096)
    golden_tolerance: float = Field(gt=0.0)
    """The largest |engine - PyTorch| on the golden inputs with which the model may serve."""
    golden_tolerances: dict[str, PositiveFloat] = {}
    """The same for outputs of another unit: pixels beside scores, or indices, below 1 for equal."""
    compared_by_share: tuple[str, ...] = ()
    """Outputs whose numbers are names, such as the id of every cell of a map: how far two of them
    are apart is the share of numbers that are not equal."""
    parity: tuple[Parity, ...] = ()

    @model_validator(mode="after")
    def _tolerances_are_of_outputs(self) -> Self:
        named = {*self.golden_tolerances, *self.compared_by_share}
        if strange := named - {t.name for t in self.outputs}:
            raise ValueError(f"tolerances of no output: {', '.join(sorted(strange))}")
        return self

    def tolerance_of(self, output: str) -> float:
        """The golden tolerance of this output."""
        return self.golden_tolerances.get(output, self.golden_tolerance)


class Quality(_Part):
    """One measured figure, with what it was measured on."""

    metric: str
    value: float
    data: str
    command: str = ""


class Provenance(_Part):
    """Where the weights come from."""

    command: str
    created: dt.datetime
    commit: str = ""
    data: str = ""
    seed: int | None = None
    source: str = ""


class FileDigest(_Part):
    sha256: Sha256
    size_bytes: int = Field(ge=0)


class Manifest(_Part):
    """`manifest.json`: written by exporters, read by the server, never changed afterwards."""

    schema_version: Literal[1] = SCHEMA_VERSION
    name: ModelName
    version: int = Field(ge=1)
    task: str = Field(pattern=r"^[a-z]+$")
    summary: str = ""
    labels: tuple[Label, ...] = ()
    fit: Fit | None = None
    graphs: dict[str, Graph] = Field(min_length=1)
    golden: FileName = "golden.npz"
    tokenizer: FileName | None = None
    files: dict[FileName, FileDigest]
    defaults: dict[str, bool | int | float | str] = {}
    quality: tuple[Quality, ...] = ()
    provenance: Provenance
    licence: str = Field(min_length=1)

    @model_validator(mode="after")
    def _every_file_is_listed(self) -> Self:
        named = {self.golden, *(g.file for g in self.graphs.values())}
        named |= {self.tokenizer} if self.tokenizer else set()
        if missing := named - set(self.files):
            raise ValueError(f"files without a sha256: {', '.join(sorted(missing))}")
        if MANIFEST_FILE in self.files:
            raise ValueError(f"{MANIFEST_FILE} cannot hold its own sha256")
        return self

    @property
    def ref(self) -> str:
        return f"{self.name}:{self.version}"


def parse_ref(text: str) -> tuple[str, int | None]:
    """`name` or `name:version` as people type it; ValueError if it is neither."""
    match = re.fullmatch(r"([a-z0-9][a-z0-9._-]*)(?::([1-9][0-9]*))?", text)
    if match is None:
        raise ValueError(f"{text!r} is not a model name, nor name:version")
    name, version = match.groups()
    return name, int(version) if version else None


def example_shape(spec: TensorSpec, batch: int, sizes: Mapping[str, int] = {}) -> tuple[int, ...]:
    """The shape of `spec` at this batch; other symbolic axes take `sizes`, or 1."""
    return (batch, *(a if isinstance(a, int) else sizes.get(a, 1) for a in spec.shape[1:]))

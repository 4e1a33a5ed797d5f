"""Every setting of the server, from `PANOPTES_…` in the environment, read once at start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.access.keys import KeySpec
from service.engine.compute import Compute, Kind
from service.engine.plans.key import BEST_BATCH, Precision
from service.engine.plans.policy import PLAN_CACHE, PlanPolicy

STARTER_PACK = Path(__file__).parent / "starter"


def _usable_cores() -> int:
    # A container's CPU mask, not the host's count.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Settings(BaseSettings):
    """The command line sets the same names; it wins over the environment."""

    model_config = SettingsConfigDict(env_prefix="PANOPTES_", frozen=True, extra="forbid")

    # Where it listens
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    share_port: bool = False
    """Whether other servers may listen on the same port: the system spreads connections among them.
    It is listened on once the models are loaded."""
    grpc_port: int | None = Field(default=None, ge=0, le=65535)
    """Where the Open Inference Protocol is spoken over gRPC too; nowhere without it."""
    admin_port: int | None = Field(default=None, ge=0, le=65535)
    """Where /metrics and POST /models/… are, and then nowhere else; without it beside the rest."""
    admin_host: str | None = None
    """Address of that port; that of the other if not set."""

    # Who may ask
    api_keys: dict[str, KeySpec] = {}
    """Keys by name, hashed. With any, here or in the file, everyone needs one."""
    api_keys_file: Path | None = None
    """A TOML file of the same, made with `panoptes keys new`; read again on SIGHUP."""
    cors_origins: tuple[str, ...] = ()
    """Pages of other servers that may call this one, such as ["https://example.org"]."""

    # What it serves
    repositories: tuple[str, ...] = (str(STARTER_PACK),)
    """Folders or URLs with bundles, as <model>/<version>/. Written as a JSON list."""
    default_models: dict[str, str] = {}
    """Task to the model that answers when a request names none, such as {"classify": "mine"}."""
    cache_dir: Path = Path("~/.cache/panoptes/bundles").expanduser()
    admin: bool = False
    """Whether POST /models/… may load and unload. SIGHUP rescans the repositories either way."""

    # How it computes
    device: Kind = "cpu"
    """Without the GPU that it names the server does not start, unless `allow_cpu` is set."""
    gpus: tuple[int, ...] = Field(default=(0,), min_length=1)
    """Every model is loaded on each of them, and all serve one queue."""
    gpu_slots: int = Field(default=2, ge=1, le=8)
    """Batches that a GPU has at a time: one runs, the others are decoded and copied meanwhile."""
    gpu_memory_bytes: int | None = Field(default=None, ge=1 << 20)
    """The most that ONNX Runtime may take for one graph on one GPU."""
    cuda_graphs: bool = True
    """Replay the launches of a batch instead of making them, where a graph allows it."""
    allow_cpu: bool = False
    """Serve from the processor where the GPU cannot be had."""
    plan_dir: Path = PLAN_CACHE
    """Where TensorRT's plans lie. Whoever may write there can run code in the server."""
    plan_precision: Precision = "tf32"
    """How plans multiply float32."""
    plan_best_batch: int = Field(default=BEST_BATCH, ge=1)
    """The batch that plans are fastest at."""
    plan_effort: int = Field(default=3, ge=0, le=5)
    """How long a build looks for kernels: TensorRT's optimisation level."""
    plan_workspace_bytes: int | None = Field(default=None, ge=1 << 20)
    """GPU memory that a kernel may use for itself; all there is without it."""
    build_plans: bool = True
    """Whether plans that are missing are built while ONNX Runtime answers."""
    workers: int = Field(default_factory=_usable_cores, ge=1)
    queue_capacity: int = Field(default=256, ge=1)
    """Samples that may wait for one model before requests are refused with 429."""
    deadline_ms: int = Field(default=30_000, ge=1)
    """Of a request that sets none with X-Deadline-Ms, where the model's bundle sets none either."""
    generate_deadline_ms: int = Field(default=300_000, ge=1)
    """The same for pictures that are painted."""

    allow_high_priority: bool = True
    """Whether requests may say X-Priority: high."""

    # What it accepts
    max_body_bytes: int = Field(default=64 << 20, ge=1)
    max_image_bytes: int = Field(default=32 << 20, ge=1)
    max_image_pixels: int = Field(default=64_000_000, ge=1)
    max_images: int = Field(default=64, ge=1)
    """Images in one request."""
    max_texts: int = Field(default=1024, ge=1)
    """Texts in one request; for zero-shot classification, labels times templates."""
    max_text_chars: int = Field(default=4096, ge=1)
    """Letters of one text. A model reads fewer, and its tokenizer cuts off what is too much."""
    max_steps: int = Field(default=150, ge=1)
    """Of one picture that is painted. A model may set a lower bound."""
    max_generated_images: int = Field(default=16, ge=1)
    """Pictures of one prompt."""

    # What it remembers
    text_cache_bytes: int = Field(default=64 << 20, ge=0)
    """Outputs of text graphs that are kept, since the same texts come again and again."""

    image_hosts: tuple[str, ...] = ()
    """Hosts that images in JSON may be fetched from by URL: names, or *.name; none without."""
    image_fetch_s: float = Field(default=10.0, gt=0.0)
    """How long all images of one request may take to be fetched."""

    # How it stops
    drain_notice_s: float = Field(default=0.0, ge=0.0)
    """After SIGTERM, how long to go on serving with /readyz at 503 before draining."""
    drain_s: float = Field(default=30.0, ge=0.0)
    """How long requests under way may take to finish."""

    # What it tells
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_requests: Literal["all", "failed", "none"] = "failed"
    otlp_endpoint: str | None = None
    """Where to send OpenTelemetry traces over HTTP; none are made without it."""

    @property
    def compute(self) -> Compute:
        return Compute(
            device=self.device,
            gpus=self.gpus,
            slots=self.gpu_slots,
            gpu_memory_bytes=self.gpu_memory_bytes,
            cuda_graphs=self.cuda_graphs,
            allow_cpu=self.allow_cpu,
            plans=PlanPolicy(
                folder=self.plan_dir,
                precision=self.plan_precision,
                best_batch=self.plan_best_batch,
                optimization_level=self.plan_effort,
                workspace_bytes=self.plan_workspace_bytes,
                build=self.build_plans,
            ),
        )

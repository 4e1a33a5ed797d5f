"""Plans in a folder: <graph's hash>/<key>/ with the plan and what it is, in JSON.

A plan is machine code that TensorRT runs as it is: whoever can write to this folder can run code in
the server. Nothing in it is unpickled.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.engine.plans.key import PlanKey, Target
from service.engine.plans.tensorrt import PlanError

PLAN_FILE = "plan"
FACTS_FILE = "plan.json"
FACTS_MAX_BYTES = 1 << 20


class Facts(BaseModel):
    """What lies beside a plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = Field(default=1, ge=1, le=1)
    key: PlanKey
    graph: str
    """Whose plan it is, for people: name:version/role."""
    sha256: str
    size_bytes: int = Field(ge=0)
    built: dt.datetime
    build_s: float = Field(ge=0.0)
    optimization_level: int
    refused: str = ""
    """Why it must not be used, although it was built: it drifts from the golden outputs."""


@dataclass(frozen=True)
class Found:
    """One folder of the cache."""

    folder: Path
    facts: Facts | None
    problem: str = ""
    """Why nobody can use it."""

    def read(self) -> bytes:
        """The plan; PlanError where it is not the one that was written."""
        if self.facts is None or self.problem:
            raise PlanError(self.problem)
        try:
            plan = (self.folder / PLAN_FILE).read_bytes()
        except OSError as error:
            raise PlanError(f"its file cannot be read: {error.strerror}") from None
        if hashlib.sha256(plan).hexdigest() != self.facts.sha256:
            raise PlanError("its file is not the one that was written: its sha256 differs")
        return plan


class PlanCache:
    """Many processes may share one, on one machine or on a volume: a plan appears whole."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, key: PlanKey) -> Found:
        """The plan of this key; PlanError with the reason where there is none to use."""
        folder = self._folder(key)
        if folder.is_dir():
            found = _look(folder)
            if found.facts is not None and found.facts.key != key:
                raise PlanError("the plan in its place is of another key")
            if found.problem:
                raise PlanError(f"the plan in the cache cannot be used: {found.problem}")
            return found
        others = [
            found.facts.key.why_not(key)
            for found in self.entries(key.graph_sha256)
            if found.facts is not None
        ]
        reason = f"; there is one {'; one '.join(others)}" if others else ""
        raise PlanError(f"no plan was built for {key.target}{reason}")

    def look(self, key: PlanKey) -> Found | None:
        """What was built for this key, be it refused; None where it must be built (again)."""
        folder = self._folder(key)
        found = _look(folder) if folder.is_dir() else None
        if found is None or found.facts is None or found.facts.key != key:
            return None
        return found if found.problem in ("", found.facts.refused) else None

    def store(
        self,
        key: PlanKey,
        plan: bytes,
        *,
        graph: str,
        build_s: float,
        optimization_level: int,
        refused: str = "",
    ) -> Found:
        """Put a plan into its place, whole or not at all. What is there and whole stays, but that
        a plan takes the place of one that was refused, and of one that is broken."""
        facts = Facts(
            key=key,
            graph=graph,
            sha256=hashlib.sha256(plan).hexdigest(),
            size_bytes=len(plan),
            built=dt.datetime.now(dt.UTC).replace(microsecond=0),
            build_s=round(build_s, 2),
            optimization_level=optimization_level,
            refused=refused,
        )
        target = self._folder(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=target.parent))
        try:
            _write(staging / PLAN_FILE, plan)
            _write(staging / FACTS_FILE, facts.model_dump_json(indent=2).encode() + b"\n")
            staging.chmod(0o755)
            for _ in range(2):
                with contextlib.suppress(OSError):  # not empty: somebody was faster
                    staging.rename(target)
                    return Found(target, facts, refused)
                there = _look(target)
                if not there.problem:
                    return there
                _discard(target)
            raise PlanError(f"{target} cannot be written")
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def discard(self, found: Found) -> None:
        """Make room for another of the same key."""
        _discard(found.folder)

    def entries(self, graph_sha256: str | None = None) -> Iterator[Found]:
        """Every plan, of one graph or of all, in order; broken ones too."""
        within = "*" if graph_sha256 is None else graph_sha256[:16]
        for folder in sorted(self.root.glob(f"{within}/*")):
            if folder.is_dir() and not folder.name.startswith("."):
                yield _look(folder)

    # -- how long kernels take: what makes the next build of a similar graph short

    def timings(self, target: Target) -> bytes:
        """Nothing where there are none yet."""
        try:
            return self._timings(target).read_bytes()
        except OSError:
            return b""

    def store_timings(self, target: Target, timings: bytes) -> None:
        """The last writer wins: at worst some kernels are timed once more."""
        self.root.mkdir(parents=True, exist_ok=True)
        path = self._timings(target)
        with tempfile.NamedTemporaryFile(dir=self.root, prefix=".writing-", delete=False) as file:
            try:
                file.write(timings)
                file.flush()
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise

    def _folder(self, key: PlanKey) -> Path:
        return self.root / key.graph_sha256[:16] / key.folder

    def _timings(self, target: Target) -> Path:
        digest = hashlib.sha256(target.model_dump_json().encode()).hexdigest()[:12]
        return self.root / f"timings-sm{target.sm}-{digest}.bin"


def _look(folder: Path) -> Found:
    """What a folder says of its plan. The hash is left for whoever reads it."""
    try:
        with (folder / FACTS_FILE).open("rb") as file:
            facts = Facts.model_validate_json(file.read(FACTS_MAX_BYTES))
        size_bytes = (folder / PLAN_FILE).stat().st_size
    except OSError as error:
        return Found(folder, None, f"it has no {Path(error.filename).name}")
    except ValidationError as error:
        return Found(folder, None, f"{FACTS_FILE}: {error.errors()[0]['msg']}")
    if size_bytes != facts.size_bytes:
        problem = f"it has {size_bytes} of its {facts.size_bytes} bytes"
        return Found(folder, facts, problem)
    return Found(folder, facts, facts.refused)


def _discard(folder: Path) -> None:
    """Out of its place at once, then gone."""
    with contextlib.suppress(OSError):  # another process did it
        away = Path(tempfile.mkdtemp(prefix=".discarded-", dir=folder.parent))
        folder.rename(away / folder.name)
        shutil.rmtree(away, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # a name must not be there before what it names

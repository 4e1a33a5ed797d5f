"""Which models the server has: loading, unloading and finding them while it serves."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from service.bundle import (
    Bundle,
    BundleError,
    BundleRef,
    Repository,
    parse_ref,
    read_bundle,
)
from service.engine.backends import arena
from service.engine.device import Device
from service.engine.model import Model, OpenedModel, open_model
from service.errors import InvalidOptionError, NotFoundError, UnavailableError

log = logging.getLogger(__name__)

State = Literal["loading", "ready", "failed", "unloading", "unloaded"]
T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One version that some repository has, and what became of it."""

    ref: BundleRef
    repository: Repository
    state: State
    reason: str = ""
    model: Model | None = None


class Registry:
    """Owned by the event loop: every change of an entry happens there, loading in a thread.

    A bundle that cannot be served is kept with its reason and does not stop the others.
    """

    def __init__(
        self,
        repositories: Sequence[Repository],
        device: Device,
        *,
        queue_capacity: int,
        default_models: Mapping[str, str],
        check: Callable[[Bundle], None],
    ) -> None:
        self._repositories = repositories
        self._device = device
        self._queue_capacity = queue_capacity
        self._default_models = default_models
        self._check = check
        self._entries: dict[BundleRef, Entry] = {}
        self._found: dict[tuple[str, str | None], Model] = {}
        self._changing = asyncio.Lock()
        self.first_scan = asyncio.Event()
        self.on_ready: list[Callable[[Model], None]] = []
        """Who hears of each model that becomes ready."""
        self.problems: list[str] = []

    # -- finding

    def find(self, task: str, wanted: str | None) -> Model:
        """The model that `wanted` (name or name:version) means, or the task's default."""
        if (found := self._found.get((task, wanted))) is None:
            found = self._found[task, wanted] = self._find(task, wanted)
        return found

    def _find(self, task: str, wanted: str | None) -> Model:
        if wanted is None:
            wanted = self._default_models.get(task)
        name, version = (None, None) if wanted is None else _parse(wanted)
        models = [
            model
            for model in self.ready()
            if model.bundle.manifest.task == task
            and (name is None or model.bundle.manifest.name == name)
            and (version is None or model.bundle.manifest.version == version)
        ]
        if not models:
            raise self._why_not(task, wanted)
        # The first name in the alphabet, and of it the newest version.
        return min(models, key=lambda m: (m.bundle.manifest.name, -m.bundle.manifest.version))

    def ready(self) -> Iterator[Model]:
        return (entry.model for entry in self._entries.values() if entry.model is not None)

    def entries(self) -> list[Entry]:
        return sorted(self._entries.values(), key=lambda entry: entry.ref)

    def versions(self, name: str) -> list[Entry]:
        return [entry for entry in self.entries() if entry.ref.name == name]

    # -- changing

    async def rescan(self) -> None:
        """Load the versions that are new, and unload those that are no longer there."""
        async with self._changing:
            found = await asyncio.to_thread(self._list)
            known = {ref for ref, entry in self._entries.items() if entry.state != "failed"}
            await self._load({ref: where for ref, where in found.items() if ref not in known})
            for ref in [ref for ref in self._entries if ref not in found]:
                await self._unload(ref)
                del self._entries[ref]
            # Measuring took batches far larger than most that will come.
            await asyncio.to_thread(arena.give_back)
            self.first_scan.set()

    async def load(self, name: str, version: int) -> Entry:
        """Load one version, again if it was unloaded or had failed."""
        async with self._changing:
            found = await asyncio.to_thread(self._list)
            ref = BundleRef(name, version)
            if ref not in found:
                raise NotFoundError(f"no repository has {ref}")
            if (entry := self._entries.get(ref)) is None or entry.model is None:
                await self._load({ref: found[ref]})
            return self._entries[ref]

    async def unload(self, name: str, version: int) -> Entry:
        """Let requests under way finish, then give the memory back. It stays unloaded."""
        async with self._changing:
            ref = BundleRef(name, version)
            if ref not in self._entries:
                raise NotFoundError(f"there is no {ref}")
            await self._unload(ref)
            return self._entries[ref]

    async def renew(self, model: Model) -> bool:
        """Open its bundle again and let that take its place: how graphs are run has changed.

        Whether it did: where it cannot be opened, or is no longer served, all stays as it was.
        """
        async with self._changing:
            manifest = model.bundle.manifest
            ref = BundleRef(manifest.name, manifest.version)
            if (entry := self._entries.get(ref)) is None or entry.model is not model:
                return False
            try:
                opened = await asyncio.to_thread(self._open, ref, entry.repository)
                measure = functools.partial(opened.measure, queue_capacity=self._queue_capacity)
                renewed = await asyncio.to_thread(measure)
            except Exception as error:
                log.error("%s stays as it is: it cannot be opened anew: %s", ref, error)
                return False
            self._ready(Entry(ref, entry.repository, "ready", model=renewed))
            del entry
            # Those who hold the old one still use it.
            await model.unused()
            await asyncio.to_thread(model.close, timeout_s=60.0)
            await asyncio.to_thread(_let_go)
            return True

    # --

    def _ready(self, entry: Entry) -> None:
        assert entry.model is not None
        self._enter(entry)
        log.info("%s is ready after %.2f s", entry.ref, entry.model.load_s)
        for hear in self.on_ready:
            hear(entry.model)

    def _enter(self, entry: Entry) -> None:
        self._entries[entry.ref] = entry
        self._found.clear()

    def _list(self) -> dict[BundleRef, Repository]:
        found: dict[BundleRef, Repository] = {}
        self.problems = []
        for repository in self._repositories:
            try:
                for ref in repository.list():
                    found.setdefault(ref, repository)
            except BundleError as error:
                self.problems.append(str(error))
                log.error("%s", error)
        return found

    async def _load(self, wanted: Mapping[BundleRef, Repository]) -> None:
        """Open them side by side, which takes a core each, then measure one after the other."""
        for ref, repository in wanted.items():
            self._enter(Entry(ref, repository, "loading"))
        cores = asyncio.Semaphore(self._device.workers)

        async def open_one(ref: BundleRef, repository: Repository) -> OpenedModel | None:
            async with cores:
                return await self._attempt(ref, repository, lambda: self._open(ref, repository))

        opened = await asyncio.gather(*(open_one(*each) for each in wanted.items()))
        for (ref, repository), model in zip(wanted.items(), opened, strict=True):
            if model is not None:
                await self._measure(ref, repository, model)

    def _open(self, ref: BundleRef, repository: Repository) -> OpenedModel:
        bundle = read_bundle(repository.fetch(ref))
        if bundle.manifest.ref != str(ref):
            raise BundleError(f"its manifest says that it is {bundle.manifest.ref}")
        self._check(bundle)
        return open_model(bundle, self._device)

    async def _measure(self, ref: BundleRef, repository: Repository, opened: OpenedModel) -> None:
        measure = functools.partial(opened.measure, queue_capacity=self._queue_capacity)
        if (model := await self._attempt(ref, repository, measure)) is not None:
            self._ready(Entry(ref, repository, "ready", model=model))

    async def _attempt(
        self, ref: BundleRef, repository: Repository, work: Callable[[], T]
    ) -> T | None:
        """What `work` makes, in a thread; None if it cannot, which the entry then says."""
        try:
            return await asyncio.to_thread(work)
        except BundleError as error:
            self._enter(Entry(ref, repository, "failed", str(error)))
            log.error("%s is not served: %s", ref, error)
        except Exception:
            self._enter(Entry(ref, repository, "failed", "an unexpected error; see logs"))
            log.exception("%s is not served", ref)
        return None

    async def _unload(self, ref: BundleRef) -> None:
        entry = self._entries[ref]
        if entry.model is None:
            return
        # Without its model the entry is no longer found: only those who hold it still use it.
        self._enter(Entry(ref, entry.repository, "unloading"))
        started = time.perf_counter()
        await entry.model.unused()
        await asyncio.to_thread(entry.model.close, timeout_s=60.0)
        self._enter(Entry(ref, entry.repository, "unloaded"))
        del entry
        await asyncio.to_thread(_let_go)
        log.info("%s is unloaded after %.2f s", ref, time.perf_counter() - started)

    def _why_not(self, task: str, wanted: str | None) -> Exception:
        if not self.first_scan.is_set():
            return UnavailableError("models are being loaded")
        names = sorted({m.ref for m in self.ready() if m.bundle.manifest.task == task})
        if wanted is None:
            return NotFoundError(f"no model for {task} is loaded; see /models")
        return NotFoundError(
            f"no model {wanted!r} for {task} is ready; there is {', '.join(names) or 'none'}"
        )


def _parse(wanted: str) -> tuple[str, int | None]:
    try:
        return parse_ref(wanted)
    except ValueError as error:
        raise InvalidOptionError(f"model: {error}") from None


def _let_go() -> None:
    """Of what models left behind."""
    gc.collect()
    arena.give_back()

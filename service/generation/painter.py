"""A model of the task `generate`, as requests use it."""

from __future__ import annotations

import functools
import weakref

from service.bundle import Manifest
from service.engine.lane import Lane
from service.engine.model import Model
from service.generation.contract import sizes_of
from service.generation.preview import preview_of
from service.sampling import Plan, plan, schedule_of

PLANS_KEPT = 256


class Painter:
    """What follows from a model's manifest, and its lanes."""

    def __init__(self, model: Model) -> None:
        # The model owns the painter; a reference back would keep both beyond an unloading.
        self._model = weakref.ref(model)
        self.manifest: Manifest = model.bundle.manifest
        self.digest = model.bundle.digest
        self.sizes = sizes_of(self.manifest)
        self.preview = preview_of(self.manifest.defaults, channels=self.sizes.latents[0])
        schedule = schedule_of(self.manifest.defaults)

        @functools.lru_cache(maxsize=PLANS_KEPT)
        def planned(sampler: str, steps: int, eta: float) -> Plan:
            return plan(sampler, schedule, steps, eta)

        self.plan = planned

    @property
    def model(self) -> Model:
        model = self._model()
        assert model is not None, "who paints holds the model"
        return model

    def lane(self, role: str) -> Lane:
        return self.model.lanes[role]


def painter_of(model: Model) -> Painter:
    """Made once a model; on the event loop only."""
    if (found := _painters.get(model)) is None:
        found = _painters[model] = Painter(model)
    return found


_painters: weakref.WeakKeyDictionary[Model, Painter] = weakref.WeakKeyDictionary()

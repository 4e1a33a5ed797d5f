"""From what a client asks of a painter to what can be painted: the same in every dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.types import Scope

from service.engine.model import Model
from service.generation import (
    TASK,
    GenerateOptions,
    Listener,
    Order,
    Painter,
    Painting,
    Pixels,
    order_of,
    painter_of,
)
from service.protocols.rest import server_timing
from service.protocols.serving import Serving


@dataclass(frozen=True)
class Commission:
    """Checked, and not yet begun. Whoever paints it holds the model."""

    serving: Serving
    model: Model
    painter: Painter
    order: Order
    deadline: float

    def painting(
        self,
        write: Callable[[int, Pixels], bytes],
        *,
        listener: Listener | None = None,
        preview_every: int | None = None,
        **sketching: Callable[[Pixels], bytes],
    ) -> Painting:
        return Painting(
            self.painter,
            self.order,
            deadline=self.deadline,
            texts=self.serving.texts,
            write=write,
            listener=listener,
            preview_every=preview_every,
            **sketching,
        )

    @property
    def headers(self) -> dict[str, str]:
        """What is known before it is painted."""
        return {
            "x-model": self.model.ref,
            "x-model-digest": self.model.bundle.digest,
            "x-seed": str(self.order.seed),
        }


def commission(
    serving: Serving, options: GenerateOptions, arrived: float, headers: Mapping[bytes, bytes]
) -> Commission:
    """RequestError says what cannot be painted, or by whom."""
    model = serving.registry.find(TASK, options.model)
    painter = painter_of(model)
    order = order_of(options, painter.manifest, painter.sizes, serving.settings)
    deadline = serving.deadline(model, arrived, headers)
    return Commission(serving, model, painter, order, deadline)


def timing_of(painting: Painting, scope: Scope) -> str:
    """Server-Timing, with the share of each graph; and what the trace will tell."""
    scope["state"]["timings"] = painting.timings
    graphs = (f"run-{role};dur={s * 1e3:.3f}" for role, s in painting.run_s.items())
    return ", ".join((server_timing(painting.timings), *graphs))

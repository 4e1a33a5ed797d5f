"""From what a client asks of a painter to what can be painted: the same in every dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

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
    most_steps,
    order_of,
    painter_of,
)
from service.generation.painting import PRIORITY
from service.imaging import encode_png
from service.protocols.answer import model_headers, server_timing
from service.protocols.serving import Serving, Terms


@dataclass(frozen=True)
class Commission:
    """Checked, and not yet begun. Whoever paints it holds the model."""

    serving: Serving
    model: Model
    painter: Painter
    order: Order
    terms: Terms

    def painting(
        self,
        write: Callable[[int, Pixels], bytes],
        *,
        listener: Listener | None = None,
        preview_every: int | None = None,
        sketch: Callable[[Pixels], bytes] = encode_png,
    ) -> Painting:
        return Painting(
            self.painter,
            self.order,
            deadline=self.terms.deadline,
            priority=self.terms.priority,
            texts=self.serving.texts,
            write=write,
            sketch=sketch,
            listener=listener,
            preview_every=preview_every,
        )

    def with_steps(self, times: float) -> Commission:
        """With so many times the steps, as far as there may be."""
        most = min(most_steps(self.painter.manifest), self.serving.settings.max_steps)
        steps = min(max(round(self.order.steps * times), 1), most)
        return replace(self, order=replace(self.order, steps=steps))

    @property
    def headers(self) -> dict[str, str]:
        """What is known before it is painted."""
        return {
            **model_headers(self.model),
            "x-seed": str(self.order.seed),
        }


def commission(
    serving: Serving, options: GenerateOptions, arrived: float, headers: Mapping[bytes, bytes]
) -> Commission:
    """RequestError says what cannot be painted, or by whom."""
    model = serving.registry.find(TASK, options.model)
    painter = painter_of(model)
    order = order_of(options, painter.manifest, painter.sizes, serving.settings)
    usual_ms = serving.settings.generate_deadline_ms
    terms = serving.terms(model, arrived, headers, usual=PRIORITY, usual_ms=usual_ms)
    return Commission(serving, model, painter, order, terms)


def timing_of(painting: Painting, scope: Scope) -> str:
    """Server-Timing, with the share of each graph; and what the trace will tell."""
    scope["state"]["timings"] = painting.timings
    graphs = (f"run-{role};dur={s * 1e3:.3f}" for role, s in painting.run_s.items())
    return ", ".join((server_timing(painting.timings), *graphs))

"""POST /classify: by the labels of a classifier, or by words of the request."""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp

from service.engine.forecast import Stage
from service.protocols.body import check_inputs, too_many
from service.protocols.embedding.towers import TRUNCATED, Towers
from service.protocols.rest import Asked, TaskEndpoint
from service.tasks.embed import IMAGE_ROLE, TASK
from service.tasks.zero_shot import ZeroShot, check_words, prompts_of, templates_of


class ClassifyEndpoint(TaskEndpoint):
    """The labels' vectors first, if they are not known already; then the images beside them."""

    def is_one_graph(self, options: Any) -> bool:
        return options.labels is options.template is options.templates is None

    async def _answer(self, asked: Asked) -> ASGIApp:
        options, serving = asked.options, self._serving
        check_words(options)
        if options.labels is None:
            return await super()._answer(asked)
        model = serving.registry.find(TASK, options.model)
        terms = serving.terms(model, asked.arrived, asked.headers)
        templates = templates_of(model.bundle.manifest, options)
        if (count := len(options.labels) * len(templates)) > serving.settings.max_texts:
            raise too_many(count, "labels times templates", serving.settings.max_texts)
        check_inputs(prompts_of(options.labels, templates), serving.settings)
        with model.hold():
            towers = Towers(serving, model, terms, asked.scope)
            images = Stage(model.lanes[IMAGE_ROLE], len(asked.images))
            labels, admitted = await towers.labels(options.labels, templates, images)
            asked.before = towers.timings
            asked.more = TRUNCATED if labels.truncated else {}
            task = ZeroShot(options.labels, labels.values)
            return await self._run(asked, task, model, IMAGE_ROLE, terms, admitted=admitted)

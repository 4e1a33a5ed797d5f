"""POST /rank: texts beside an image, or images beside a text, the likest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.types import ASGIApp, Receive, Scope

from service.errors import InvalidOptionError
from service.protocols.answer import Answer
from service.protocols.embedding.reading import WordsEndpoint, documented_body
from service.protocols.embedding.towers import Embedded, Towers
from service.protocols.problems import Problem, problem_of
from service.protocols.rest import ONE_RED_PIXEL
from service.protocols.route import PROBLEMS, documented_answers, posts_to
from service.protocols.serving import Serving
from service.tasks.embed import TASK, Kind, Ranked, RankOptions, logit_scale_of, softmax


@dataclass(slots=True)
class NotRanked:
    index: Annotated[int, Field(description="Its place among those of its kind, as sent")]
    error: Problem


@dataclass(slots=True)
class Ranking:
    """How like the one is to the others."""

    model: Annotated[str, Field(description="The model and version that answered")]
    query: Annotated[Kind, Field(description="What the results are compared with")]
    results: Annotated[list[Ranked], Field(description="The likest first")]
    failed: Annotated[list[NotRanked], Field(description="What could not be compared")]


def add_rank(router: APIRouter, serving: Serving) -> ASGIApp:
    """POST /rank, documented by its types and answered by the endpoint returned."""
    endpoint = RankEndpoint(serving, RankOptions)

    async def documented(options: Annotated[RankOptions, Query()]) -> None:
        """Never called: its signature is the documentation."""

    problems = {status: text for status, text in PROBLEMS.items() if status != 406}
    router.add_api_route(
        "/rank",
        documented,
        methods=["POST"],
        operation_id="rank",
        summary="Sort texts by an image, or images by a text",
        description=_DESCRIPTION,
        tags=["tasks"],
        response_model=Ranking,
        responses=documented_answers({"application/json": {"example": _EXAMPLE}}, problems),
        openapi_extra={"requestBody": documented_body(_EXAMPLES)},
        route_class_override=posts_to(endpoint),
    )
    return endpoint


class RankEndpoint(WordsEndpoint[RankOptions]):
    async def answer(self, scope: Scope, receive: Receive) -> ASGIApp:
        asked = await self.read(scope, receive)
        query, others = split(asked.inputs)
        model = self.serving.registry.find(TASK, asked.options.model)
        terms = self.serving.terms(model, asked.arrived, asked.headers)
        towers = Towers(self.serving, model, terms, scope)
        with model.hold():
            vectors = await towers.embed([query, *others])
        request_id = scope["state"]["request_id"]
        results = ranked(vectors[0], vectors[1:], logit_scale_of(model.bundle.manifest))
        for result in results:
            other = others[result.index]
            result.text = other if isinstance(other, str) else None
        answer = {
            "model": model.ref,
            "query": vectors[0].kind,
            "results": results[: asked.options.top_k],
            "failed": [
                {"index": index, "error": problem_of(each.error, request_id).model_dump()}
                for index, each in enumerate(vectors[1:])
                if each.error is not None
            ],
        }
        scope["state"]["timings"] = towers.timings
        return Answer(
            model, orjson.dumps(answer), "application/json", towers.timings, more=vectors.headers
        )


def split(inputs: Sequence[bytes | str]) -> tuple[bytes | str, Sequence[bytes | str]]:
    """The one of its kind, and the others; an image where there is one of each."""
    images = [each for each in inputs if isinstance(each, bytes)]
    texts = [each for each in inputs if isinstance(each, str)]
    if len(images) == 1 and texts:
        return images[0], texts
    if len(texts) == 1 and images:
        return texts[0], images
    raise InvalidOptionError(
        f"one image and texts can be ranked, or one text and images; here are {len(images)} images "
        f"and {len(texts)} texts"
    )


def ranked(query: Embedded, others: Sequence[Embedded], logit_scale: float) -> list[Ranked]:
    """The likest first, of equals the one that was sent first; raises where nothing can be said."""
    found = [(index, each) for index, each in enumerate(others) if each.vector is not None]
    if not found:
        others[0].value()
    cosines = np.stack([each.value() for _, each in found]) @ query.value()  # [N]
    shares = softmax(logit_scale * cosines)
    return [
        Ranked(
            kind=found[place][1].kind,
            index=found[place][0],
            score=round(float(np.clip(cosines[place], -1, 1)), 6),
            probability=round(float(shares[place]), 6),
            truncated=found[place][1].truncated,
        )
        for place in np.argsort(-cosines, kind="stable").tolist()
    ]


# -- documentation

_DESCRIPTION = """One image and texts, or one text and images, in a body as for `/embed`; texts may
be in the query too. `score` is the cosine of the two vectors; `probability` the softmax over the
results of the scaled scores: what the model thinks if one of them is right. An image that cannot be
read is in `failed`."""

_EXAMPLES = {
    "a pixel and two texts": {
        "value": {"image": ONE_RED_PIXEL, "texts": ["a red ball", "a blue cube"]}
    }
}
_EXAMPLE: dict[str, Any] = {
    "model": "name:1",
    "query": "image",
    "results": [
        asdict(Ranked("text", 0, 0.3121, 0.9817, "a red ball")),
        asdict(Ranked("text", 1, 0.2719, 0.0183, "a blue cube")),
    ],
    "failed": [],
}

"""Which form of answer a client wants: `format`, else `Accept`, else the first on offer."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from service.errors import NotAcceptableError
from service.tasks.form import Form


def choose_form(accept: bytes, wanted: str | None, offered: Sequence[Form]) -> Form:
    if wanted is None:
        return _by_accept(accept.decode("latin-1"), tuple(offered))
    for form in offered:
        if form.name == wanted:
            return form
    names = ", ".join(form.name for form in offered)
    raise NotAcceptableError(f"{wanted} is no form of this answer; {names} are")


@functools.lru_cache(maxsize=256)
def _by_accept(accept: str, offered: tuple[Form, ...]) -> Form:
    """RFC 9110, 12.5.1: the highest weight wins, the more specific range decides a weight."""
    ranges = [_parse_range(part) for part in accept.split(",") if part.strip()]
    if not ranges:
        return offered[0]
    weights = {form: _weight(form.media_type, ranges) for form in offered}
    best = max(offered, key=lambda form: weights[form])  # of equals the first
    if weights[best] <= 0.0:
        types = ", ".join(form.media_type for form in offered)
        raise NotAcceptableError(f"this answer comes as {types}; none of it is accepted")
    return best


def _weight(media_type: str, ranges: list[tuple[str, float]]) -> float:
    main = media_type.split("/")[0]
    matches = {
        specificity: q
        for name, q in ranges
        for specificity, pattern in enumerate(("*/*", f"{main}/*", media_type))
        if name == pattern
    }
    return matches[max(matches)] if matches else 0.0


def _parse_range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip() for part in text.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            try:
                return name.lower(), min(max(float(value), 0.0), 1.0)
            except ValueError:
                return name.lower(), 0.0
    return name.lower(), 1.0

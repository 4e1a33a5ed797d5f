import pytest

from service.errors import NotAcceptableError
from service.protocols.negotiate import choose_form
from service.tasks.form import JSON, PNG

BOTH = (JSON, PNG)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("image/png", "png"),
        ("image/*", "png"),
        ("IMAGE/PNG", "png"),
        ("text/html, application/json", "json"),
        ("application/json;q=0.5, image/png", "png"),
        ("application/json;q=0.5, image/png;q=0.4", "json"),
        ("*/*;q=0.1, image/png", "png"),
        ("application/json;q=0, */*", "png"),
        ("image/png;q=oops, application/json;q=0.1", "json"),
    ],
)
def test_the_form_that_is_wanted_most_is_chosen(accept: str, form: str) -> None:
    assert choose_form(accept.encode(), None, BOTH).name == form


def test_the_option_wins_over_the_header() -> None:
    assert choose_form(b"application/json", "png", BOTH) is PNG


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0, image/png;q=0.0"])
def test_what_nobody_accepts_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptableError, match="application/json, image/png"):
        choose_form(accept.encode(), None, BOTH)


def test_a_form_that_is_not_offered_is_refused() -> None:
    with pytest.raises(NotAcceptableError):
        choose_form(b"*/*", "png", (JSON,))

"""Who is told that a client went away, and when."""

from typing import Any

import pytest

from service.errors import ClientGoneError
from service.protocols.departure import IfGone, left


def test_who_went_away_before_is_not_worked_for() -> None:
    scope: dict[str, Any] = {"state": {}}
    left(scope)
    with pytest.raises(ClientGoneError), IfGone(scope, lambda: None):
        raise AssertionError("the work was begun")


def test_who_goes_away_is_told_of_once_and_only_while_someone_works_for_him() -> None:
    told: list[int] = []
    scope: dict[str, Any] = {"state": {}}
    with IfGone(scope, lambda: told.append(1)):
        pass
    with IfGone(scope, lambda: told.append(2)):
        left(scope)
        left(scope)
    assert told == [2]

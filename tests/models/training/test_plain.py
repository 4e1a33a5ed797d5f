from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from models.training.plain import RecipeError, from_plain, to_plain, with_overrides


@dataclass(frozen=True)
class Inner:
    rate: float
    kind: Literal["a", "b"] = "a"

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ValueError(f"rate must be above 0, got {self.rate}")


@dataclass(frozen=True)
class Outer:
    inner: Inner
    size: tuple[int, int] = (1, 2)
    names: tuple[str, ...] = ()
    limit: int | None = None
    keys: Mapping[int | str, float] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    flag: bool = False


FULL: dict[str, Any] = {
    "inner": {"rate": 0.5, "kind": "b"},
    "size": [3, 4],
    "names": ["x", "y", "z"],
    "limit": 7,
    "keys": {0: 0.1, "head": 2},
    "extra": {"channels": [1, 2]},
    "flag": True,
}


def test_nested_data_becomes_dataclasses() -> None:
    built = from_plain(Outer, FULL)
    assert built.inner == Inner(0.5, "b")
    assert built.size == (3, 4) and built.names == ("x", "y", "z")
    assert built.keys == {0: 0.1, "head": 2.0}


def test_plain_data_survives_the_way_there_and_back() -> None:
    built = from_plain(Outer, {k: v for k, v in FULL.items() if k != "keys"})
    assert from_plain(Outer, to_plain(built)) == built


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"iner": {"rate": 1}}, "did you mean 'inner'"),
        ({"inner": {"rate": 1, "zzz": 0}}, r"recipe\.inner: unknown key 'zzz'; the keys are rate"),
        ({}, "missing inner"),
        ({"inner": {"rate": "fast"}}, r"recipe\.inner\.rate: expected float, got 'fast'"),
        ({"inner": {"rate": 1, "kind": "c"}}, r"kind: 'c' is none of 'a', 'b'"),
        ({"inner": {"rate": -1}}, r"recipe\.inner: rate must be above 0, got -1"),
        ({"inner": {"rate": 1}, "size": [1]}, "size: expected 2 values"),
        ({"inner": {"rate": 1}, "limit": "x"}, "limit: expected int"),
        ({"inner": {"rate": 1}, "limit": True}, "limit: expected int, got True"),
        ({"inner": {"rate": 1}, "flag": 1}, "flag: expected bool"),
        ({"inner": 3}, "expected a mapping of Inner"),
    ],
)
def test_what_does_not_fit_is_named(data: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        from_plain(Outer, data)


def test_a_number_that_yaml_takes_for_text_is_a_number() -> None:
    assert from_plain(Inner, {"rate": "1e-3"}).rate == 1e-3


def test_overrides_reach_into_the_mapping_and_leave_it_alone() -> None:
    data = {"a": {"b": 1}}
    changed = with_overrides(data, ["a.b=2", "a.c=[1, 2]", "d.e=text", "f=null"])
    assert changed == {"a": {"b": 2, "c": [1, 2]}, "d": {"e": "text"}, "f": None}
    assert data == {"a": {"b": 1}}


@pytest.mark.parametrize("override", ["nonsense", "=3", "a.b.c=1"])
def test_an_override_that_says_nothing_is_refused(override: str) -> None:
    with pytest.raises(RecipeError):
        with_overrides({"a": {"b": 1}}, [override])

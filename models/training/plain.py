"""Frozen dataclasses from plain data (YAML, JSON), strictly, and back."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union

T = TypeVar("T")


class RecipeError(ValueError):
    """Plain data does not fit the dataclass; the message names the key and what would fit."""


def from_plain(cls: type[T], data: Any, where: str = "recipe") -> T:
    """Build the dataclass `cls` from nested mappings; unknown and missing keys are errors."""
    if not isinstance(data, Mapping):
        raise RecipeError(f"{where}: expected a mapping of {cls.__name__}, got {data!r}")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for key in data:
        if key not in fields:
            raise RecipeError(f"{where}: {_unknown(str(key), fields)}")
    values = {k: _convert(hints[k], v, f"{where}.{k}") for k, v in data.items()}
    required = [n for n, f in fields.items() if _is_required(f) and n not in values]
    if required:
        raise RecipeError(f"{where}: missing {', '.join(required)}")
    try:
        return cls(**values)
    except RecipeError:
        raise
    except ValueError as error:
        raise RecipeError(f"{where}: {error}") from error


def to_plain(value: Any) -> Any:
    """Nested dicts, lists, strings, numbers, booleans and None: what JSON and YAML can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    return value


def with_overrides(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`data` with `a.b.c=value` assignments applied; each value is read as YAML."""
    import yaml

    result: dict[str, Any] = _copied(data)
    for override in overrides:
        path, separator, text = override.partition("=")
        if not separator or not path:
            raise RecipeError(f"{override!r} is not key=value")
        *parents, last = path.split(".")
        node = result
        for parent in parents:
            if node.get(parent) is None:
                node[parent] = {}
            node = node[parent]
            if not isinstance(node, dict):
                raise RecipeError(f"{override!r}: {parent} holds {node!r}, not a mapping")
        node[last] = yaml.safe_load(text)
    return result


def _copied(value: Any) -> Any:
    return {k: _copied(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _unknown(key: str, fields: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(key, fields, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(fields)}"
    return f"unknown key {key!r}; {hint}"


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(arguments, value, where)
    if origin is Literal:
        if value not in arguments:
            raise RecipeError(f"{where}: {value!r} is none of {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise RecipeError(f"{where}: expected a mapping, got {value!r}")
        kind, element = arguments
        return {
            _convert(kind, k, where): _convert(element, v, f"{where}.{k}") for k, v in value.items()
        }
    if dataclasses.is_dataclass(hint):
        return from_plain(typing.cast(type[Any], hint), value, where)
    return _convert_scalar(hint, value, where)


def _convert_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    errors = []
    for argument in arguments:
        if argument is not type(None):
            try:
                return _convert(argument, value, where)
            except RecipeError as error:
                errors.append(str(error))
    raise RecipeError("; or ".join(errors))


def _convert_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise RecipeError(f"{where}: expected a list, got {value!r}")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        kinds: Sequence[Any] = [arguments[0]] * len(value)
    elif len(arguments) == len(value):
        kinds = arguments
    else:
        raise RecipeError(f"{where}: expected {len(arguments)} values, got {value!r}")
    return tuple(
        _convert(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True))
    )


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, str):
        # YAML 1.1 reads 1e-3 as a string: it wants 1.0e-3.
        try:
            return float(value)
        except ValueError:
            pass
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise RecipeError(f"{where}: expected {hint.__name__}, got {value!r}")
    return value

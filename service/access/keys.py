"""API keys: made once, stored as hashes, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

Scope = Literal["infer", "admin"]

PREFIX = "panoptes_"
"""So that people, and scanners for leaked secrets, know one when they see it."""
KEY_BYTES = 32


class KeySpec(BaseModel):
    """What is stored of a key. Keys are random, not chosen: one round of SHA-256 is enough."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    scopes: frozenset[Scope] = frozenset({"infer"})
    per_minute: Annotated[int | None, Field(ge=1)] = None
    """Requests a minute, in bursts of at most as many."""
    at_once: Annotated[int | None, Field(ge=1)] = None
    """Requests under way at the same time."""


class KeyFileError(ValueError):
    """A file of keys that cannot be used, with the reason."""


def make_key() -> str:
    return PREFIX + secrets.token_urlsafe(KEY_BYTES)


def hash_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> dict[str, KeySpec]:
    """The keys in a TOML file, a table each: its name, sha256, scopes and limits."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(dict[str, KeySpec]).validate_python(document)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise KeyFileError(f"{path}: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise KeyFileError(f"{path}: {where}: {first['msg'].lower()}") from None


def find_key(keys: Mapping[str, KeySpec], presented: str) -> str | None:
    """The name of the key that was presented; how long this takes says nothing about which."""
    digest = hash_key(presented).encode()
    found = None
    for name, spec in keys.items():
        if hmac.compare_digest(spec.sha256.encode(), digest):
            found = name
    return found

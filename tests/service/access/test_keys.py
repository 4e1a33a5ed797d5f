from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.access.keys import KeyFileError, KeySpec, find_key, hash_key, make_key, read_keys
from service.commands.keys import app


def test_keys_are_long_random_and_marked() -> None:
    keys = {make_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("panoptes_") and len(key) >= 50 for key in keys)


def test_a_key_is_found_by_its_hash_alone() -> None:
    keys = {name: KeySpec(sha256=hash_key(f"key of {name}")) for name in ("a", "b", "c")}
    assert find_key(keys, "key of b") == "b"
    assert find_key(keys, "key of d") is None
    assert find_key(keys, keys["b"].sha256) is None
    assert keys["b"].sha256 == hashlib.sha256(b"key of b").hexdigest()


def test_what_the_command_prints_is_what_the_server_reads(tmp_path: Path) -> None:
    options = ["--scope", "infer", "--scope", "admin", "--per-minute", "60", "--at-once", "4"]
    made = CliRunner().invoke(app, ["new", "cameras", *options])
    assert made.exit_code == 0
    file = tmp_path / "keys.toml"
    file.write_text(made.stdout)
    key = made.stderr.split()[-1]
    keys = read_keys(file)
    assert find_key(keys, key) == "cameras"
    assert keys["cameras"].scopes == {"infer", "admin"}
    assert (keys["cameras"].per_minute, keys["cameras"].at_once) == (60, 4)
    assert key not in made.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a]\nsha256 = 'short'\n", "a.sha256"),
        ("[a]\nsha256 = '" + "0" * 64 + "'\nscopes = ['all']\n", "a.scopes"),
        ("[a]\nscopes = ['infer']\n", "a.sha256: field required"),
        ("[a\n", "keys.toml"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(text)
    with pytest.raises(KeyFileError, match=said):
        read_keys(file)


def test_a_missing_file_is_an_error_and_no_open_door(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="No such file"):
        read_keys(tmp_path / "none.toml")

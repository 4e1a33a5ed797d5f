"""A published CLIP's tokenizer, in any of the forms it is handed on in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer, pre_tokenizers

from exporters.errors import CheckpointError
from models.clip.tokenizing import BOS, EOS, clip_tokenizer, of_length

#: What may lie beside the weights, the most telling first.
FILES: Final = ("tokenizer.json", "vocab.json", "merges.txt")

#: OpenAI's file of merges, of which only so many are used: 49,152 ids less bytes and ends.
OPENAI_FILE: Final = "bpe_simple_vocab_16e6.txt.gz"
_OPENAI_MERGES: Final = 49_152 - 256 - 2


def read_tokenizer(place: Path, length: int) -> Tokenizer:
    """`tokenizer.json`, OpenAI's gzipped merges, or a folder with these or vocab and merges.

    It gives exactly `length` ids, whatever length it was stored with.
    """
    try:
        return _read(place, length)
    except (OSError, KeyError, ValueError) as error:
        raise CheckpointError(f"{place} holds no tokenizer of a CLIP: {error}") from error
    except Exception as error:  # the library raises nothing narrower for a file it cannot parse
        raise CheckpointError(f"{place} is no tokenizer: {error}") from error


def _read(place: Path, length: int) -> Tokenizer:
    if place.suffix == ".gz":
        return _openai(place, length)
    if place.is_file():
        return of_length(Tokenizer.from_file(str(place)), length)
    whole, vocab, merges = (place / name for name in FILES)
    if whole.is_file():
        return of_length(Tokenizer.from_file(str(whole)), length)
    if vocab.is_file() and merges.is_file():
        units: dict[str, int] = json.loads(vocab.read_text(encoding="utf-8"))
        return clip_tokenizer(units, _pairs(merges.read_text(encoding="utf-8")), length)
    if (place / OPENAI_FILE).is_file():
        return _openai(place / OPENAI_FILE, length)
    raise ValueError(f"there is neither {whole.name}, nor {vocab.name} and {merges.name}")


def _openai(path: Path, length: int) -> Tokenizer:
    """The ids are not in the file: they follow from the order of bytes and merges."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        merges = _pairs(file.read())[:_OPENAI_MERGES]
    letters = _byte_letters()
    units = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges), BOS, EOS]
    return clip_tokenizer({unit: index for index, unit in enumerate(units)}, merges, length)


def _pairs(text: str) -> list[tuple[str, str]]:
    """The merges of a file, whose first line says its version."""
    pairs = []
    for line in text.splitlines()[1:]:
        first, _, second = line.strip().partition(" ")
        if second:
            pairs.append((first, second))
    return pairs


def _byte_letters() -> list[str]:
    """GPT-2's letters for the 256 bytes: those that print as themselves first, then the others."""
    own = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(0xAE, 0x100)]
    letters = [chr(byte) for byte in own] + [chr(256 + n) for n in range(256 - len(own))]
    assert set(letters) == set(pre_tokenizers.ByteLevel.alphabet())
    return letters

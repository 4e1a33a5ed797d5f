"""Byte-level BPE: learnt from captions, shipped, or read in the form that published CLIPs have.

Every tokenizer here begins a text with BOS, ends it with EOS, cuts it to its length and pads it
there: `encode` gives exactly `length` ids, whatever it is given.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

BOS, EOS = "<|startoftext|>", "<|endoftext|>"

#: OpenAI's: contractions, letters, single digits, runs of anything else.
_CLIP_WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


def train_tokenizer(texts: Iterable[str], *, length: int, vocabulary: int = 4096) -> Tokenizer:
    """A byte-level BPE of the texts' words; frequent words become single tokens.

    Every byte is in the alphabet, so that no text is unknown. `vocabulary` is the most ids that
    there may be; a small world needs fewer.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = _lower_case(strip=True)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return of_length(tokenizer, length)


def clip_tokenizer(vocab: dict[str, int], merges: list[tuple[str, str]], length: int) -> Tokenizer:
    """OpenAI's tokenizer from its vocabulary and merges, as vocab.json and merges.txt hold them."""
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocab,
            merges=merges,
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            unk_token=EOS,
        )
    )
    tokenizer.normalizer = _lower_case(strip=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CLIP_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([BOS, EOS])
    return of_length(tokenizer, length)


def of_length(tokenizer: Tokenizer, length: int) -> Tokenizer:
    """The tokenizer, made to give exactly `length` ids: BOS, the text, EOS, and more EOS as pad."""
    bos_id, eos_id = special_ids(tokenizer)
    tokenizer.post_processor = TemplateProcessing(
        single=f"{BOS} $A {EOS}", special_tokens=[(BOS, bos_id), (EOS, eos_id)]
    )
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length, pad_id=eos_id, pad_token=EOS)
    return tokenizer


def special_ids(tokenizer: Tokenizer) -> tuple[int, int]:
    """The ids of BOS and EOS."""
    bos_id, eos_id = tokenizer.token_to_id(BOS), tokenizer.token_to_id(EOS)
    if bos_id is None or eos_id is None:
        raise ValueError(f"this tokenizer knows no {BOS} and {EOS}")
    return bos_id, eos_id


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> torch.Tensor:
    """int64 [N, T]"""
    return torch.tensor([row.ids for row in tokenizer.encode_batch(list(texts))])


def shipped_tokenizer(name: str = "tabletop") -> Tokenizer:
    """A tokenizer that comes with the package; `tabletop` knows every word of the world."""
    path = Path(__file__).parent / "tokenizers" / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.json")))
        raise ValueError(f"no tokenizer {name!r} comes with the package; there is {known}")
    return Tokenizer.from_file(str(path))


def tokenizer_document(tokenizer: Tokenizer) -> dict[str, Any]:
    """The tokenizer as JSON values, which a checkpoint's description holds."""
    document: dict[str, Any] = json.loads(tokenizer.to_str())
    return document


def tokenizer_from(document: dict[str, Any]) -> Tokenizer:
    """Undoes `tokenizer_document`."""
    return Tokenizer.from_str(json.dumps(document))


def _lower_case(*, strip: bool) -> normalizers.Normalizer:
    steps = [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    return normalizers.Sequence([*steps, *([normalizers.Strip()] if strip else [])])

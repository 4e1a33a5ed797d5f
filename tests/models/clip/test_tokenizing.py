import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from models.clip.tokenizing import (
    BOS,
    EOS,
    clip_tokenizer,
    encode,
    of_length,
    shipped_tokenizer,
    special_ids,
    tokenizer_document,
    tokenizer_from,
    train_tokenizer,
)
from models.data.world import VOCABULARY

TEXTS = ["A photo of  a Red\nball", "don't: 42 café — naïve 東京", "", "x" * 400, "<|endoftext|> a"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["a red ball", "two green cubes", "a red cube"] * 3, length=12)


def test_any_text_gives_exactly_its_length_between_bos_and_eos(tokenizer: Tokenizer) -> None:
    bos_id, eos_id = special_ids(tokenizer)
    ids = encode(tokenizer, TEXTS)
    assert ids.shape == (len(TEXTS), 12)
    assert bool((ids[:, 0] == bos_id).all()) and bool((ids == eos_id).any(1).all())
    assert ids[2].tolist() == [bos_id, *[eos_id] * 11]
    assert ids[3, -1] == eos_id and not bool((ids[3, 1:-1] == eos_id).any())


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=20))
def test_no_text_is_unknown(text: str) -> None:
    tokenizer = shipped_tokenizer()
    long = of_length(Tokenizer.from_str(tokenizer.to_str()), 400)
    ids = [i for i in long.encode(text).ids if i not in special_ids(long)]
    normal = tokenizer.normalizer.normalize_str(text)
    without = normal.replace(BOS, "").replace(EOS, "")
    assert without != normal or long.decode(ids).strip() == normal.strip()


def test_frequent_words_are_single_tokens(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("red ball").tokens[1:3] == ["Ġred", "Ġball"]


def test_the_shipped_tokenizer_knows_every_word_of_the_world() -> None:
    tokenizer = shipped_tokenizer()
    for word in VOCABULARY:
        assert tokenizer.encode(word).tokens[2] == EOS, word
    with pytest.raises(ValueError, match="tabletop"):
        shipped_tokenizer("klingon")


def test_a_checkpoint_carries_it(tokenizer: Tokenizer) -> None:
    document = json.loads(json.dumps(tokenizer_document(tokenizer)))
    again = tokenizer_from(document)
    assert encode(again, TEXTS).tolist() == encode(tokenizer, TEXTS).tolist()


def test_a_tokenizer_without_both_ends_is_refused(tmp_path: Path) -> None:
    from tokenizers import models

    with pytest.raises(ValueError, match="startoftext"):
        of_length(Tokenizer(models.BPE()), 8)


def test_clips_vocabulary_and_merges_read_as_transformers_reads_them() -> None:
    from transformers import CLIPTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz0123456789'.,:-"
    units = [*letters, *(f"{letter}</w>" for letter in letters)]
    merges = [("r", "e"), ("re", "d</w>"), ("b", "a"), ("ba", "l"), ("bal", "l</w>"), ("t", "h")]
    vocab = {unit: i for i, unit in enumerate([*units, *("".join(m) for m in merges), BOS, EOS])}
    theirs = CLIPTokenizer(vocab=vocab, merges=merges)
    texts = ["A red ball.", "the  RED  balls, 42: don't", "", "red " * 30]
    expected = theirs(texts, padding="max_length", truncation=True, max_length=16)["input_ids"]
    assert encode(clip_tokenizer(vocab, merges, 16), texts).tolist() == expected

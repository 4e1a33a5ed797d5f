import pytest
import torch

from models.clip.contrasts import ContrastSpec, draw_exchange, exchange_words

SPEC = ContrastSpec(
    (("red", "green", "orange"), ("ball", "cube"), ("left", "right"), ("in front of", "behind")),
    joins=(",", "and", "beside"),
)


def drawn(text: str, spec: ContrastSpec = SPEC) -> set[str]:
    generator = torch.Generator().manual_seed(0)
    found = (draw_exchange(spec, text, generator) for _ in range(200))
    return {text if each is None else exchange_words(text, each) for each in found}


def test_one_word_becomes_another_of_its_kind_and_articles_follow() -> None:
    assert drawn("a red ball") == {"a green ball", "an orange ball", "a red cube"}


def test_what_is_exchanged_is_no_longer_true() -> None:
    found = drawn("a red ball and a green cube")
    assert "a green ball and a red cube" in found
    assert "a red cube and a green ball" in found
    assert "a green cube and a red ball" not in found
    # The same the other way round: no contrast.
    assert "a green ball and a red ball" not in drawn("a red ball and a green ball")
    assert "a green ball beside a red ball" not in drawn("a red ball beside a green ball")


def test_a_relation_turns_round() -> None:
    assert "a red ball behind a red cube" in drawn("a red ball in front of a red cube")
    turned = drawn("a red ball to the left of a green ball")
    assert {
        "a red ball to the right of a green ball",
        "a green ball to the left of a red ball",
    } <= turned


def test_a_text_without_such_words_has_no_contrast() -> None:
    assert drawn("nothing of the kind") == {"nothing of the kind"}
    assert drawn("redder balls") == {"redder balls"}


def test_articles_stay_where_they_were_wrong() -> None:
    assert exchange_words("a photo of a orange ball", {"ball": "cube"}) == (
        "a photo of a orange cube"
    )


def test_a_kind_of_one_word_is_refused() -> None:
    with pytest.raises(ValueError, match="two words"):
        ContrastSpec((("red",),))

"""Captions that are false but nearly true: the negatives that teach which word belongs to what.

A contrast exchanges words of one kind: the colour of one thing for another colour, or the colours
of two things for one another (Yuksekgonul et al. 2023, who found that CLIP reads bags of words).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator

Exchange = Mapping[str, str]


@dataclass(frozen=True)
class ContrastSpec:
    """Which words exclude one another, and which words join phrases whose order says nothing.

    `kinds` are groups of words or phrases of which one cannot be true where another is. `joins`
    matter for swaps: "a red ball and a green ball" is the same the other way round.
    """

    kinds: tuple[tuple[str, ...], ...] = ()
    joins: tuple[str, ...] = (",", "and")

    def __post_init__(self) -> None:
        if any(len(kind) < 2 for kind in self.kinds):
            raise ValueError(f"a kind needs two words to exchange, got {self.kinds}")


def draw_exchange(spec: ContrastSpec, text: str, generator: Generator) -> Exchange | None:
    """One way to make the text false, drawn at random; None where no kind has a word in it."""
    present = [(kind, [word for word in kind if _finds(word, text)]) for kind in spec.kinds]
    present = [(kind, words) for kind, words in present if words]
    if not present:
        return None
    kind, words = present[_draw(len(present), generator)]
    if len(words) > 1 and _draw(2, generator):
        first = words.pop(_draw(len(words), generator))
        second = words[_draw(len(words), generator)]
        swap = {first: second, second: first}
        if _content(spec, exchange_words(text, swap)) != _content(spec, text):
            return swap
        words.append(first)
    old = words[_draw(len(words), generator)]
    strangers = [word for word in kind if word not in words]
    if not strangers:
        return None
    return {old: strangers[_draw(len(strangers), generator)]}


def exchange_words(text: str, exchange: Exchange) -> str:
    """Put each word of the exchange in the other's place; articles follow if they were right."""
    pattern = "|".join(rf"\b{re.escape(word)}\b" for word in exchange)
    changed = re.sub(pattern, lambda found: exchange[found[0]], text)
    return _with_right_articles(changed) if _with_right_articles(text) == text else changed


def _with_right_articles(text: str) -> str:
    return re.sub(r"\ban?(?= ([a-z]))", lambda m: "an" if m[1] in "aeiou" else "a", text)


def _content(spec: ContrastSpec, text: str) -> list[str]:
    """What is said, whatever the order in which it is joined."""
    joins = "|".join(rf"\b{re.escape(j)}\b" if j[0].isalpha() else re.escape(j) for j in spec.joins)
    return sorted(part.strip() for part in re.split(joins, text)) if joins else [text]


def _finds(word: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", text) is not None


def _draw(count: int, generator: Generator) -> int:
    return int(torch.randint(count, (), generator=generator))

"""The batches that training draws: images, what is said of them, and what is false of them."""

import hashlib
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Generator, Tensor

from models.classification.augment import NO_AUGMENT, AugmentSpec, augment_pixels, draw_windows
from models.clip.contrasts import draw_exchange, exchange_words
from models.clip.recipe import WordingSpec
from models.clip.tokenizing import encode
from models.data.captioned import CaptionedImages
from models.training.batches import ShuffledBatches

# Legend: B batch, T tokens, H W pixels.


class Said(NamedTuple):
    """A text, and the bare one that means the same."""

    text: str
    bare: str


class CaptionBatches(ShuffledBatches[CaptionedImages]):
    """Shuffled and augmented batches, addressed by step."""

    def __init__(
        self,
        images: CaptionedImages,
        tokenizer: Tokenizer,
        *,
        size: tuple[int, int],
        batch_size: int,
        augment: AugmentSpec,
        wording: WordingSpec,
        seed: int,
    ) -> None:
        super().__init__(images, batch_size=batch_size, seed=seed)
        self._tokenizer = tokenizer
        self._size = size
        self._augment = augment
        self._wording = wording

    def make(self, step: int, indices: Tensor, generator: Generator) -> dict[str, Tensor]:
        """`image` uint8 [B, H, W, 3]; `tokens` int64 [B, T] and `meanings` int64 [B] of the texts.

        Where there are contrasts, `false_tokens` and `false_meanings` of as many false texts; a
        text without one has itself there, which the loss leaves out.
        """
        mirrored = torch.rand(len(indices), generator=generator) < self._wording.mirrored
        said = [
            self._word(index, turned, generator)
            for index, turned in zip(indices.tolist(), mirrored.tolist(), strict=True)
        ]
        batch = {
            "image": self._read(indices, mirrored, generator),
            "tokens": encode(self._tokenizer, [one.text for one in said]),
            "meanings": meanings([one.bare for one in said]),
        }
        if self._wording.contrasts.kinds:
            false = [self._falsify(one, generator) for one in said]
            batch["false_tokens"] = encode(self._tokenizer, [one.text for one in false])
            batch["false_meanings"] = meanings([one.bare for one in false])
        return batch

    def _read(self, indices: Tensor, mirrored: Tensor, generator: Generator) -> Tensor:
        if self._augment == NO_AUGMENT:
            pixels = self.samples.read(indices, self._size)
            return torch.where(mirrored[:, None, None, None], pixels.flip(2), pixels)
        windows = draw_windows(self._augment, len(indices), generator)
        pixels = self.samples.read(indices, self._size, windows)
        pixels = torch.where(mirrored[:, None, None, None], pixels.flip(2), pixels)
        return augment_pixels(self._augment, pixels, generator)

    def _word(self, index: int, mirrored: bool, generator: Generator) -> Said:
        wording, texts = self._wording, self.samples.texts(index)
        text = texts[_draw(len(texts), generator)] if len(texts) > 1 else texts[0]
        if mirrored:
            sides = {a: b for pair in wording.sides for a, b in (pair, pair[::-1])}
            texts = tuple(exchange_words(each, sides) for each in (texts[0], text))
            text = texts[1]
        if len(texts) == 1 and float(torch.rand((), generator=generator)) < wording.prefixed:
            text = wording.prefixes[_draw(len(wording.prefixes), generator)] + text
        return Said(text, texts[0])

    def _falsify(self, said: Said, generator: Generator) -> Said:
        exchange = draw_exchange(self._wording.contrasts, said.bare, generator)
        if exchange is None:
            return said
        return Said(exchange_words(said.text, exchange), exchange_words(said.bare, exchange))


def meanings(texts: list[str]) -> Tensor:
    """A number for every text, the same for equal ones on every machine: int64 [N]."""
    digests = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts]
    return torch.tensor([int.from_bytes(d, "big", signed=True) for d in digests])


def _draw(count: int, generator: Generator) -> int:
    return int(torch.randint(count, (), generator=generator))

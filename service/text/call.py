"""One text on its way through a text graph."""

from __future__ import annotations

from service.engine.job import Sample
from service.engine.model import Model
from service.text.cache import TextCache, TextOutput
from service.text.tokenizer import Tokenizer


class TextCall:
    """Its methods are those of a job; its result is a TextOutput, remembered under the text."""

    __slots__ = ("_cache", "_digest", "_output", "_text", "_tokenizer", "_tokens")

    def __init__(self, model: Model, text: str, output: str, cache: TextCache) -> None:
        """`output` is the name of the one output that is wanted."""
        self._tokenizer = Tokenizer.of(model.bundle)
        self._digest = model.bundle.digest
        self._text = text
        self._output = output
        self._cache = cache

    def prepare(self) -> Sample:
        self._tokens = self._tokenizer.read(self._text)
        return {"tokens": self._tokens.ids}

    def finish(self, outputs: Sample) -> TextOutput:
        tokens = self._tokens
        output = TextOutput(outputs[self._output], tokens.count, tokens.truncated)
        return self._cache.put(self._digest, self._text, output)

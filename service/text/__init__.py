"""Texts: to tokens, through a model's text tower, and remembered."""

from service.text.cache import TextCache, TextOutput
from service.text.call import TextCall
from service.text.tokenizer import Tokenizer, Tokens

__all__ = ["TextCache", "TextCall", "TextOutput", "Tokenizer", "Tokens"]

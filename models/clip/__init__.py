"""Images and texts in one space, learnt from captions (Radford et al. 2021).

What others build upon: `TextTower(TextSpec(...))` gives the states [B, T, D] of token ids [B, T];
`shipped_tokenizer()` is the world's tokenizer and `encode` turns texts into its ids;
`load_clip(folder)` gives a trained network, whose `.text` is such a tower, with its spec, its
tokenizer and what else its checkpoint says.
"""

from models.clip.checkpoint import load_clip, save_clip
from models.clip.network import ClipNetwork
from models.clip.spec import ClipSpec, ImageSpec, TextSpec
from models.clip.text import TextTower
from models.clip.tokenizing import encode, shipped_tokenizer, train_tokenizer

__all__ = [
    "ClipNetwork",
    "ClipSpec",
    "ImageSpec",
    "TextSpec",
    "TextTower",
    "encode",
    "load_clip",
    "save_clip",
    "shipped_tokenizer",
    "train_tokenizer",
]

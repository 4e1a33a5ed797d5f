"""A CLIP over whole sets of images and texts."""

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor

from models.clip.measures import name_embeddings
from models.clip.network import ClipNetwork
from models.clip.tokenizing import encode
from models.data.captioned import CaptionedImages
from models.data.labelled import LabelledImages

EVALUATION_BATCH = 64


@torch.inference_mode()
def embed_images(
    network: ClipNetwork,
    images: CaptionedImages | LabelledImages,
    indices: Tensor,
    device: torch.device,
) -> Tensor:
    """float [N, D]"""
    size = network.spec.input_size
    return torch.cat(
        [
            network.embed_images(images.read(part, size).to(device)).float().cpu()
            for part in torch.split(indices, EVALUATION_BATCH)
        ]
    )


@torch.inference_mode()
def embed_texts(
    network: ClipNetwork, tokenizer: Tokenizer, texts: Sequence[str], device: torch.device
) -> Tensor:
    """float [N, D]"""
    return torch.cat(
        [
            network.embed_texts(part.to(device)).float().cpu()
            for part in torch.split(encode(tokenizer, texts), EVALUATION_BATCH)
        ]
    )


def embed_names(
    network: ClipNetwork,
    tokenizer: Tokenizer,
    names: Sequence[str],
    templates: Sequence[str],
    device: torch.device,
) -> Tensor:
    """float [C, D]: each name's mean over the templates (Radford et al. 2021, 3.1.4)."""
    texts = [template.format(name) for template in templates for name in names]
    embedded = embed_texts(network, tokenizer, texts, device)
    return name_embeddings(embedded.view(len(templates), len(names), -1))

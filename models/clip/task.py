"""CLIP as the trainer sees it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from models.clip.batches import CaptionBatches
from models.clip.checkpoint import describe_clip
from models.clip.data import open_captions, open_names, open_training
from models.clip.embedding import embed_images, embed_names, embed_texts
from models.clip.loss import contrastive_loss
from models.clip.measures import RANKS, recalls, zero_shot_hits
from models.clip.network import ClipNetwork
from models.clip.recipe import ClipRecipe, TokenizerSpec
from models.clip.tokenizing import of_length, shipped_tokenizer, special_ids, train_tokenizer
from models.data.captioned import CaptionedImages, distinct
from models.data.labelled import LabelledImages
from models.training.starting import start_from
from models.training.task import Goal, Place

#: Among how many captions that differ retrieval is measured.
GALLERY = 500

#: Into how many groups of like length the texts of a batch are sorted.
TEXT_GROUPS = 4


class ClipTask:
    """The contrastive loss; the best checkpoint has the best mean of what it is measured by."""

    def __init__(
        self,
        recipe: ClipRecipe,
        train: CaptionedImages,
        validation: CaptionedImages,
        names: LabelledImages | None = None,
    ) -> None:
        self.tokenizer = open_tokenizer(recipe.tokenizer, train, recipe.network.text.length)
        spec = recipe.network.with_vocabulary(
            self.tokenizer.get_vocab_size(), *special_ids(self.tokenizer)
        )
        torch.manual_seed(recipe.training.seed)
        self.network = ClipNetwork(spec)
        if recipe.start_from is not None:
            start_from(self.network, recipe.start_from, whole=True)
        self.data = CaptionBatches(
            train,
            self.tokenizer,
            size=spec.input_size,
            batch_size=recipe.training.batch_size,
            augment=recipe.augment,
            wording=recipe.wording,
            seed=recipe.training.seed,
        )
        self.goal = Goal("score")
        self._validation = validation
        self._names = names

    @classmethod
    def from_recipe(cls, recipe: ClipRecipe, *, progress: bool) -> "ClipTask":
        return cls(
            recipe,
            open_training(recipe.data, progress=progress),
            open_captions(recipe.data, "val", progress=progress),
            open_names(recipe.data, "val", progress=progress),
        )

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        said = [batch["tokens"], *([batch["false_tokens"]] if "false_tokens" in batch else [])]
        groups, order = group_by_length(torch.cat(said), self.network.spec.text.eos_id)
        images, texts, scale = network(batch["image"], *groups)
        texts = texts[order]
        count = len(batch["image"])
        loss = contrastive_loss(
            images,
            texts[:count],
            batch["meanings"],
            scale,
            false_texts=texts[count:] if len(said) > 1 else None,
            false_meanings=batch.get("false_meanings"),
        )
        return {"loss": loss, "scale": scale}

    def evaluate(self, network: nn.Module, place: Place) -> dict[str, float]:
        assert isinstance(network, ClipNetwork)
        figures = measure_retrieval(network, self.tokenizer, self._validation, place.device)
        score = (figures["text_to_image_1"] + figures["image_to_text_1"]) / 2
        if self._names is not None:
            templates = [network.spec.template]
            top1, top5 = measure_names(
                network, self.tokenizer, self._names, templates, place.device
            )
            figures |= {"top1": top1, "top5": top5}
            score = (score + top1) / 2
        return {"score": score, **figures}

    def checkpoint(self) -> dict[str, Any]:
        return describe_clip(self.network.spec, self.tokenizer)

    def is_kept(self, name: str) -> bool:
        return True


def open_tokenizer(spec: TokenizerSpec, train: CaptionedImages, length: int) -> Tokenizer:
    """The tokenizer that a recipe names, or one learnt from everything that training may say."""
    if spec.shipped is not None:
        return of_length(shipped_tokenizer(spec.shipped), length)
    if spec.file is not None:
        return of_length(Tokenizer.from_file(str(Path(spec.file).expanduser())), length)
    texts = (text for index in range(len(train)) for text in train.texts(index))
    return train_tokenizer(texts, length=length, vocabulary=spec.vocabulary)


def group_by_length(tokens: Tensor, eos_id: int) -> tuple[list[Tensor], Tensor]:
    """Texts [N, T] said once each, in groups from short to long, each cut after its longest end.

    With the order [N] in which the rows of all groups, one after the other, give the texts back.
    What stands after a text's end changes nothing, and costs as much as the rest.
    """
    unique, inverse = torch.unique(tokens, dim=0, return_inverse=True)
    lengths = (unique == eos_id).int().argmax(1) + 1  # [U], to the first end
    by_length = lengths.argsort(stable=True)
    groups = [
        unique[rows, : int(lengths[rows].max())]
        for rows in by_length.tensor_split(min(TEXT_GROUPS, len(by_length)))
    ]
    return groups, by_length.argsort()[inverse]


def measure_retrieval(
    network: ClipNetwork, tokenizer: Tokenizer, images: CaptionedImages, device: torch.device
) -> dict[str, float]:
    """Recalls in both directions among captions that differ."""
    chosen = distinct(images, GALLERY)
    texts = embed_texts(network, tokenizer, [images.texts(i)[0] for i in chosen.tolist()], device)
    seen = embed_images(network, images, chosen, device)
    forth, back = recalls(texts, seen), recalls(seen, texts)
    return {f"text_to_image_{rank}": forth[rank] for rank in RANKS} | {
        f"image_to_text_{rank}": back[rank] for rank in RANKS
    }


def measure_names(
    network: ClipNetwork,
    tokenizer: Tokenizer,
    images: LabelledImages,
    templates: list[str],
    device: torch.device,
) -> tuple[float, float]:
    """Zero-shot top-1 and top-5 over the names."""
    names = embed_names(network, tokenizer, images.names, templates, device)
    seen = embed_images(network, images, torch.arange(len(images)), device)
    return zero_shot_hits(seen, names, images.labels)

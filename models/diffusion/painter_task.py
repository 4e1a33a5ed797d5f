"""The painter as the trainer sees it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from models.clip import encode, load_clip, shipped_tokenizer
from models.clip.tokenizing import of_length, special_ids
from models.data.world import default_root
from models.diffusion.checkpoint import describe_painter, load_autoencoder
from models.diffusion.data import CaptionedPictures, open_pictures
from models.diffusion.latents import channel_figures, encode_pictures
from models.diffusion.noising import Noising, squared_error
from models.diffusion.painter import Painter
from models.diffusion.painter_recipe import PainterRecipe
from models.diffusion.spec import PainterSpec
from models.training.checkpoint import CheckpointError, read_checkpoint
from models.training.plain import RecipeError
from models.training.sampling import ShuffledEpochs, mix_seed
from models.training.task import Goal, Place, Share

# Legend: N pictures, B batch, C latent channels, h w cells of the latent map, T tokens.

EVALUATION_BATCH = 32


class PainterTask:
    """Predict noise or v of noised latents from their captions; the best errs least."""

    def __init__(
        self, recipe: PainterRecipe, train: CaptionedPictures, validation: CaptionedPictures
    ) -> None:
        torch.manual_seed(recipe.training.seed)
        self.recipe = recipe
        self.goal = Goal("error", "min")
        autoencoder, autoencoder_spec, _ = load_autoencoder(recipe.autoencoder)
        root = Path(recipe.latents).expanduser() if recipe.latents else default_root() / "latents"
        device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
        train_latents, validation_latents = (
            encode_pictures(autoencoder, pictures, root, device=device)
            for pictures in (train, validation)
        )
        shift, scale = channel_figures(train_latents)
        text, self.tokenizer, tower = _text(recipe)
        spec = PainterSpec(
            autoencoder=autoencoder_spec,
            unet=recipe.unet,
            text=text,
            noise=recipe.noise,
            image_size=(train.size_px, train.size_px),
            latent_shift=shift,
            latent_scale=scale,
        )
        self.network = Painter(spec)
        self.network.autoencoder.load_state_dict(autoencoder.state_dict())
        if tower is not None:
            self.network.text.load_state_dict(tower.state_dict())
        if recipe.start_from is not None:
            _start_from(self.network, recipe.start_from)
        self.network.autoencoder.requires_grad_(False)
        self._noising = Noising(spec.noise, recipe.min_snr, logit_mean=recipe.logit_mean)
        chosen = _matching(train.captions, recipe.only)
        covered = train.covered(spec.latent_shape[1]) if recipe.foreground > 1 else None
        self.data = LatentBatches(
            _normalised(train_latents[chosen], self.network),
            encode(self.tokenizer, [train.captions[i] for i in chosen]),
            encode(self.tokenizer, [""])[0],
            description=_described(train, recipe.only, len(chosen)),
            batch_size=recipe.training.batch_size,
            unconditional=recipe.unconditional,
            seed=recipe.training.seed,
            covered=None if covered is None else covered[chosen],
        )
        self._validation = (
            _normalised(validation_latents, self.network),
            encode(self.tokenizer, validation.captions),
        )

    @classmethod
    def from_recipe(cls, recipe: PainterRecipe, *, progress: bool) -> "PainterTask":
        train = open_pictures(recipe.data, "train", progress=progress)
        return cls(recipe, train, open_pictures(recipe.data, "val", progress=progress))

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        latents = batch["latents"].float()
        noised = self._noising.noise(latents, self._noising.draw_times(latents))
        answer = network(noised.latents, noised.times, batch["tokens"]).float()
        error = squared_error(
            answer,
            noised,
            covered=batch.get("covered"),
            foreground=self.recipe.foreground,
            scales=self.recipe.scales,
        )
        return {"loss": (noised.weights * error).mean()}

    def evaluate(self, network: nn.Module, place: Place) -> dict[str, float]:
        """`error`: the mean squared one, at evenly spread times, with the same noise always."""
        latents, tokens = self._validation
        times = torch.linspace(0, self.recipe.noise.train_steps - 1, len(latents)).round()
        generator = torch.Generator().manual_seed(mix_seed(self.recipe.training.seed, 2))
        noise = torch.randn(latents.shape, generator=generator)
        sums = torch.zeros(2, dtype=torch.float64, device=place.device)
        numbers = torch.arange(len(latents))[place.share.of(len(latents))]
        for rows in torch.split(numbers, EVALUATION_BATCH):
            clean, drawn, time = (x[rows].to(place.device) for x in (latents, noise, times))
            noised = self._noising.noise(clean.float(), time, drawn)
            answer = network(noised.latents, time, tokens[rows].to(place.device)).float()
            sums[0] += (answer - noised.target).square().mean((1, 2, 3)).sum()
            sums[1] += len(rows)
        total, count = place.total(sums).tolist()
        return {"error": total / count}

    def checkpoint(self) -> dict[str, Any]:
        return describe_painter(self.network.spec, self.tokenizer)

    def is_kept(self, name: str) -> bool:
        return True


class LatentBatches:
    """Shuffled latents and tokens, addressed by step; some lose their caption."""

    def __init__(
        self,
        latents: Tensor,
        tokens: Tensor,
        empty: Tensor,
        *,
        description: str,
        batch_size: int,
        unconditional: float,
        seed: int,
        covered: Tensor | None = None,
    ) -> None:
        self.description = description
        self._covered = covered
        self._latents, self._tokens, self._empty = latents, tokens, empty
        self._batch_size = batch_size
        self._unconditional = unconditional
        self._seed = seed
        self._epochs = ShuffledEpochs(len(latents), seed)

    def __len__(self) -> int:
        return len(self._latents)

    def batch(self, step: int, share: Share) -> dict[str, Tensor]:
        """`latents` float16 [B, C, h, w], `tokens` int64 [B, T], `covered` bool [B, h, w]

        The last only where it is known which cells show a thing.
        """
        rows = self._epochs.take(step * self._batch_size, self._batch_size)
        rows = rows[share.of(self._batch_size)]
        # 1 keeps these seeds apart from the epochs' (seed, epoch).
        generator = torch.Generator().manual_seed(mix_seed(self._seed, step, share.index, 1))
        unsaid = torch.rand(len(rows), generator=generator) < self._unconditional  # [B]
        tokens = torch.where(unsaid[:, None], self._empty, self._tokens[rows])
        batch = {"latents": self._latents[rows], "tokens": tokens}
        return batch if self._covered is None else {**batch, "covered": self._covered[rows]}


def _matching(captions: Sequence[str], pattern: str) -> list[int]:
    chosen = [i for i, caption in enumerate(captions) if re.search(pattern, caption)]
    if not chosen:
        raise RecipeError(f"only: no caption matches {pattern!r}")
    return chosen


def _described(pictures: CaptionedPictures, pattern: str, chosen: int) -> str:
    if not pattern:
        return pictures.description
    return f"{pictures.description}, of which the {chosen} with captions that match {pattern}"


def _normalised(latents: Tensor, painter: Painter) -> Tensor:
    return ((latents.float() - painter.shift) * painter.scale).half()


def _text(recipe: PainterRecipe) -> tuple[Any, Tokenizer, nn.Module | None]:
    """The text tower's spec, the tokenizer, and a trained tower if there is one."""
    if recipe.text_from is not None:
        clip, spec, tokenizer, _ = load_clip(Path(recipe.text_from).expanduser())
        return spec.text, tokenizer, clip.text
    assert recipe.text is not None
    tokenizer = of_length(shipped_tokenizer(recipe.tokenizer), recipe.text.length)
    ids = (recipe.text.bos_id, recipe.text.eos_id)
    if special_ids(tokenizer) != ids or tokenizer.get_vocab_size() > recipe.text.vocabulary:
        raise RecipeError(
            f"text: the tokenizer has {tokenizer.get_vocab_size()} ids, BOS and EOS "
            f"{special_ids(tokenizer)}; the tower has {recipe.text.vocabulary}, {ids}"
        )
    return recipe.text, tokenizer, None


def _start_from(network: Painter, checkpoint: str) -> None:
    weights, _ = read_checkpoint(Path(checkpoint).expanduser())
    learnt = {k: v for k, v in weights.items() if not k.startswith("autoencoder.")}
    missing, unexpected = network.load_state_dict(learnt, strict=False)
    if unexpected or any(not name.startswith("autoencoder.") for name in missing):
        raise CheckpointError(f"{checkpoint} is of another make")

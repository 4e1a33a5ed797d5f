"""Both towers behind their projections: training, export and evaluation see the same embeddings."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.pixels import Normalisation
from models.clip.image import ImageTower
from models.clip.spec import ClipSpec
from models.clip.text import TextTower

# Legend: B images, N texts, H W pixels, T tokens, D dimensions of the shared space.

#: "We clip to prevent scaling the logits by more than 100" (Radford et al. 2021, 2.5).
MAX_LOGIT_SCALE = 100.0


class ClipNetwork(nn.Module):
    """Embeddings of unit length for images and for texts."""

    def __init__(self, spec: ClipSpec) -> None:
        super().__init__()
        self.spec = spec
        self.normalise = Normalisation(spec.mean, spec.std)
        self.image = ImageTower(spec.image, spec.input_size)
        self.text = TextTower(spec.text)
        self.image_projection = nn.Linear(self.image.width, spec.embed_dim, bias=False)
        self.text_projection = nn.Linear(spec.text.dim, spec.embed_dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(spec.initial_temperature)))
        nn.init.normal_(self.image_projection.weight, std=self.image.width**-0.5)
        nn.init.normal_(self.text_projection.weight, std=spec.text.dim**-0.5)

    def forward(self, image: Tensor, *tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings [B, D] of `image`, [N, D] of all `tokens`, and the scale of their cosines.

        Texts may come in several tensors, each of a length of its own.
        """
        texts = torch.cat([self.embed_texts(part) for part in tokens])
        return self.embed_images(image), texts, self.logit_scale

    def embed_images(self, image: Tensor) -> Tensor:
        """`image` uint8 RGB [B, H, W, 3] -> float [B, D] of unit length."""
        embedded = self.image_projection(self.image(self.normalise(image)))
        return F.normalize(embedded.float(), dim=1)

    def embed_texts(self, tokens: Tensor) -> Tensor:
        """`tokens` int64 [N, T] -> float [N, D] of unit length."""
        pooled = self.text.pool(self.text(tokens), tokens)
        return F.normalize(self.text_projection(pooled).float(), dim=1)

    @property
    def logit_scale(self) -> Tensor:
        """What cosines are multiplied by to be logits: 1 / temperature, at most 100."""
        return self.log_scale.float().exp().clamp(max=MAX_LOGIT_SCALE)

"""NT-Xent over rows and columns, gathered over all processes."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Legend: B pairs of this process, N pairs of all, M false texts of all, D dimensions.


def contrastive_loss(
    images: Tensor,
    texts: Tensor,
    meanings: Tensor,
    scale: Tensor,
    *,
    false_texts: Tensor | None = None,
    false_meanings: Tensor | None = None,
) -> Tensor:
    """CLIP's symmetric loss; pairs that mean the same are no negatives of one another.

    `images` and `texts` float [B, D] are of unit length and belong together row by row; cosines
    times `scale` are logits. The target of an image is spread evenly over all texts of its own
    meaning (int64 [B]), and that of a text over all images of its; where all meanings differ that
    is NT-Xent. `false_texts` [B', D] are further negatives of every image but those that mean what
    they say (`false_meanings` [B']).

    Over several processes, the mean of what each returns is the loss of the joined batch, and so
    are the gradients, once they are averaged.
    """
    all_images, all_texts = gather(images), gather(texts)  # [N, D]
    all_meanings = gather(meanings)  # [N]
    same = (meanings[:, None] == all_meanings).to(images.dtype)  # [B, N]
    target = same / same.sum(1, keepdim=True)
    image_logits = scale * images @ all_texts.T  # [B, N]
    if false_texts is not None and false_meanings is not None:
        against = scale * images @ gather(false_texts).T  # [B, M]
        is_true = meanings[:, None] == gather(false_meanings)
        image_logits = torch.cat([image_logits, against.masked_fill(is_true, -torch.inf)], 1)
    text_logits = scale * texts @ all_images.T  # [B, N]
    by_image = F.log_softmax(image_logits, 1)[:, : len(all_meanings)]
    by_text = F.log_softmax(text_logits, 1)
    return -((target * by_image).sum(1) + (target * by_text).sum(1)).mean() / 2


def gather(values: Tensor) -> Tensor:
    """The rows of all processes, in the order of the processes; gradients flow back to each."""
    import torch.distributed as dist

    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return values
    if values.requires_grad:
        from torch.distributed.nn.functional import all_gather

        return torch.cat(all_gather(values.contiguous()))  # type: ignore[no-untyped-call] # torch
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, values.contiguous())
    return torch.cat(parts)

"""Weights to start a training from: those of another checkpoint, where they fit."""

from pathlib import Path

from torch import nn

from models.training.checkpoint import CheckpointError, read_checkpoint

LEAST_SHARE = 0.25


def start_from(network: nn.Module, checkpoint: str, *, whole: bool = False) -> list[str]:
    """Take every tensor of the same name and shape; the names of those that stay as they are.

    So a detector of other labels keeps all but the last layer of its class head, and one of
    another family the backbone. CheckpointError where less than a quarter of the tensors fit, or,
    if it is to be the `whole` network, where one is missing, misfits or is too much.
    """
    weights, _ = read_checkpoint(Path(checkpoint).expanduser())
    own = network.state_dict()
    fitting = {n: w for n, w in weights.items() if n in own and w.shape == own[n].shape}
    least = len(own) if whole else LEAST_SHARE * len(own)
    if len(fitting) < least or (whole and len(weights) > len(fitting)):
        raise CheckpointError(
            f"{checkpoint} is of another make: {len(fitting)} of {len(own)} tensors fit"
        )
    network.load_state_dict(fitting, strict=False)
    return [name for name in own if name not in fitting]

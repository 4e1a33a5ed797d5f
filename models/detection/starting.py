"""Weights to start a training from: those of another detector, where they fit."""

from pathlib import Path
from typing import Any

from models.detection.detector import Detector
from models.training.checkpoint import CheckpointError, read_checkpoint


def start_from(detector: Detector[Any], checkpoint: str) -> list[str]:
    """Take every tensor of the same name and shape; the names of those that stay as they are.

    So a detector of other labels keeps all but the last layer of its class head.
    """
    weights, _ = read_checkpoint(Path(checkpoint).expanduser())
    own = detector.state_dict()
    fitting = {n: w for n, w in weights.items() if n in own and w.shape == own[n].shape}
    if 2 * len(fitting) < len(own):
        raise CheckpointError(
            f"{checkpoint} is of another make: {len(fitting)} of {len(own)} tensors fit"
        )
    detector.load_state_dict(fitting, strict=False)
    return [name for name in own if name not in fitting]

"""The smallest task: fit a line through points. It needs no images and no family."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.training.sampling import ShuffledEpochs
from models.training.task import Goal, Place, Share


class Points:
    """Inputs [N, 4] and targets [N, 1], addressed by step."""

    def __init__(self, batch_size: int, count: int = 64) -> None:
        generator = torch.Generator().manual_seed(5)
        self.inputs = torch.randn(count, 4, generator=generator)
        self.targets = self.inputs @ torch.tensor([[1.0], [-2.0], [0.5], [3.0]]) + 0.25
        self.batch_size = batch_size
        self._epochs = ShuffledEpochs(count, seed=5)

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, step: int, share: Share) -> dict[str, Tensor]:
        rows = self._epochs.take(step * self.batch_size, self.batch_size)
        rows = rows[share.of(self.batch_size)]
        return {"inputs": self.inputs[rows], "targets": self.targets[rows]}


class RegressionTask:
    """Mean squared error. `before_loss` is called with the number of losses so far."""

    goal = Goal("error", "min")

    def __init__(
        self,
        batch_size: int = 16,
        *,
        dropout: float = 0.0,
        before_loss: Callable[[int], None] = lambda count: None,
    ) -> None:
        torch.manual_seed(0)
        layers = [nn.Linear(4, 16), nn.LayerNorm(16), nn.ReLU(), nn.Dropout(dropout)]
        self.network: nn.Module = nn.Sequential(*layers, nn.Linear(16, 1))
        self.data = Points(batch_size)
        self.losses: list[float] = []
        self._before_loss = before_loss

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self._before_loss(len(self.losses))
        loss = (network(batch["inputs"]) - batch["targets"]).square().mean()
        self.losses.append(float(loss.detach()))
        return {"loss": loss}

    def evaluate(self, network: nn.Module, place: Place) -> dict[str, float]:
        share = place.share.of(len(self.data))
        inputs, targets = self.data.inputs[share], self.data.targets[share]
        squares = (network(inputs) - targets).square().sum()
        return {"error": float(place.total(squares)) / len(self.data)}

    def checkpoint(self) -> dict[str, Any]:
        return {"kind": "regression", "spec": {"inputs": 4}}

    def is_kept(self, name: str) -> bool:
        return True

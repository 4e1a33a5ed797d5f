"""Which of the processes that torchrun starts this one is."""

import os

import torch
from accelerate import PartialState


def is_first_process() -> bool:
    """Whether this process speaks for all: it is alone, or torchrun's number 0."""
    return os.environ.get("RANK", "0") == "0"


def process_state() -> PartialState:
    """accelerate's view of the processes. Without an accelerator they talk over gloo."""
    return PartialState(cpu=not torch.accelerator.is_available())

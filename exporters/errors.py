"""Every way in which an export can fail.

ExportError                 the message says what to do, fit to be shown on a terminal
├── StaticBatchError        the batch has become a constant of the graph
├── ParityError             the graph answers something else than PyTorch
└── CheckpointError         what was to be exported cannot be read
"""

from __future__ import annotations


class ExportError(Exception):
    """No bundle was written."""


class StaticBatchError(ExportError):
    """A graph that runs at one batch size only cannot be batched by the server."""


class ParityError(ExportError):
    """The exported graph is not the model that was trained."""


class CheckpointError(ExportError):
    """There is no checkpoint, or not one of the kind that was named."""

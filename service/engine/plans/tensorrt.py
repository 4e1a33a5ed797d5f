"""TensorRT, under whichever name it is installed, with its log led into ours."""

from __future__ import annotations

import collections
import functools
import importlib
import logging
import threading
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger("tensorrt")

NAMES = ("tensorrt", "tensorrt_rtx")
"""Both have the same interface. What one of them built, the other cannot read."""


class PlanError(Exception):
    """There is no plan, and why: a sentence for people."""


class Complaints:
    """The last errors that TensorRT logged: its calls only return that there was one."""

    def __init__(self) -> None:
        self._lines: collections.deque[str] = collections.deque(maxlen=8)
        self._lock = threading.Lock()

    def add(self, line: str) -> None:
        with self._lock:
            self._lines.append(line)

    def take(self) -> str:
        """The first of those since the last call, which the others follow from."""
        with self._lock:
            first = self._lines[0] if self._lines else "it does not say why"
            self._lines.clear()
        return first.partition("\n")[0]


@dataclass(frozen=True, eq=False)
class TensorRt:
    """The imported module, and the one logger that a process may have."""

    name: str
    module: Any
    complaints: Complaints = field(default_factory=Complaints)

    @property
    def version(self) -> str:
        return str(self.module.__version__)

    @property
    def for_rtx(self) -> bool:
        """Whether it is TensorRT for RTX, which compiles for the GPU at hand as it loads a plan."""
        return self.name.endswith("_rtx")

    @functools.cached_property
    def logger(self) -> Any:
        return _logger(self.module, self.complaints)

    @functools.cached_property
    def runtime(self) -> Any:
        return self.module.Runtime(self.logger)


@functools.cache
def find_tensorrt(*names: str) -> TensorRt:
    """The first of the modules that can be imported; PlanError where none can."""
    said = []
    for name in names or NAMES:
        try:
            module = importlib.import_module(name)
            if hasattr(module, "Builder"):
                return TensorRt(name, module)
            said.append(f"{name} is an empty package: its libraries were not installed")
        except ModuleNotFoundError as error:
            if error.name != name:
                said.append(f"{name} needs {error.name}")
        except Exception as error:  # a shared library that is not there, or of another version
            first = str(error).partition("\n")[0]
            said.append(f"{name} cannot be imported: {first}")
    reason = "; ".join(said) or "pip install 'panoptes[tensorrt]' has it"
    raise PlanError(f"there is no TensorRT: {reason}")


def _logger(module: Any, complaints: Complaints) -> Any:
    levels = {
        module.ILogger.Severity.INTERNAL_ERROR: logging.ERROR,
        module.ILogger.Severity.ERROR: logging.ERROR,
        module.ILogger.Severity.WARNING: logging.WARNING,
        module.ILogger.Severity.INFO: logging.DEBUG,
    }

    class Logger(module.ILogger):  # type: ignore[misc]  # a class of an Any
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, message: str) -> None:
            if (level := levels.get(severity)) is None:  # every thought of the builder
                return
            if level == logging.ERROR:
                complaints.add(message)
            log.log(level, "%s", message)

    return Logger()

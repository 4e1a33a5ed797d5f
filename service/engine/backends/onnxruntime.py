"""ONNX Runtime on the CPU: one session that all workers share, and a wide one for a lone batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from service.engine.backends import arena
from service.engine.backends.backend import OutOfMemoryError, Tensors
from service.engine.cost import fastest_s

WIDE_MUST_SAVE = 0.15
"""The wide session is kept only if it saves this share of a lone sample's time."""
PROBES = 6


class OnnxRuntimeBackend:
    """One graph on the CPU.

    The shared session computes on the calling thread alone: as many workers as cores fill the
    machine without contending for a pool. A lone batch would leave the other cores idle, so that
    it runs on a second session over all cores, where that was measured to pay.
    """

    def __init__(
        self,
        path: Path,
        *,
        outputs: Sequence[str],
        cores: int,
        measure: Callable[[Callable[[], object], int], float] = fastest_s,
    ) -> None:
        self._path = path
        self._outputs = list(outputs)
        self._cores = cores
        self._measure = measure
        self._shared = self._session(threads=1)
        self._wide: ort.InferenceSession | None = None

    buckets: Final[Sequence[int]] = ()
    """No batch is padded: on a processor that costs as much as the samples would."""

    def warm_up(self, sample: Tensors) -> None:
        self.widen(sample)

    def widen(self, sample: Tensors) -> bool:
        """Measure on a batch of one whether a lone batch gains from all cores; keep what wins."""
        if self._cores == 1:
            return False
        wide = self._session(threads=self._cores)
        narrow_s, wide_s = (
            self._measure(functools.partial(session.run, self._outputs, sample), PROBES)
            for session in (self._shared, wide)
        )
        self._wide = wide if wide_s < narrow_s * (1 - WIDE_MUST_SAVE) else None
        return self._wide is not None

    def run(self, inputs: Tensors, *, alone: bool = False) -> Mapping[str, npt.NDArray[np.generic]]:
        session = self._wide if alone and self._wide is not None else self._shared
        try:
            return dict(zip(self._outputs, session.run(self._outputs, inputs), strict=True))
        except Exception as error:
            if "allocate memory" in str(error) or "bad_alloc" in str(error):
                raise OutOfMemoryError(str(error)) from None
            raise

    def rebuild(self) -> None:
        self._shared = self._session(threads=1)
        if self._wide is not None:
            self._wide = self._session(threads=self._cores)

    def close(self) -> None:
        del self._shared
        self._wide = None

    def _session(self, *, threads: int) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        arena.share(options)
        # A spinning pool would take the cores from the other workers.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return ort.InferenceSession(
            str(self._path), sess_options=options, providers=["CPUExecutionProvider"]
        )

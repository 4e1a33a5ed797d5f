"""ONNX Runtime on the CPU: one session that all workers share, and a wide one for a lone batch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from service.engine.backends import arena
from service.engine.backends.backend import OutOfMemoryError, Tensors
from service.engine.backends.wide import Widening


class OnnxRuntimeBackend:
    """One graph on the CPU.

    The shared session computes on the calling thread alone: as many workers as cores fill the
    machine without contending for a pool. A lone batch would leave the other cores idle, so that
    it runs on a second session over all cores, where that turns out to pay.
    """

    def __init__(self, path: Path, *, outputs: Sequence[str], cores: int) -> None:
        self._path = path
        self._outputs = list(outputs)
        self._cores = cores
        self.rebuild()

    buckets: Final[Sequence[int]] = ()
    """No batch is padded: on a processor that costs as much as the samples would."""

    def warm_up(self, sample: Tensors) -> None:
        """There is nothing to do: what is slow the first time is slow by milliseconds."""

    def run(self, inputs: Tensors, *, alone: bool = False) -> Mapping[str, npt.NDArray[np.generic]]:
        lone = self._lone if alone else None
        session = lone.session() if lone else self._shared
        started = time.perf_counter()
        try:
            outputs = session.run(self._outputs, inputs)
        except Exception as error:
            if "allocate memory" in str(error) or "bad_alloc" in str(error):
                raise OutOfMemoryError(str(error)) from None
            raise
        if lone and len(outputs[0]) == 1:
            lone.took(session, time.perf_counter() - started)
        return dict(zip(self._outputs, outputs, strict=True))

    def rebuild(self) -> None:
        self._shared = self._session(threads=1)
        self._lone = Widening(self._shared, self._open_wide) if self._cores > 1 else None

    def close(self) -> None:
        del self._shared
        self._lone = None

    def _open_wide(self) -> ort.InferenceSession:
        session = self._session(threads=self._cores)
        arena.give_back()  # what it took to open it
        return session

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

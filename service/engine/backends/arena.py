"""One arena for what all graphs compute on the processor, and its way back to the system.

Without an arena a run may map its tensors anew and pay for every page: whether it does hangs on
what the allocator happened to see before, and costs up to a sixth of the throughput. With one a
session, each keeps the most that it ever took. Here all sessions take turns with the same pages.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
from typing import Final

import numpy as np
import onnxruntime as ort

_GROW_AS_REQUESTED: Final = 1
_lock = threading.RLock()


def share(options: ort.SessionOptions) -> None:
    """Let a session compute in the arena. Its weights lie elsewhere, and go when it does."""
    with _lock:
        _make_arena()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")


def give_back() -> None:
    """All that nothing uses goes back to the system; the runs to come fetch it anew."""
    shrink = ort.RunOptions()
    shrink.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    with _lock:
        _nothing().run(None, {"x": np.zeros(1, np.float32)}, shrink)
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


@functools.cache
def _make_arena() -> None:
    """It lives as long as the process."""
    processor = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    settings = {
        "max_mem": 0,
        "arena_extend_strategy": _GROW_AS_REQUESTED,
        "initial_chunk_size_bytes": -1,
        "max_dead_bytes_per_chunk": -1,
    }
    ort.create_and_register_allocator(processor, ort.OrtArenaCfg(settings))


@functools.cache
def _nothing() -> ort.InferenceSession:
    """Computes nothing: ONNX Runtime shrinks an arena at the end of a run, and only then."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    share(options)
    return ort.InferenceSession(_identity(), options, providers=["CPUExecutionProvider"])


def _identity() -> bytes:
    """The smallest model, y = x of one float, in ONNX's own encoding (fields by their numbers)."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    def count(number: int, value: int) -> bytes:
        return bytes([number << 3, value])

    one = field(1, count(1, 1))  # a shape of one dimension, 1
    of_float = field(2, field(1, count(1, 1) + field(2, one)))  # a type: a tensor of float
    node = field(1, b"x") + field(2, b"y") + field(4, b"Identity")
    ends = field(11, field(1, b"x") + of_float) + field(12, field(1, b"y") + of_float)
    graph = field(1, node) + field(2, b"identity") + ends
    return count(1, 8) + field(7, graph) + field(8, count(2, 17))

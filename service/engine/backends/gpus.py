"""Which GPUs the driver has, asked without any of CUDA's packages, and whose turn each has."""

from __future__ import annotations

import ctypes
import functools
import threading
from dataclasses import dataclass
from typing import Final

DRIVER: Final = "libcuda.so.1"
NAME_BYTES: Final = 256
MAJOR, MINOR = 75, 76
"""Of the compute capability, among the driver's CUdevice_attribute."""


class NoDriverError(Exception):
    """There is no driver, or it does not work; the message says which."""


@dataclass(frozen=True)
class GpuFound:
    index: int
    name: str
    sm: str
    """The architecture, such as "90"."""
    memory_bytes: int


def gpus() -> list[GpuFound]:
    """In the driver's order, after CUDA_VISIBLE_DEVICES; NoDriverError where nobody can tell."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        raise NoDriverError("NVIDIA's driver is not installed: there is no libcuda") from None
    if status := driver.cuInit(0):
        raise NoDriverError(f"NVIDIA's driver finds no usable GPU (cuInit says {status})")
    count = ctypes.c_int()
    if status := driver.cuDeviceGetCount(ctypes.byref(count)):
        raise NoDriverError(f"NVIDIA's driver cannot count GPUs (it says {status})")
    return [_gpu(driver, index) for index in range(count.value)]


@functools.cache
def turn_of(gpu: int) -> threading.Lock:
    """Held by whoever runs a batch on this GPU, of whichever graph and backend."""
    return threading.Lock()


def _gpu(driver: ctypes.CDLL, index: int) -> GpuFound:
    device, number = ctypes.c_int(), ctypes.c_int()
    driver.cuDeviceGet(ctypes.byref(device), index)
    name = ctypes.create_string_buffer(NAME_BYTES)
    driver.cuDeviceGetName(name, NAME_BYTES, device)
    memory = ctypes.c_size_t()
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    version = []
    for attribute in (MAJOR, MINOR):
        driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
        version.append(str(number.value))
    return GpuFound(index, name.value.decode(errors="replace"), "".join(version), memory.value)

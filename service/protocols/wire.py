"""The way out of a connection for threads that are not the event loop's."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys
import threading
from typing import Any, Final


def _send_at_once() -> Any:
    """`send` of the C library, which does not let go of the interpreter: to send an answer takes
    less than to have that back, with the event loop waiting for it."""
    if sys.platform == "win32":  # where the event loop alone writes
        return None
    send = ctypes.PyDLL(None, use_errno=True).send
    send.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
    send.restype = ctypes.c_ssize_t
    return send


_send: Final = _send_at_once()
_NOW: Final = getattr(socket, "MSG_DONTWAIT", 0) | getattr(socket, "MSG_NOSIGNAL", 0)
CAN_SEND: Final = _send is not None


class Wire:
    """Writes to one connection.

    By a descriptor of its own: the loop's may be closed at any moment, and its number be another
    connection's at the next.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = os.dup(descriptor)
        self._lock = threading.Lock()

    def write(self, data: bytes) -> int:
        """How much of it went: as much as there is room for now. All, where nobody reads it."""
        with self._lock:
            if self._descriptor is None:
                return len(data)
            sent: int = _send(self._descriptor, data, len(data), _NOW)
            if sent >= 0:
                return sent
            # Of any other error the loop hears as well.
            return 0 if ctypes.get_errno() in (errno.EAGAIN, errno.EINTR) else len(data)

    def close(self) -> None:
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

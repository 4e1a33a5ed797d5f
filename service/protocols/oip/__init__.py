"""The Open Inference Protocol, version 2: for clients that speak tensors."""

from __future__ import annotations

from service.protocols.oip.rest import oip_router

__all__ = ["oip_router"]

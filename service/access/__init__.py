"""Who may ask for what, and how often."""

from __future__ import annotations

from service.access.guard import Guard, Keyholders, Open, Pass, guard_of
from service.access.keys import KeySpec, Scope

__all__ = ["Guard", "KeySpec", "Keyholders", "Open", "Pass", "Scope", "guard_of"]

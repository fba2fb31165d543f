"""The window of a layer: which keys a query sees."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KeyWindow:
    """The keys that a query sees: from ``left`` before it to ``right`` after it; None has no end."""

    left: int | None = None
    right: int | None = None


EVERYTHING = KeyWindow()
CAUSAL = KeyWindow(right=0)

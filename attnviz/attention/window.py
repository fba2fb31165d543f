"""The window of a layer: which keys a query sees."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KeyWindow:
    """The keys that a query sees: from ``left`` before it to ``right`` after it; None has no end."""

    left: int | None = None
    right: int | None = None

    @property
    def ends(self) -> tuple[int, int]:
        """``left`` and ``right`` as the compiled loops read them: −1 for no end."""
        return -1 if self.left is None else self.left, -1 if self.right is None else self.right


EVERYTHING = KeyWindow()
CAUSAL = KeyWindow(right=0)

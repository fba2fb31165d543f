"""attnviz shows where a transformer looks.

    >>> import attnviz
    >>> model = attnviz.load()
    >>> att = model.attend("The bank approved the loan.")
    >>> att.weights.shape  # (layers, heads, queries, keys)
    (6, 12, 8, 8)

Importing the package loads neither torch nor transformers: both come with the first model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnviz.interface import Attention, Cut, EncoderDecoder, Freeze, Mean, Model, Patch, Zero, load

__all__ = ["Attention", "Cut", "EncoderDecoder", "Freeze", "Mean", "Model", "Patch", "Zero", "load"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from attnviz import interface

        return getattr(interface, name)
    raise AttributeError(f"module 'attnviz' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

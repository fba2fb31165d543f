"""The variants for parity: per family a module with ``VARIANTS``, one for each thing that changes the mathematics.

The key names it, in the words of the README's table.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from attnviz.model.families import FAMILIES, module_name

VOCABULARY = 50
IDS = (*range(5, 22), 7, 7, 49, 3, 31, 5)  # 23 tokens, some of them twice
TARGET = (2, 9, 9, 30, 17, 6, 44, 12, 8)


@dataclass(frozen=True)
class Variant:
    """A random model: the class of transformers, its config, and how it is made telling.

    ``scale`` is the deviation of its parameters, ``edit`` changes them after that; attention must be neither near
    uniform nor near one-hot in any layer. ``types`` are token type ids, ``target`` what a decoder reads, ``given`` what
    transformers' model is given beside.
    """

    model: str
    config: Mapping[str, Any]
    ids: Sequence[int] = IDS
    types: Sequence[int] | None = None
    target: Sequence[int] | None = None
    scale: float = 0.3
    edit: Callable[[torch.nn.Module], None] | None = None
    given: Mapping[str, Sequence[Sequence[int]]] = field(default_factory=dict)


def all_variants() -> dict[tuple[str, str], Variant]:
    """(family, what is varied) → variant."""
    found = {}
    for family in FAMILIES:
        module = importlib.import_module(f"{__name__}.{module_name(family)}")
        found |= {(family, name): variant for name, variant in module.VARIANTS.items()}
    return found

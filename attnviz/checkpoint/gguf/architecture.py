"""How the GGUF files of an architecture describe a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Stored = Literal["pairs", "transposed", "plus one", "apart", "row", "stacked", "alternating", "by head"]
"""How a tensor is stored, where that is not as in transformers:

- ``pairs``: of each head the rows that rotate together are neighbours, which transformers has half a head apart;
- ``transposed``: with rows and columns exchanged, of each expert;
- ``plus one``: of a norm that multiplies by 1 + weight, with the 1 added;
- ``apart``: all queries, then all keys, then all values, which transformers has by key-value head;
- ``row``: as a vector, which transformers has as a matrix of one row.

Two tensors make one of transformers':

- ``stacked``: the rows of the second follow those of the first, of each expert;
- ``alternating``: of each expert, rows of the first and of the second by turns, then transposed;
- ``by head``: of each head the first, transposed, then the second, as rows (DeepSeek's keys and values).
"""


@dataclass(frozen=True)
class Architecture:
    """How the files of one architecture describe a model.

    Args:
        model_type: transformers' name of the type of model.
        names: the tensors' names, {GGUF's: transformers'}.
        attributes: the settings' names, {GGUF's: transformers'}; None for a setting on which nothing depends.
        facts: the attributes that no setting says, of all files.
        flags: the attributes that are true if the file has a tensor: {attribute: tensor}.
        stored: how tensors are stored otherwise: {the end of their name: how}.
        causal: whether each token sees no later one.
        turns: whether it has rotary positions, and ``"partly"`` where a part of each head may turn.
        misread: whether transformers can't load some of these files, or reads them otherwise: in the check its
            model gets our tensors.
    """

    model_type: str
    names: Mapping[str, str]
    attributes: Mapping[str, str | None]
    facts: Mapping[str, Any] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    stored: Mapping[str, Stored] = field(default_factory=dict)
    causal: bool = True
    turns: bool | Literal["partly"] = True
    misread: bool = False

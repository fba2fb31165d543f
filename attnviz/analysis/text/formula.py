"""The formula of one weight, unfolded: from q·k over the scale and the softmax to the cell, with its numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attnviz.errors import UsageError
from attnviz.record import AttentionRecord


@dataclass(frozen=True)
class Formula:
    """How one weight came about: ``weight`` = exp(``scaled`` − ``largest``) / ``normaliser`` · exp(``added``).

    Attributes:
        layer, head, query, key: the cell; the layer by its own number, query and key in tokens.
        product: q·k.
        scale: what it is multiplied by, 1/√d in most models.
        scaled: their product.
        hidden: how many keys have a weight of zero: the mask hides them, or they are too weak for the type of numbers.
        largest: the largest scaled product of the other keys.
        normaliser: the sum of exp(scaled − largest) over them.
        softmax: the weight that the scaled products alone would give; zero if the key is hidden.
        added: the logarithm of ``weight`` by ``softmax``: what position biases, soft caps and sinks did to this key,
            compared with the row. Zero but for rounding in models without these.
        weight: the weight.
    """

    layer: int
    head: int
    query: int
    key: int
    product: float
    scale: float
    scaled: float
    hidden: int
    largest: float
    normaliser: float
    softmax: float
    added: float
    weight: float


def weight_formula(record: AttentionRecord, layer: int, head: int, query: int, key: int) -> Formula:
    """Return the numbers of one cell of a ``record`` with scores.

    Raises:
        UsageError: the record has no scores, or no such cell.
    """
    if record.scores is None:
        raise UsageError("the record has no scores q·k", hint='Keep them: model.attend("…", scores=True)')
    if layer not in record.layer_numbers:
        raise UsageError(f"no layer {layer}: there are {', '.join(map(str, record.layer_numbers))}")
    for name, number, count in zip(("head", "query", "key"), (head, query, key), record.shape[1:], strict=True):
        if not 0 <= number < count:
            raise UsageError(f"no {name} {number}: there are 0–{count - 1}")
    place = record.layer_numbers.index(layer)
    products = record.scores[place, head, query].astype(np.float64)  # (M,)
    weights = record.weights[place, head, query].astype(np.float64)
    scale = record.scales[place]
    scaled, seen = products * scale, weights > 0
    largest = float(scaled[seen].max(initial=-np.inf)) if seen.any() else float(scaled.max())
    normaliser = float(np.exp(scaled[seen] - largest).sum())
    softmax = float(np.exp(scaled[key] - largest) / normaliser) if seen[key] else 0.0
    added = float(np.log(weights[key]) - (scaled[key] - largest - np.log(normaliser))) if seen[key] else 0.0
    return Formula(
        layer, head, query, key, float(products[key]), scale, float(scaled[key]), int((~seen).sum()), largest,
        normaliser, softmax, added, float(weights[key]),
    )  # fmt: skip

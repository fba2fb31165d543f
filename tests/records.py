"""Records with weights that a test chooses: what the analysis and the views are tested on, without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attnviz.encoding import Encoding, Word
from attnviz.record import Array, Attention

Spelled = str | tuple[str, Sequence[str]]
"""A word of one token, or a word and its pieces."""


def record(words: Sequence[Spelled], weights: Array, *, causal: bool = False, **facts: Any) -> Attention:
    """A record of ``words``; those in square brackets are special tokens. ``facts`` go to ``Encoding``."""
    spelled = [(word, [word]) if isinstance(word, str) else word for word in words]
    tokens = [piece for _, pieces in spelled for piece in pieces]
    stops = np.cumsum([len(pieces) for _, pieces in spelled]).tolist()
    starts = [0, *stops[:-1]]
    assert weights.shape[2:] == (len(tokens), len(tokens))
    encoding = Encoding(
        **{
            "text": " ".join(word for word, _ in spelled if not is_special(word)),
            "pair": None,
            "ids": tuple(range(len(tokens))),
            "type_ids": (0,) * len(tokens),
            "tokens": tuple(tokens),
            "special": tuple(map(is_special, tokens)),
            "words": tuple(Word(word, a, b) for (word, _), a, b in zip(spelled, starts, stops, strict=True)),
        }
        | facts
    )
    return Attention("tests/fixed", "native", causal, encoding, weights)


def is_special(word: str) -> bool:
    return word.startswith("[") and word.endswith("]") and len(word) > 2


def random_weights(
    shape: tuple[int, int, int], *, seed: int = 0, causal: bool = False, dtype: str = "float32"
) -> Array:
    """Random weights (layers, heads, n, n) of which every row sums to 1."""
    layers, heads, n = shape
    scores = np.random.default_rng(seed).normal(scale=2, size=(layers, heads, n, n))
    weights = np.exp(np.where(np.tri(n, dtype=bool), scores, -np.inf) if causal else scores)
    return np.asarray(weights / weights.sum(-1, keepdims=True), dtype)


def peaked(shape: tuple[int, int, int], peaks: Mapping[tuple[int, int, int, int], float]) -> Array:
    """Weights with the given peaks (layer, head, query, key); the rest of each row is spread evenly."""
    layers, heads, n = shape
    weights = np.full((layers, heads, n, n), np.nan)
    for place, weight in peaks.items():
        weights[place] = weight
    free = np.isnan(weights)
    rest = (1 - np.nansum(weights, -1)) / free.sum(-1)
    return np.where(free, rest[..., None], weights).astype(np.float32)


def looking(offset: int, n: int) -> Array:
    """One head (n, n) of which each query looks at the key ``offset`` away, and at the nearest end where none is."""
    weights = np.zeros((n, n), np.float32)
    weights[np.arange(n), np.clip(np.arange(n) + offset, 0, n - 1)] = 1
    return weights

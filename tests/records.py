"""Records with chosen weights, to test analysis and views without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.summary import Summary, summarise
from attnviz.encoding import Encoding, Word
from attnviz.record import Array, AttentionRecord, EncoderDecoderRecord, Request

Spelled = str | tuple[str, Sequence[str]]
"""A word of one token, or a word and its pieces."""


def record(
    words: Sequence[Spelled], weights: Array, *, causal: bool = False, numbers: tuple[int, ...] = (), **facts: Any
) -> AttentionRecord:
    """Return a record of ``words``; those in square brackets are special tokens. ``facts`` are fields of the
    ``Encoding``.
    """
    encoding = encoding_of(words, **facts)
    assert weights.shape[2:] == (len(encoding), len(encoding))
    return AttentionRecord("tests/fixed", "native", causal, encoding, weights, numbers=numbers)


def summary_of(attention: AttentionRecord, **asked: Any) -> Summary:
    """Return the summary of a record for a ``Request`` with these fields."""
    return summarise(replay(attention, Request(**asked)))


def cross_record(
    queries: Sequence[Spelled], keys: Sequence[Spelled], weights: Array, *, numbers: tuple[int, ...] = (), **facts: Any
) -> AttentionRecord:
    """A cross map: ``queries`` look at ``keys``; ``facts`` go to the queries' ``Encoding``."""
    target, source = encoding_of(queries, **facts), encoding_of(keys)
    assert weights.shape[2:] == (len(target), len(source))
    return AttentionRecord("tests/fixed", "native", False, target, weights, "cross", source, numbers)


def three_maps(
    source: Sequence[Spelled], target: Sequence[Spelled], shape: tuple[int, int] = (2, 3), **facts: Any
) -> EncoderDecoderRecord:
    """An encoder–decoder's record with random weights of ``shape`` (layers, heads); ``facts`` go to the target."""
    keys, queries = encoding_of(source), encoding_of(target, **facts)
    weights = {
        "encoder": random_weights((*shape, len(keys))),
        "decoder": random_weights((*shape, len(queries)), seed=1, causal=True),
        "cross": random_weights((*shape, len(queries), len(keys)), seed=2),
    }
    return EncoderDecoderRecord(
        AttentionRecord("tests/fixed", "native", False, keys, weights["encoder"], "encoder"),
        AttentionRecord("tests/fixed", "native", True, queries, weights["decoder"], "decoder"),
        AttentionRecord("tests/fixed", "native", False, queries, weights["cross"], "cross", keys),
    )


def encoding_of(words: Sequence[Spelled], **facts: Any) -> Encoding:
    """The encoding of ``words``, as ``record`` reads them."""
    spelled = [(word, [word]) if isinstance(word, str) else word for word in words]
    tokens = [piece for _, pieces in spelled for piece in pieces]
    stops = np.cumsum([len(pieces) for _, pieces in spelled]).tolist()
    starts = [0, *stops[:-1]]
    return Encoding(
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


def is_special(word: str) -> bool:
    return word.startswith("[") and word.endswith("]") and len(word) > 2


def random_weights(shape: tuple[int, ...], *, seed: int = 0, causal: bool = False, dtype: str = "float32") -> Array:
    """Return random weights (layers, heads, n, m), of which every row sums to 1; m is n by default."""
    layers, heads, n, m = (*shape, shape[2])[:4]
    scores = np.random.default_rng(seed).normal(scale=2, size=(layers, heads, n, m))
    weights = np.exp(np.where(np.tri(n, dtype=bool), scores, -np.inf) if causal else scores)
    return np.asarray(weights / weights.sum(-1, keepdims=True), dtype)


def peaked(shape: tuple[int, ...], peaks: Mapping[tuple[int, int, int, int], float]) -> Array:
    """Return weights with the given peaks (layer, head, query, key); the rest of each row is uniform."""
    weights = np.full((*shape, shape[2])[:4], np.nan)
    for place, weight in peaks.items():
        weights[place] = weight
    free = np.isnan(weights)
    rest = (1 - np.nansum(weights, -1)) / free.sum(-1)
    return np.where(free, rest[..., None], weights).astype(np.float32)


def query_mask(offset: int, n: int) -> Array:
    """One head (n, n) of which each query looks at the key ``offset`` away, and at the nearest end where none is."""
    weights = np.zeros((n, n), np.float32)
    weights[np.arange(n), np.clip(np.arange(n) + offset, 0, n - 1)] = 1
    return weights

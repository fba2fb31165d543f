"""What the page needs to unfold a weight: the scores behind it, what is added to them, and the vectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attnviz.analysis.text.replaying import pick_map
from attnviz.errors import UsageError
from attnviz.record import Array, AttentionRecord, Heads, Observation
from attnviz.render.page.packing import pack_floats

SCORED = 1 << 13
"""A page has the scores of texts that have no more queries times keys than this: of some 90 tokens."""
VECTORS = 3_000_000
"""The most numbers of query and key vectors of a map: heads × (queries + keys) × head size."""


@dataclass(frozen=True)
class Unfolded:
    """What is said of it as JSON, and packed: the scores, and the vectors."""

    facts: dict[str, Any] = field(default_factory=dict)
    scores: str = ""
    vectors: str = ""


def unfold(found: Observation, *, whole: bool, neurons: bool) -> Unfolded:
    """What the page has to unfold the weights of a map with; where it has nothing, ``missing`` says why.

    Args:
        found: the map.
        whole: whether the page has all its weights.
        neurons: whether there must be vectors.

    Raises:
        UsageError: there must be vectors, and there are none, or too many.
    """
    record = pick_map(found.whole, found.request.map) if found.whole is not None and whole else None
    missing = _missing(found, record)
    if record is None or record.scores is None or missing:
        if neurons:
            fits = record is not None and record.shape[2] * record.shape[3] <= SCORED
            raise UsageError(missing, hint="" if fits else _SHORTER)
        return Unfolded({"missing": missing})
    seen = _seen(record)
    queries, keys = record.shape[2:]
    stored = np.tri(queries, keys, dtype=np.bool_) if record.causal else np.ones((queries, keys), np.bool_)
    parts = [np.where(seen, record.scores, -np.inf)[..., stored]]
    parts += [] if record.biases is None else [record.biases[..., stored]]
    rest = 1 - record.weights.sum(-1, dtype=np.float64)
    sinks = bool(rest.max() > _ROUNDING)
    parts += [rest.clip(0)] if sinks else []
    heads, too_many = _heads(record, found.request.heads)
    if neurons and (too_many or not heads):
        raise UsageError(
            too_many or "the record has no query and key vectors",
            hint="Choose heads with --layer and --head, or give a shorter text."
            if too_many
            else "Keep them: attnviz export TEXT RECORD.safetensors --neurons",
        )
    facts = {
        "scales": [float(f"{scale:.9g}") for scale in record.scales],
        "softcaps": list(record.softcaps),
        "biased": record.biases is not None,
        "sinks": sinks,
        "vectors": heads,
        "unlisted": "" if record.query_vectors is None else too_many,
    }
    vectors = ""
    if heads and record.query_vectors is not None and record.key_vectors is not None:
        facts["size"] = record.query_vectors.shape[-1]
        of_heads = (_in_one(each)[heads] for each in (record.query_vectors, record.key_vectors))
        vectors = pack_floats([*of_heads])
    return Unfolded(facts, pack_floats(parts), vectors)


_SHORTER = "Give a shorter text; show it in words or tokens."
_ROUNDING = 1e-3
"""A row whose weights sum to less than 1 by more than this has a sink without a value, whatever the numbers' type."""


def _missing(found: Observation, record: AttentionRecord | None) -> str:
    """Why there are no scores; empty where there are some."""
    if found.backend == "observed":
        return "The model attends by itself (observed): it hands in its weights, and no queries, keys or scores."
    if record is None:
        return "The weights of this page are too many, or of larger units than words: it has no scores behind them."
    queries, keys = record.shape[2:]
    if queries * keys > SCORED:
        return (
            f"{queries:,} × {keys:,} tokens are too many: a page has the scores behind the weights of short texts, of "
            f"no more than {SCORED:,} pairs of tokens (90 × 90)."
        )
    if record.scores is None:
        return (
            "The scores behind the weights were not kept in this record. It is kept with them by: "
            'attnviz export "…" RECORD.safetensors --neurons, and in Python by model.attend("…", neurons=True).'
        )
    return ""


def _seen(record: AttentionRecord) -> Array:
    """Which keys a query sees (L, 1, N, M): those to which some head of the layer gives some weight."""
    return np.asarray((record.weights > 0).any(1, keepdims=True))


def _heads(record: AttentionRecord, wanted: Heads) -> tuple[list[int], str]:
    """The places of the heads whose vectors the page has, and why it has none though the record does."""
    if record.query_vectors is None or record.key_vectors is None:
        return [], ""
    layers, count, queries, keys = record.shape
    places = [
        place * count + head
        for place in range(layers)
        for head in range(count)
        if (wanted.layers is None or record.layer_numbers[place] in wanted.layers)
        and (wanted.heads is None or head in wanted.heads)
    ]
    numbers = len(places) * (queries + keys) * record.query_vectors.shape[-1]
    if numbers <= VECTORS:
        return places, ""
    return [], (
        f"the vectors of {len(places):,} heads have {numbers:,} numbers (heads × (queries + keys) × head size), a page "
        f"has room for {VECTORS:,}"
    )


def _in_one(vectors: Array) -> Array:
    """(L, H, N, D) → (L·H, N, D)."""
    return vectors.reshape(-1, *vectors.shape[2:])

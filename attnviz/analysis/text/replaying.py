"""Replay a record for the observers of a request, without torch."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.plan import FEW
from attnviz.analysis.text.measures import measured
from attnviz.analysis.text.observers import TextObservers
from attnviz.analysis.text.recording import record_of
from attnviz.analysis.text.source import Source
from attnviz.analysis.text.units import Axis, reading_of
from attnviz.analysis.text.usual import select_usual
from attnviz.attention.arrays import group_sums
from attnviz.attention.tile import Tile
from attnviz.attention.window import EVERYTHING, KeyWindow
from attnviz.errors import UsageError
from attnviz.record import (
    Array,
    AttentionRecord,
    EncoderDecoderRecord,
    Heads,
    MapName,
    Observation,
    Pairs,
    Record,
    Request,
    Spread,
)

_TOGETHER = 1 << 18
"""About how many weights are read at once: in float64 they fit a core's cache."""


def replay(record: Record, request: Request | None = None) -> Observation:
    """Show all weights of a ``record`` to the observers, as a run does, some heads at a time.

    What is kept of small records is float64; of larger ones it has the type of their weights, float32 at least.

    Raises:
        UsageError: a word, a passage or a row that the text does not have; a map of a record that has only one; weights
            that the record neither has nor suffices for.
    """
    request = request or Request()
    record = measured(record, request.weights)
    attention = pick_map(record, request.map)
    request = replace(request, weights=attention.measure)
    source = Source(attention.kind, attention.causal, attention.encoding, attention.keys)
    kept = TextObservers(source, request, attention.layers)
    single = np.promote_types(attention.weights.dtype, np.float32)
    dtype = np.float64 if attention.weights.nbytes <= FEW else single
    for number, layer in zip(attention.layer_numbers, attention.weights, strict=True):
        heads, n, m = layer.shape
        window, step = _window(attention, layer), max(1, _TOGETHER // (n * m))
        for head in range(0, heads, step):
            some = np.asarray(layer[head : head + step], dtype)
            tile = Tile(number, 0, 0, some, (heads, n, m), attention.kind, head, window)
            for observer in kept.at_once():
                observer.tile(tile)
    found = record_of(kept, attention.model, attention.backend)
    maps = replace(found.maps, values=found.maps.values.astype(single, copy=False))
    return replace(found, maps=maps, whole=record, note=attention.note, prediction=attention.prediction)


def part_of(record: AttentionRecord, layers: slice, heads: slice = slice(None)) -> AttentionRecord:
    """The weights of some layers and heads alone."""
    return replace(
        record, weights=record.weights[layers, heads], numbers=record.layer_numbers[layers], states=(), scores=None,
        scales=(), softcaps=(), biases=None, query_vectors=None, key_vectors=None, below=None,
    )  # fmt: skip


def with_pairs(observation: Observation, pairs: Pairs | Spread) -> Observation:
    """Return ``observation`` as if it had been made with ``pairs`` in its request, without a look at all weights again.

    All weights must be kept, and it must have been asked what is usual: by ``pairs``, or by ``rank``.

    Raises:
        UsageError: a word that the text does not have.
        LookupError: not all weights were kept, or what is usual was not asked for.
    """
    record, usual, request = observation.whole, observation.usual, observation.request
    if record is None or usual is None:
        raise LookupError("not all weights were kept, or what is usual was not asked for")
    attention, units = pick_map(record, request.map), reading_of(observation)
    chosen = select_usual(units, attention.encoding, attention.keys or attention.encoding, pairs, observation.layers)
    from_, to = np.asarray(chosen.from_, np.intp), np.asarray(chosen.to, np.intp)
    sizes = attention.weights.shape[2:]
    queries, keys = (_tokens_of(axis, size) for axis, size in zip((units.queries, units.keys), sizes, strict=True))
    rows, columns = zip(*((_in_units(layer, queries, keys, from_, None), _in_units(layer, queries, keys, None, to))
                          for layer in attention.weights), strict=True)  # fmt: skip
    usual = replace(usual, from_=from_, to=to, rows=np.stack(rows), columns=np.stack(columns))
    return replace(observation, usual=usual, request=replace(request, pairs=pairs))


def _tokens_of(axis: Axis, tokens: int) -> list[NDArray[np.intp]]:
    """The tokens of each unit."""
    return [np.arange(*ends) for ends in pairwise((*axis.starts.tolist(), tokens))]


def _in_units(
    layer: Array,
    queries: list[NDArray[np.intp]],
    keys: list[NDArray[np.intp]],
    from_: NDArray[np.intp] | None,
    to: NDArray[np.intp] | None,
) -> NDArray[np.float64]:
    """The weights of a ``layer`` (H, N, M) between some units; None are all."""
    found = np.asarray(layer)
    for axis, tokens, chosen in ((1, queries, from_), (2, keys, to)):
        units = tokens if chosen is None else [tokens[unit] for unit in chosen]
        if chosen is not None:
            found = found.take(np.concatenate([*units, np.empty(0, np.intp)]), axis)
        groups = np.repeat(np.arange(len(units)), list(map(len, units)))
        found = np.asarray(group_sums(found.astype(np.float64, copy=False), groups, len(units), axis))
        if axis == 1:
            found = found / np.maximum([[len(each)] for each in units] or np.ones((0, 1)), 1)
    return np.asarray(found, np.float64)


def with_other_maps(observation: Observation) -> list[Observation]:
    """Return the maps of an encoder–decoder, if ``observation`` has all weights of them; it comes last itself."""
    record, request = observation.whole, observation.request
    names: tuple[MapName, ...] = ("encoder", "decoder", "cross") if isinstance(record, EncoderDecoderRecord) else ()
    others = [name for name in names if name != (request.map or "cross")]
    return [
        *(replay(record, replace(request, map=name, heads=Heads(), words=())) for name in others if record),
        observation,
    ]


def pick_map(record: Record, wanted: MapName | None) -> AttentionRecord:
    """The map with the ``wanted`` name of an encoder–decoder's record; the cross map by default.

    Raises:
        UsageError: a map is named, and the record has only one.
    """
    if not isinstance(record, AttentionRecord):
        return {"encoder": record.encoder, "decoder": record.decoder, "cross": record.cross}[wanted or "cross"]
    if wanted is not None:
        raise UsageError(
            f"there is no {wanted} map to choose: this model has one kind of attention",
            hint="Leave `map` out: it is for models with an encoder and a decoder.",
        )
    return record


def _window(attention: AttentionRecord, layer: Array) -> KeyWindow:
    """The window of a ``layer`` (H, N, M), inferred from its weights: some head gives each visible key some weight."""
    if attention.keys is not None:
        return EVERYTHING
    size = layer.shape[-1]
    queries, keys = np.nonzero(layer.any(0))
    left, right = int((queries - keys).max(initial=0)), int((keys - queries).max(initial=0))
    ahead = 0 if attention.causal else None if right >= size - 1 else right
    return KeyWindow(None if left >= size - 1 else left, ahead)

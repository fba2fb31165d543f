"""Replay a record for the observers of a request, without torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from attnviz.analysis.plan import FEW
from attnviz.analysis.text.measures import measured
from attnviz.analysis.text.observers import TextObservers
from attnviz.analysis.text.recording import record_of
from attnviz.analysis.text.source import Source
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
    Record,
    Request,
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

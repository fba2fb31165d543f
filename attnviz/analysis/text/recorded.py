"""Figures and links of a record that holds all weights, without torch: what a page or a picture of it begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.kept import strongest_pairs, without
from attnviz.analysis.text.links import Link, counting
from attnviz.analysis.text.offsets import DominantOffset, dominant_offset_heads, dominant_offsets, positional_heads
from attnviz.analysis.text.shown_maps import pick_heads
from attnviz.analysis.text.units import Mask, Reading, left_out, read_in
from attnviz.attention.figures import figures
from attnviz.attention.sums import SCALARS, Sums, shares_of_spread
from attnviz.attention.texts import Texts as TextMasks
from attnviz.attention.window import EVERYTHING, KeyWindow
from attnviz.encoding import Encoding
from attnviz.errors import UsageError
from attnviz.record import (
    Array,
    AttentionRecord,
    Backend,
    EncoderDecoderRecord,
    Heads,
    Kind,
    MapName,
    Prediction,
    Record,
    Request,
    Top,
)
from attnviz.record.texts import RecordTexts


@dataclass(frozen=True, eq=False)
class Recorded(RecordTexts):
    """What is found in all weights of a record.

    Attributes:
        attention: the record.
        encoding, keys, numbers: those of the record.
        request: what is asked of it.
        units: the units in which links are counted.
        figures: the figures of the heads by name, (L, H) each.
        heads_mask: the heads that count, (L, H).
        strength: the strongest link of each head between units that count, (L, H).
        pairs: the strongest links, each pair of units once.
    """

    attention: AttentionRecord
    encoding: Encoding
    keys: Encoding | None
    numbers: tuple[int, ...]
    request: Request
    units: Reading
    figures: dict[str, NDArray[np.float64]]
    heads_mask: Mask
    strength: NDArray[np.float64]
    pairs: list[Link]

    @property
    def shape(self) -> tuple[int, ...]:
        """(L, H, N, M)."""
        return self.attention.shape

    @property
    def model(self) -> str:
        """The model's name."""
        return self.attention.model

    @property
    def prediction(self) -> Prediction | None:
        """What a classifier says of the text."""
        return self.attention.prediction

    @property
    def backend(self) -> Backend:
        """What made the weights."""
        return self.attention.backend

    @property
    def causal(self) -> bool:
        """Whether no query sees a later key."""
        return self.attention.causal

    @property
    def kind(self) -> Kind:
        """Which of a model's attentions it is."""
        return self.attention.kind

    @property
    def note(self) -> str:
        """What a reader must know of the input."""
        return self.attention.note

    @property
    def overview(self) -> NDArray[np.float64]:
        """``strength``, NaN where a head does not count."""
        return np.where(self.heads_mask, self.strength, np.nan)

    @property
    def opened(self) -> list[tuple[int, int]]:
        """The heads that are asked for, or the one of the strongest link: (place of the layer, head)."""
        picked = pick_heads(self.units, self.strength + self.heads_mask, self.request.heads)
        return heads_of(picked, self.heads)


@dataclass(frozen=True, eq=False)
class _Measured:
    """What tells at which offsets heads look."""

    encoding: Encoding
    keys: Encoding | None
    figures: dict[str, NDArray[np.float64]]
    layer_numbers: tuple[int, ...]


def heads_of(picked: Sequence[tuple[int, int | None]], count: int) -> list[tuple[int, int]]:
    """The ``picked`` heads; for the mean of a layer (None) all its ``count`` heads."""
    return [(layer, head) for layer, one in picked for head in (range(count) if one is None else [one])]


def read_record(record: Record, request: Request) -> Recorded:
    """Find the figures and links of one map of a ``record``, in words or tokens, from all that looks.

    They are those of ``observing.replay``, which also finds all else that ``show`` prints.

    Raises:
        UsageError: a map of a record that has only one; a layer or head that the model does not have.
    """
    attention = pick_map(record, request.map)
    units = read_in(
        request.unit, attention.encoding, attention.keys, attention.layer_numbers, request.language,
        causal=attention.causal,
    )  # fmt: skip
    found = _figures(attention)
    measured = _Measured(attention.encoding, attention.keys, found, attention.layer_numbers)
    heads_mask = np.ones(attention.shape[:2], bool)
    apart: list[DominantOffset] = []
    if not request.everything:
        for head in positional_heads(measured):
            heads_mask[attention.layer_numbers.index(head.layer), head.head] = False
        if attention.keys is None:
            apart = dominant_offsets(dominant_offset_heads(measured), units, attention.encoding)
    query_mask, key_mask, itself = counting(
        units, causal=attention.causal, special=request.special, everything=request.everything
    )
    top = _strongest(attention, units, key_mask, request.links + 1, itself=itself)
    kept = without(top, query_mask, apart)
    strength = kept.weights.max((-2, -1), initial=0).astype(np.float64)
    pairs = strongest_pairs(units, kept, heads_mask, request.links)
    return Recorded(
        attention, attention.encoding, attention.keys, attention.numbers, request, units, found, heads_mask, strength,
        pairs,
    )  # fmt: skip


def read_maps(record: Record, request: Request) -> list[Recorded]:
    """Read the map of a ``record``, or all three of an encoder–decoder, the one that is asked for last."""
    names: tuple[MapName, ...] = ("encoder", "decoder", "cross") if isinstance(record, EncoderDecoderRecord) else ()
    others = [name for name in names if name != (request.map or "cross")]
    found = [read_record(record, replace(request, map=name, heads=Heads())) for name in others]
    return [*found, read_record(record, request)]


def _figures(attention: AttentionRecord) -> dict[str, NDArray[np.float64]]:
    """The figures of all heads, of which the sums are added up layer by layer; NaN is 0, as in an observation."""
    pieces = read_in("token", attention.encoding, attention.keys, attention.layer_numbers)
    masks = TextMasks.one(
        len(attention.encoding),
        len(attention.key_encoding),
        telling=~pieces.queries.special,
        sets=left_out(attention.key_encoding, pieces),
        causal=attention.causal,
    )
    found = [figures(_sums(layer, masks, layer_window(attention, layer)), masks) for layer in attention.weights]
    return {name: np.nan_to_num(np.stack([layer[name][:, 0] for layer in found])) for name in found[0]}


def _sums(layer: Array, masks: TextMasks, window: KeyWindow) -> Sums:
    """The sums of one layer (H, N, M), as ``sums.add`` defines them."""
    a = layer.astype(np.float64)
    heads, n, m = a.shape
    sums = Sums.new(heads, masks)
    entropy = -(a * np.log(a, where=a > 0, out=np.zeros_like(a))).sum(-1)
    largest = a.max(-1)
    scalars = {"entropy": entropy, "normalised_entropy": entropy * shares_of_spread(masks, window), "largest": largest}
    for name, values in scalars.items():
        sums.scalars[:, 0, SCALARS.index(name)] = values.sum(-1)
    sums.received[:] = a.sum(1)
    # Shifted by its own number, a row has the weights of each offset in the columns of all others.
    skewed = np.pad(a[:, ::-1], ((0, 0), (0, 0), (0, n))).reshape(heads, -1)[:, : n * (n + m - 1)]
    sums.diagonals[:, : n + m - 1] = skewed.reshape(heads, n, -1).sum(1)
    offsets = a.argmax(-1) - np.arange(n) + n - 1
    for head in range(heads):
        sums.counts[head, : n + m - 1] = np.bincount(offsets[head, masks.telling], minlength=n + m - 1)
    return sums


def _strongest(attention: AttentionRecord, units: Reading, keys: Mask, k: int, *, itself: bool) -> Top:
    """The ``k`` strongest links of each unit to those of the ``keys`` (m,), of equal ones the first."""
    k = min(k, len(keys))
    lengths = np.diff([*units.queries.starts, len(attention.encoding)])[:, None]
    weights, places = [], []
    for layer in attention.weights:
        words = np.add.reduceat(layer.astype(np.float64), units.keys.starts, axis=-1)
        words = np.add.reduceat(words, units.queries.starts, axis=1) / lengths  # (H, n, m)
        words[..., ~keys] = 0
        if not itself:
            words[:, np.arange(len(keys)), np.arange(len(keys))] = 0
        some = np.sort(np.argpartition(-words, k - 1, axis=-1)[..., :k], axis=-1)
        values = np.take_along_axis(words, some, -1)
        order = np.argsort(-values, axis=-1, kind="stable")
        weights.append(np.take_along_axis(values, order, -1))
        places.append(np.take_along_axis(some, order, -1).astype(np.int32))
    return Top(np.stack(weights), np.stack(places))


def layer_window(attention: AttentionRecord, layer: Array) -> KeyWindow:
    """The window of a ``layer`` (H, N, M), inferred from its weights: some head gives each visible key some weight."""
    if attention.keys is not None:
        return EVERYTHING
    size = layer.shape[-1]
    queries, keys = np.nonzero(layer.any(0))
    left, right = int((queries - keys).max(initial=0)), int((keys - queries).max(initial=0))
    ahead = 0 if attention.causal else None if right >= size - 1 else right
    return KeyWindow(None if left >= size - 1 else left, ahead)


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

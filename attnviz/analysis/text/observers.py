"""The observers of one text: what a request asks them to keep, and the record of what they kept."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.languages import ENGLISH
from attnviz.analysis.text.evidence import Gathering
from attnviz.analysis.text.links import counting, find_unit
from attnviz.analysis.text.long_range import LISTED
from attnviz.analysis.text.maps import Maps, masked
from attnviz.analysis.text.metrics import sink_of
from attnviz.analysis.text.units import Mask, Reading, makers_of, read_in, within
from attnviz.attention.kernel import Observer
from attnviz.attention.observers import (
    EDGES,
    Average,
    Band,
    HeadStats,
    InUnits,
    InWindows,
    Received,
    Rows,
    Sliding,
    TopLinks,
    WindowReceived,
    WindowStats,
)
from attnviz.encoding import Encoding, Windows, WordSpans
from attnviz.record import Array, Backend, Kind, Observation, Request, Top, Unit

if TYPE_CHECKING:
    from torch import Tensor

AVERAGED = 16
"""Of how many units at a long text's beginning the average over all heads is kept, where none are asked for by name."""
AVERAGES = 1 << 20
"""Where the averages of all units are no more numbers than this, all are kept."""
_SAMPLED = 8
"""Of so many of the units that are asked for, and of the new tokens, rows are kept for the check."""


@dataclass(frozen=True, eq=False)
class Source:
    """What is observed: a kind of a model's attention, the texts that it is between, and the windows of a long one."""

    kind: Kind
    causal: bool
    encoding: Encoding
    keys: Encoding | None
    windows: Windows | None = None

    @property
    def key_encoding(self) -> Encoding:
        """The text that is looked at."""
        return self.encoding if self.keys is None else self.keys

    def read(self, unit: Unit, language: str = ENGLISH) -> Reading:
        """Both texts in words or in tokens."""
        return read_in(unit, self.encoding, self.keys, (), language)


class TextObservers:
    """The observers of ``source``, and the record of what they kept of what the ``request`` asks for."""

    def __init__(self, source: Source, request: Request, layers: int) -> None:
        """``layers`` is how many there will be, for all that is known."""
        self.source, self.request, self.unit = source, request, request.unit
        self.units, self.pieces = (source.read(unit, request.language) for unit in (self.unit, "token"))
        self.query_mask, self.key_mask, self.itself = self._counting()
        self.asked = self._asked()
        self.passages = _passages(source.key_encoding)
        one, special = self.units.one_text, request.special or request.everything
        self.stats = (WindowStats if source.windows else HeadStats)(
            {"special": self.pieces.keys.special, "punctuation": self.pieces.keys.punctuation},
            self._within["token"],
            telling=~self.pieces.queries.special,
        )
        self.received = Received(self.passages if one else ())
        # One more than are listed: one of a query may be at its head's offset.
        self.links = TopLinks(max(request.top, request.links) + 1)
        self.edges = tuple(edge for edge in EDGES if edge < len(self.units.queries)) if one else ()
        self.bands = Band(self.edges, LISTED) if self.edges else None
        self.maps = Maps(
            self.units,
            request.crop,
            self._within[self.unit],
            sink=not source.causal or not one or special,
            special=special,
            size=request.size,
            layers=layers,
            only=request.heads.layers,
        )
        self.average = Average(self.asked)
        self.makers = makers_of(source.encoding)
        self.made, self.made_average = TopLinks(max(request.top, request.links) + 1), Average(range(len(self.makers)))
        self.window_sinks = source.causal and not special and source.windows is not None and not source.windows.lead
        self.window_received = WindowReceived(self._within["token"])
        self.observers = [self._receiving(), *self._in_units(), *self._making()]

    def at_once(self) -> list[Observer]:
        """What observes the text, where it is run at once."""
        return [self.stats, *self.observers]

    def in_windows(self) -> list[InWindows]:
        """What observes the windows, where the text is run in these."""
        sliding = Sliding(self.observers, len(self.source.encoding), sinks=not self.window_sinks)
        return [self.stats, self.window_received, sliding] if isinstance(self.stats, WindowStats) else []

    def gathering(self, heads: int) -> Gathering:
        """What keeps rows for a check; ``heads`` are those of all layers."""
        encoding, words = self.source.encoding, self.unit == "word"
        starts = [word.start for word in encoding.words] if words else range(len(encoding))
        made = {bisect_right(starts, token) - 1 for token in self.makers}
        wanted = (*self.asked[:_SAMPLED], *sorted(made)[:_SAMPLED])
        return Gathering(encoding, starts, wanted, self.source.windows, heads, len(self.source.key_encoding))

    @cached_property
    def _within(self) -> dict[Unit, Mask | None]:
        """The tokens and the units of the passage that is asked for; None for all of the text."""
        passage, encoding = self.request.passage, self.source.encoding
        return {kind: None if passage is None else within(kind, encoding, passage) for kind in ("token", self.unit)}

    def _counting(self) -> tuple[Mask, Mask, bool]:
        request, passage = self.request, self._within[self.unit]
        query_mask, key_mask, itself = counting(
            self.units, causal=self.source.causal, special=request.special, everything=request.everything
        )
        return query_mask if passage is None else query_mask & passage, key_mask, itself

    def _asked(self) -> tuple[int, ...]:
        if self.request.words:
            return tuple(i for word in self.request.words for i in find_unit(self.units, word))
        looking = np.flatnonzero(self.query_mask)
        few = len(looking) * len(self.units.keys) <= AVERAGES
        return tuple((looking if few else looking[:AVERAGED]).tolist())

    def _receiving(self) -> Observer:
        """``received``, from the queries of the passage that is asked for, or from all."""
        query_mask = self._within["token"]
        return self.received if query_mask is None else masked([self.received], self.pieces, query_mask, None)

    def _in_units(self) -> list[Observer]:
        """What is observed in words or tokens."""
        # What somebody asked for by name is listed with its keys, though it may be a word that does not count.
        listed = self.query_mask.copy()
        listed[list(self.asked)] = True
        groups: list[tuple[Mask, list[Observer]]] = [(listed, [self.links])]
        if self.bands is not None:
            alike = np.array_equal(listed, self.query_mask)
            groups = [(listed, [self.links, self.bands])] if alike else [*groups, (self.query_mask, [self.bands])]
        seeing: list[Observer] = [
            *(masked(each, self.units, query_mask, self.key_mask, itself=self.itself) for query_mask, each in groups),
            self.maps,
            *([self.average] if self.asked else []),
        ]
        if self.unit == "token":
            return seeing
        queries, keys = (
            [word.start for word in text.words] for text in (self.source.encoding, self.source.key_encoding)
        )
        return [InUnits(seeing, queries, keys)]

    def _making(self) -> list[Observer]:
        """What is observed of the queries that predicted the generated tokens."""
        if not self.makers:
            return []
        request, causal = self.request, self.source.causal
        _, keys, _ = counting(
            self.pieces, causal=causal, special=request.special, function=True, everything=request.everything
        )
        counted = InUnits([self.made], range(len(self.makers)), range(len(keys)), key_mask=keys)
        return [Rows([counted, self.made_average], self.makers.start, self.makers.stop)]

    def record(self, name: str, backend: Backend) -> Observation:
        """What was kept."""
        source, numbers = self.source, self.links.layers()
        figures = self.stats.figures
        distances = tuple(edge for edge in EDGES if edge < len(source.encoding))
        profile = figures.pop("profile")[..., : len(distances) + 1]
        return Observation(
            model=name,
            backend=backend,
            causal=source.causal,
            encoding=source.encoding,
            request=self.request,
            query_mask=self.query_mask,
            key_mask=self.key_mask,
            itself=self.itself,
            links=Top(*_stacked(self.links)),
            edges=self.edges,
            bands=self._bands(profile.shape[:2]),
            figures=figures | {"sink": self._sink()},
            profile=profile,
            distances=distances,
            received=_joined(self.received.layer(number) for number in numbers).astype(np.float32),
            passages=self.passages,
            maps=self.maps.pooled(),
            asked=self.asked,
            average=self.average.rows.cpu().numpy() if self.asked else None,
            made=Top(*_stacked(self.made)) if self.makers else None,
            made_average=self.made_average.rows.cpu().numpy() if self.makers else None,
            within=self._within["token"],
            kind=source.kind,
            keys=source.keys,
            numbers=() if numbers == tuple(range(len(numbers))) else numbers,
            windows=source.windows,
            window_sinks=self.window_sinks,
        )

    def _bands(self, shape: tuple[int, ...]) -> Top:
        if self.bands is None:
            nothing = np.zeros((*shape, 0, LISTED), np.int32)
            return Top(nothing.astype(np.float32), nothing, nothing)
        weights, queries, keys = _stacked(self.bands)
        return Top(weights, keys, queries)

    def _sink(self) -> NDArray[np.float64]:
        """As ``sink_of``; of windows the mean, by how many queries are kept of each."""
        causal = self.source.causal
        if self.source.windows:
            places, seen = zip(*self.window_received.parts, strict=True)
            totals = (_joined(map(each.total, each.layers())) for each in seen)
            parts = [sink_of(*each, causal=causal)[0] for each in zip(totals, places, strict=True)]
            return np.average(parts, axis=0, weights=[len(each) for each in places])
        queries, passage = np.arange(len(self.source.encoding)), self._within["token"]
        total = _joined(map(self.received.total, self.received.layers()))
        return sink_of(total, queries if passage is None else queries[passage], causal=causal)[0]


def _passages(encoding: Encoding) -> tuple[int, ...]:
    """The first tokens of the passages of a text that has several."""
    found = WordSpans(encoding).passages()
    return tuple(encoding.words[start].start for start, _ in found) if len(found) > 1 else ()


def _stacked(observer: TopLinks | Band) -> list[Any]:
    """The weights and places that ``observer`` has of each layer, one above the other."""
    layers = map(observer.layer, observer.layers())
    return [_joined(parts) for parts in zip(*layers, strict=True)]


def _joined(parts: Iterable[Tensor]) -> Array:
    return np.stack([part.cpu().numpy() for part in parts])

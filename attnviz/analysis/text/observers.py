"""The observers of one text: what a request asks them to keep, and the record of what they kept."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.languages import ENGLISH
from attnviz.analysis.text.links import counting, find_unit
from attnviz.analysis.text.long_range import LISTED
from attnviz.analysis.text.looking import Looking, look_from, settled
from attnviz.analysis.text.maps import Maps, masked
from attnviz.analysis.text.metrics import sink_of
from attnviz.analysis.text.others import LayerWindows, sum_others
from attnviz.analysis.text.per_token import PerToken, Seen
from attnviz.analysis.text.tables import Table, joined, stacked
from attnviz.analysis.text.units import Mask, Reading, left_out, makers_of, read_in
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
from attnviz.record import Backend, Kind, Observation, Others, Request, Top, Unit

if TYPE_CHECKING:
    from attnviz.analysis.text.evidence import Gathering

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
        """Both texts in units."""
        return read_in(unit, self.encoding, self.keys, (), language, causal=self.causal)


class TextObservers:
    """The observers of ``source``, and the record of what they kept of what the ``request`` asks for."""

    def __init__(self, source: Source, request: Request, layers: int) -> None:
        """``layers`` is how many there will be, for all that is known."""
        request = settled(request, source.encoding)
        self.source, self.request, self.unit = source, request, request.unit
        self.large = self.unit not in ("token", "word")
        self.units, self.pieces = (source.read(unit, request.language) for unit in (self.unit, "token"))
        self.makers = makers_of(source.encoding)
        self.looking = look_from(source.encoding, self.units, request)
        self.query_mask, self.key_mask, self.itself = self._counting()
        self.asked = self._asked()
        self.passages = self._passages()
        one, special = self.units.one_text, request.special or request.everything
        self.window_sinks = source.causal and not special and source.windows is not None and not source.windows.lead
        self.stats = (WindowStats if source.windows else HeadStats)(
            left_out(source.key_encoding, self.units if self.large else self.pieces),
            self.looking.queries_mask,
            telling=~self.pieces.queries.special,
        )
        self.received = Received(self.passages if one else ())
        # One more than are listed: one of a query may be at its head's offset.
        self.k = max(request.top, request.links) + 1
        self.links = TopLinks(self.k)
        self.edges = tuple(edge for edge in EDGES if edge < len(self.units.queries)) if one else ()
        self.bands = Band(self.edges, LISTED) if self.edges else None
        self.maps = Maps(
            self.units,
            request.crop,
            self.looking.units_mask,
            sink=not source.causal or not one or special,
            special=special,
            size=request.size,
            layers=layers,
            only=request.heads.layers,
        )
        self.average = Average(() if self.named else self.asked)
        self.window_received = WindowReceived(self.looking.queries_mask)
        self.layer_windows = LayerWindows()
        self.observers = [
            self.layer_windows,
            *self._receiving(),
            *self._in_units(),
            *(table.observer for table in (self.made, self.named) if table),
        ]

    def at_once(self) -> list[Observer]:
        """What observes the text, where it is run at once."""
        return [self.stats, *self.observers]

    def in_windows(self) -> list[InWindows]:
        """What observes the windows, where the text is run in these."""
        sliding = Sliding(self.observers, len(self.source.encoding), sinks=not self.window_sinks)
        return [self.stats, self.window_received, sliding] if isinstance(self.stats, WindowStats) else []

    def gathering(self, heads: int) -> Gathering:
        """What keeps rows for a check; ``heads`` are those of all layers."""
        from attnviz.analysis.text.evidence import Gathering

        encoding = self.source.encoding
        # Of larger units there are too many rows: words are kept, and the units are judged in the heads made in full.
        starts = range(len(encoding)) if self.unit == "token" else [word.start for word in encoding.words]
        made = {bisect_right(starts, token) - 1 for token in self.makers}
        asked = () if self.large and not self.named else self.asked[:_SAMPLED]
        wanted = (*asked, *sorted(made)[:_SAMPLED])
        return Gathering(encoding, starts, wanted, self.source.windows, heads, len(self.source.key_encoding))

    def _counting(self) -> tuple[Mask, Mask, bool]:
        request, looking = self.request, self.looking.units_mask
        query_mask, key_mask, itself = counting(
            self.units, causal=self.source.causal, special=request.special, everything=request.everything
        )
        return query_mask if looking is None else query_mask & looking, key_mask, itself

    def _asked(self) -> tuple[int, ...]:
        if self.request.words:
            units = self.source.read("word") if self.large else self.units
            found = tuple(i for word in self.request.words for i in find_unit(units, word))
            return tuple(sorted(set(found))) if self.large else found
        looking = np.flatnonzero(self.query_mask)
        few = len(looking) * len(self.units.keys) <= AVERAGES
        return tuple((looking if few else looking[:AVERAGED]).tolist())

    def _receiving(self) -> list[Observer]:
        """``received``, from the queries that look; and beside larger units from all."""
        query_mask = self.looking.queries_mask
        if query_mask is None:
            return [self.received]
        looking: Observer = masked([self.received], self.pieces, query_mask, None)
        return [looking, self.everyone] if self.large else [looking]

    @cached_property
    def everyone(self) -> Received:
        """What the keys receive from all queries of other passages, whoever looks."""
        return (
            self.received
            if self.looking.queries_mask is None
            else Received(self.passages if self.units.one_text else ())
        )

    def _passages(self) -> tuple[int, ...]:
        """The first tokens of the passages of the text that is looked at, where it has several."""
        encoding = self.source.key_encoding
        if self.large:
            starts = self.units.keys.starts.tolist()
        else:
            starts = [encoding.words[start].start for start, _ in WordSpans(encoding).passages()]
        return tuple(starts) if len(starts) > 1 else ()

    def _in_units(self) -> list[Observer]:
        """What is observed in words or tokens."""
        # What somebody asked for by name is listed with its keys, though it may be a word that does not count.
        listed = self.query_mask.copy()
        if not self.named:
            listed[list(self.asked)] = True
        groups: list[tuple[Mask, list[Observer]]] = [(listed, [self.links])]
        if self.bands is not None:
            alike = np.array_equal(listed, self.query_mask)
            groups = [(listed, [self.links, self.bands])] if alike else [*groups, (self.query_mask, [self.bands])]
        seeing: list[Observer] = [
            *(masked(each, self.units, query_mask, self.key_mask, itself=self.itself) for query_mask, each in groups),
            self.maps,
            *([self.average] if self.asked and not self.named else []),
        ]
        looking, keys = self.looking, self.units.keys.starts
        rows = not looking.every and (self.large or self.request.generated)
        if self.unit == "token" and not rows:
            return seeing
        if not rows:
            looking = Looking(np.arange(looking.size), np.arange(looking.size), looking.size, self.units)
        units: list[Observer] = [InUnits(self._measure(seeing, looking.queries, looking.starts), looking.starts, keys)]
        return [Rows(units, looking.queries)] if rows else units

    def _measure(
        self, observers: Sequence[Observer], queries: NDArray[np.intp], starts: NDArray[np.intp]
    ) -> list[Observer]:
        """``observers`` of weights, or behind what divides these per token where that is asked for."""
        per_token = self.request.per_token and self.unit != "token"
        return [PerToken(observers, self.seen, queries, starts)] if per_token else list(observers)

    @cached_property
    def seen(self) -> Seen:
        """How many tokens of each unit are seen."""
        source = self.source
        return Seen(
            len(source.encoding),
            len(source.key_encoding),
            self.units.keys.starts,
            source.windows,
            window_sinks=self.window_sinks,
        )

    @cached_property
    def made(self) -> Table | None:
        """What the queries look at that predicted the generated tokens: at tokens, or at larger units."""
        if not self.makers:
            return None
        request, reading = self.request, self.units if self.large else self.pieces
        _, keys, _ = counting(
            reading, causal=self.source.causal, special=request.special, function=True, everything=request.everything
        )
        makers = np.array(self.makers)
        measure = self._measure if self.large else lambda observers, *_: list(observers)
        return Table(makers, np.arange(len(makers)), reading.keys, keys, self.k, measure)

    @cached_property
    def named(self) -> Table | None:
        """What the words look at that were asked for by name, where units are larger."""
        if not (self.large and self.request.words):
            return None
        words = [self.source.encoding.words[i] for i in self.asked]
        queries = np.concatenate([np.arange(word.start, word.stop) for word in words])
        starts = np.cumsum([0, *(word.stop - word.start for word in words[:-1])])
        return Table(queries, starts, self.units.keys, self.key_mask, self.k, self._measure)

    def record(self, name: str, backend: Backend) -> Observation:
        """What was kept."""
        source, numbers = self.source, self.links.layers()
        made, named = (table.found() if table else (None, None) for table in (self.made, self.named))
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
            links=Top(*stacked(self.links)),
            edges=self.edges,
            bands=self._bands(profile.shape[:2]),
            figures=figures | {"sink": self._sink()},
            profile=profile,
            distances=distances,
            received=joined(self.received.layer(number) for number in numbers).astype(np.float32),
            passages=self.passages,
            maps=self.maps.pooled(),
            asked=self.asked,
            average=named[1] if self.named else self.average.rows.cpu().numpy() if self.asked else None,
            made=made[0],
            made_average=made[1],
            named_links=named[0],
            within=self.looking.queries_mask,
            looking=self.looking.units_mask,
            others=self._others(numbers) if self.large else None,
            layer_windows=self.layer_windows.found,
            kind=source.kind,
            keys=source.keys,
            numbers=() if numbers == tuple(range(len(numbers))) else numbers,
            windows=source.windows,
            window_sinks=self.window_sinks,
        )

    def _others(self, numbers: tuple[int, ...]) -> Others:
        """What each unit gets from the queries outside of it."""
        return sum_others(
            joined(self.everyone.layer(number) for number in numbers),
            self.seen,
            [self.layer_windows.found[number] for number in numbers],
            len(self.source.encoding),
            per_token=self.request.per_token,
            one_text=self.source.keys is None,
        )

    def _bands(self, shape: tuple[int, ...]) -> Top:
        if self.bands is None:
            nothing = np.zeros((*shape, 0, LISTED), np.int32)
            return Top(nothing.astype(np.float32), nothing, nothing)
        weights, queries, keys = stacked(self.bands)
        return Top(weights, keys, queries)

    def _sink(self) -> NDArray[np.float64]:
        """As ``sink_of``; of windows the mean, by how many queries are kept of each."""
        causal = self.source.causal
        if self.source.windows:
            places, seen = zip(*self.window_received.parts, strict=True)
            totals = (joined(map(each.total, each.layers())) for each in seen)
            parts = [sink_of(*each, causal=causal)[0] for each in zip(totals, places, strict=True)]
            return np.average(parts, axis=0, weights=[len(each) for each in places])
        queries, passage = np.arange(len(self.source.encoding)), self.looking.queries_mask
        total = joined(map(self.received.total, self.received.layers()))
        return sink_of(total, queries if passage is None else queries[passage], causal=causal)[0]

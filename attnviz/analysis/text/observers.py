"""The observers of one text: what a request asks them to keep."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.links import counting, find_unit
from attnviz.analysis.text.long_range import LISTED
from attnviz.analysis.text.looking import Looking, look_from, settled
from attnviz.analysis.text.maps import plan_maps
from attnviz.analysis.text.others import LayerWindows
from attnviz.analysis.text.per_token import PerToken, Seen
from attnviz.analysis.text.source import Source
from attnviz.analysis.text.tables import LinkTable
from attnviz.analysis.text.units import Mask, left_out, makers_of
from attnviz.analysis.text.usual import select_usual, wanted_keys
from attnviz.attention.figures import EDGES
from attnviz.attention.observers import (
    HeadSums,
    InWindows,
    LinkSelection,
    MapSelection,
    OnlyQueries,
    Received,
    RowShares,
    Sliding,
    Units,
    UnitsAndRegions,
    UsualSelection,
    WindowSums,
)
from attnviz.attention.texts import Texts
from attnviz.attention.tile import Observer
from attnviz.attention.totals import DocumentMasks
from attnviz.encoding import WordSpans
from attnviz.record import Request, measure_of

if TYPE_CHECKING:
    from attnviz.analysis.text.evidence import Gathering

AVERAGED = 16
"""Of how many units at a long text's beginning the average over all heads is kept, where none are asked for by name."""
AVERAGES = 1 << 20
"""Where the averages of all units are no more numbers than this, all are kept."""
_SAMPLED = 8
"""Of so many of the units that are asked for, and of the new tokens, rows are kept for the check."""


class TextObservers:
    """The observers of ``source``, which keep what the ``request`` asks for."""

    def __init__(self, source: Source, request: Request, layers: int) -> None:
        """``layers`` is how many there will be, for all that is known."""
        request, self._layers = settled(request, source.encoding), layers
        if not measure_of(request.weights).plain:  # what is usual is known of shares of attention
            request = replace(request, rank="weight")
        self.source, self.request, self.unit = source, request, request.unit
        self.large = self.unit not in ("token", "word")
        self.share = measure_of(request.weights).share
        self.units, self.pieces = (source.read(unit, request.language) for unit in (self.unit, "token"))
        self.makers = makers_of(source.encoding)
        self.looking = look_from(source.encoding, self.units, request)
        self.query_mask, self.key_mask, self.itself = self._counting()
        self.asked = self._asked()
        self.passages = self._passages()
        one, special = self.units.one_text, request.special or request.everything
        self.window_sinks = source.causal and not special and source.windows is not None and not source.windows.lead
        self.stats = self._stats(self.looking.queries_mask)
        # One more than are listed: one of a query may be at its head's offset.
        self.k = max(request.top, request.links) + 1
        self.edges = tuple(edge for edge in EDGES if edge < len(self.units.queries)) if one else ()
        maps = plan_maps(
            self.units,
            request.crop,
            self.looking.units_mask,
            sink=not source.causal or not one or special,
            special=special,
            size=request.size,
            layers=layers,
            only=request.heads.layers,
        )
        self.seeing, reading = self._reading(maps)
        self.layer_windows = LayerWindows()
        tables = [table.observer for table in (self.made, self.named) if table]
        others = [] if self.usual is None or self.usual is self.seeing else [self.usual]
        self.observers: list[Observer] = [self.layer_windows, reading, *others, *tables]

    def at_once(self) -> list[Observer]:
        """What observes the text, where it is run at once."""
        return [*self._counting_all(), *self.observers]

    def in_windows(self) -> list[InWindows]:
        """What observes the windows, where the text is run in these."""
        sliding = Sliding(self.observers, len(self.source.encoding), sinks=not self.window_sinks)
        return [*(each for each in self._counting_all() if isinstance(each, InWindows)), sliding]

    def _counting_all(self) -> list[Observer]:
        """What adds up, and beside larger units what adds up whoever looks.

        The figures of heads are of shares: what is none is divided by the sum of its row.
        """
        everyone = [self.everyone] if self.large and self.everyone is not self.stats else []
        return [self.stats if self.share else RowShares([self.stats]), *everyone]

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
        if self.request.received:
            return ()
        if self.request.words:
            units = self.source.read("word") if self.large else self.units
            found = tuple(i for word in self.request.words for i in find_unit(units, word))
            return tuple(sorted(set(found))) if self.large else found
        looking = np.flatnonzero(self.query_mask)
        few = len(looking) * len(self.units.keys) <= AVERAGES
        return tuple((looking if few else looking[:AVERAGED]).tolist())

    @cached_property
    def everyone(self) -> HeadSums | WindowSums:
        """What the keys receive from all queries of other passages, whoever looks."""
        return self.stats if self.share and self.looking.queries_mask is None else self._stats(None, Received)

    def _stats(self, looking: Mask | None, sums: type[HeadSums] = HeadSums) -> HeadSums | WindowSums:
        """What figures are read from, and what keys receive, of the queries that are ``looking``, or of all.

        Of a text that is run at once, ``sums`` adds up.
        """
        source = self.source
        about: dict[str, Any] = {
            "counting": np.ones(len(source.encoding), bool) if looking is None else looking,
            "telling": ~self.pieces.queries.special,
            "sets": left_out(source.key_encoding, self.units if self.large else self.pieces),
            "causal": source.causal,
            "passages": self.passages if self.units.one_text else (),
        }
        if source.windows:
            return WindowSums(DocumentMasks(**about), source.windows.widest, sinks=not self.window_sinks)
        return sums(Texts.one(len(source.encoding), len(source.key_encoding), **about), firsts=True)

    def _passages(self) -> tuple[int, ...]:
        """The first tokens of the passages of the text that is looked at, where it has several."""
        encoding = self.source.key_encoding
        if self.large:
            starts = self.units.keys.starts.tolist()
        else:
            starts = [encoding.words[start].start for start, _ in WordSpans(encoding).passages()]
        return tuple(starts) if len(starts) > 1 else ()

    @property
    def listed(self) -> Mask:
        """Whose links are kept: what somebody asked for by name, too, though it may be a word that does not count."""
        listed = self.query_mask.copy()
        if not self.named:
            listed[list(self.asked)] = True
        return listed

    @property
    def averaged(self) -> tuple[int, ...]:
        """The units whose average over all heads is kept."""
        return () if self.named else self.asked

    def _reading(self, maps: Callable[[int], MapSelection]) -> tuple[Units, Observer]:
        """What reads links, maps and averages, and what shows it the rows that look."""
        source, looking = self.source, self.looking
        rows = not looking.every and (self.large or self.request.generated)
        if not rows:
            looking = Looking(np.arange(looking.size), np.arange(looking.size), looking.size, self.units)
        links = LinkSelection(
            self.k,
            self.listed,
            self.key_mask,
            itself=self.itself,
            edges=self.edges,
            listed=LISTED,
            near=self.query_mask,
        )
        size = max(len(self.units.queries), len(self.units.keys))
        pools = self.request.size is not None and size > self.request.size
        keeping = partial(UnitsAndRegions, regions=self.request.regions) if pools and self.request.regions else Units
        units = keeping(
            looking.starts,
            self.units.keys.starts,
            links=links,
            map_=maps,
            averaged=self.averaged,
            factors=self._per_token(looking.queries, looking.starts),
            many=source.windows is not None,
            layers=self._layers,
            usual=None if rows else self._usual,
        )
        return units, OnlyQueries([units], looking.queries) if rows else units

    @cached_property
    def _usual(self) -> UsualSelection | None:
        """Whose weights are kept beside what is usual for the heads; None where that is not added up."""
        source, request = self.source, self.request
        if not request.pairs and request.rank != "lift" and not request.received:
            return None
        keys = wanted_keys(self.units, request.words, self.key_mask, self._layers) if request.received else ()
        selection = select_usual(self.units, source.encoding, source.key_encoding, request.pairs, self._layers)
        return replace(selection, to=sorted({*selection.to, *keys}))

    @cached_property
    def usual(self) -> Units | None:
        """What adds up what is usual for the heads, of all queries: what reads the links, where it sees them all."""
        if self._usual is None or self.seeing.usual is not None:
            return self.seeing if self._usual else None
        return Units(self.units.queries.starts, self.units.keys.starts, many=self.seeing.many, usual=self._usual)

    def _per_token(self, queries: NDArray[np.intp], starts: NDArray[np.intp]) -> PerToken | None:
        """What divides the weights of some ``queries`` per token, where that is asked for."""
        return PerToken(self.seen, queries, starts) if self.request.per_token and self.unit != "token" else None

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
    def made(self) -> LinkTable | None:
        """What the queries look at that predicted the generated tokens: at tokens, or at larger units."""
        if not self.makers:
            return None
        request, reading = self.request, self.units if self.large else self.pieces
        _, keys, _ = counting(
            reading, causal=self.source.causal, special=request.special, function=True, everything=request.everything
        )
        makers = np.array(self.makers)
        starts = np.arange(len(makers))
        per_token = self._per_token(makers, starts) if self.large else None
        return LinkTable(makers, starts, reading.keys, keys, self.k, per_token)

    @cached_property
    def named(self) -> LinkTable | None:
        """What the words look at that were asked for by name, where units are larger."""
        if not (self.large and self.request.words):
            return None
        words = [self.source.encoding.words[i] for i in self.asked]
        queries = np.concatenate([np.arange(word.start, word.stop) for word in words])
        starts = np.cumsum([0, *(word.stop - word.start for word in words[:-1])])
        return LinkTable(queries, starts, self.units.keys, self.key_mask, self.k, self._per_token(queries, starts))

"""The observers of one text: what a request asks them to keep, and the record of what they kept."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.languages import ENGLISH
from attnviz.analysis.text.links import counting, find_unit
from attnviz.analysis.text.long_range import LISTED
from attnviz.analysis.text.looking import Looking, look_from, settled
from attnviz.analysis.text.maps import Maps, masked, plan_maps, pooled
from attnviz.analysis.text.others import LayerWindows, sum_others
from attnviz.analysis.text.per_token import PerToken, Seen
from attnviz.analysis.text.tables import Table, stacked
from attnviz.analysis.text.units import Mask, Reading, left_out, makers_of, read_in
from attnviz.attention.figures import EDGES
from attnviz.attention.kernel import Observer
from attnviz.attention.observers import (
    Average,
    Band,
    HeadSums,
    InUnits,
    InWindows,
    Links,
    Map,
    Rows,
    Sliding,
    TopLinks,
    Units,
    WindowSums,
)
from attnviz.attention.sums import Texts
from attnviz.attention.totals import Document
from attnviz.encoding import Encoding, Windows, WordSpans
from attnviz.record import Array, Backend, Kind, Observation, Others, Pooled, Request, Top, Unit

if TYPE_CHECKING:
    from attnviz.analysis.text.evidence import Gathering

FIGURES = (
    "entropy", "normalised_entropy", "distance", "signed_distance", "self", "previous", "next", "largest", "first",
    "special", "punctuation", "offset", "offset_share", "sink",
)  # fmt: skip
"""The figures of heads that are shown of a text."""
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
        self.seeing = self._in_one_pass(maps) if self._is_plain() else InParts(self, maps)
        self.layer_windows = LayerWindows()
        self.observers = [
            self.layer_windows,
            self.seeing if isinstance(self.seeing, Units) else self.seeing.observer,
            *(table.observer for table in (self.made, self.named) if table),
        ]

    def at_once(self) -> list[Observer]:
        """What observes the text, where it is run at once."""
        return [*self._counting_all(), *self.observers]

    def in_windows(self) -> list[InWindows]:
        """What observes the windows, where the text is run in these."""
        sliding = Sliding(self.observers, len(self.source.encoding), sinks=not self.window_sinks)
        return [*(each for each in self._counting_all() if isinstance(each, WindowSums)), sliding]

    def _counting_all(self) -> list[HeadSums | WindowSums]:
        """What adds up, and beside larger units what adds up whoever looks."""
        return [self.stats, *([self.everyone] if self.large and self.everyone is not self.stats else [])]

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

    @cached_property
    def everyone(self) -> HeadSums | WindowSums:
        """What the keys receive from all queries of other passages, whoever looks."""
        return self.stats if self.looking.queries_mask is None else self._stats(None)

    def _stats(self, looking: Mask | None) -> HeadSums | WindowSums:
        """What figures are read from, and what keys receive, of the queries that are ``looking``, or of all."""
        source = self.source
        about: dict[str, Any] = {
            "counting": np.ones(len(source.encoding), bool) if looking is None else looking,
            "telling": ~self.pieces.queries.special,
            "sets": left_out(source.key_encoding, self.units if self.large else self.pieces),
            "causal": source.causal,
            "passages": self.passages if self.units.one_text else (),
        }
        if source.windows:
            return WindowSums(Document(**about), source.windows.widest, sinks=not self.window_sinks)
        return HeadSums(Texts.one(len(source.encoding), len(source.key_encoding), **about), firsts=True)

    def _passages(self) -> tuple[int, ...]:
        """The first tokens of the passages of the text that is looked at, where it has several."""
        encoding = self.source.key_encoding
        if self.large:
            starts = self.units.keys.starts.tolist()
        else:
            starts = [encoding.words[start].start for start, _ in WordSpans(encoding).passages()]
        return tuple(starts) if len(starts) > 1 else ()

    def _is_plain(self) -> bool:
        """Whether all rows of the text are read, and nothing is divided per token."""
        rows = not self.looking.every and (self.large or self.request.generated)
        return not rows and not (self.request.per_token and self.unit != "token")

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

    def _in_one_pass(self, maps: Callable[[int], Map]) -> Units:
        """What reads links, maps and averages of all rows."""
        links = Links(
            self.k,
            self.listed,
            self.key_mask,
            itself=self.itself,
            edges=self.edges,
            listed=LISTED,
            near=self.query_mask,
        )
        starts = self.units.queries.starts, self.units.keys.starts
        many = self.source.windows is not None
        return Units(*starts, links=links, map_=maps, averaged=self.averaged, many=many)

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
        source, numbers = self.source, self.seeing.layers()
        made, named = (table.found() if table else (None, None) for table in (self.made, self.named))
        figures = self.stats.figures
        distances = tuple(edge for edge in EDGES if edge < len(source.encoding))
        links, bands, maps, average = _found(self.seeing) if isinstance(self.seeing, Units) else self.seeing.found()
        return Observation(
            model=name,
            backend=backend,
            causal=source.causal,
            encoding=source.encoding,
            request=self.request,
            query_mask=self.query_mask,
            key_mask=self.key_mask,
            itself=self.itself,
            links=links,
            edges=self.edges,
            bands=bands,
            figures={name: np.nan_to_num(figures[name]) for name in FIGURES},
            profile=self.stats.profile[..., : len(distances) + 1],
            distances=distances,
            received=self.stats.received(others=True).astype(np.float32),
            passages=self.passages,
            maps=maps,
            asked=self.asked,
            average=named[1] if self.named else average if self.asked else None,
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
            self.everyone.received(others=True),
            self.seen,
            [self.layer_windows.found[number] for number in numbers],
            len(self.source.encoding),
            per_token=self.request.per_token,
            one_text=self.source.keys is None,
        )


def _found(units: Units) -> tuple[Top, Top, Pooled, Array]:
    """The links, those of the bands, the maps and the averages that were read in one pass."""
    found = [units.found[number] for number in units.layers()]
    names = ("weights", "keys"), ("strong", "strong_keys", "strong_queries")
    links, bands = (Top(*(np.stack([getattr(layer, name) for layer in found]) for name in some)) for some in names)
    return links, bands, pooled(units), units.average


class InParts:
    """What reads links, maps and averages of some rows only, or per token: observers behind each other."""

    def __init__(self, text: TextObservers, maps: Callable[[int], Map]) -> None:
        self._text = text
        self._links = TopLinks(text.k)
        self._bands = Band(text.edges, LISTED) if text.edges else None
        self._maps, self._average = Maps(text.units, maps), Average(text.averaged)
        self.observer = self._observer()

    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that were seen."""
        return self._links.layers()

    def _observer(self) -> Observer:
        text = self._text
        listed, counted = text.listed, text.query_mask
        groups: list[tuple[Mask, list[Observer]]] = [(listed, [self._links])]
        if self._bands is not None:
            alike = np.array_equal(listed, counted)
            groups = [(listed, [self._links, self._bands])] if alike else [*groups, (counted, [self._bands])]
        seeing: list[Observer] = [
            *(masked(each, text.units, mask, text.key_mask, itself=text.itself) for mask, each in groups),
            self._maps,
            *([self._average] if text.averaged else []),
        ]
        looking, keys = text.looking, text.units.keys.starts
        rows = not looking.every and (text.large or text.request.generated)
        if not rows:
            looking = Looking(np.arange(looking.size), np.arange(looking.size), looking.size, text.units)
        units = InUnits(text._measure(seeing, looking.queries, looking.starts), looking.starts, keys)
        return Rows([units], looking.queries) if rows else units

    def found(self) -> tuple[Top, Top, Pooled, Array]:
        """The links, those of the bands, the maps and the averages."""
        links = Top(*stacked(self._links))
        nothing = np.zeros((*links.weights.shape[:2], 0, LISTED), np.int32)
        bands = Top(nothing.astype(np.float32), nothing, nothing)
        if self._bands is not None:
            weights, queries, keys = stacked(self._bands)
            bands = Top(weights, keys, queries)
        average = self._average.rows.cpu().numpy() if self._text.averaged else np.zeros((0, 0), np.float32)
        return links, bands, self._maps.pooled(), average

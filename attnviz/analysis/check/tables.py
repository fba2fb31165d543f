"""The check of a document's figures and links, as they go into the tables, by transformers' own weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attnviz.analysis.check.differences import Differences, Tolerance
from attnviz.analysis.check.plain import MarkedText, Plain, mark_text
from attnviz.analysis.check.units import Block, ToUnits, in_document
from attnviz.analysis.corpus.metrics import METRICS, NAMES, Measured
from attnviz.analysis.text.links import counting
from attnviz.analysis.text.offsets import DOMINANT, MANY_QUERIES, MIN_QUERIES, POSITIONAL
from attnviz.analysis.text.units import read_in
from attnviz.attention.kernel import Kind
from attnviz.attention.window import KeyWindow
from attnviz.encoding import Encoding, Window, Windows
from attnviz.model.check.drawing import ALL_WINDOWS, ROWS, sample_heads
from attnviz.model.check.references import show_reference
from attnviz.model.check.report import Against
from attnviz.model.hosted import Hosted
from attnviz.record import Request


@dataclass(frozen=True, eq=False)
class MeasuredDocument:
    """What is to be known of a document to make anew what was ``measured`` of it.

    ``layer_windows`` are those of the model's layers by their own numbers, ``kind`` is that of its first attention, and
    ``target`` what its decoder reads, if it has one beside an encoder. ``whole``: transformers makes all weights at
    once.
    """

    encoding: Encoding
    measured: Measured
    windows: Windows | None
    request: Request
    causal: bool
    layer_windows: Mapping[int, KeyWindow]
    kind: Kind
    target: Encoding | None
    whole: bool

    @property
    def numbers(self) -> list[int]:
        """The model's own numbers of its layers."""
        return sorted(self.layer_windows)

    @property
    def heads(self) -> int:
        """How many each layer has."""
        return int(self.measured.figures.shape[1])

    @property
    def every(self) -> bool:
        """Whether all of it is read again."""
        return self.windows is None or len(self.windows) <= ALL_WINDOWS

    def pieces(self) -> list[tuple[Window | None, Tensor]]:
        """The windows that are read, or None for the document, and the queries that are looked at in all heads."""
        words = self.encoding.words
        linked = [words[i] for i in dict.fromkeys(self.measured.links.query.tolist())]
        tokens = [token for word in linked for token in range(word.start, word.stop)]
        if self.windows is None:
            some = tokens if len(self.encoding) > ROWS else range(len(self.encoding))
            return [(None, torch.tensor([*some][:ROWS] or [0]))]
        found: list[tuple[Window | None, Tensor]] = []
        for window in self.windows:
            inside = [token - window.start + window.lead for token in tokens if window.first <= token < window.last]
            if inside or self.every:
                found.append((window, torch.tensor(inside[:ROWS] or [0])))
        return found


def differences_of(
    document: MeasuredDocument,
    judge: Hosted,
    tolerance: Tolerance,
    by: Against = "eager",
    *,
    figures: bool = True,
    own: Mapping[int, Tolerance] | None = None,
) -> tuple[Differences, dict[int, Tensor], int]:
    """How far ``document`` is from what ``judge``, transformers' model, says.

    It says so ``by`` its eager attention or its SDPA. Beside it are that model's weights, by layer those of some
    queries, and how many heads were made in full. Without ``figures`` these weights alone are wanted.
    Layers may have tolerances of their ``own``.

    Raises:
        NoReferenceWeights: transformers' eager attention gives no weights to compare with.
        InputError, UnsupportedModel, ModelError: as ``Hosted.run``.
    """
    pieces, numbers = document.pieces(), document.numbers
    differences = Differences(tolerance, own or {})
    size = sum(len(window.encoding if window else document.encoding) ** 2 for window, _ in pieces)
    chosen: dict[int, list[int]] = {number: [] for number in numbers}
    if figures and document.every:
        chosen = sample_heads(numbers, document.heads, size)
    layers = {
        number: _Layer(document, place, chosen[number], differences.within(number))
        for place, number in enumerate(numbers)
    }
    kept: dict[int, list[Tensor]] = {number: [] for number in numbers}
    for window, rows in pieces:
        text = mark_text(document.encoding, window)

        def see_rows(number: int, theirs: Tensor, window: Window | None = window, rows: Tensor = rows) -> None:
            kept[number].append(theirs.cpu().flatten(1)[:, None])
            if figures and len(chosen[number]) < document.heads:
                layers[number].see_rows(window, rows, theirs.cpu())

        def see_heads(
            number: int, _: Sequence[int], query: int, key: int, part: Tensor, text: MarkedText = text,
            window: Window | None = window,
        ) -> None:  # fmt: skip
            layers[number].see(text, window, query, key, part.cpu())

        texts = window.encoding if window else document.encoding, document.target
        show_reference(judge, texts, document.kind, rows, chosen, see_rows, see_heads, whole=document.whole, by=by)
        for layer in layers.values() if figures else ():
            layer.end_text(text)
    if figures:
        for layer in layers.values():
            layer.end()
    weights = {number: torch.cat(parts, dim=2) for number, parts in kept.items()}
    return differences, weights, sum(map(len, chosen.values()))


class _Layer:
    """One layer, at the ``place`` that it has in the tables, of which some ``heads`` are made in full."""

    def __init__(self, document: MeasuredDocument, place: int, heads: Sequence[int], differences: Differences) -> None:
        self._document, self._place, self._heads, self._differences = document, place, list(heads), differences
        window = document.layer_windows[document.numbers[place]]
        length = len(document.encoding)
        self._plain = Plain(
            len(heads), length, window, differences.tolerance, by_text=True, duplicates=True, causal=document.causal
        )
        self._links = _Links(document, place, differences)
        self._units = self._links.units()

    def see_rows(self, window: Window | None, rows: Tensor, weights: Tensor) -> None:
        """See rows (H, Q, M) of all heads: their links."""
        order = rows.argsort()
        breaks = (rows[order].diff() != 1).nonzero().flatten() + 1
        for some in torch.tensor_split(order, breaks):
            for block in self._placed(window, int(rows[some[0]]), 0, weights[:, some]):
                for units in self._links.units().rows(*block):
                    self._links.add(range(self._document.heads), *units)

    def see(self, text: MarkedText, window: Window | None, query: int, key: int, weights: Tensor) -> None:
        """See some rows of the heads in full."""
        self._plain.add(text, query, key, weights)
        if self._document.request.links:
            for block in self._placed(window, query, key, weights):
                for units in self._units.rows(*block):
                    self._links.add(self._heads, *units)

    def _placed(self, window: Window | None, query: int, key: int, weights: Tensor) -> list[Block]:
        if window is None:
            return [(query, key, weights)]
        document = self._document
        request = document.request
        sinks = not document.causal or request.special or request.everything or window.lead > 0
        block = in_document(window, query, key, weights, sinks=sinks)
        return [] if block is None else [block]

    def end_text(self, text: MarkedText) -> None:
        self._plain.end(text)

    def end(self) -> None:
        """Hold the figures to what they must be."""
        self._links.end()
        if not self._heads:
            return
        plain, differences, found = self._plain, self._differences, self._plain.figures
        shown = {
            name: torch.from_numpy(self._document.measured.figures[self._place, self._heads, i])
            for i, name in enumerate(NAMES)
        }
        nothing = torch.full((len(self._heads),), torch.nan, dtype=torch.float64)
        for metric in METRICS:
            if metric.kind == "amount" and metric.name != "offset_share":
                of = found["distance"] if metric.name == "signed_distance" else None
                differences.values(metric.name, shown[metric.name], found.get(metric.name, nothing), of)
        plain.judge_offsets(differences, shown["offset"], shown["offset_share"], nan=True)
        plain.judge_sink(differences, shown["sink_position"])
        plain.judge_most(differences, shown["received_position"])


class _Links:
    """The links that were written of a layer."""

    def __init__(self, document: MeasuredDocument, place: int, differences: Differences) -> None:
        self._encoding, self._differences = document.encoding, differences
        links = document.measured.links
        some = np.flatnonzero(links.layer == place)
        columns = (getattr(links, name)[some] for name in ("head", "query", "key", "weight"))
        self._head, self._query, self._key, self._weight = map(torch.from_numpy, columns)
        self._query, self._key = self._query.long(), self._key.long()
        words = read_in("word", document.encoding, None, (), document.request.language)
        query_mask, key_mask, self._itself = counting(
            words, causal=document.causal, special=document.request.special, everything=document.request.everything
        )
        self._looking, self._looked_at = torch.from_numpy(query_mask), torch.from_numpy(key_mask)
        offset, share = (
            torch.from_numpy(document.measured.figures[place, :, NAMES.index(name)])
            for name in ("offset", "offset_share")
        )
        text = 0 if document.request.everything else document.encoding.special.count(False)
        self._out = (share >= POSITIONAL) & (text >= MIN_QUERIES)
        self._dominant = (share >= DOMINANT) & (text >= MANY_QUERIES) & ~self._out
        self._usual = self._keys_at(offset)
        self._found = torch.zeros(len(some), dtype=torch.bool)
        full = len(some) == document.request.links
        self._least = self._weight[-1].double() if full and len(some) else torch.zeros(()).double()
        self._require_order()

    def _keys_at(self, offset: Tensor) -> Tensor:
        """For each head and word the word at the head's offset from it, −1 for none, (H, W)."""
        words = self._encoding.words
        of = np.repeat(np.arange(len(words)), [word.stop - word.start for word in words])
        start, stop = (torch.tensor([getattr(word, end) for word in words]) for end in ("start", "stop"))
        by = offset.nan_to_num().long()[:, None]
        at = torch.where(by <= 0, start + by, stop - 1 + by)
        there = (at >= 0) & (at < len(of))
        return torch.where(there, torch.from_numpy(of)[at.clamp(0, len(of) - 1)], -1)

    def _require_order(self) -> None:
        pairs = self._query * len(self._encoding.words) + self._key
        self._differences.never("links", happens=len(set(pairs.tolist())) != len(pairs))
        self._differences.at_most("links", self._weight[1:], self._weight[:-1])

    def units(self) -> ToUnits:
        """What makes words of tokens."""
        edges = [*(word.start for word in self._encoding.words), len(self._encoding)]
        return ToUnits(edges, edges)

    def add(self, heads: Sequence[int], query: int, key: int, weights: Tensor) -> None:
        """See the words' rows (h, n, m) of ``heads``."""
        some = torch.as_tensor(list(heads))
        n, m = weights.shape[1:]
        counts = self._looking[query : query + n, None] & self._looked_at[key : key + m]
        words = torch.where(counts & ~self._out[some][:, None, None], weights, 0.0)
        if not self._itself:
            words.diagonal(query - key, 1, 2).zero_()
        if bool(self._dominant[some].any()):
            at = torch.where(self._dominant[some][:, None], self._usual[some, query : query + n], -1)
            words = torch.where(at[..., None] == torch.arange(key, key + m), 0.0, words)
        here = ((self._query >= query) & (self._query < query + n)).nonzero().flatten()
        row, column = self._query[here] - query, self._key[here] - key
        inside = (column >= 0) & (column < m)
        column = column.clamp(0, m - 1)
        values = torch.where(inside, words[:, row, column], 0.0)  # (h, links)
        own = some[:, None] == self._head[here]
        self._differences.links("links", self._weight[here].expand(len(some), -1)[own], values[own])
        self._found[here[own.any(0)]] = True
        self._differences.at_most("links", values, self._weight[here].expand(len(some), -1))
        words[:, row[inside], column[inside]] = 0
        if words.numel():
            self._differences.at_most("links", words.amax(), self._least)

    def end(self) -> None:
        """All rows of the linked words have been seen, in their heads: ``ROWS`` tokens of them at least."""
        words = [self._encoding.words[i] for i in set(self._query.tolist())]
        if sum(word.stop - word.start for word in words) <= ROWS:
            self._differences.never("links", happens=~self._found)

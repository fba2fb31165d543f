"""The check of a document's figures and links, as they go into the tables, by transformers' own weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attnviz.analysis.check.differences import Differences, Tolerance
from attnviz.analysis.check.links import Links
from attnviz.analysis.check.plain import MarkedText, Plain, mark_text
from attnviz.analysis.check.units import Block, in_document
from attnviz.analysis.corpus.metrics import METRICS, NAMES, Measured
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

    def in_full(self) -> dict[int, list[int]]:
        """The heads of each layer that are made in full, beside those rows of all."""
        if not self.every:
            return {number: [] for number in self.numbers}
        size = sum(len(window.encoding if window else self.encoding) ** 2 for window, _ in self.pieces())
        return sample_heads(self.numbers, self.heads, size)

    def layer(self, place: int, heads: Sequence[int], differences: Differences) -> Layer:
        """What holds the layer at a ``place`` in the tables to transformers' weights, with some ``heads`` in full."""
        return _TextLayer(self, place, heads, differences)


class Layer:
    """One layer that is held to transformers' weights, as they come; of ``full`` heads all that is shown is held."""

    def __init__(self, full: int) -> None:
        self.full = full

    def see_rows(self, window: Window | None, rows: Tensor, weights: Tensor) -> None:
        """See rows (H, Q, M) of all heads."""

    def see(self, text: MarkedText, window: Window | None, query: int, key: int, weights: Tensor) -> None:
        """See some rows of the heads in full."""

    def end_text(self, text: MarkedText) -> None:
        """A text, or a window of it, has been seen."""

    def end(self) -> None:
        """All has been seen."""


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
    queries (of a pair all), and how many heads were made in full. Without ``figures`` these weights alone are wanted.
    Layers may have tolerances of their ``own``.

    Raises:
        NoReferenceWeights: transformers' eager attention gives no weights to compare with.
        InputError, UnsupportedModel, ModelError: as ``Hosted.run``.
    """
    pieces, numbers = document.pieces(), document.numbers
    differences = Differences(tolerance, own or {})
    chosen = document.in_full() if figures else {number: [] for number in numbers}
    layers = {
        number: document.layer(place, chosen[number], differences.within(number))
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
    return differences, weights, sum(layer.full for layer in layers.values())


class _TextLayer(Layer):
    """A layer of a text's own attention: its links in all heads, and the figures of some ``heads``."""

    def __init__(self, document: MeasuredDocument, place: int, heads: Sequence[int], differences: Differences) -> None:
        super().__init__(len(heads))
        self._document, self._place, self._heads, self._differences = document, place, list(heads), differences
        window = document.layer_windows[document.numbers[place]]
        length = len(document.encoding)
        self._plain = Plain(
            len(heads), length, window, differences.tolerance, by_text=True, duplicates=True, causal=document.causal
        )
        self._links = Links(document, place, differences)
        self._units = self._links.units()

    def see_rows(self, window: Window | None, rows: Tensor, weights: Tensor) -> None:
        """As ``Layer.see_rows``: the links of all heads."""
        order = rows.argsort()
        breaks = (rows[order].diff() != 1).nonzero().flatten() + 1
        for some in torch.tensor_split(order, breaks):
            for block in self._placed(window, int(rows[some[0]]), 0, weights[:, some]):
                for units in self._links.units().rows(*block):
                    self._links.add(range(self._document.heads), *units)

    def see(self, text: MarkedText, window: Window | None, query: int, key: int, weights: Tensor) -> None:
        """As ``Layer.see``."""
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
        """As ``Layer.end_text``."""
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

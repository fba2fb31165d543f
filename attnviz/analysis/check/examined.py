"""Compare what an observation shows with one run of transformers' model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attnviz.analysis.check.differences import Differences, Tolerance
from attnviz.analysis.check.large import UnitRows
from attnviz.analysis.check.made import Made
from attnviz.analysis.check.plain import MarkedText, Plain, mark_cross_text, mark_text
from attnviz.analysis.check.shown import ShownLinks, ShownMap, units_of
from attnviz.analysis.check.units import Block, in_document
from attnviz.analysis.text.units import Reading, left_out, reading_of
from attnviz.attention.window import KeyWindow
from attnviz.encoding import Encoding, Window
from attnviz.errors import InputError
from attnviz.model.check.comparing import rounding_ratio, weight_differences, worst_rounding
from attnviz.model.check.references import show_reference
from attnviz.model.check.report import Against, Rounding
from attnviz.model.check.sampling import OnLayerChecked
from attnviz.model.hosted import Hosted
from attnviz.record import Evidence, Observation

_FIGURES = (
    "entropy", "normalised_entropy", "distance", "signed_distance", "self", "previous", "next", "largest", "first",
    "special", "punctuation",
)  # fmt: skip

Kept = dict[tuple[int, int], Tensor]
"""Rows (H, Q, M) by the number of the window (0 without windows) and of the layer."""


@dataclass(frozen=True, eq=False)
class Piece:
    """What transformers reads at once: the text, or its window ``number``; and the ``rows`` that are compared.

    The first ``mine`` of these rows were kept in the observed run.
    """

    number: int
    window: Window | None
    texts: tuple[Encoding, Encoding | None]
    rows: Tensor
    mine: int


class Examined:
    """Collects the differences between an observation and one run of transformers' model.

    Of what is made of attention weights, such as norms, the rows of weights below are compared.
    """

    def __init__(
        self,
        observation: Observation,
        tolerance: Tolerance,
        heads: Mapping[int, Sequence[int]],
        layers: Mapping[int, Tolerance] | None = None,
    ) -> None:
        """``heads`` are compared in all rows, by the layer's own number; ``layers`` have tolerances of their own."""
        self.observation, self.heads = observation, heads
        self.differences = Differences(tolerance, layers or {})
        self.apart: Kept = {}
        """|Δ| of the rows that were kept in the observed run."""
        self.theirs: Kept = {}
        self._units = reading_of(observation)
        self._made = Made(observation, self.differences)
        self._layers = {number: _Layer(self, place) for place, number in enumerate(observation.layer_numbers)}

    @property
    def units(self) -> Reading:
        """The observation's units."""
        return self._units

    def look(
        self, judge: Hosted, pieces: Sequence[Piece], progress: OnLayerChecked | None, *, whole: bool, by: Against
    ) -> None:
        """Let ``judge`` read all ``pieces``; ``whole`` and ``by`` are as for ``show_reference``."""
        observation, done = self.observation, 0
        for piece in pieces:
            text = _read(observation, piece.window)

            def rows(number: int, theirs: Tensor, piece: Piece = piece) -> None:
                nonlocal done
                self._see_rows(piece, number, theirs)
                done += 1
                if progress:
                    progress(done, len(pieces) * len(self._layers))

            def heads(number: int, _: Sequence[int], query: int, key: int, part: Tensor, text: MarkedText = text,
                      piece: Piece = piece) -> None:  # fmt: skip
                self._layers[number].see(text, piece.window, query, key, part)

            show_reference(
                judge, piece.texts, observation.kind, piece.rows, self.heads, rows, heads, whole=whole, by=by
            )
            for layer in self._layers.values():
                layer.end_text(text)

    def rounding(self, exact: Kept, dtype: str) -> Rounding:
        """How far rounding explains heads beyond the tolerance; ``exact`` are transformers' weights in ``dtype``."""
        found = []
        for number in self.observation.layer_numbers:
            mine, theirs, right = [], [], []
            for kept in evidence_of(self.observation).rows:
                place, count = (kept.window or 0, number), len(kept.queries)
                mine.append(torch.from_numpy(np.asarray(kept.weights[number])).flatten(1))
                theirs.append(self.theirs[place][:, :count].flatten(1))
                right.append(exact[place][:, :count].flatten(1))
            rows = [torch.cat(parts, 1)[:, None] for parts in (mine, theirs, right)]  # (H, 1, all rows' weights)
            times = rounding_ratio(rows[0], rows[1], rows[2])
            beyond = (rows[0] - rows[1].to(rows[0])).abs().amax((-2, -1)) > self.differences.tolerance.weight
            found.append(worst_rounding(torch.where(beyond, times, 0.0), dtype, self.observation.kind, number))
        return max(found, key=lambda each: each.times)

    def end(self, *, every: bool) -> None:
        """Finish the comparison; ``every`` says whether every window was read."""
        if not self.observation.measure.plain:
            return
        self._made.end()
        if every:
            for layer in self._layers.values():
                layer.end()

    def _see_rows(self, piece: Piece, number: int, theirs: Tensor) -> None:
        """Compare the rows (H, Q, M) of a layer, and the links of the units of these rows."""
        observation, evidence = self.observation, evidence_of(self.observation)
        if number not in self._layers:  # nothing of this layer is shown
            return
        theirs = theirs.cpu()
        self.theirs[piece.number, number] = theirs
        for kept in evidence.rows:
            if (kept.window or 0) == piece.number:
                mine = torch.from_numpy(np.asarray(kept.weights[number]))
                self.apart[piece.number, number] = weight_differences(mine, theirs[:, : piece.mine])
        if not observation.measure.plain:
            return
        order = piece.rows.argsort()
        rows = piece.rows[order]
        layer = self._layers[number]
        for some in torch.tensor_split(torch.arange(len(rows)), ((rows.diff() != 1).nonzero().flatten() + 1).cpu()):
            block: Block | None = (int(rows[some[0]]), 0, theirs[:, order[some]])
            if piece.window is not None:
                block = in_document(piece.window, *block, sinks=not observation.window_sinks)  # type: ignore[misc]
            if block is not None:
                layer.see_rows(piece.window, block)

    def see_units(self, place: int, block: Block) -> None:
        """See rows of units in all heads of a layer."""
        self._made.add(place, block)

    def see_tokens(self, place: int, window: Window | None, block: Block) -> None:
        """See rows of tokens in all heads of a layer."""
        self._made.add_tokens(place, window, block)


class _Layer:
    """Compares what is shown of one layer; ``place`` is its index in the observation."""

    def __init__(self, examined: Examined, place: int) -> None:
        observation = examined.observation
        self._examined, self._survey, self._place = examined, observation, place
        self._number = observation.layer_numbers[place]
        self._heads = list(examined.heads[self._number])
        every = range(observation.shape[1])
        self._differences = differences = examined.differences.within(self._number)
        self._sampled = ShownLinks(observation, examined.units, place, every, differences)
        self._links = ShownLinks(observation, examined.units, place, self._heads, differences)
        self._map = ShownMap(observation, examined.units, self._number, place, self._heads, differences)
        self._in_units = units_of(observation)
        self._unit_rows: UnitRows | None = None
        if observation.large or observation.request.generated or observation.request.per_token:
            self._unit_rows = UnitRows(observation, len(self._heads), observation.layer_windows[self._number])
        self._plain = Plain(
            len(self._heads),
            observation.shape[3],
            KeyWindow(*observation.layer_windows[self._number]),
            differences.tolerance,
            edges=observation.distances,
            causal=observation.causal,
        )

    def see_rows(self, window: Window | None, block: Block) -> None:
        """See consecutive rows of whole words, in all heads."""
        self._examined.see_tokens(self._place, window, block)
        if self._unit_rows is not None:
            return
        for units in units_of(self._survey).rows(*block):
            self._sampled.add(*units)
            self._examined.see_units(self._place, units)

    def see(self, text: MarkedText, window: Window | None, query: int, key: int, weights: Tensor) -> None:
        """See some rows of the heads that are compared in full."""
        weights = weights.cpu()
        self._plain.add(text, query, key, weights)
        block: Block | None = (query, key, weights)
        if window is not None:
            block = in_document(window, query, key, weights, sinks=not self._survey.window_sinks)
        if block is None:
            return
        self._map.add_tokens(*block)
        if self._unit_rows is not None:
            self._unit_rows.add(window, *block)
            return
        for units in self._in_units.rows(*block):
            self._links.add(*units)
            self._map.add(*units)

    def end_text(self, text: MarkedText) -> None:
        self._plain.end(text)

    def end(self) -> None:
        """Compare the figures, which need all rows."""
        if not self._heads:
            return
        if self._unit_rows is not None:
            for part in (self._links, self._map):
                part.add(0, 0, self._unit_rows.weights)
            self._unit_rows.judge_others(self._differences, self._place, self._heads)
        self._links.end()
        self._map.end()
        differences, plain, found = self._differences, self._plain, self._plain.figures
        shown = {
            name: torch.from_numpy(np.asarray(each)[self._place][self._heads])
            for name, each in self._survey.figures.items()
        }
        for name in _FIGURES:
            of = found["distance"] if name == "signed_distance" else None
            differences.values(name, shown[name], found[name].nan_to_num(), of)
        differences.values("sink", shown["sink"], found["sink"])
        plain.judge_offsets(differences, shown["offset"], shown["offset_share"], nan=False)
        if self._survey.keys is not None:
            return  # nothing is shown by distance from one text to another
        profile = torch.from_numpy(np.asarray(self._survey.profile)[self._place][self._heads])
        differences.values("profile", profile, plain.profile)


def evidence_of(observation: Observation) -> Evidence:
    """Return what was kept for the check.

    Raises:
        InputError: the observation was made without evidence.
    """
    if observation.evidence is None:
        raise InputError(
            "the observation was made without evidence, and the check needs it", hint="Make it with evidence=True."
        )
    return observation.evidence


def _read(observation: Observation, window: Window | None) -> MarkedText:
    within = None if observation.within is None else torch.from_numpy(observation.within)
    found = (
        mark_text(observation.encoding, window, within)
        if observation.keys is None
        else mark_cross_text(observation.encoding, observation.keys, within)
    )
    sets = {name: found.sets[name] for name in ("special", "punctuation")}
    if observation.large:
        marks = left_out(observation.key_encoding, reading_of(observation))
        positions = slice(None) if observation.keys is not None else found.positions
        sets = {name: torch.from_numpy(mask)[positions] for name, mask in marks.items()}
    return MarkedText(found.ids, found.positions, found.counting, found.telling, sets, found.stop)

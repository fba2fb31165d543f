"""Check a long text: compare the weights of some queries, in every layer and head.

transformers runs with its SDPA, and its eager function computes the weights of these queries
(``hosted/row_sampler.py``); there is no N × M array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attnviz.attention.kernel import Kind, Observer
from attnviz.attention.memory import free_memory, in_words, too_large
from attnviz.attention.observers import Only, Pairs
from attnviz.encoding import Encoding
from attnviz.errors import ModelError
from attnviz.model.architecture.spec import RelativeBuckets
from attnviz.model.backends import map_shapes
from attnviz.model.check.comparing import (
    Compared,
    compare_layer,
    state_differences,
    summarise_layers,
    weight_differences,
)
from attnviz.model.check.drawing import draw_queries
from attnviz.model.check.report import Check, RowCounts
from attnviz.model.native.backend import Native

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted


OnLayerChecked = Callable[[int, int], None]
"""Called with the number of attention layers compared so far, and their total."""

SampledRows = dict[tuple[Kind, int], tuple[Tensor, Tensor]]
"""By kind and layer: the rows (H, Q, M) of attnviz and of transformers."""


def check_rows(
    backend: Native | Hosted,
    judge: Hosted,
    encoding: Encoding,
    target: Encoding | None,
    dtype: torch.dtype,
    progress: OnLayerChecked | None = None,
    kept: SampledRows | None = None,
) -> Check:
    """Compare the weights of some queries of ``backend`` and of transformers' model ``judge``, both in ``dtype``.

    If ``kept`` is given, the compared rows are added to it.

    Raises:
        InputError: there is no memory for the position biases that transformers' model makes of the text.
        ModelError: the two differ in their layers, or in the shapes of their weights.
    """
    if isinstance(backend, Native):
        require_biases(backend, encoding, target, dtype)
    drawn = draw_queries(backend, encoding, target)
    ours = {kind: Pairs(rows.tolist()) for kind, rows in drawn.items()}
    observers: list[Observer] = [Only(kind, [pairs]) for kind, pairs in ours.items()]
    last = backend.run(encoding, [*observers, _Whole()] if isinstance(backend, Native) else observers, target)
    totals = {kind: shape[0] for kind, shape in map_shapes(backend, encoding, target).items()}
    comparison = _Comparison(ours, totals, progress, kept)
    theirs, contradicts = judge.sampled(encoding, drawn, comparison.see, target)
    stack: Kind = "decoder" if "decoder" in backend.kinds else "self"
    rows = drawn[stack].to(last.device)
    found = comparison.sorted(stack, state_differences(last[rows], theirs[rows].to(last)))
    result = summarise_layers(found, dtype)
    if result.passed or not contradicts:
        return result
    return replace(summarise_layers([_without_weights(each) for each in found], dtype), against="sdpa")


def require_biases(backend: Native, encoding: Encoding, target: Encoding | None, dtype: torch.dtype) -> None:
    """Raise if T5's biases in transformers, of all heads, queries and keys, three times, do not fit into memory."""
    spec, free = backend.network.spec, free_memory()
    if free is None or not isinstance(spec.first.position, RelativeBuckets):
        return
    pairs = max(queries * keys for queries, keys in map_shapes(backend, encoding, target).values())
    size = 3 * spec.first.heads * pairs * dtype.itemsize
    if size > free:
        raise too_large(
            len(encoding),
            "the position biases, which transformers' model makes of all tokens at once,",
            in_words(size),
            f"{in_words(free)} are free",
            hint="Give a shorter text, or show this one without the check.",
        )


class _Whole(Observer):
    """Asks for hidden states without keeping any, so that the forward pass computes the last ones completely."""

    def hidden(self, layer: int, states: Tensor, kind: Kind = "self") -> None:
        """Keep nothing."""


class _Comparison:
    """Compare layers as transformers reaches them, and keep the results."""

    def __init__(
        self,
        ours: Mapping[Kind, Pairs],
        totals: Mapping[Kind, int],
        progress: OnLayerChecked | None,
        kept: SampledRows | None,
    ) -> None:
        """Prepare the comparison.

        Args:
            ours: attnviz's rows by kind.
            totals: the number of queries of each map.
            progress: called after each layer.
            kept: gets the compared rows.
        """
        self._ours, self._totals, self._progress, self._kept = ours, totals, progress, kept
        self._places = [(kind, number) for kind, pairs in ours.items() for number in pairs.layers()]
        self._found: dict[tuple[Kind, int], Compared] = {}

    def see(self, kind: Kind, number: int, theirs: Tensor | None) -> None:
        """Compare a layer's rows (H, Q, M)."""
        if (kind, number) not in self._places:
            raise ModelError(f"transformers attends in layer {number}, ours are {self._ours[kind].layers()}")
        pairs = self._ours[kind]
        apart = None if theirs is None else weight_differences(pairs.layer(number), theirs)
        if self._kept is not None and theirs is not None:
            self._kept[kind, number] = pairs.layer(number), theirs
        rows = RowCounts(len(pairs.queries), self._totals[kind])
        self._found[kind, number] = compare_layer(kind, number, apart, (None, 0.0), rows)
        if self._progress:
            self._progress(len(self._found), len(self._places))

    def sorted(self, stack: Kind, states: tuple[float, float]) -> list[Compared]:
        """Return all layers in order; ``states`` are the differences of the states after the last layer of
        ``stack``.
        """
        missing = [place for place in self._places if place not in self._found]
        if missing:
            raise ModelError(f"transformers attends in {len(self._found)} layers, ours are {len(self._places)}")
        end = stack, self._ours[stack].layers()[-1]
        last = self._found[end]
        self._found[end] = replace(last, layer=replace(last.layer, hidden_abs_diff=states[0]), relative=states[1])
        return [self._found[place] for place in self._places]


def _without_weights(found: Compared) -> Compared:
    layer = found.layer
    return compare_layer(layer.kind, layer.layer, None, (layer.hidden_abs_diff, found.relative), layer.rows)

"""Check a long text: compare the weights of some queries, in every layer and head.

transformers runs with its SDPA, and its eager function computes the weights of these queries
(``hosted/row_sampler.py``); there is no N × M array.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from attnviz.attention.kernel import Kind, Observer
from attnviz.attention.memory import free_memory, in_words, too_large
from attnviz.attention.observers import Only, Pairs
from attnviz.encoding import Encoding
from attnviz.errors import ModelError
from attnviz.model.architecture.spec import RelativeBuckets
from attnviz.model.backends import map_shapes
from attnviz.model.check.report import (
    Against,
    Check,
    Compared,
    RowCounts,
    compare_layer,
    state_differences,
    summarise_layers,
    weight_differences,
)
from attnviz.model.native.backend import Native

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted, Reference

ROWS = 64
"""How many queries are drawn, the first and the last among them."""
FEWEST = 8
"""The fewest queries to draw if the weights of ``ROWS`` take more bytes than ``ROOM``."""
ROOM = 1 << 31
ALL_WINDOWS = 256
"""The most windows that transformers reads completely; of more, some are read, and only their links are checked."""
FULL_WEIGHTS = 1 << 27
"""The most weights of heads that are compared in all rows, drawn from the layers in turn; there is at least one
head."""

Examined = TypeVar("Examined")

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
    if free is None or not isinstance(spec.layers[0].attention.position, RelativeBuckets):
        return
    pairs = max(queries * keys for queries, keys in map_shapes(backend, encoding, target).values())
    size = 3 * spec.layers[0].attention.heads * pairs * dtype.itemsize
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


def draw_queries(backend: Native | Hosted, encoding: Encoding, target: Encoding | None = None) -> dict[Kind, Tensor]:
    """Return the queries whose weights are compared, (Q,) of each kind, ascending; always the same."""
    maps = map_shapes(backend, encoding, target)
    size = 4 * sum(backend.heads[kind] * keys for kind, (_, keys) in maps.items())
    count = min(ROWS, max(FEWEST, ROOM // size))
    return {kind: _draw(count, queries) for kind, (queries, _) in maps.items()}


def _draw(count: int, total: int) -> Tensor:
    """Return ``count`` of ``total`` rows, or all if there are no more."""
    if total <= count:
        return torch.arange(total)
    between = torch.randperm(total - 2, generator=torch.Generator().manual_seed(0))[: count - 2] + 1
    return torch.cat((torch.tensor([0, total - 1]), between)).sort().values


def draw_words(starts: Sequence[int], stop: int, count: int, wanted: Iterable[int] = ()) -> list[int]:
    """Return units with at most ``count`` tokens in all, ascending: the first, the last, the ``wanted``, and random
    ones.

    There is at least one unit. ``starts`` are the first tokens of all units, which end at ``stop``.
    """
    ends = [*starts[1:], stop]
    order = torch.randperm(len(starts), generator=torch.Generator().manual_seed(0)).tolist()
    found: dict[int, int] = {}
    for unit in (0, len(starts) - 1, *wanted, *order):
        size = ends[unit] - starts[unit]
        if unit not in found and (not found or sum(found.values()) + size <= count):
            found[unit] = size
        if sum(found.values()) >= count:
            break
    return sorted(found)


def draw_heads(layers: Sequence[int], heads: int, weights: int) -> dict[int, list[int]]:
    """Return the heads of each layer that are compared in all rows, always the same; each head has ``weights``
    weights.
    """
    generator = torch.Generator().manual_seed(0)
    count = max(1, min(len(layers) * heads, FULL_WEIGHTS // max(1, weights)))
    turns = [(layer, torch.randperm(heads, generator=generator).tolist()) for layer in layers]
    order = [turns[i] for i in torch.randperm(len(turns), generator=generator).tolist()]
    chosen = [(layer, mixed[turn]) for turn in range(heads) for layer, mixed in order][:count]
    return {layer: sorted(head for own, head in chosen if own == layer) for layer in layers}


class NoReferenceWeights(Exception):
    """transformers' eager attention returns no weights to compare with, or contradicts its SDPA."""


def attentions_disagree(eager: Reference, sdpa: Reference) -> bool:
    """Whether transformers' eager attention and SDPA differ by more than rounding, in the last layer of any stack."""
    from attnviz.model.hosted.row_sampler import contexts_differ

    pairs = [(eager[kind][1], sdpa[kind][1]) for kind in sdpa if kind in eager]
    last = [(a[-1], b[-1]) for a, b in pairs if a is not None and b is not None]
    return any(contexts_differ(a, b) for a, b in last)


def examine_by_either(
    examine: Callable[[Against], Examined], agrees: Callable[[Examined], bool], contradicts: Callable[[], bool]
) -> tuple[Examined, Against]:
    """Examine transformers' eager attention, or its SDPA if the eager one can't serve as the reference.

    It can't if it returns no weights, or if the result does not agree and ``contradicts`` says that it contradicts
    SDPA.

    Raises:
        NoReferenceWeights: there are no weights by SDPA either.
    """
    try:
        found = examine("eager")
    except NoReferenceWeights:
        return examine("sdpa"), "sdpa"
    if not agrees(found) and contradicts():
        with contextlib.suppress(NoReferenceWeights):
            return examine("sdpa"), "sdpa"
    return found, "eager"


def contradicts_itself(
    judge: Hosted, texts: tuple[Encoding, Encoding | None], kind: Kind, numbers: Sequence[int]
) -> bool:
    """Whether transformers' eager attention and its SDPA contradict each other for a text."""
    return attentions_disagree(judge.reference(*texts), judge.by_sdpa(*texts, {kind: numbers}) or {})


SeeRows = Callable[[int, Tensor], None]
SeeHeads = Callable[[int, Sequence[int], int, int, Tensor], None]


def show_reference(
    judge: Hosted,
    texts: tuple[Encoding, Encoding | None],
    kind: Kind,
    rows: Tensor,
    heads: Mapping[int, Sequence[int]],
    see_rows: SeeRows,
    see_heads: SeeHeads,
    *,
    whole: bool,
    by: Against = "eager",
) -> None:
    """Pass the weights of one ``kind`` by transformers' attention to callbacks, layer by layer.

    Args:
        judge: the transformers model.
        texts: the inputs of the model and of its decoder.
        kind: the kind of map.
        rows: the queries (Q,) whose weights in all heads, (H, Q, M), go to ``see_rows``, with the layer's number.
        heads: the heads of each layer whose weights go to ``see_heads`` in full, some rows at a time: (layer, heads,
            query, key, (h, n, m)).
        see_rows: the callback for rows.
        see_heads: the callback for heads.
        whole: whether transformers computes all weights at once, as models must that attend by themselves.
        by: its eager attention, or its SDPA, which is probed.

    Raises:
        NoReferenceWeights: there are none, or wrong ones.
        InputError, UnsupportedModel, ModelError: as ``Hosted.run``.
    """
    from attnviz.model.hosted.row_sampler import CHUNK

    if whole:
        numbers = {kind: sorted(heads)}
        theirs = judge.reference(*texts) if by == "eager" else judge.by_sdpa(*texts, numbers)
        weights = theirs[kind][0] if theirs else None
        if weights is None or len(weights) != len(heads):
            raise NoReferenceWeights
        for number, layer in zip(sorted(heads), weights, strict=True):
            see_rows(number, layer[:, rows])
            some = list(heads[number])
            step = max(1, CHUNK // (max(1, len(some)) * layer.shape[-1]))
            for query in range(0, layer.shape[1] if some else 0, step):
                see_heads(number, some, query, 0, layer[some, query : query + step])
        return
    every = {each: rows if each == kind else torch.arange(1) for each in judge.kinds}
    seen = set()

    def see(each: Kind, number: int, theirs: Tensor | None) -> None:
        if each != kind:
            return
        if theirs is None:
            raise NoReferenceWeights
        if number not in heads:
            raise ModelError(f"transformers attends in layer {number}, ours are {sorted(heads)}")
        seen.add(number)
        see_rows(number, theirs)

    _, contradicts = judge.sampled(
        texts[0],
        every,
        see,
        texts[1],
        whole={(kind, number): some for number, some in heads.items()},
        see_whole=lambda _, *given: see_heads(*given),
        asked=by == "sdpa",
    )
    if contradicts:
        raise NoReferenceWeights
    if seen != set(heads):
        raise ModelError(f"transformers attends in {len(seen)} layers, ours are {len(heads)}")

"""The check: our attention against the transformers model's own, in every layer and head.

transformers loads the same checkpoint with its eager attention and runs the same token ids; every weight and hidden
state is compared. Of a long text, whose weights are not made all at once, the rows of some queries are. Beyond the
tolerance, both sides run again in float64: rounding collapses there, a mistake stays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from attnviz.checkpoint import Checkpoint
from attnviz.encoding import Encoding
from attnviz.errors import InputError, ModelError
from attnviz.model.hosted import Hosted, Reference, hostable
from attnviz.model.kernel import Kind
from attnviz.model.native import Native
from attnviz.model.observers import HiddenStates, Weights
from attnviz.model.sampling import Progress as Progress
from attnviz.model.sampling import check_rows
from attnviz.model.verdict import TOLERANCES as TOLERANCES
from attnviz.model.verdict import Check as Check
from attnviz.model.verdict import Compared, compare, states_apart, sum_up, weights_apart
from attnviz.model.verdict import LayerCheck as LayerCheck
from attnviz.model.verdict import Rows as Rows
from attnviz.model.ways import LONG, Options, open_by_transformers, open_way, size_of_weights


def check(
    checkpoint: Checkpoint,
    encoding: Encoding,
    target: Encoding | None = None,
    options: Options | None = None,
    way: Native | Hosted | None = None,
    progress: Progress | None = None,
    judge: Judge | None = None,
) -> Check:
    """Run ``encoding`` (and a decoder's ``target``) our way and by transformers' own attention, and compare.

    Args:
        way: the model as ``options`` say, where it is open already.
        progress: is told how far the comparison of a long text is.
        judge: transformers' model, where more than one text is checked.

    Raises:
        InputError: there is no memory for what transformers' model needs for a long text.
        ModelError: transformers can't load or run the checkpoint with eager attention.
    """
    options, judge = options or Options(), judge or Judge(checkpoint)
    way = way or open_way(checkpoint, options)[0]
    long = size_of_weights(way, encoding, target) > LONG
    alone = hostable(checkpoint.config) if long and isinstance(way, Native) else None
    if long and alone is None:
        result = check_rows(way, judge.of(options, way), encoding, target, options.dtype, progress)
    else:
        with explained(alone):
            result = _check_all(way, judge.of(options, way), encoding, target, options.dtype)
    if result.passed or options.dtype is not torch.float32 or checkpoint.quantised:
        return result
    exact = replace(options, dtype=torch.float64)
    return replace(result, double=check(checkpoint, encoding, target, exact, progress=progress, judge=judge))


class Judge:
    """The models that transformers runs of a checkpoint, opened when they are needed and kept."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._open: dict[Options, Hosted] = {}

    def of(self, options: Options, way: Native | Hosted | None) -> Hosted:
        """The model with these ``options``; in the hosted ``way`` with these it is there already."""
        if isinstance(way, Hosted):
            return way
        if options not in self._open:
            self._open[options] = open_by_transformers(self._checkpoint, options)
        return self._open[options]


@contextlib.contextmanager
def explained(reason: str | None) -> Iterator[None]:
    """Say, where weights do not fit into memory, for what ``reason`` those of a few queries would not do."""
    try:
        yield
    except InputError as error:
        if reason:
            error.message = f"{reason}, so that all weights must be compared at once; {error.message}"
            error.hint = "Give a shorter text, or show this one with --no-check."
        raise


def _check_all(
    way: Native | Hosted, judge: Hosted, encoding: Encoding, target: Encoding | None, dtype: torch.dtype
) -> Check:
    """Compare all weights."""
    weights, states = Weights(), HiddenStates()
    way.run(encoding, [weights, states], target)
    theirs = judge.reference(encoding, target)
    result = sum_up(list(_compared(weights, states, theirs, way.kinds)), dtype)
    other = None if result.passed else judge.second_opinion(encoding, target)
    if other is not None and _contradict(theirs, other):
        second: Reference = {kind: (None, other.get(kind)) for kind in way.kinds}
        result = replace(sum_up(list(_compared(weights, states, second, way.kinds)), dtype), against="sdpa")
    return result


def _contradict(theirs: Reference, other: Mapping[Kind, Tensor]) -> bool:
    """Whether transformers' two ways of attention differ by more than rounding, in the last layer of any stack."""
    last = [(states[-1], other[kind][-1]) for kind, (_, states) in theirs.items() if states is not None]
    return any(float((a - b).abs().max()) > 1e-3 * max(1.0, float(b.abs().max())) for a, b in last)


def _compared(weights: Weights, states: HiddenStates, theirs: Reference, kinds: tuple[Kind, ...]) -> Iterator[Compared]:
    """What is found of each layer of each kind."""
    for kind in kinds:
        reference, hidden = theirs[kind]
        numbers = weights.layers(kind)
        if reference is not None and len(reference) != len(numbers):
            raise ModelError(f"transformers returns the weights of {len(reference)} layers, ours are {len(numbers)}")
        mine = None if kind == "cross" or hidden is None else states.stacked(kind)
        for i, number in enumerate(numbers):
            apart = None if reference is None else weights_apart(weights.layer(number, kind), reference[i])
            yield compare(kind, number, apart, _states_apart(mine, hidden, number + 1))


def _states_apart(mine: Tensor | None, other: Tensor | None, number: int) -> tuple[float | None, float]:
    """|Δ| of the states after a layer, of all states (L + 1, T, C)."""
    if mine is None or other is None:
        return None, 0.0
    if mine.shape != other.shape:
        raise ModelError(f"our hidden states have the shape {tuple(mine.shape)}, transformers' {tuple(other.shape)}")
    return states_apart(mine[number], other[number])

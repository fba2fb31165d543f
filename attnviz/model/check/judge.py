"""Check what was shown of a text against the transformers model's own attention, in every layer and head.

transformers loads the same checkpoint with eager attention and runs the same ids in the same type; its weights are
compared with those of the record, which may have been changed since they were computed. For a long text, whose weights
are not kept all at once, the rows of some queries are compared. Beyond the tolerance, both sides run again in a wider
type: rounding shrinks there, a mistake does not; and what was shown must be no farther off than rounding explains.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from attnviz.checkpoint import Checkpoint
from attnviz.encoding import Encoding
from attnviz.errors import InputError, ModelError
from attnviz.model.backends import MAX_KEPT_BYTES, WIDER, Options, open_backend, open_by_transformers, weights_size
from attnviz.model.check.comparing import (
    Compared,
    compare_layer,
    rounding_ratio,
    state_differences,
    summarise_layers,
    weight_differences,
    worst_rounding,
)
from attnviz.model.check.generation import check_generation
from attnviz.model.check.references import attentions_disagree
from attnviz.model.check.report import COARSE, LOGITS_TOLERANCE, Against, LogitsCheck, Rounding
from attnviz.model.check.report import TOLERANCES as TOLERANCES
from attnviz.model.check.report import Check as Check
from attnviz.model.check.report import LayerCheck as LayerCheck
from attnviz.model.check.report import RowCounts as RowCounts
from attnviz.model.check.sampling import OnLayerChecked as OnLayerChecked
from attnviz.model.check.sampling import SampledRows, check_rows
from attnviz.model.check.shown import Shown, make_shown
from attnviz.model.hosted import Hosted, Reference, why_not_hostable
from attnviz.model.native.backend import Native
from attnviz.record import Prediction

HALF = (torch.bfloat16, torch.float16)


def check_encoding(
    checkpoint: Checkpoint,
    encoding: Encoding,
    target: Encoding | None = None,
    options: Options | None = None,
    backend: Native | Hosted | None = None,
    progress: OnLayerChecked | None = None,
    judge: Judge | None = None,
) -> Check:
    """Run ``encoding`` (and a decoder's ``target``) with attnviz and with transformers' own attention, and compare.

    Args:
        checkpoint: the checkpoint.
        encoding: the input.
        target: the decoder's input.
        options: how the checkpoint is run.
        backend: the model with these options, if it is open already.
        progress: called during the comparison of a long text.
        judge: the reference models, to keep them open when several texts are checked.

    Raises:
        InputError: there is no memory for what transformers' model needs for a long text.
        ModelError: transformers can't load or run the checkpoint with eager attention.
    """
    options, judge = options or Options(), judge or Judge(checkpoint)
    backend = backend or judge.backend(options)
    long = weights_size(backend, encoding, target) > MAX_KEPT_BYTES
    alone = why_not_hostable(checkpoint.config) if long and isinstance(backend, Native) else None
    if long and alone is None:
        return _check_rows(encoding, target, options, backend, judge, progress)
    with explaining(alone):
        return check_shown(make_shown(backend, encoding, target), checkpoint, options, backend, judge)


def check_shown(
    shown: Shown, checkpoint: Checkpoint, options: Options, backend: Native | Hosted, judge: Judge | None = None
) -> Check:
    """Compare what ``backend`` showed with what transformers' own attention makes of the same ids.

    Raises:
        InputError, ModelError: as ``check_encoding``.
    """
    judge = judge or Judge(checkpoint)
    found = _Comparison(shown, options, backend, judge).verdict()
    written = check_generation(checkpoint, options, backend, shown.encoding, shown.target, found.against)
    return replace(found, written=written)


def check_logits(prediction: Prediction, encoding: Encoding, side: Hosted) -> LogitsCheck | None:
    """Compare a ``prediction`` with the scores of transformers' classifier ``side``, by its own eager attention.

    None in half precision, where rounding hides all but gross mistakes, and where transformers has no classifier.
    """
    if side.labels is None or side.model.dtype in HALF:
        return None
    theirs = side.logits(encoding, own=True).double().cpu()
    ours = torch.from_numpy(prediction.logits).double()
    if ours.shape != theirs.shape:
        raise ModelError(f"transformers gives {tuple(theirs.shape)} scores of labels, ours are {tuple(ours.shape)}")
    largest = max(1.0, float(theirs.abs().max()))
    return LogitsCheck(float((ours - theirs).abs().max()), LOGITS_TOLERANCE * largest)


class Judge:
    """The models of a checkpoint that a check runs, opened at the first use and kept."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._open: dict[Options, Hosted] = {}
        self._ways: dict[Options, Native | Hosted] = {}

    def of(self, options: Options, backend: Native | Hosted | None) -> Hosted:
        """Return the transformers model with these ``options``; a hosted ``backend`` already contains it."""
        if isinstance(backend, Hosted):
            return backend
        if options not in self._open:
            self._open[options] = open_by_transformers(self.checkpoint, options)
        return self._open[options]

    def backend(self, options: Options) -> Native | Hosted:
        """Return attnviz's backend with these ``options``."""
        if options not in self._ways:
            self._ways[options] = open_backend(self.checkpoint, options)[0]
        return self._ways[options]


def _check_rows(
    encoding: Encoding,
    target: Encoding | None,
    options: Options,
    backend: Native | Hosted,
    judge: Judge,
    progress: OnLayerChecked | None,
) -> Check:
    """Check a long text. Half precision hides all but gross mistakes, so such a model is checked in float32."""
    quantised = judge.checkpoint.quantised
    if options.dtype in HALF and not quantised:
        options = replace(options, dtype=torch.float32)
        backend = judge.backend(options)
    result = check_rows(backend, judge.of(options, backend), encoding, target, options.dtype, progress)
    if result.agrees or options.dtype is not torch.float32 or quantised:
        return result
    exact = replace(options, dtype=torch.float64)
    near: SampledRows = {}
    precise: SampledRows = {}
    double = check_rows(
        judge.backend(exact), judge.of(exact, judge.backend(exact)), encoding, target, exact.dtype, None, precise
    )
    check_rows(backend, judge.of(options, backend), encoding, target, options.dtype, None, near)
    found = [
        worst_rounding(rounding_ratio(mine, theirs, precise[place][1]), double.dtype, *place)
        for place, (mine, theirs) in near.items()
        if place in precise
    ]
    return replace(result, double=double, rounding=max(found, key=lambda each: each.times, default=None))


@contextlib.contextmanager
def explaining(reason: str | None) -> Iterator[None]:
    """Add to memory errors inside the block the ``reason`` why the rows of a few queries were not enough."""
    try:
        yield
    except InputError as error:
        if reason:
            error.message = f"{reason}, so that all weights must be compared at once; {error.message}"
            error.hint = "Give a shorter text, or show this one without the check."
        raise


class _Comparison:
    """The comparison of what a ``backend`` with these ``options`` showed with transformers' own attention."""

    def __init__(self, shown: Shown, options: Options, backend: Native | Hosted, judge: Judge) -> None:
        self._shown, self._options, self._judge = shown, options, judge
        self._side = judge.of(options, backend)
        self._theirs: dict[Against, Reference | None] = {}

    def verdict(self) -> Check:
        """Return the verdict, with that of a wider type if it must decide."""
        dtype, quantised = self._options.dtype, self._judge.checkpoint.quantised
        if dtype in HALF and not quantised:
            return self._rounded(None)
        result = self._against("eager")
        if not result.agrees and self._contradict():
            result = self._against("sdpa")
        return result if result.agrees or quantised or dtype not in WIDER else self._rounded(result)

    def theirs(self, against: Against) -> Reference | None:
        """Return the weights and states by transformers' attention ``against``; None if the model does not
        support it.
        """
        if against not in self._theirs:
            shown, numbers = self._shown, self._shown.numbers
            by = self._side.reference if against == "eager" else self._side.by_sdpa
            self._theirs[against] = by(shown.encoding, shown.target, numbers)
        return self._theirs[against]

    def _against(self, against: Against) -> Check:
        tolerance = COARSE if self._judge.checkpoint.quantised else None
        found = list(_compared(self._shown, self.theirs(against) or {}))
        if all(each.layer.max_abs_diff is None and each.layer.hidden_abs_diff is None for each in found):
            raise ModelError("transformers' own attention gives no weights, and no hidden states to compare instead")
        return replace(summarise_layers(found, self._options.dtype, tolerance), against=against)

    def _contradict(self) -> bool:
        """Whether transformers' eager attention and SDPA differ by more than rounding, in the last layer of any
        stack.
        """
        return attentions_disagree(self.theirs("eager") or {}, self.theirs("sdpa") or {})

    def _rounded(self, result: Check | None) -> Check:
        """Return the ``result`` with the verdict of a wider type, which says how much rounding does in this one."""
        options = replace(self._options, dtype=WIDER[self._options.dtype])
        backend = self._judge.backend(options)
        wider = _Comparison(
            make_shown(backend, self._shown.encoding, self._shown.target), options, backend, self._judge
        )
        double = wider.verdict()
        result = result or self._against(double.against)
        theirs, exact = self.theirs(result.against) or {}, wider.theirs(result.against) or {}
        rounding = max(_rounding(self._shown, theirs, exact, double.dtype), key=lambda each: each.times)
        return replace(result, double=double, rounding=rounding)


def _compared(shown: Shown, theirs: Reference) -> Iterator[Compared]:
    """Yield the comparison of each layer of each kind."""
    for kind, weights in shown.weights.items():
        reference, hidden = theirs.get(kind, (None, None))
        if reference is not None and len(reference) != len(weights):
            raise ModelError(f"transformers returns the weights of {len(reference)} layers, ours are {len(weights)}")
        rows = RowCounts(weights.shape[2], weights.shape[2])
        for i, number in enumerate(shown.numbers[kind]):
            apart = None if reference is None else weight_differences(weights[i], reference[i].to(weights.device))
            states = _pair(shown.states.get(kind, ()), hidden, number)
            yield compare_layer(kind, number, apart, state_differences(*states) if states else (None, 0.0), rows)


def _pair(mine: Sequence[Tensor], theirs: Tensor | None, number: int) -> tuple[Tensor, Tensor] | None:
    """Return the states (T, C) after the layer ``number`` of both sides; None if one of them has none."""
    if theirs is None or number + 1 >= len(mine):
        return None
    if number + 1 >= len(theirs):
        raise ModelError(f"our hidden states are those of {len(mine)} layers, transformers' of {len(theirs)}")
    return mine[number + 1], theirs[number + 1].to(mine[number + 1].device)


def _rounding(shown: Shown, theirs: Reference, exact: Reference, wider: str) -> Iterator[Rounding]:
    """Yield how much of the difference rounding explains, by layer and kind; of the states if there are no weights."""
    for kind, weights in shown.weights.items():
        (reference, hidden), (precise, states) = theirs.get(kind, (None, None)), exact.get(kind, (None, None))
        for i, number in enumerate(shown.numbers[kind]):
            if reference is not None and precise is not None:
                yield worst_rounding(rounding_ratio(weights[i], reference[i], precise[i]), wider, kind, number)
            elif hidden is not None and states is not None and number + 1 < len(shown.states.get(kind, ())):
                mine = shown.states[kind][number + 1]
                yield Rounding(
                    float(rounding_ratio(mine, hidden[number + 1], states[number + 1])), wider, kind, number, None
                )

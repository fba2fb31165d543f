"""The report of a check: how far what was shown and transformers' own attention differ, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch

from attnviz.attention.kernel import Kind

Against = Literal["eager", "sdpa"]

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}
"""Rounding adds up to about 1e-6 in float32 and 1e-15 in float64; mistakes are larger."""
COARSE = 0.03
"""The tolerance of quantised weights, which can't be compared in another type, and whose kernels sum in other
orders."""
ROUNDING_BOUND = 6.0
"""Rounding explains a difference up to this many times the distance by which rounding moves transformers' own weights.

Two, since both sides round, in opposite directions at worst; times three, since two sums of the same numbers in
different orders round alike only on average. The largest ratio was 3.4, over 1,170 layers of test models in each of
bfloat16, float16 and float32.
"""
LOGITS_TOLERANCE = 1e-3
"""How far the scores of labels may differ, relative to the largest: rounding adds up to 1e-5, another head gives 0.1
and more."""
TIE_BOUND = 4.0
"""Rounding explains a difference of two scores up to this many times the most it moves any score of that step.

Each of the two scores is rounded, on both sides.
"""


def tolerance_of(dtype: torch.dtype) -> float:
    """Return how far two weights may differ before rounding must be examined; half precision uses float32's."""
    return TOLERANCES.get(dtype, TOLERANCES[torch.float32])


@dataclass(frozen=True)
class RowCounts:
    """The number of queries whose weights were ``compared``, of the ``total`` of a map."""

    compared: int
    total: int


@dataclass(frozen=True)
class LayerCheck:
    """The differences in one layer.

    Args:
        kind: the kind of the map.
        layer: the layer's number.
        max_abs_diff: the largest |Δ| of the weights; None if eager attention returns none.
        mean_abs_diff: the mean |Δ| of the weights; likewise.
        worst_head: the head with the largest difference; likewise.
        hidden_abs_diff: the largest |Δ| of the hidden states after the layer; None if there are none to compare:
            cross-attention has none of its own, no weight depends on the last ones, and for a long text only those of
            the last layer are compared.
        rows: how many rows of weights (and states) were compared.
    """

    kind: Kind
    layer: int
    max_abs_diff: float | None
    mean_abs_diff: float | None
    worst_head: int | None
    hidden_abs_diff: float | None
    rows: RowCounts | None = None


@dataclass(frozen=True)
class InputCheck:
    """The comparison of the ids with those of transformers' own tokenizer.

    Args:
        differs: the first difference; empty if there is none.
        reason: why no independent tokenizer could be compared; empty if one was.
    """

    differs: str = ""
    reason: str = ""


@dataclass(frozen=True)
class WindowCounts:
    """How many windows of a text in windows were checked.

    Args:
        read: the windows that transformers read.
        rows: the windows that contain the compared rows.
        total: all windows.
    """

    read: int
    rows: int
    total: int


@dataclass(frozen=True)
class Recomputed:
    """What was recomputed from transformers' weights: the figures and maps of some heads, and links.

    Args:
        heads: the heads whose weights were compared in full; none if transformers did not read all ``windows``.
        total: all heads.
        apart: the largest difference, divided by what rounding may cause; at most 1 passes.
        what: what differs most.
        windows: for a text in windows, how many were checked.
    """

    heads: int
    total: int
    apart: float
    what: str
    windows: WindowCounts | None = None

    @property
    def passed(self) -> bool:
        """Whether everything that is shown is right."""
        return self.apart <= 1


@dataclass(frozen=True)
class Rounding:
    """How large a difference is, compared with rounding, in the head where this is largest.

    Rounding is the distance from transformers' weights in the type of the check to those in ``exact``, a wider type.
    The distance of two maps is the root of the sum of squared differences.

    Args:
        times: the difference, divided by rounding.
        exact: the wider type.
        kind: the kind of the map.
        layer: the layer's number.
        head: the head; None if hidden states were compared.
        bound: the largest ratio that rounding explains.
    """

    times: float
    exact: str
    kind: Kind
    layer: int
    head: int | None
    bound: float = ROUNDING_BOUND

    @property
    def explains(self) -> bool:
        """Whether rounding explains the difference."""
        return self.times <= self.bound


@dataclass(frozen=True)
class LogitsCheck:
    """The comparison of the scores that a classifier gives its labels.

    Args:
        max_abs_diff: the largest |Δ|.
        tolerance: the largest difference that rounding explains.
    """

    max_abs_diff: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the scores agree."""
        return self.max_abs_diff <= self.tolerance


@dataclass(frozen=True)
class Choice:
    """A generated token that transformers would have chosen differently.

    Args:
        place: its position in the text.
        ours: the id that was generated.
        theirs: the id that transformers would choose; None if it ends the text here.
        apart: how far transformers' score of its own choice is above that of ours.
        explained: how far apart rounding may put the two.
    """

    place: int
    ours: int
    theirs: int | None
    apart: float
    explained: float


@dataclass(frozen=True)
class GenerationCheck:
    """The comparison of generated tokens.

    Args:
        compared: how many were compared.
        by: what generated them; in a hosted model it is transformers itself, so that there is nothing to compare.
        differ: the tokens that transformers would have chosen differently.
    """

    compared: int
    by: Literal["attnviz", "transformers"] = "attnviz"
    differ: tuple[Choice, ...] = ()

    @property
    def wrong(self) -> Choice | None:
        """The first token that rounding does not explain; None if there is none."""
        return next((choice for choice in self.differ if not choice.apart <= choice.explained), None)


@dataclass(frozen=True)
class Check:
    """The result of a check.

    Args:
        heads: how many heads were compared; 0 if the model's own attention returns no weights.
        dtype: the type in which both sides ran.
        tolerance: the largest difference of that type.
        max_abs_diff: the largest difference of the weights, or without weights of the hidden states, relative to the
            largest state of the layer.
        worst: the layer with that difference.
        layers: all layers.
        double: the check in a wider type, made in half precision and beyond the tolerance.
        against: transformers' attention that was compared with; its SDPA if its eager one contradicts that.
        rounding: whether rounding explains the difference; a mistake in either type makes the check fail.
        written: the comparison of generated tokens, if there are any.
        inputs: the comparison of the ids with transformers' tokenizer.
        recomputed: what was recomputed of an observation.
        logits: the comparison of a classifier's scores; None for other models, in half precision, and for long texts.
        rerun: whether another run was compared, since transformers has no weights to compare an observation with.
    """

    heads: int
    dtype: str
    tolerance: float
    max_abs_diff: float
    worst: LayerCheck
    layers: tuple[LayerCheck, ...]
    double: Check | None = None
    against: Against = "eager"
    rounding: Rounding | None = None
    written: GenerationCheck | None = None
    inputs: InputCheck = field(default_factory=InputCheck)
    recomputed: Recomputed | None = None
    rerun: bool = False
    logits: LogitsCheck | None = None

    @property
    def passed(self) -> bool:
        """Whether the ids, every head, every generated token and the scores of labels agree with transformers."""
        written = self.written is None or self.written.wrong is None
        return not self.inputs.differs and self.agrees and written and (self.logits is None or self.logits.passed)

    @property
    def agrees(self) -> bool:
        """Whether every head agrees: within the tolerance, or within what rounding explains and in a wider type.

        For an observation, the check in the wider type compares what was shown, within what rounding explains: it
        decides.
        """
        explained = self.rounding.explains if self.rounding else self.double is not None
        near = self.max_abs_diff <= self.tolerance or explained
        again = self.double is None or self.double.agrees
        return near and again and (self.recomputed is None or self.recomputed.passed)

    @property
    def rows(self) -> dict[Kind, RowCounts]:
        """The number of compared rows, by kind of map."""
        return {layer.kind: layer.rows for layer in self.layers if layer.rows is not None}

"""What heads write and where they look on average over texts, to be put in the place of what they do in one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from attnviz.analysis.effects.ablation import Way
from attnviz.analysis.effects.sides import require_same_length
from attnviz.attention.interventions import Freeze, Mean
from attnviz.attention.tile import Kind, Observer, Tile
from attnviz.encoding import Encoding
from attnviz.errors import AttnvizError, InputError, count_of

if TYPE_CHECKING:
    from torch import Tensor

    from attnviz.analysis.effects.places import HeadPlace
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native
    from attnviz.model.outcomes import Readout

Inputs = Iterable[tuple[Encoding, Encoding | None] | AttnvizError]
"""What the model reads, text by text; an error stands for one that could not be read."""


class ContextSums(Observer):
    """Adds up the outputs of heads over all tokens of several runs."""

    valued = contexts = True

    def __init__(self) -> None:
        self._sums: dict[tuple[Kind, int], Tensor] = {}
        self._counts: dict[Kind, int] = {}

    def see_context(self, layer: int, kind: Kind, context: Tensor) -> None:
        """Add the outputs (H, N, D) of a layer."""
        total = context.double().sum(1)
        at = kind, layer
        self._sums[at] = total if at not in self._sums else self._sums[at] + total
        if layer == min(each for of, each in self._sums if of == kind):
            self._counts[kind] = self._counts.get(kind, 0) + context.shape[1]

    def mean(self, place: HeadPlace) -> Mean:
        """The mean output of a head in the place of its own."""
        values = self._sums[place.kind, place.layer][place.head] / self._counts[place.kind]
        return Mean(place.layer, place.head, place.kind, values)


class PatternSums(Observer):
    """Adds up the weights of some heads at each query and key over several runs of texts of one length."""

    def __init__(self, places: Iterable[HeadPlace]) -> None:
        self._places = {(place.kind, place.layer, place.head) for place in places}
        self._layers = {(kind, layer) for kind, layer, _ in self._places}
        self._sums: dict[tuple[Kind, int, int], Tensor] = {}
        self._runs: dict[tuple[Kind, int, int], int] = {}

    def wants(self, layer: int, kind: Kind) -> bool:
        """Whether one of the heads is of the layer."""
        return (kind, layer) in self._layers

    def tile(self, tile: Tile) -> None:
        """Add the weights of a tile."""
        import torch

        weights: Tensor = tile.weights
        h, n, m = weights.shape
        for i in range(h):
            at = tile.kind, tile.layer, tile.head + i
            if at not in self._places:
                continue
            if at not in self._sums:
                self._sums[at] = torch.zeros(tile.shape[1:], dtype=torch.float64, device=weights.device)
            self._runs[at] = self._runs.get(at, 0) + (tile.query == 0)
            self._sums[at][tile.query : tile.query + n, tile.key : tile.key + m] += weights[i]

    def frozen(self, place: HeadPlace) -> Freeze:
        """The mean weights of a head in the place of its own; rows sum to 1, or less where a sink takes a share."""
        at = place.kind, place.layer, place.head
        return Freeze(place.layer, place.head, place.kind, self._sums[at] / self._runs[at])


def observe_texts(
    backend: Native | Hosted,
    inputs: Inputs,
    observer: Observer,
    on_progress: Callable[[int, int], None] = lambda *_: None,
    suited: Callable[[Encoding, Encoding | None], bool] = lambda *_: True,
) -> tuple[int, int]:
    """Run each of several texts for an ``observer``; return how many were run, and how many of them failed.

    Args:
        backend: the model.
        inputs: what it reads.
        observer: what sees the runs.
        on_progress: is told how many more documents and tokens are done.
        suited: whether an input is run.

    Raises:
        InputError: there are none that could be run; the message has the first reason.
    """
    done = failed = 0
    reason = ""
    for each in inputs:
        tokens = 0
        try:
            if isinstance(each, AttnvizError):
                raise each
            if suited(*each):
                backend.run(each[0], [observer], each[1])
                done, tokens = done + 1, len(each[0])
        except AttnvizError as error:
            failed, reason = failed + 1, reason or error.message
        on_progress(1, tokens)
    if not done:
        why = f": {reason}" if reason else ""
        raise InputError(f"no text could be used for a mean{why}", hint="Give texts that the model can read.")
    return done, failed


UNIFORM = Way(
    lambda heads: f"when the weights of {heads} are uniform",
    "Each query gives the same weight to each key that it sees; values are those of this text.",
    lambda place: Freeze(place.layer, place.head, place.kind),
    {"way": "uniform"},
)


def by_mean(backend: Native | Hosted, inputs: Inputs, on_progress: Callable[[int, int], None] = lambda *_: None) -> Way:
    """A head's output is its mean over all tokens of some texts.

    Raises:
        InputError: none of them could be run.
    """
    sums = ContextSums()
    done, failed = observe_texts(backend, inputs, sums, on_progress)
    return Way(
        lambda heads: f"when {heads} writes its mean",
        f"A head writes its mean over all tokens of {_texts(done, failed)}, whatever the text.",
        sums.mean,
        {"way": "mean", "documents": done, "failed": failed},
    )


def by_mean_pattern(
    backend: Native | Hosted,
    inputs: Inputs,
    readout: Readout,
    places: Iterable[HeadPlace],
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Way:
    """A head's weights are their mean, query by query and key by key, over texts cut to this one's length.

    Raises:
        InputError: none of them is, or could be run.
    """
    lengths = len(readout.encoding), len(readout.target or ())
    sums, shorter = PatternSums(places), 0

    def suited(encoding: Encoding, target: Encoding | None) -> bool:
        nonlocal shorter
        found = (len(encoding), len(target or ())) == lengths
        shorter += not found
        return found

    try:
        done, failed = observe_texts(backend, inputs, sums, on_progress, suited)
    except InputError as error:
        raise InputError(
            f"no text has the {count_of(lengths[0], 'token')} that the mean of weights needs",
            hint="Give longer texts." if shorter else error.hint,
        ) from error
    left = f" {shorter:,} {'was' if shorter == 1 else 'were'} left out, as too short." if shorter else ""
    return Way(
        lambda heads: f"when the weights of {heads} are their mean",
        f"The weights are their mean, position by position, over {_texts(done, failed)}, cut to "
        f"{count_of(lengths[0], 'token')}."
        f"{left}",
        sums.frozen,
        {"way": "mean weights", "documents": done, "failed": failed, "shorter": shorter},
    )


def as_another(
    backend: Native | Hosted,
    readout: Readout,
    other: tuple[Encoding, Encoding | None],
    places: Iterable[HeadPlace],
    text: str,
) -> Way:
    """A head's weights are those of another text.

    Raises:
        InputError: it has another number of tokens; the message has those of both.
    """
    for ours, theirs in ((readout.encoding, other[0]), (readout.target, other[1])):
        if ours is not None and theirs is not None:
            require_same_length(ours, theirs)
    sums = PatternSums(places)
    backend.run(other[0], [sums], other[1])
    return Way(
        lambda heads: f"when {heads} looks where it looks in another text",
        "Weights are those of the other text, token by token; values are those of this one.",
        sums.frozen,
        {"way": "as", "other": text},
    )


def _texts(done: int, failed: int) -> str:
    lost = f" ({failed:,} could not be read)" if failed else ""
    return f"{count_of(done, 'text')}{lost}"

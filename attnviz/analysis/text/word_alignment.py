"""Which word of the source each word of the target stands for, read from the cross-attention of an encoder–decoder."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.table import Column, Table
from attnviz.analysis.text.shown_maps import require_heads, require_layers
from attnviz.analysis.text.units import numbered
from attnviz.encoding import Encoding, WordSpans
from attnviz.errors import UsageError, not_one_of
from attnviz.record import ATTENTION, Heads, Measure, Observation, Request

Step = Literal["reads", "predicts"]
"""Whose row of the decoder a target word has: the step that reads the word, or the one before, that predicts it."""
STEPS = get_args(Step)
"""Both steps; the first is taken where none is asked for."""
AlignedUnit = Literal["word", "space", "token"]
"""What is aligned: words, what white space separates (as the files of gold alignments count), or tokens."""
Link = tuple[int, int]
"""A link of an alignment: the numbers of the source word and of the target word, from 0."""
REQUEST = Request(unit="token", special=True, evidence=False)
"""What must be observed: the cross map, which is the map of an encoder–decoder unless another is named, in tokens."""

_NO_CROSS = "the model has no decoder that looks at an encoder, and alignments are read from that attention"
_WHICH = (
    "Give an encoder–decoder, such as T5, BART, Marian or NLLB. Of any other model `attnviz find` ranks the heads that "
    "take one word to another, also over a --pair."
)


@dataclass(frozen=True, eq=False)
class CrossWeights:
    """The cross-attention of all heads between n target and m source words, special tokens left out.

    Attributes:
        source: the words of the source (m,).
        target: those of the target (n,).
        weights: summed over the tokens of the source word, the mean over those of the target word (L, H, n, m).
        special: what each target word gives to special tokens (L, H, n).
        layers: the layers' own numbers (L,).
        measure: what the weights are.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: NDArray[np.float64]
    special: NDArray[np.float64]
    layers: tuple[int, ...]
    measure: Measure = ATTENTION


@dataclass(frozen=True, eq=False)
class Alignment:
    """The weights of some heads, averaged, between n target and m source words, and the links read from them.

    Attributes:
        source, target: the words.
        weights: (n, m).
        special: what each target word gives to special tokens (n,).
        heads: which heads these are of, in words; the mean of several.
        measure: what the weights are.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: NDArray[np.float64]
    special: NDArray[np.float64]
    heads: str
    measure: Measure = ATTENTION

    @property
    def links(self) -> tuple[Link, ...]:
        """Each target word that has weights with its best source word, in the order of the source."""
        return links_of(self.weights)

    @property
    def pharaoh(self) -> str:
        """The links as in the format of Pharaoh (Koehn 2004): ``0-0 2-1``, source before target."""
        return " ".join(f"{source}-{target}" for source, target in self.links)


def links_of(weights: NDArray[np.float64]) -> tuple[Link, ...]:
    """The best source word of each target word, of ``weights`` (n, m): the first of those with the largest."""
    best = weights.argmax(-1) if weights.size else np.zeros(len(weights), np.intp)
    there = np.flatnonzero(weights.any(-1))
    return tuple(sorted((int(best[target]), int(target)) for target in there))


def cross_weights(observation: Observation, *, step: Step = "reads", unit: AlignedUnit = "word") -> CrossWeights:
    """The cross-attention between words.

    A decoder reads the target shifted right: its row ``i`` has read token ``i`` and predicts token ``i + 1``. With
    ``reads``, a token has the row in which it is read, as Chen et al. (2020, Shift-Att) take it; with ``predicts``
    that before it (Garg et al. 2019).

    Args:
        observation: of the cross map, in tokens, with all weights.
        step: whose row a target word has.
        unit: what is aligned.

    Raises:
        UsageError: it is of no cross-attention; there are too many weights to keep; no such step or unit.
    """
    for option, value, known in (("`step`", step, STEPS), ("`unit`", unit, get_args(AlignedUnit))):
        if value not in known:
            raise not_one_of(option, str(value), known)
    if observation.kind != "cross" or observation.keys is None:
        raise UsageError(_NO_CROSS, hint=_WHICH)
    maps = observation.maps
    if observation.unit != "token" or maps.down > 1 or maps.across > 1:
        n, m = observation.shape[2:]
        raise UsageError(
            f"{n:,} tokens that look at {m:,} are too many to align at once", hint="Align them sentence by sentence."
        )
    (target, rows), (source, columns) = (_members(each, unit) for each in (observation.encoding, observation.keys))
    weights = np.asarray(maps.values, np.float64)  # (L, H, N, M)
    if step == "predicts":
        weights = weights[..., np.maximum(np.arange(weights.shape[2]) - 1, 0), :]
    mean = rows[:, None] == np.arange(len(target))  # (N, n)
    share = (mean / np.maximum(mean.sum(0), 1)).T @ weights  # (L, H, n, M)
    words = share @ (columns[:, None] == np.arange(len(source)))  # (L, H, n, m)
    return CrossWeights(source, target, words, share[..., columns < 0].sum(-1), maps.layers, observation.measure)


def align(cross: CrossWeights, heads: Heads | None = None, step: Step = "reads") -> Alignment:
    """The alignment that the mean of some heads gives: each target word with the source word of the largest weight.

    Args:
        cross: the weights of all heads.
        heads: which layers and heads; without layers it is ``usual_layer``, without heads all of them.
        step: that of ``cross``.

    Raises:
        UsageError: a layer or head that there is not.
    """
    heads = heads or Heads()
    require_layers(heads.layers or (), cross.layers)
    require_heads(heads.heads or (), cross.weights.shape[1])
    layers = heads.layers or (usual_layer(cross.layers, step),)
    places = [cross.layers.index(layer) for layer in layers]
    numbers = list(heads.heads or range(cross.weights.shape[1]))
    weights, special = (each[places][:, numbers].mean((0, 1)) for each in (cross.weights, cross.special))
    said = _said(layers, heads.heads, cross.measure)
    return Alignment(cross.source, cross.target, weights, special, said, cross.measure)


def usual_layer(layers: Sequence[int], step: Step) -> int:
    """The layer whose heads are averaged where none is chosen.

    Of the step that reads a word it is the middle one, the third of six in Chen et al. (2020); of the step that
    predicts it, it is the last but one (Garg et al. 2019).
    """
    count = len(layers)
    return layers[(count + 1) // 2 - 1 if step == "reads" else max(count - 2, 0)]


def _said(layers: Sequence[int], heads: Sequence[int] | None, measure: Measure) -> str:
    """``L2 H5``; ``all heads of L2``; ``L2,3 H1,4``; ``L2`` where a layer has one map."""
    where = "L" + ",".join(map(str, layers))
    if measure.by_layer:
        return where
    return f"all heads of {where}" if heads is None else f"{where} H{','.join(map(str, heads))}"


def _members(encoding: Encoding, unit: AlignedUnit) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """The words that are aligned, and the number of the one that each token belongs to (N,); −1 for special tokens."""
    special = np.array(encoding.special)
    if unit == "token":
        labels = tuple(token for token, mark in zip(encoding.tokens, encoding.special, strict=True) if not mark)
        return labels, np.where(special, -1, np.cumsum(~special) - 1)
    words = [not special[word.start] for word in encoding.words]
    labels = tuple(word.text for word, counts in zip(encoding.words, words, strict=True) if counts)
    numbers = np.where(words, np.cumsum(words) - 1, -1)
    if unit == "space":
        labels, numbers = _spaced(encoding)
    return labels, np.repeat(numbers, [word.stop - word.start for word in encoding.words])


def _spaced(encoding: Encoding) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """What white space separates in the text, and in which of it each word begins (words,); −1 where it is in none."""
    found = list(re.finditer(r"\S+", encoding.text))
    starts = [each.start() for each in found]
    numbers = [
        -1 if place is None or place[0] else bisect_right(starts, place[1]) - 1 for place in WordSpans(encoding).words
    ]
    return tuple(each[0] for each in found), np.array(numbers)


_COLUMNS = (
    Column("pair", "the number of the pair, in the order of the files, from 1", "count"),
    Column("target_index", "the target word's number, from 0", "count", shown=False),
    Column("target", "the target word, with the number of its occurrence where there are several"),
    Column("source_index", "the source word's number, from 0", "count", shown=False),
    Column("source", "the source word that gets the largest weight from it"),
    Column("weight", "the weight: the sum over the tokens of the source word, the mean over the target's", "weight"),
    Column("next", "the source word that gets the second largest weight"),
    Column("next_weight", "the weight of that", "weight"),
    Column("special", "what the target word gives to special tokens, which are not aligned", "share"),
)


def alignment_table(
    alignments: Sequence[Alignment], *, step: Step, unit: AlignedUnit, numbers: Sequence[int] | None = None, model: str
) -> Table:
    """A row for each target word that is aligned.

    Args:
        alignments: of each pair of texts.
        step, unit: as they were made.
        numbers: the numbers of the pairs; None where there is one alone.
        model: the model's name.
    """
    rows = [
        row for number, each in zip(numbers or range(len(alignments)), alignments, strict=True)
        for row in _rows(each, number)
    ]  # fmt: skip
    measure = alignments[0].measure if alignments else ATTENTION
    columns = tuple(_in_unit(column, measure) for column in _COLUMNS[numbers is None :])
    types = {"text": object, "count": np.int64}
    values = {
        column.name: np.array([row[column.name] for row in rows], types.get(column.kind, np.float64))
        for column in columns
    }
    heads = alignments[0].heads if alignments else ""
    about = {
        "model": model,
        "weights": measure.name,
        "unit": unit,
        "step": step,
        "heads": heads,
        "pairs": len(alignments),
    }
    what = "Weights" if measure.plain else f"Weights ({measure.title})"
    note = f"{what}: {mean_of(heads)}, at the step that {step} the target word ({_WHY[step]})."
    return Table("align", "Which source word does each target word stand for?", columns, values, "", about, (note,))


def mean_of(heads: str) -> str:
    """The ``heads`` of an alignment, with what was made of several."""
    return heads if re.fullmatch(r"L\d+( H\d+)?", heads) else f"the mean of {heads}"


def _in_unit(column: Column, measure: Measure) -> Column:
    """A column of weights that are no shares has numbers."""
    return replace(column, kind="number") if column.kind in ("weight", "share") and not measure.share else column


_WHY = {"reads": "Chen et al. 2020", "predicts": "Garg et al. 2019"}


def _rows(alignment: Alignment, number: int) -> list[dict[str, object]]:
    source, target = numbered(alignment.source), numbered(alignment.target)
    found: list[dict[str, object]] = []
    for best, place in sorted(alignment.links, key=lambda link: link[1]):
        weights = alignment.weights[place]
        second = int(np.argsort(-weights, kind="stable")[1]) if len(source) > 1 else None
        found.append({
            "pair": number, "target_index": place, "target": target[place], "source_index": best,
            "source": source[best], "weight": weights[best], "next": "" if second is None else source[second],
            "next_weight": np.nan if second is None else weights[second], "special": alignment.special[place],
        })  # fmt: skip
    return found

"""The rows of two texts that are compared: of which words, over which keys, in which heads; and their divergence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.aligned import both_words
from attnviz.analysis.text.links import find_in
from attnviz.analysis.text.matching import match_words
from attnviz.analysis.text.units import Reading
from attnviz.errors import UsageError
from attnviz.record import Observation

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one side.

    Attributes:
        weights: of the words compared (L, H, rows, keys): to the paired keys, to those that only the first text has,
            and to those that only the second has.
        layers: the numbers of the layers.
    """

    weights: Doubles
    layers: tuple[int, ...]


def divergence(p: Doubles, q: Doubles) -> Doubles:
    """The Jensen–Shannon divergence of the rows of ``p`` and ``q`` (…, m) in bits, (…,), each row taken to sum to 1.

    Lin, "Divergence measures based on the Shannon entropy", 1991. A row without any weight differs from none.
    """
    p, q = np.broadcast_arrays(p, q)
    p, q = (each / np.maximum(each.sum(-1, keepdims=True), np.finfo(float).tiny) for each in (p, q))
    middle = (p + q) / 2
    found = sum(
        np.where(each > 0, each * np.log2(np.divide(each, middle, out=np.ones_like(each), where=each > 0)), 0).sum(-1)
        for each in (p, q)
    )
    return np.asarray(found / 2).clip(0, 1)


def paired_words(units: tuple[Reading, Reading], *, queries: bool) -> list[tuple[int, int]]:
    """The words of the two texts that correspond, as queries or as keys."""
    axes = [each.queries if queries else each.keys for each in units]
    return match_words(axes[0].labels, axes[1].labels)


def paired_rows(
    sides: tuple[Observation, Observation], units: tuple[Reading, Reading], word: str | None
) -> tuple[list[tuple[int, int]], int]:
    """The words that are compared, of which both sides kept their rows, and how many words correspond."""
    kept = []
    for side in sides:
        if side.usual is None:
            raise ValueError("the observation was made without rows to compare")
        kept.append(set(side.usual.from_.tolist()))
    paired = paired_words(units, queries=True)
    found = [(i, j) for i, j in paired if i in kept[0] and j in kept[1]]
    if word is not None:
        wanted = find_in(units[0].queries, word, units[0].kind, "first text")
        found = [(i, j) for i, j in found if i in wanted]
        if not found:
            raise UsageError(f"{word!r} has no counterpart in the second text", hint="Compare a word that both have.")
        return found, sum(i in wanted for i, _ in paired)
    counted = [side.query_mask for side in sides]
    found, paired = ([(i, j) for i, j in pairs if counted[0][i] and counted[1][j]] for pairs in (found, paired))
    if not found:
        raise UsageError("no words of the two texts correspond", hint="Give texts that have some words in common.")
    return found, len(paired)


def rows_of(
    observation: Observation, rows: list[tuple[int, int]], keys: list[tuple[int, int]], side: int, others: int
) -> Rows:
    """The rows of the first (0) or the second ``side``; the other has so many keys."""
    usual = observation.usual
    if usual is None:
        raise ValueError("the observation was made without rows to compare")
    places = {int(unit): place for place, unit in enumerate(usual.from_)}
    found = usual.rows[:, :, [places[row[side]] for row in rows]]
    if not observation.measure.share:
        found = found / np.maximum(found.sum(-1, keepdims=True), np.finfo(float).tiny)
    paired = [key[side] for key in keys]
    alone = np.delete(found, paired, -1)
    missing = np.zeros((*found.shape[:-1], others - len(keys)))
    parts = (alone, missing) if side == 0 else (missing, alone)
    return Rows(np.concatenate((found[..., paired], *parts), -1), observation.layer_numbers)


def key_names(units: tuple[Reading, Reading], keys: list[tuple[int, int]]) -> list[str]:
    """The names of the columns of ``Rows``."""
    alone = [
        [name for i, name in enumerate(each.keys.names) if i not in {key[side] for key in keys}]
        for side, each in enumerate(units)
    ]
    return [_both(units, i, j) for i, j in keys] + alone[0] + alone[1]


def counterparts(ours: Rows, theirs: Rows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The layer and the head of the second side that each head of the first is compared with, (L, H) each."""
    (layers, heads), (others, count) = ours.weights.shape[:2], theirs.weights.shape[:2]
    if (layers, heads) == (others, count):
        places = np.indices((layers, heads))
        return places[0], places[1]
    depth = np.rint(np.arange(layers) * (others - 1) / max(layers - 1, 1)).astype(np.intp)
    if heads == count:
        return np.repeat(depth[:, None], heads, 1), np.indices((layers, heads))[1]
    alike = np.stack([
        divergence(ours.weights[layer][:, None], theirs.weights[depth[layer]][None]).mean(-1).argmin(-1)
        for layer in range(layers)
    ])  # fmt: skip
    return np.repeat(depth[:, None], heads, 1), alike


def _both(units: tuple[Reading, Reading], i: int, j: int) -> str:
    ours, theirs = units[0].keys.labels[i], units[1].keys.labels[j]
    return units[0].keys.names[i] if both_words(ours, theirs) == ours else both_words(ours, theirs)

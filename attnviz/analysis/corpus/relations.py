"""Which head finds a word's head, relation by relation: the table of Clark et al. 2019, section 4."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus import coreference
from attnviz.analysis.corpus.aligned_words import Pairs
from attnviz.analysis.corpus.coreference import Passage
from attnviz.analysis.intervals import wilson
from attnviz.analysis.table import Column, Table, ranked_by
from attnviz.attention.peaks import Peaks
from attnviz.errors import UsageError, did_you_mean, short

OFFSETS = tuple(range(-5, 6))
"""The fixed offsets of the baseline: the head is always so many words behind the dependent."""
DIRECTIONS = ("dep → head", "head → dep")
"""Who looks at whom: the dependent at its head, or the head at its dependent."""
TITLE = "Which head knows which relation?"
LEAST = 10
"""The fewest words that a relation has in each half, or it is left out."""
_CHOOSING, _REPORTED = 0, 1
COLUMNS = (
    Column("relation", "the dependency relation of a word to its head, as the treebank names it"),
    Column("layer", "the layer of the best head", "count"),
    Column("head", "the head that is right most often in the half of the sentences by which it is chosen", "count"),
    Column("direction", "who looks at whom: the dependent at its head, or the head at its dependent"),
    Column("accuracy", "share of the words with this relation where that word’s largest weight is on the other, in the "
           "half of the sentences by which the head was not chosen (Clark et al. 2019)", "share"),
    Column("baseline", "accuracy of the best fixed offset from −5 to 5, on the same half", "share"),
    Column("offset", "that offset: head − dependent, in words; none for coreference", "number"),
    Column("count", "words with this relation, in the same half", "count"),
    Column("low", "the lower end of the 95 % interval of the accuracy (Wilson 1927)", "share"),
    Column("high", "its upper end", "share"),
    Column("margin", "low − baseline: above 0 the head is clearly better than any fixed offset", "share"),
    Column("seen", "share of the words where this direction is visible: all unless the model is causal", "share",
           shown=False),
    Column("chosen_accuracy", "accuracy in the half of the sentences by which the head is chosen", "share",
           shown=False),
)  # fmt: skip


@dataclass(eq=False)
class _Counts:
    """What was counted of one relation in the two halves.

    Attributes:
        right: how often each direction of each head was right, (2 halves, 2 directions, L, H).
        offsets: how often the head stood at each offset, (2, OFFSETS); of mentions, how often each guess was right.
        seen: how often each direction was visible, (2, 2).
        count: how many words there were (2,).
        ways: the directions.
    """

    right: NDArray[np.int64]
    offsets: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, len(OFFSETS)), np.int64))
    seen: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, 2), np.int64))
    count: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2, np.int64))
    ways: tuple[str, ...] = DIRECTIONS


class RelationCounts:
    """Counts how often each head finds the head of a word, by relation.

    Sentences 0, 2, 4, … choose the head of a relation, the others say how good it is.

    Args:
        causal: whether no word sees a later one.
        merge_subtypes: count ``nsubj:pass`` as ``nsubj``.
        least: leave out relations of which one half has fewer words.
    """

    def __init__(self, *, causal: bool, merge_subtypes: bool = False, least: int = LEAST) -> None:
        self.causal = causal
        self.least = least
        self._merge = merge_subtypes
        self._found: dict[str, _Counts] = {}
        self.words = self.joined = self.lost = 0
        self.layers: tuple[int, ...] = ()

    def add(self, number: int, pairs: Pairs, peaks: Peaks) -> None:
        """Count the sentence of this ``number``."""
        dependents, heads = pairs.dependents, pairs.heads
        self.joined += pairs.joined
        self.lost += pairs.lost
        self.words += len(dependents)
        self.layers = peaks.layers
        right = np.stack([peaks.words[..., dependents] == heads, peaks.words[..., heads] == dependents])
        half = number % 2  # (2, L, H, R)
        names = np.array([name_of(each, merge=self._merge) for each in pairs.relations], object)
        for name in dict.fromkeys(names):
            self._count(name, half, right[..., names == name], (heads - dependents)[names == name])

    def _count(self, name: str, half: int, right: NDArray[np.bool_], offsets: NDArray[np.int64]) -> None:
        counts = self._found.setdefault(name, _Counts(np.zeros((2, *right.shape[:-1]), np.int64)))
        counts.right[half] += right.sum(-1)
        counts.offsets[half] += [np.count_nonzero(offsets == offset) for offset in OFFSETS]
        counts.seen[half] += (
            [np.count_nonzero(offsets < 0), np.count_nonzero(offsets > 0)] if self.causal else len(offsets)
        )
        counts.count[half] += len(offsets)

    def add_mentions(self, number: int, passage: Passage, peaks: Peaks) -> None:
        """Count the mentions of the passage of this ``number``."""
        half, count = number % 2, len(passage.antecedents)
        if not count:
            return
        right = passage.right(peaks)
        counts = self._found.setdefault(coreference.NAME, _Counts(np.zeros((2, 1, *right.shape), np.int64)))
        counts.ways, counts.offsets = (coreference.DIRECTION,), counts.offsets[:, :2]
        counts.right[half, 0] += right
        counts.offsets[half] += passage.guesses.sum(1)
        counts.seen[half] += count
        counts.count[half] += count

    def rows(self, relations: Sequence[str] = (), *, all_heads: bool = False) -> dict[str, NDArray[Any]]:
        """The columns of the table, of all relations or some, without those that are too rare."""
        rare = self.rare
        names = [name for name in relations or self._found if name in self._found and name not in rare]
        rows = [
            _row(name, self._found[name], layer, head)
            for name in names
            for layer, head in (_heads(self._found[name]) if all_heads else [_best(self._found[name])])
        ]
        kinds = {"relation": object, "direction": object, "layer": np.int64, "head": np.int64, "count": np.int64}
        return {
            each.name: np.array([row[each.name] for row in rows], kinds.get(each.name, np.float64)) for each in COLUMNS
        }

    @property
    def names(self) -> list[str]:
        """The relations that were counted."""
        return list(self._found)

    @property
    def rare(self) -> list[str]:
        """The relations of which one half of the sentences has too few words."""
        return sorted(name for name, counts in self._found.items() if min(counts.count) < self.least)


def _heads(counts: _Counts) -> list[tuple[int, int]]:
    """All layers and heads."""
    return list(np.ndindex(*counts.right.shape[2:]))


def _best(counts: _Counts) -> tuple[int, int]:
    """The layer and head that is right most often in the choosing half; of equal ones the first."""
    _, layer, head = np.unravel_index(counts.right[_CHOOSING].argmax(), counts.right.shape[1:])
    return int(layer), int(head)


def _row(name: str, counts: _Counts, layer: int, head: int) -> dict[str, Any]:
    """The row of a relation and a head, in the direction in which that is right more often in the choosing half."""
    direction = int(counts.right[_CHOOSING, :, layer, head].argmax())
    count, right = int(counts.count[_REPORTED]), int(counts.right[_REPORTED, direction, layer, head])
    best = int(counts.offsets[_REPORTED].argmax())
    baseline = counts.offsets[_REPORTED, best] / count
    low, high = (float(end) for end in wilson(right / count, count))
    return {
        "relation": name, "layer": layer, "head": head, "direction": counts.ways[direction],
        "accuracy": right / count, "baseline": baseline,
        "offset": OFFSETS[best] if counts.ways is DIRECTIONS else None, "count": count, "low": low, "high": high,
        "margin": low - baseline, "seen": counts.seen[_REPORTED, direction] / count,
        "chosen_accuracy": counts.right[_CHOOSING, direction, layer, head] / counts.count[_CHOOSING],
    }  # fmt: skip


def name_of(relation: str, *, merge: bool) -> str:
    """A relation's name, without its subtype where these are merged."""
    return relation.partition(":")[0] if merge else relation


def require_relations(wanted: Iterable[str], known: Iterable[str]) -> None:
    """Raise a ``UsageError`` for a relation that the treebank does not have."""
    names = sorted({*known})
    for name in wanted:
        if name not in names:
            hint = f"{did_you_mean(name, names)}It has {', '.join(names)}."
            raise UsageError(f"the treebank has no relation {short(name)}", hint=hint)


def relations_table(
    counts: RelationCounts,
    about: dict[str, Any],
    notes: Sequence[str] = (),
    wanted: Sequence[str] = (),
    *,
    all_heads: bool = False,
) -> Table:
    """The best head of each relation, those first that are furthest above the baseline; or all heads by accuracy.

    The weights are those between words: to a word the sum over its tokens, from a word the mean (Clark et al. 2019,
    section 4), without special tokens and without a word's own. A head is right where the word that the dependent
    looks at most is its head, or, in the other direction, where that which the head looks at most is the dependent. The
    head of a relation is chosen on one half of the sentences, and its figures are of the other half.

    Args:
        counts: what was counted.
        about: what the table is of.
        notes: what must be known of it.
        wanted: only these relations; none for all.
        all_heads: whether each relation has a row for each head, each in its better direction.
    """
    values = counts.rows(wanted, all_heads=all_heads)
    values["layer"] = np.asarray(counts.layers, np.int64)[values["layer"]]
    title = f"Which heads know {' and '.join(wanted) or 'which relation'}?" if all_heads else TITLE
    notes = (_ALL if all_heads else _NOTE, *([_CAUSAL] if counts.causal else []), *_left(counts, wanted), *notes)
    table = Table("relations", title, _columns(counts), values, about=about, notes=notes)
    return ranked_by(table, "accuracy" if all_heads else "margin")


def _columns(counts: RelationCounts) -> tuple[Column, ...]:
    return tuple(replace(each, shown=True) if each.name == "seen" and counts.causal else each for each in COLUMNS)


_NOTE = (
    "Each relation’s head was chosen on every other sentence, and all figures are of the rest. The baseline is the "
    "best of 11 fixed offsets on that rest. A margin above 0 is clearly above it."
)
_ALL = (
    "Each head’s direction was chosen on every other sentence, and all figures are of the rest. The baseline is the "
    "best of 11 fixed offsets on that rest. Of so many heads some look good by chance."
)
_CAUSAL = (
    "The model is causal: of a word and its head only the later one can look. Seen is how often that is the one which "
    "this direction needs; where it is not, the other counts as not found. A first word without a special token before "
    "it is a sink, and no word is taken to look at it."
)


def _left(counts: RelationCounts, wanted: Sequence[str]) -> list[str]:
    """What was not counted, a sentence each."""
    notes = [coreference.NOTE] if coreference.NAME in counts.names else []
    for count, why in (
        (counts.joined, "since one token has parts of them and their heads"),
        (counts.lost, "since they or their heads have no token"),
    ):
        if count:
            notes.append(f"Not counted, {why}: {count:,} {'word' if count == 1 else 'words'}.")
    names = ", ".join(name for name in counts.rare if not wanted or name in wanted)
    if names:
        notes.append(f"Left out, with fewer than {counts.least} words in one of the halves: {names}.")
    return notes

"""How far alignments are from gold ones: precision, recall and alignment error rate, of every head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.gold_links import Gold
from attnviz.analysis.table import Column, Table, ranked_by
from attnviz.analysis.text.word_alignment import AlignedUnit, CrossWeights, Step, align, links_of, mean_of
from attnviz.errors import InputError, count_of
from attnviz.record import Heads

_ALL = "all heads"


@dataclass(frozen=True)
class Errors:
    """The counts behind alignment error rates, each of an array of candidates: |A|, |A∩S|, |A∩P|; and |S| alone."""

    links: NDArray[np.float64]
    sure_hits: NDArray[np.float64]
    possible_hits: NDArray[np.float64]
    sure: float

    def __add__(self, other: Errors) -> Errors:
        return Errors(
            self.links + other.links, self.sure_hits + other.sure_hits, self.possible_hits + other.possible_hits,
            self.sure + other.sure,
        )  # fmt: skip

    @property
    def precision(self) -> NDArray[np.float64]:
        """|A∩P| / |A|; NaN without links."""
        return _ratio(self.possible_hits, self.links)

    @property
    def recall(self) -> NDArray[np.float64]:
        """|A∩S| / |S|; NaN without sure links."""
        return _ratio(self.sure_hits, np.full_like(self.links, self.sure))

    @property
    def rate(self) -> NDArray[np.float64]:
        """1 − (|A∩S| + |A∩P|) / (|A| + |S|), the alignment error rate of Och and Ney (2003); NaN without links."""
        return 1 - _ratio(self.sure_hits + self.possible_hits, self.links + self.sure)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0))


class AlignmentErrors:
    """Compares the alignments of pairs with gold ones.

    Where heads are chosen, these alone are compared. Else every head is, the mean of each layer and that of all heads,
    beside the heads that ``align`` takes unasked. Several ``steps`` are all compared, the first is that of ``align``.
    Pairs count in two halves, so that the best can be chosen on one half and measured on the other.
    """

    def __init__(self, heads: Heads, steps: Sequence[Step]) -> None:
        self._heads, self._steps = heads, tuple(steps)
        self._chosen = heads.layers is not None or heads.heads is not None
        self._names: tuple[tuple[Step, str], ...] = ()
        self._halves: list[Errors | None] = [None, None]
        self.pairs = 0

    def add(self, crosses: Mapping[Step, CrossWeights], gold: Gold, name: str) -> None:
        """Count a pair, whose weights at each step are given; ``name`` is that of the file of gold alignments.

        Raises:
            InputError: a gold link is of a word that there is not.
            UsageError: heads that there are not.
        """
        _require_words(crosses[self._steps[0]], gold, name)
        found_at = [
            ((step, heads), weights) for step in self._steps for heads, weights in self._candidates(crosses[step], step)
        ]
        names, weights = zip(*found_at, strict=True)
        self._names = names
        found = [links_of(each) for each in weights]
        counted = Errors(
            np.array([len(links) for links in found], float),
            np.array([len(gold.sure.intersection(links)) for links in found], float),
            np.array([len(gold.possible.intersection(links)) for links in found], float),
            len(gold.sure),
        )
        before = self._halves[self.pairs % 2]
        self._halves[self.pairs % 2] = counted if before is None else before + counted
        self.pairs += 1

    def _candidates(self, cross: CrossWeights, step: Step) -> Iterator[tuple[str, NDArray[np.float64]]]:
        usual = align(cross, self._heads, step)
        yield usual.heads, usual.weights
        if self._chosen:
            return
        for layer in cross.layers:
            alone = cross.measure.by_layer
            each = [Heads((layer,))] + [Heads((layer,), (head,)) for head in range(cross.weights.shape[1]) if not alone]
            for heads in each:
                found = align(cross, heads, step)
                if found.heads != usual.heads:
                    yield found.heads, found.weights
        if len(cross.layers) > 1:
            yield _ALL, cross.weights.mean((0, 1))

    def table(self, *, model: str, unit: AlignedUnit, gold: str) -> Table:
        """A row for each head or mean of heads, the fewest errors first.

        Args:
            model: the model's name.
            unit: what was aligned.
            gold: the name of the file of gold alignments.

        Raises:
            InputError: no pair was counted.
        """
        halves = [each for each in self._halves if each is not None]
        if not halves:
            raise InputError("no pair could be aligned: there is nothing to compare with the gold links")
        whole = halves[0] + halves[1] if len(halves) == 2 else halves[0]
        odd, even = halves if len(halves) == 2 else (None, None)
        nothing = np.full(len(self._names), np.nan)
        values = {
            "heads": np.array([heads for _, heads in self._names], object),
            "step": np.array([step for step, _ in self._names], object),
            "aer": whole.rate, "precision": whole.precision, "recall": whole.recall,
            "links": whole.links.astype(np.int64),
            "aer_odd": nothing if odd is None else odd.rate, "aer_even": nothing if even is None else even.rate,
        }  # fmt: skip
        about = {
            "model": model, "unit": unit, "step": self._names[0][0], "gold": gold, "pairs": self.pairs,
            "heads": self._names[0][1], "sure": int(whole.sure),
        }  # fmt: skip
        pairs = count_of(self.pairs, "pair")
        title = f"How far are the alignments of {pairs} from gold ones?"
        notes = () if len(self._names) == 1 else (self._unasked(whole), *self._held_out(odd, even))
        return ranked_by(Table("align", title, _COLUMNS, values, "", about, notes), "aer", falling=False)

    def _unasked(self, whole: Errors) -> str:
        """What the heads that were taken without any choice reach."""
        named = {"rate": whole.rate, "precision": whole.precision, "recall": whole.recall}
        said = ", ".join(f"{name} {100 * each[0]:.1f}%" for name, each in named.items() if not np.isnan(each[0]))
        return f"Unasked, align takes {self._said(0)}: {said}."

    def _said(self, place: int) -> str:
        step, heads = self._names[place]
        return f"{mean_of(heads)}, at the step that {step} the target word"

    def _held_out(self, odd: Errors | None, even: Errors | None) -> list[str]:
        """What the best heads of one half reach on the other."""
        if odd is None or even is None or np.isnan(odd.rate).all():
            return []
        best = int(np.nanargmin(odd.rate))
        return [
            f"Best on the odd pairs ({100 * odd.rate[best]:.1f}%): {self._said(best)}. On the even pairs, which had "
            f"no say, its rate is {100 * even.rate[best]:.1f}%: report that one, as the best of many is flattered."
        ]


_COLUMNS = (
    Column("heads", "the heads whose weights are averaged"),
    Column("step", "whose weights a target word has: of the step that reads it, or that predicts it"),
    Column(
        "aer",
        "alignment error rate: 1 − (|A∩S| + |A∩P|) / (|A| + |S|) over all pairs (Och & Ney 2003); 0 is best",
        "share",
    ),
    Column("precision", "the share of the links that are sure or possible: |A∩P| / |A|", "share"),
    Column("recall", "the share of the sure links that were found: |A∩S| / |S|", "share"),
    Column("links", "how many links there are: |A|", "count", shown=False),
    Column("aer_odd", "the rate on the first, third, … pair", "share"),
    Column("aer_even", "the rate on the second, fourth, … pair", "share"),
)


def _require_words(cross: CrossWeights, gold: Gold, name: str) -> None:
    for source, target in sorted(gold.possible):
        for number, words, side in ((source, cross.source, "source"), (target, cross.target, "target")):
            if number >= len(words):
                raise InputError(
                    f"{name}, pair {gold.line}: the link {source}-{target}, and the {side} has {len(words)} words",
                    hint="Links count words from 0 and by --unit; those that count from 1 are read with --one-based.",
                )

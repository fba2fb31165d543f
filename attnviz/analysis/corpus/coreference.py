"""Which head takes a mention to one that came before: antecedents, as Clark et al. 2019, section 4.4 ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.aligned_words import Aligned
from attnviz.analysis.corpus.trees import Mention, Tree
from attnviz.attention.peaks import Peaks
from attnviz.attention.texts import Bools

NAME, DIRECTION = "coreference", "later → earlier"
NOTE = (
    "Coreference: of the head words of all mentions before it in its passage, the head word of a mention looks most at "
    "one of the same entity. A passage is as many sentences of a document as the model reads at once, 512 tokens at "
    "most; every other one chooses the head. The baseline is the better of the nearest mention before and the nearest "
    "one with the same word."
)


@dataclass(frozen=True, eq=False)
class Passage:
    """Consecutive sentences as one text, whose mentions are found in its encoding."""

    aligned: Aligned

    @cached_property
    def entities(self) -> dict[int, set[str]]:
        """The entities of each word of the encoding that is the head of mentions, in the order of the text."""
        found: dict[int, set[str]] = {}
        for mention in self.aligned.tree.mentions:
            unit = self.aligned.units[mention.head]
            if unit >= 0:
                found.setdefault(unit, set()).add(mention.entity)
        return dict(sorted(found.items()))

    @cached_property
    def keys(self) -> Bools:
        """Which words of the encoding are heads of mentions (W,)."""
        keys = np.zeros(len(self.aligned.encoding.words), np.bool_)
        keys[list(self.entities)] = True
        return keys

    @cached_property
    def antecedents(self) -> dict[int, set[int]]:
        """For each such word that has some, the words before it that are heads of mentions of the same entity."""
        before: dict[str, set[int]] = {}
        found: dict[int, set[int]] = {}
        for unit, entities in self.entities.items():
            earlier = set().union(*(before.get(entity, set()) for entity in entities))
            if earlier:
                found[unit] = earlier
            for entity in entities:
                before.setdefault(entity, set()).add(unit)
        return found

    @cached_property
    def guesses(self) -> NDArray[np.bool_]:
        """Whether the nearest mention, and the nearest with the same word, are antecedents (2, mentions)."""
        words, places = self.aligned.encoding.words, list(self.entities)
        right = []
        for unit, antecedents in self.antecedents.items():
            before = places[: places.index(unit)]
            alike = [each for each in before if words[each].text.casefold() == words[unit].text.casefold()]
            right.append([before[-1] in antecedents, (alike or before)[-1] in antecedents])
        return np.array(right, np.bool_).reshape(-1, 2).T

    def right(self, peaks: Peaks) -> NDArray[np.int64]:
        """How many mentions each head takes to an antecedent (L, H)."""
        hits = [np.isin(peaks.words[..., unit], [*earlier]) for unit, earlier in self.antecedents.items()]
        return np.asarray(np.sum(hits, 0), np.int64)


def passages(trees: Sequence[Tree], tokens: Sequence[int], room: int) -> list[Tree]:
    """Join sentences that follow each other in a document, as many as have no more tokens than there is ``room``.

    Args:
        trees: the sentences.
        tokens: how many tokens each has.
        room: the most of a passage, but for a sentence that has more.
    """
    groups: list[list[Tree]] = []
    left = 0
    for tree, count in zip(trees, tokens, strict=True):
        if not groups or tree.opens or count > left:
            groups.append([])
            left = room
        groups[-1].append(tree)
        left -= count
    return [_joined(group) for group in groups]


def _joined(trees: Sequence[Tree]) -> Tree:
    """The sentences as one text; of their trees only the mentions are kept."""
    text, spans, mentions = "", list[tuple[int, int]](), list[Mention]()
    for tree in trees:
        at, count = len(text) + bool(text), len(spans)
        text += f" {tree.text}" if text else tree.text
        spans += [(start + at, stop + at) for start, stop in tree.spans]
        mentions += [Mention(each.entity, each.head + count) for each in tree.mentions]
    nothing = len(spans)
    return Tree(text, tuple(spans), (-1,) * nothing, ("root",) * nothing, tuple(mentions))

"""The words of a treebank's trees in the tokens of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from attnviz.analysis.corpus.trees import Tree
from attnviz.encoding import Encoding, Lexicon, WordSpans, encode_many
from attnviz.errors import AttnvizError

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """What a tree says of the words of an encoding: R words with their heads.

    Attributes:
        dependents: the words of the encoding, by their numbers (R,).
        heads: those of their heads (R,).
        relations: what they are to these (R,).
        joined: how many words and heads stand in one token, or were one word of the text: nothing is said of them.
        lost: how many have no token.
    """

    dependents: Ints
    heads: Ints
    relations: tuple[str, ...]
    joined: int
    lost: int


@dataclass(frozen=True, eq=False)
class Aligned:
    """A tree, and its text as the model reads it; its words are those of the tree, or several in one token."""

    tree: Tree
    encoding: Encoding

    @cached_property
    def counted(self) -> NDArray[np.bool_]:
        """Which words of the encoding are no special tokens (W,)."""
        return np.array([not self.encoding.special[word.start] for word in self.encoding.words])

    @cached_property
    def units(self) -> list[int]:
        """The word of the encoding in which each word of the tree stands; −1 for none."""
        places = WordSpans(self.encoding).words
        of: dict[int, int] = {}
        for number, place in enumerate(places):
            if place is not None and self.counted[number]:
                of.update(dict.fromkeys(range(place[1], place[2]), number))
        return [next((of[i] for i in range(*span) if i in of), -1) for span in self.tree.spans]

    @cached_property
    def pairs(self) -> Pairs:
        """The tree's relations between words of the encoding; a root has none."""
        units, tree = self.units, self.tree
        found = [(units[i], units[head], tree.relations[i]) for i, head in enumerate(tree.heads) if head >= 0]
        there = [each for each in found if min(each[:2]) >= 0]
        kept = [each for each in there if each[0] != each[1]]
        return Pairs(
            np.array([each[0] for each in kept], np.int64),
            np.array([each[1] for each in kept], np.int64),
            tuple(each[2] for each in kept),
            len(there) - len(kept),
            len(found) - len(there),
        )


def align(tokenizer: Tokenizer, trees: Sequence[Tree]) -> list[Aligned | AttnvizError]:
    """Encode the text of each tree with the tree's words kept whole and apart, by the offsets of the tokens.

    Where a token has parts of several words (*don* of *do* and *n't*), these are one word. Special tokens are added as
    the tokenizer does.
    """
    known = [Lexicon(spans=tuple(sorted(set(tree.spans)))) for tree in trees]
    found = encode_many(tokenizer, [tree.text for tree in trees], words=known)
    return [
        Aligned(tree, each) if isinstance(each, Encoding) else each for tree, each in zip(trees, found, strict=True)
    ]

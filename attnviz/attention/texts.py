"""Texts as the sums of attention see them: where they begin among the tokens, and which tokens count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.block_sizes import LANES

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Texts:
    """The tokens of B texts, one after another, and what counts. A text looks at itself, or at another text.

    Args:
        queries: where each text begins among all Q queries, and where the last ends (B + 1,).
        keys: likewise for the K tokens that are looked at.
        counting: the queries that figures average over (Q,).
        telling: the queries whose offset of the largest weight is counted (Q,).
        stop: the number of each text's token at which the special tokens behind it begin (B,).
        sets: by name, the keys whose share is a figure (K,).
        before: the number of the last earlier token of the same id in its text, −1 for none (Q,); None for none at all.
        causal: whether no query sees a later key.
        passages: the first keys of the passages, of a single text that has some.
        first: the position of the first query, if the first key has another.
    """

    queries: Ints
    keys: Ints
    counting: Bools
    telling: Bools
    stop: Ints
    sets: Mapping[str, Bools] = field(default_factory=dict)
    before: Ints | None = None
    causal: bool = False
    passages: tuple[int, ...] = ()
    first: int = 0

    @staticmethod
    def one(
        queries: int,
        keys: int | None = None,
        *,
        counting: Bools | None = None,
        telling: Bools | None = None,
        stop: int | None = None,
        sets: Mapping[str, Bools] | None = None,
        before: Ints | None = None,
        causal: bool = False,
        passages: tuple[int, ...] = (),
        first: int = 0,
    ) -> Texts:
        """One text of that many ``queries`` and ``keys`` (None if it looks at itself); by default all queries count."""
        keys = queries if keys is None else keys
        counting = np.ones(queries, np.bool_) if counting is None else counting
        return Texts(
            np.array([0, queries]),
            np.array([0, keys]),
            counting,
            counting if telling is None else telling,
            np.array([keys if stop is None else stop]),
            sets or {},
            before,
            causal,
            passages,
            first,
        )

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.stop)

    @cached_property
    def offsets(self) -> Ints:
        """The index of each text's first offset, −``first`` − n + 1, up to m − 1; one more is unused (B + 1,)."""
        return self.queries + self.keys + self.first * np.arange(len(self.queries))

    @cached_property
    def zeros(self) -> Ints:
        """The index of the offset 0 among the offsets of each text (B,)."""
        return self.first + np.diff(self.queries) - 1

    @cached_property
    def positions(self) -> Ints:
        """The number of each query in its text (Q,)."""
        return np.arange(self.queries[-1]) - np.repeat(self.queries[:-1], np.diff(self.queries))

    @cached_property
    def confident(self) -> Bools:
        """The queries that count and are no special tokens behind the text (Q,)."""
        return self.counting & (self.positions + self.first < np.repeat(self.stop, np.diff(self.queries)))

    @cached_property
    def flags(self) -> NDArray[np.uint8]:
        """The masks of the queries, as bits that the compiled pass reads (Q,)."""
        bits = (self.counting, self.telling, self.confident)
        weights = np.array([1, 2, 4], np.uint8)
        return np.asarray(weights @ np.stack(bits).astype(np.uint8))

    @cached_property
    def inside(self) -> NDArray[np.float32]:
        """1 for each key (K,) before its text's ``stop``, 0 for the others; padded with 0 for whole vectors."""
        lengths = np.diff(self.keys)
        positions = np.arange(self.keys[-1]) - np.repeat(self.keys[:-1], lengths)
        inside = (positions < np.repeat(self.stop, lengths)).astype(np.float32)
        return np.append(inside, np.zeros(LANES, np.float32))

    @cached_property
    def earlier(self) -> Ints:
        """``before``; all −1 if it is None."""
        return np.full(self.queries[-1], -1) if self.before is None else self.before

    @cached_property
    def same(self) -> Ints:
        """For each query the first token of the same id, by its number among all tokens (Q,)."""
        start = self.positions - np.arange(len(self.positions))
        found = np.where(self.earlier >= 0, self.earlier - start, np.arange(len(start)))
        while not np.array_equal(found, found[found]):
            found = found[found]
        return found

    @cached_property
    def own(self) -> tuple[Ints, Ints]:
        """The begin and end of each query's passage (Q,); empty if there are no passages."""
        if not self.passages:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        edges = np.array([*self.passages, self.keys[-1]])
        number = np.searchsorted(edges, np.arange(self.queries[-1]), side="right") - 1
        inside = number >= 0
        begins = np.where(inside, edges[number.clip(0)], 0)
        return begins, np.where(inside, edges[(number + 1).clip(0, len(edges) - 1)], 0)


def earlier_tokens(ids: Sequence[int]) -> list[int]:
    """The number of the last earlier token of the same id for each token of a text, −1 for none."""
    last: dict[int, int] = {}
    found = []
    for i, number in enumerate(ids):
        found.append(last.get(number, -1))
        last[number] = i
    return found

"""Measure packed documents, layer by layer: the figures of every head, and the strongest links between words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnviz.attention.arrays import sink_scores, widened
from attnviz.attention.scores import hide, to_weights
from attnviz.attention.sums import Sums, add, shares_of_spread
from attnviz.attention.texts import Bools, Ints, Texts
from attnviz.attention.tile import find_loops
from attnviz.attention.window import KeyWindow


@dataclass(frozen=True)
class Group:
    """``count`` documents of ``length`` tokens each, from document ``first`` and token ``start`` of the pack on."""

    first: int
    start: int
    count: int
    length: int

    @property
    def tokens(self) -> slice:
        """The slice of its tokens in the pack."""
        return slice(self.start, self.start + self.count * self.length)

    def parts(self, count: int) -> Iterator[Group]:
        """Split the group into groups of ``count`` documents."""
        for i in range(0, self.count, count):
            yield Group(self.first + i, self.start + i * self.length, min(count, self.count - i), self.length)


@dataclass(frozen=True)
class OffsetRules:
    """Which links are left out, by the share of a text's tokens that look at a head's most frequent offset.

    Args:
        least: a text with fewer tokens loses no links.
        positional: from this share on, a head loses all its links.
        many: the number of tokens from which ``habit`` holds.
        habit: from this share on, a head loses its links at that offset.
        few: the same of a text with fewer tokens; more than ``habit``.
    """

    least: int
    positional: float
    many: int
    habit: float
    few: float


@dataclass(frozen=True, eq=False)
class Marks:
    """The tokens and words of a pack of B documents, one after another, and what counts.

    Args:
        texts: the tokens.
        words: where each document's words begin among all W words (B + 1,).
        edges: for each document, the first tokens of its words, and then its length (W + B,).
        query_mask: which words count as queries (W,).
        key_mask: which words count as keys (W,).
        itself: whether a link from a word to itself counts.
        rules: which links are left out.
    """

    texts: Texts
    words: Ints
    edges: Ints
    query_mask: Bools
    key_mask: Bools
    itself: bool
    rules: OffsetRules

    @cached_property
    def text(self) -> Ints:
        """The number of tokens of each document that are no special tokens (B,)."""
        return np.add.reduceat(self.texts.telling, self.texts.queries[:-1], dtype=np.int64)

    @cached_property
    def spans(self) -> Ints:
        """Where each document begins among the tokens, and how many of its tokens are text (2, B + 1)."""
        return np.stack([self.texts.queries, np.append(self.text, 0)])

    @cached_property
    def masks(self) -> Bools:
        """The ``query_mask`` and ``key_mask`` (2, W)."""
        return np.stack([self.query_mask, self.key_mask])

    @cached_property
    def about(self) -> tuple[NDArray[Any], ...]:
        """What the compiled pass reads of the tokens, without what depends on the layer's window."""
        return self.texts.flags, self.texts.earlier, *self.texts.own, self.texts.inside


@dataclass(frozen=True, eq=False)
class PackLayer:
    """The ``sums`` of one layer, and the ``top`` strongest links of each document, (B, top) each.

    A link has a head, the numbers of its two words in the document, and a weight, which is 0 if there are fewer links.
    ``finite`` (B,) is False for documents with scores that are not finite.
    """

    sums: Sums
    heads: NDArray[np.int16]
    queries: NDArray[np.int32]
    keys: NDArray[np.int32]
    weights: NDArray[np.float32]
    finite: Bools


class Measure:
    """Turns the scores of packed documents into weights and measures these; it is called as a ``packed.See``.

    Where it can't be ``compiled``, or is not to be, torch does the same.
    """

    def __init__(self, marks: Marks, top: int, *, compiled: bool = True) -> None:
        self.layers: dict[int, PackLayer] = {}
        self._marks, self._top, self._compiled = marks, top, compiled
        self.texts = marks.texts

    def __call__(
        self, layer: int, window: KeyWindow, group: Group, scores: Tensor, sinks: Tensor | None = None
    ) -> None:
        """Turn the ``scores`` (B, H, n, n) of the documents of ``group`` into weights and measure them.

        ``sinks`` (H,) are as of ``kernel.attend``.
        """
        single = scores.device.type == "cpu" and scores.dtype is torch.float32
        loops = _loops() if self._compiled and single else None
        found = self._found(layer, scores.shape[1], single=loops is not None)
        # The compiled loops do not notice NaN or ∞; a sum is finite only if all its terms are.
        finite = torch.isfinite(scores.sum((1, 2, 3)))
        found.finite[self._place(group)] &= finite.cpu().numpy()
        if not loops:
            at = torch.arange(group.length, device=scores.device)
            hide(scores, at, at, window, 0, 0)
            to_weights(scores, sinks)
            # As in the compiled loops; NaN would spread to the sums of other documents.
            scores.masked_fill_(~finite[:, None, None, None], 0)
            self.weights(layer, window, group, scores)
            return
        marks, rules, sums, a = self._marks, self._marks.rules, found.sums, with_room(scores).numpy()
        loops.weigh_pack(
            a, group.first, window.ends, sink_scores(sinks, scores.shape[1]), marks.texts.queries,
            (shares_of_spread(marks.texts, window, group.first), *marks.about),
            (sums.scalars, sums.received, sums.own, sums.firsts, sums.diagonals, sums.counts),
        )  # fmt: skip
        heads, top = a.shape[1], self._top
        loops.find_links(
            a, group.first, marks.spans, sums.counts, (marks.words, marks.edges), marks.masks, marks.itself,
            (rules.least, rules.positional, rules.many, rules.habit, rules.few), np.empty((2, heads), np.int64),
            np.empty(heads, np.int64), np.empty(top), (found.heads, found.queries, found.keys),
            found.weights,
        )  # fmt: skip

    def weights(self, layer: int, window: KeyWindow, group: Group, weights: Tensor) -> None:
        """Measure the ``weights`` (B, H, n, n) of the documents of ``group``."""
        found, place = self._found(layer, weights.shape[1]), self._place(group)
        add(found.sums, self._marks.texts, weights, window, text=group.first)
        links = _Links(self._marks, group, weights.device).strongest(weights, found.sums.counts, self._top)
        strength, heads, queries, keys = (each.cpu().numpy() for each in links)
        count = strength.shape[1]
        found.weights[place, :count], found.heads[place, :count] = strength, heads
        found.queries[place, :count], found.keys[place, :count] = queries, keys

    def _found(self, layer: int, heads: int, *, single: bool = False) -> PackLayer:
        if layer not in self.layers:
            texts = self._marks.texts
            shape = len(texts), self._top
            self.layers[layer] = PackLayer(
                Sums.new(heads, texts, single=single),
                np.zeros(shape, np.int16),
                np.zeros(shape, np.int32),
                np.zeros(shape, np.int32),
                np.zeros(shape, np.float32),
                np.ones(len(texts), np.bool_),
            )
        return self.layers[layer]

    @staticmethod
    def _place(group: Group) -> slice:
        return slice(group.first, group.first + group.count)


def _loops() -> ModuleType | None:
    return find_loops("attnviz.attention.compiled.packs")


class PackWords:
    """The words of a group's documents, as tensors (B, …); W are as many as the longest document has.

    Args:
        words: as of ``Marks``.
        edges: as of ``Marks``.
    """

    def __init__(self, words: Ints, edges: Ints, group: Group, device: torch.device) -> None:
        self._n = group.length
        self._places = [(int(words[d]), int(words[d + 1])) for d in range(group.first, group.first + group.count)]
        self.most = max(stop - start for start, stop in self._places)
        starts, stops = (torch.full((group.count, self.most), self._n) for _ in range(2))
        for b, (first, last) in enumerate(self._places):
            own = torch.from_numpy(edges[first + group.first + b : last + group.first + b + 1])
            starts[b, : last - first], stops[b, : last - first] = own[:-1], own[1:]
        of = torch.searchsorted(starts, torch.arange(self._n).repeat(group.count, 1), right=True) - 1
        self.starts, self.stops, self.of = (each.to(device) for each in (starts, stops, of))
        """The first token and the end of each word (B, W), and the word of each token (B, n)."""

    def masks(self, mask: Bools) -> Tensor:
        """The ``mask`` of all words of the pack, of each document by itself (B, W)."""
        found = torch.zeros(self.starts.shape, dtype=torch.bool)
        for b, (first, last) in enumerate(self._places):
            found[b, : last - first] = torch.from_numpy(mask[first:last])
        return found.to(self.starts.device)

    def between(self, weights: Tensor) -> Tensor:
        """The weights between words (B, H, W, W) of those of tokens (B, H, n, n): a key's sum, a query's mean."""
        a = widened(weights)
        member = (self.of[:, None] == torch.arange(self.most, device=a.device)[:, None]).to(a)[:, None]  # (B, 1, W, n)
        words: Tensor = member @ a @ member.mT / (self.stops - self.starts).clamp(min=1)[:, None, :, None]
        return words


class _Links:
    """Finds the strongest links of a group's documents."""

    def __init__(self, marks: Marks, group: Group, device: torch.device) -> None:
        self._marks, self._group, self._device = marks, group, device
        self._count, self._n = group.count, group.length
        self._words = PackWords(marks.words, marks.edges, group, device)
        self._documents = slice(group.first, group.first + group.count)

    def strongest(self, weights: Tensor, counts: NDArray[np.int32], top: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The weights, heads, queries and keys of the strongest links in ``weights`` (B, H, n, n), (B, top) each.

        The second size is smaller if there are fewer pairs of words; a weight of 0 is no link. ``counts`` are those
        of the pack's sums.
        """
        starts, stops, of, most = self._words.starts, self._words.stops, self._words.of, self._words.most
        rules, words, device = self._marks.rules, self._words.between(weights), self._device
        query_mask, key_mask = (self._words.masks(mask) for mask in (self._marks.query_mask, self._marks.key_mask))
        counted = query_mask[:, :, None] & key_mask[:, None, :]
        if not self._marks.itself:
            counted = counted & ~torch.eye(most, dtype=torch.bool, device=device)
        text = torch.from_numpy(self._marks.text[self._documents])[:, None, None].to(words)
        start = 2 * self._group.start
        told = torch.from_numpy(counts[:, start : start + 2 * self._n * self._count]).to(device)
        told, offset = told.view(len(told), self._count, -1).transpose(0, 1).max(-1, keepdim=True)  # (B, H, 1)
        offset, share = offset - self._n + 1, told / text.clamp(min=1)
        out = (text >= rules.least) & (share >= rules.positional)
        usual = torch.where(offset <= 0, starts[:, None], stops[:, None] - 1) + offset  # (B, H, W)
        habit = (share >= rules.few) | (text >= rules.many) & (share >= rules.habit)
        there = (usual >= 0) & (usual < self._n) & (text >= rules.least) & habit
        key = of[:, None].expand(-1, words.shape[1], -1).gather(-1, usual.clamp(0, self._n - 1))
        habitual = torch.where(there, key, -1)[..., None] == torch.arange(most, device=device)
        words = torch.where(counted[:, None] & ~out[..., None] & ~habitual, words, 0)
        head = words.argmax(1)  # (B, W, W)
        best = words.gather(1, head[:, None]).flatten(1)
        weights, order = (part[:, :top] for part in best.sort(dim=1, descending=True, stable=True))
        return weights, head.flatten(1).gather(1, order), order // most, order % most


def with_room(scores: Tensor) -> Tensor:
    """The scores (B, H, n, n) with the memory behind each row, (B, H, n, width), as the compiled loops read them."""
    return scores.as_strided((*scores.shape[:3], scores.stride(2)), scores.stride())

"""What is measured of packed documents, layer by layer: figures of every head, and the strongest links of words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnviz.attention.kernel import hide
from attnviz.attention.observers.figures import wide
from attnviz.attention.tile import find_loops
from attnviz.attention.window import KeyWindow

FIGURES = 20
"""How many figures a head has; ``analysis.measured.METRICS`` says what they are, in their order."""
_OFFSET, _SHARE = 18, 19
"""Which of them say at what offset a head looks, and of what share of the tokens."""

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """``count`` documents of ``length`` tokens each: from the pack's document ``first`` and token ``start`` on."""

    first: int
    start: int
    count: int
    length: int

    @property
    def tokens(self) -> slice:
        """Where its tokens are in the pack."""
        return slice(self.start, self.start + self.count * self.length)

    def parts(self, count: int) -> Iterator[Group]:
        """The group in parts of ``count`` documents."""
        for i in range(0, self.count, count):
            yield Group(self.first + i, self.start + i * self.length, min(count, self.count - i), self.length)


@dataclass(frozen=True)
class Rules:
    """Which links are left out: those of a head with one offset in a share of ``positional`` of the text's tokens,
    where it has ``least`` of these; and where it has ``many`` and the share is ``habit``, those at that offset.
    """

    least: int
    positional: float
    many: int
    habit: float


@dataclass(frozen=True, eq=False)
class Marks:
    """What is said of the tokens and words of a pack of B documents, one after another.

    ``starts`` (B + 1,) is where each document begins among the T tokens; ``lead`` (B,) counts the special tokens in
    front of its text, and from ``tail`` (B,) on they are behind it. ``special`` and ``punctuation`` (T,) mark tokens,
    and ``before`` (T,) is the place in the document of the last earlier token of the same id, −1 for none. ``words``
    (B + 1,) is where its words begin among all W; ``edges`` (W + B,) are the first tokens of these in the document,
    and behind the last word of each its length. ``query_mask`` and ``key_mask`` (W,) say which words count as queries
    and keys, ``itself`` whether a word's link to itself does.
    """

    starts: Ints
    lead: Ints
    tail: Ints
    special: Bools
    punctuation: Bools
    before: Ints
    words: Ints
    edges: Ints
    query_mask: Bools
    key_mask: Bools
    itself: bool
    rules: Rules


@dataclass(frozen=True, eq=False)
class Layer:
    """What was found of one layer: ``figures`` (B, H, FIGURES) and the ``top`` links of each document, (B, top) each.

    A link has its head, its words' numbers in the document and its weight; 0 where there are fewer. A document whose
    scores were no numbers is not ``finite`` (B,).
    """

    figures: NDArray[np.float64]
    heads: NDArray[np.int16]
    queries: NDArray[np.int32]
    keys: NDArray[np.int32]
    weights: NDArray[np.float32]
    finite: Bools


class Measure:
    """Turns the scores of packed documents into weights and keeps what is measured of them; a ``packed.See``."""

    def __init__(self, marks: Marks, top: int) -> None:
        self.layers: dict[int, Layer] = {}
        self._marks, self._top = marks, top

    def __call__(self, layer: int, window: KeyWindow, group: Group, scores: Tensor) -> None:
        """Turn the ``scores`` (B, H, n, n) of the documents of ``group`` into weights and measure them."""
        found = self._found(layer, scores.shape[1])
        # No number is: the compiled loops could not tell. A sum is finite only where all of it is.
        found.finite[self._place(group)] &= torch.isfinite(scores.sum((1, 2, 3))).cpu().numpy()
        loops = _loops() if scores.device.type == "cpu" and scores.dtype is torch.float32 else None
        if not loops:
            at = torch.arange(group.length, device=scores.device)
            hide(scores, at, at, window, 0, 0)
            torch.softmax(scores, dim=-1, out=scores)
            self.weights(layer, window, group, scores)
            return
        marks, rules = self._marks, self._marks.rules
        behind, ahead = (-1 if side is None else side for side in (window.left, window.right))
        loops.measure(
            with_room(scores).numpy(), group.first, behind, ahead,
            (marks.starts, marks.lead, marks.tail, marks.special, marks.punctuation, marks.before),
            (marks.words, marks.edges, marks.query_mask, marks.key_mask, marks.itself),
            (rules.least, rules.positional, rules.many, rules.habit),
            found.figures, (found.heads, found.queries, found.keys, found.weights),
        )  # fmt: skip

    def weights(self, layer: int, window: KeyWindow, group: Group, weights: Tensor) -> None:
        """Measure the ``weights`` (B, H, n, n) of the documents of ``group``."""
        found, place = self._found(layer, weights.shape[1]), self._place(group)
        seen = _Documents(self._marks, group, weights.device)
        a = weights.to(wide(weights))
        figures = seen.figures(a, window)
        found.figures[place] = figures.cpu().numpy()
        links = seen.links(a, figures, self._top)
        strength, heads, queries, keys = (each.cpu().numpy() for each in links)
        count = strength.shape[1]
        found.weights[place, :count], found.heads[place, :count] = strength, heads
        found.queries[place, :count], found.keys[place, :count] = queries, keys

    def _found(self, layer: int, heads: int) -> Layer:
        if layer not in self.layers:
            documents = len(self._marks.lead)
            shape = documents, self._top
            self.layers[layer] = Layer(
                np.empty((documents, heads, FIGURES)),
                np.zeros(shape, np.int16),
                np.zeros(shape, np.int32),
                np.zeros(shape, np.int32),
                np.zeros(shape, np.float32),
                np.ones(documents, np.bool_),
            )
        return self.layers[layer]

    @staticmethod
    def _place(group: Group) -> slice:
        return slice(group.first, group.first + group.count)


@cache
def _loops() -> ModuleType | None:
    return find_loops("attnviz.attention.compiled.packs")


class _Documents:
    """The documents of a group, as torch measures them: their marks as tensors, (B, …) each."""

    def __init__(self, marks: Marks, group: Group, device: torch.device) -> None:
        self._count, self._n = group.count, group.length
        self._marks, self._group, self._device = marks, group, device
        self._at = torch.arange(self._n, device=device)
        tokens = slice(int(marks.starts[group.first]), int(marks.starts[group.first + group.count]))
        self._special, self._punctuation, self._before = (
            torch.from_numpy(each[tokens]).to(device).view(-1, self._n)
            for each in (marks.special, marks.punctuation, marks.before)
        )
        place = slice(group.first, group.first + group.count)
        lead, tail = (torch.from_numpy(each[place]).to(device)[:, None] for each in (marks.lead, marks.tail))
        self._lead, self._tail = self._at < lead, self._at >= tail

    def figures(self, a: Tensor, window: KeyWindow) -> Tensor:
        """The figures (B, H, FIGURES) of the weights ``a`` (B, H, n, n)."""
        n, at = self._n, self._at
        apart = at[:, None] - at
        sees = (apart <= (n if window.left is None else window.left)) & (
            -apart <= (n if window.right is None else window.right)
        )
        seen = sees.sum(1)
        entropy, received = torch.special.entr(a).sum(-1), a.sum(2)
        normalised = entropy * torch.where(seen > 1, 1 / seen.to(a).log(), 0)
        none = torch.full_like(entropy[..., 0], torch.nan)
        beside = [a.diagonal(by, 2, 3).mean(-1) if n > 1 else none for by in (-1, 1)]
        shares = [self._share(received, keys) for keys in (self._lead, self._tail, self._special, self._punctuation)]
        after = n - at if window.right == 0 else torch.full_like(at, n)  # the queries of which a key may be the sink
        mean = torch.where(after * 2 >= n, received / after, -1.0)
        inside = ~self._tail[:, None]
        peaks = torch.where(inside[..., None, :], a, 0).amax(-1)  # (B, H, n)
        columns = [
            entropy.mean(-1), normalised.mean(-1), (a * apart.abs()).sum(-1).mean(-1), (a * apart).sum(-1).mean(-1),
            a.diagonal(0, 2, 3).mean(-1), *beside, received[..., 0] / n, *shares, mean.amax(-1), mean.argmax(-1),
            (peaks * inside).sum(-1) / inside.sum(-1), received.amax(-1), received.argmax(-1),
            self._duplicate(a, apart > 0), *self._offsets(a),
        ]  # fmt: skip
        return torch.stack([column.to(a) for column in columns], dim=-1)

    def _share(self, received: Tensor, keys: Tensor) -> Tensor:
        share = (received * keys[:, None]).sum(-1) / self._n
        return torch.where(keys.any(-1)[:, None], share, torch.nan)

    def _duplicate(self, a: Tensor, earlier: Tensor) -> Tensor:
        """The mean weight to earlier tokens of the same id, of the tokens that have some."""
        first = self._at.expand(self._count, -1).clone()  # of the tokens of the same id
        for _ in range(self._n):
            before = torch.where(self._before >= 0, first.gather(1, self._before.clamp(min=0)), self._at)
            if torch.equal(before, first):
                break
            first = before
        same = (first[:, :, None] == first[:, None, :]) & earlier
        return (a * same[:, None]).sum((2, 3)) / (self._before >= 0).sum(-1)[:, None]

    def _offsets(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """The offset that holds the largest weight of most of the text's tokens, and of which part of them."""
        text = (~self._special).sum(-1)[:, None]
        offsets = a.argmax(-1) - self._at + self._n - 1
        query_mask = (~self._special)[:, None].expand_as(offsets).to(a)
        counts = a.new_zeros(*a.shape[:2], 2 * self._n).scatter_add_(-1, offsets, query_mask)
        best = (counts.argmax(-1) - self._n + 1).to(a)
        return torch.where(text > 0, best, torch.nan), counts.amax(-1) / text

    @cached_property
    def _words(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """First tokens and ends of the words (B, W), which look and are looked at, and the tokens' words (B, n)."""
        marks, group = self._marks, self._group
        most = int(np.diff(marks.words[group.first : group.first + group.count + 1]).max())
        starts, stops = (torch.full((self._count, most), self._n) for _ in range(2))
        query_mask, key_mask = (torch.zeros(self._count, most, dtype=torch.bool) for _ in range(2))
        for b in range(self._count):
            d = group.first + b
            first, last = int(marks.words[d]), int(marks.words[d + 1])
            edges = torch.from_numpy(marks.edges[first + d : last + d + 1])
            starts[b, : last - first], stops[b, : last - first] = edges[:-1], edges[1:]
            query_mask[b, : last - first] = torch.from_numpy(marks.query_mask[first:last])
            key_mask[b, : last - first] = torch.from_numpy(marks.key_mask[first:last])
        of = torch.searchsorted(starts, torch.arange(self._n).repeat(self._count, 1), right=True) - 1
        starts, stops, query_mask, key_mask, of = (
            each.to(self._device) for each in (starts, stops, query_mask, key_mask, of)
        )
        return starts, stops, query_mask, key_mask, of

    def links(self, a: Tensor, figures: Tensor, top: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The weights, heads, queries and keys of the strongest links, (B, top) each or fewer; weight 0 for none."""
        starts, stops, query_mask, key_mask, of = self._words
        rules, most = self._marks.rules, starts.shape[1]
        member = (of[:, None] == torch.arange(most, device=a.device)[:, None]).to(a)[:, None]  # (B, 1, W, n)
        words = member @ a @ member.mT / (stops - starts).clamp(min=1)[:, None, :, None]  # (B, H, W, W)
        counts = query_mask[:, :, None] & key_mask[:, None, :]
        if not self._marks.itself:
            counts = counts & ~torch.eye(most, dtype=torch.bool, device=a.device)
        offset, share = figures[..., _OFFSET, None], figures[..., _SHARE, None]  # (B, H, 1)
        text = (~self._special).sum(-1)[:, None, None]
        out = (text >= rules.least) & (share >= rules.positional)
        usual = torch.where(offset <= 0, starts[:, None], stops[:, None] - 1) + offset.nan_to_num()  # (B, H, W)
        there = (usual >= 0) & (usual < self._n) & (text >= rules.many) & (share >= rules.habit)
        key = of[:, None].expand(-1, a.shape[1], -1).gather(-1, usual.long().clamp(0, self._n - 1))
        habitual = torch.where(there, key, -1)[..., None] == torch.arange(most, device=a.device)
        words = torch.where(counts[:, None] & ~out[..., None] & ~habitual, words, 0)
        head = words.argmax(1)  # (B, W, W)
        best = words.gather(1, head[:, None]).flatten(1)
        weights, order = (part[:, :top] for part in best.sort(dim=1, descending=True, stable=True))
        return weights, head.flatten(1).gather(1, order), order // most, order % most


def with_room(scores: Tensor) -> Tensor:
    """The scores (B, H, n, n) with the room behind their rows, (B, H, n, width), as compiled loops read them."""
    return scores.as_strided((*scores.shape[:3], scores.stride(2)), scores.stride())

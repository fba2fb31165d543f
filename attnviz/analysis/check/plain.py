"""Compute the figures of heads directly from weights, as the reference for what is shown.

Nothing here is shared with the observers and the compiled loops. Weights come some rows at a time, so that a long text
needs no array of all its queries and keys, and are added up in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from attnviz.analysis.check.differences import Differences, Tolerance
from attnviz.attention.window import KeyWindow
from attnviz.encoding import Encoding, Window, is_blank, is_punctuation


@dataclass(frozen=True, eq=False)
class MarkedText:
    """The T tokens of a text, or of one window of it, and which of them count.

    ``positions`` (T,) are those of its tokens in the document. ``counting`` are the queries that figures average over,
    ``telling`` those whose offsets are counted. ``sets`` are the keys whose share is a figure. The special tokens
    behind the text begin at ``stop``; the ``confidence`` of a document leaves them out.
    """

    ids: Tensor
    positions: Tensor
    counting: Tensor
    telling: Tensor
    sets: Mapping[str, Tensor]
    stop: int

    @cached_property
    def repeated(self) -> Tensor:
        """Whether each token occurs earlier in the text."""
        seen, found = set[int](), []
        for number in self.ids.tolist():
            found.append(number in seen)
            seen.add(number)
        return torch.tensor(found)


def mark_text(encoding: Encoding, window: Window | None = None, within: Tensor | None = None) -> MarkedText:
    """Mark the tokens of a document, or of a ``window`` of it; only the queries ``within`` (N,) count."""
    special = torch.tensor(encoding.special)
    n, text = len(encoding), (~special).nonzero().flatten()
    first, last = (int(text[0]), int(text[-1])) if len(text) else (n, n)
    at = torch.arange(n)
    punctuation = torch.zeros(n, dtype=torch.bool)
    for word in encoding.words:
        punctuation[word.start : word.stop] = is_punctuation(word.text)
    punctuation |= torch.tensor([is_blank(token) for token in encoding.tokens])
    sets = {"cls": at < first, "sep": at > last, "special": special, "punctuation": punctuation & ~special}
    positions = at if window is None else torch.from_numpy(np.asarray(window.positions))
    kept = torch.ones(n, dtype=torch.bool) if window is None else torch.from_numpy(window.kept)
    tail = sets["sep"][positions]
    return MarkedText(
        ids=torch.tensor((window.encoding if window else encoding).ids),
        positions=positions,
        counting=kept if within is None else kept & within[positions],
        telling=kept & ~special[positions],
        sets={name: keys[positions] for name, keys in sets.items()},
        stop=len(positions) - int(tail.sum()),
    )


def mark_cross_text(encoding: Encoding, keys: Encoding, within: Tensor | None = None) -> MarkedText:
    """Mark the tokens of a text whose keys are another text, ``keys``."""
    key_mask, query_mask = mark_text(keys), mark_text(encoding, within=within)
    return replace(key_mask, counting=query_mask.counting, telling=query_mask.telling)


class Plain:
    """The figures of ``heads`` heads of a layer whose queries see as far as ``window``, in a text of ``keys`` tokens.

    Args:
        by_text: ``confidence`` is wanted, which leaves out the special tokens behind the text, and not ``largest``.
        edges: where the bands of distances begin, whose shares are wanted too; without the first key then.
        duplicates: what is given to earlier tokens of the same id is wanted too.
        causal: no query of the model sees a later key, in any layer.
    """

    def __init__(
        self,
        heads: int,
        keys: int,
        window: KeyWindow,
        tolerance: Tolerance,
        *,
        by_text: bool = False,
        edges: tuple[int, ...] | None = None,
        duplicates: bool = False,
        causal: bool,
    ) -> None:
        self._heads, self._keys, self._window, self._tolerance = heads, keys, window, tolerance
        self._causal = causal
        self._by_text, self._edges, self._duplicates = by_text, edges, duplicates
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._there: set[str] = set()
        self.received = torch.zeros(heads, keys, dtype=torch.float64)
        """What each key of the document receives, (h, M)."""
        self.bands = torch.zeros(heads, len(edges or ()) + 1, dtype=torch.float64)
        self._now = torch.zeros(0)
        self.sinks: list[tuple[int, Tensor, Tensor]] = []
        """Of each text that was read: how many queries counted, what each key takes (h, T), −1 where few see it, and
        the positions of the keys."""
        self.offsets = torch.zeros(heads, 1, dtype=torch.float64)
        """How many queries have their largest weight at each offset, from −``width`` to ``width``."""
        self.width = 0
        self.doubtful = torch.zeros(heads, dtype=torch.float64)
        """Of how many queries rounding decides at which offset that is."""

    def add(self, text: MarkedText, query: int, key: int, weights: Tensor) -> None:
        """See the weights (h, n, m) of ``text`` from the row ``query`` and the column ``key`` on."""
        a = weights.double().cpu()
        n, m = a.shape[1:]
        at, to = torch.arange(query, query + n), torch.arange(key, key + m)
        counting = text.counting[at]
        apart = (at[:, None] - to).double()
        entropy, seen = torch.special.entr(a).sum(-1), self._seen(at, len(text.positions))
        self._mean("entropy", entropy, counting)
        self._mean("normalised_entropy", torch.where(seen > 1, entropy / seen.double().log(), 0.0), counting)
        self._mean("signed_distance", torch.einsum("hnm,nm->hn", a, apart), counting)
        self._mean("distance", torch.einsum("hnm,nm->hn", a, apart.abs()), counting)
        for name, offset in (("self", 0), ("previous", -1), ("next", 1)):
            column = at + offset
            inside = (column >= key) & (column < key + m)
            found = a.gather(2, (column - key).clamp(0, m - 1).expand(len(a), n)[..., None])[..., 0] * inside
            self._mean(name, found, counting & (column >= 0) & (column < len(text.positions)))
        self._mean("first", a[..., 0] if key == 0 else torch.zeros_like(entropy), counting)
        for name, keys in text.sets.items():
            self._mean(name, a @ keys[to].double(), counting)
            self._there |= {name} if bool(keys.any()) else set()
        self._confident(text, a, at, to, counting)
        if self._duplicates:
            same = (text.ids[at][:, None] == text.ids[to]) & (apart > 0)
            self._mean("duplicate", torch.einsum("hnm,nm->hn", a, same.double()), counting & text.repeated[at])
        given = torch.einsum("hnm,n->hm", a, counting.double())
        self.received.index_add_(1, text.positions[to], given)
        if self._now.numel() == 0:
            self._now = torch.zeros(self._heads, len(text.positions), dtype=torch.float64)
        self._now[:, key : key + m] += given
        self._look(a, at - key, text.telling[at])
        if self._edges is not None:
            self._count_bands(a, at - key, key, counting)

    def _confident(self, text: MarkedText, a: Tensor, at: Tensor, to: Tensor, counting: Tensor) -> None:
        if not self._by_text:
            self._mean("largest", a.amax(-1), counting)
        elif text.stop:
            inside = to < text.stop
            peaks = a[..., inside].amax(-1) if bool(inside.any()) else torch.zeros_like(a[..., 0])
            self._mean("confidence", peaks, counting & (at < text.stop))

    def _mean(self, name: str, values: Tensor, counting: Tensor) -> None:
        """Add the ``values`` (h, n) of the queries that are ``counting`` (n,) to those that a figure is the mean of."""
        total = torch.where(counting, values, 0.0).sum(-1)
        self._sums[name] = self._sums[name] + total if name in self._sums else total
        self._counts[name] = self._counts.get(name, 0) + int(counting.sum())

    def _seen(self, at: Tensor, keys: int) -> Tensor:
        """How many keys each query sees."""
        behind, ahead = self._window.left, self._window.right
        low = torch.zeros_like(at) if behind is None else (at - behind).clamp(min=0)
        high = torch.full_like(at, keys - 1) if ahead is None else (at + ahead).clamp(max=keys - 1)
        return high - low + 1

    def _look(self, a: Tensor, own: Tensor, telling: Tensor) -> None:
        """Count at which offset each query has its largest weight; ``own`` (n,) are the columns of the queries."""
        m = a.shape[2]
        width = max(self.width, m, int(own.max()), m - int(own.min()))
        if width > self.width:
            grown = torch.zeros(self._heads, 2 * width + 1, dtype=torch.float64)
            old = self.offsets.shape[1]
            grown[:, width - old // 2 : width - old // 2 + old] = self.offsets
            self.offsets, self.width = grown, width
        peak, best = a.max(-1)  # (h, n)
        bins = best - own + self.width
        self.offsets.scatter_add_(1, bins, telling.double().expand(len(a), -1))
        near = peak * (1 - 2 * self._tolerance.part) - 2 * self._tolerance.weight
        ties = (a >= near[..., None]).sum(-1) > 1
        self.doubtful += (ties & telling).sum(-1)

    def _count_bands(self, a: Tensor, own: Tensor, key: int, counting: Tensor) -> None:
        """Add up, for each band of distances, what is given to it, but for the first key."""
        a = a * counting[:, None]
        if key == 0:
            a[..., 0] = 0
        before = torch.nn.functional.pad(a.cumsum(-1), (1, 0))  # (h, n, m + 1): what stands before each column
        edges = (0, *(self._edges or ()), 1 << 40)
        m = a.shape[2]

        def up_to(column: Tensor) -> Tensor:
            return before.gather(2, column.clamp(0, m).expand(len(a), -1)[..., None])[..., 0].sum(-1)

        for band, (near, far) in enumerate(pairwise(edges)):
            self.bands[:, band] += up_to(own - near + 1) - up_to(own - far + 1)
            if near:
                self.bands[:, band] += up_to(own + far) - up_to(own + near)

    def end(self, text: MarkedText) -> None:
        """All rows of ``text`` have been seen."""
        queries = text.counting.nonzero().flatten()
        if len(queries) and self._now.numel():
            self.sinks.append((len(queries), self._taken(queries), text.positions))
        self._now = torch.zeros(0)

    def _taken(self, queries: Tensor) -> Tensor:
        """The mean weight that each key takes of the ``queries``, of those from it on where the model is causal.

        It is −1 of a key that has less than half of them.
        """
        keys = torch.arange(self._now.shape[1])
        count = len(queries) - (torch.searchsorted(queries, keys) if self._causal else torch.zeros_like(keys))
        return torch.where(count * 2 >= len(queries), self._now / count.clamp(min=1), -1.0)

    @property
    def figures(self) -> dict[str, Tensor]:
        """The means by name, (h,) each, NaN where there is nothing to take the mean of, and the largest amounts."""
        nothing = torch.full((self._heads,), torch.nan, dtype=torch.float64)
        found = {
            name: total / self._counts[name] if self._counts[name] else nothing for name, total in self._sums.items()
        }
        found |= dict.fromkeys({"cls", "sep", "special", "punctuation"} - self._there, nothing)
        queries = sum(count for count, _, _ in self.sinks)
        found["sink"] = (
            sum((count * taken.amax(-1) for count, taken, _ in self.sinks), torch.zeros_like(nothing)) / queries
        )
        found["received"] = self.received.amax(-1)
        return found

    @property
    def profile(self) -> Tensor:
        """The share of each band of distances, (h, bands)."""
        return self.bands / max(self._counts["entropy"], 1)

    def judge_offsets(self, differences: Differences, offset: Tensor, share: Tensor, *, nan: bool) -> None:
        """Hold to what was counted the ``offset`` and its ``share`` (h,); without queries they are no numbers, or 0."""
        count = int(self.offsets[0].sum())
        if not count:
            empty = torch.isnan(offset) & torch.isnan(share) if nan else (offset == 0) & (share == 0)
            differences.never("offset", happens=~empty)
            return
        differences.never("offset", happens=torch.isnan(offset) | (offset.abs() > self.width))
        place = (offset.nan_to_num() + self.width).long().clamp(0, 2 * self.width)
        there, most = self.offsets.gather(1, place[:, None])[:, 0], self.offsets.amax(-1)
        doubt = self.doubtful + 1e-3  # of a query
        differences.parts("offset", (most - there) / (2 * doubt))
        differences.parts("offset_share", (share * count - most).abs() / doubt)

    def judge_sink(self, differences: Differences, place: Tensor) -> None:
        """Hold to what keys take the ``place`` (h,) in the document that is the sink of most queries."""
        surely, maybe = (torch.zeros(self._heads, self._keys, dtype=torch.float64) for _ in range(2))
        for count, taken, positions in self.sinks:
            near = taken >= (taken.amax(-1) - 2 * self._tolerance.allows(taken.amax(-1)))[:, None]
            alone = near & (near.sum(-1) == 1)[:, None]
            surely.index_add_(1, positions, count * alone.double())
            maybe.index_add_(1, positions, count * near.double())
        at = place.nan_to_num(nan=-1).long()
        inside = (at >= 0) & (at < self._keys)
        have = maybe.gather(1, at.clamp(0, self._keys - 1)[:, None])[:, 0]
        differences.never("sink_position", happens=~inside | (have < surely.amax(-1)) | (have == 0))

    def judge_most(self, differences: Differences, place: Tensor) -> None:
        """Hold to what keys receive the ``place`` (h,) of the one that receives most."""
        at = place.nan_to_num(nan=-1).long()
        differences.never("received_position", happens=(at < 0) | (at >= self._keys))
        value = self.received.gather(1, at.clamp(0, self._keys - 1)[:, None])[:, 0]
        differences.at_most("received_position", self.received.amax(-1), value * (1 + self._tolerance.part))

"""The check of the links that were written of a layer of a text, by transformers' own weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from attnviz.analysis.check.differences import Differences
from attnviz.analysis.check.units import ToUnits
from attnviz.analysis.corpus.metrics import NAMES
from attnviz.analysis.text.links import counting
from attnviz.analysis.text.offsets import MIN_QUERIES, POSITIONAL, dominant_share
from attnviz.analysis.text.units import read_in
from attnviz.model.check.drawing import ROWS

if TYPE_CHECKING:
    from attnviz.analysis.check.tables import MeasuredDocument


class Links:
    """The links that were written of a layer."""

    def __init__(self, document: MeasuredDocument, place: int, differences: Differences) -> None:
        self._encoding, self._differences = document.encoding, differences
        links = document.measured.links
        some = np.flatnonzero(links.layer == place)
        columns = (getattr(links, name)[some] for name in ("head", "query", "key", "weight"))
        self._head, self._query, self._key, self._weight = map(torch.from_numpy, columns)
        self._query, self._key = self._query.long(), self._key.long()
        words = read_in("word", document.encoding, None, (), document.request.language)
        query_mask, key_mask, self._itself = counting(
            words, causal=document.causal, special=document.request.special, everything=document.request.everything
        )
        self._looking, self._looked_at = torch.from_numpy(query_mask), torch.from_numpy(key_mask)
        offset, share = (
            torch.from_numpy(document.measured.figures[place, :, NAMES.index(name)])
            for name in ("offset", "offset_share")
        )
        text = 0 if document.request.everything else document.encoding.special.count(False)
        self._out = (share >= POSITIONAL) & (text >= MIN_QUERIES)
        self._dominant = (share >= dominant_share(text)) & (text >= MIN_QUERIES) & ~self._out
        self._usual = self._keys_at(offset)
        self._found = torch.zeros(len(some), dtype=torch.bool)
        full = len(some) == document.request.links
        self._least = self._weight[-1].double() if full and len(some) else torch.zeros(()).double()
        self._require_order()

    def _keys_at(self, offset: Tensor) -> Tensor:
        """For each head and word the word at the head's offset from it, −1 for none, (H, W)."""
        words = self._encoding.words
        of = np.repeat(np.arange(len(words)), [word.stop - word.start for word in words])
        start, stop = (torch.tensor([getattr(word, end) for word in words]) for end in ("start", "stop"))
        by = offset.nan_to_num().long()[:, None]
        at = torch.where(by <= 0, start + by, stop - 1 + by)
        there = (at >= 0) & (at < len(of))
        return torch.where(there, torch.from_numpy(of)[at.clamp(0, len(of) - 1)], -1)

    def _require_order(self) -> None:
        pairs = self._query * len(self._encoding.words) + self._key
        self._differences.never("links", happens=len(set(pairs.tolist())) != len(pairs))
        self._differences.at_most("links", self._weight[1:], self._weight[:-1])

    def units(self) -> ToUnits:
        """What makes words of tokens."""
        edges = [*(word.start for word in self._encoding.words), len(self._encoding)]
        return ToUnits(edges, edges)

    def add(self, heads: Sequence[int], query: int, key: int, weights: Tensor) -> None:
        """See the words' rows (h, n, m) of ``heads``."""
        some = torch.as_tensor(list(heads))
        n, m = weights.shape[1:]
        counts = self._looking[query : query + n, None] & self._looked_at[key : key + m]
        words = torch.where(counts & ~self._out[some][:, None, None], weights, 0.0)
        if not self._itself:
            words.diagonal(query - key, 1, 2).zero_()
        if bool(self._dominant[some].any()):
            at = torch.where(self._dominant[some][:, None], self._usual[some, query : query + n], -1)
            words = torch.where(at[..., None] == torch.arange(key, key + m), 0.0, words)
        here = ((self._query >= query) & (self._query < query + n)).nonzero().flatten()
        row, column = self._query[here] - query, self._key[here] - key
        inside = (column >= 0) & (column < m)
        column = column.clamp(0, m - 1)
        values = torch.where(inside, words[:, row, column], 0.0)  # (h, links)
        own = some[:, None] == self._head[here]
        self._differences.links("links", self._weight[here].expand(len(some), -1)[own], values[own])
        self._found[here[own.any(0)]] = True
        self._differences.at_most("links", values, self._weight[here].expand(len(some), -1))
        words[:, row[inside], column[inside]] = 0
        if words.numel():
            self._differences.at_most("links", words.amax(), self._least)

    def end(self) -> None:
        """All rows of the linked words have been seen, in their heads: ``ROWS`` tokens of them at least."""
        words = [self._encoding.words[i] for i in set(self._query.tolist())]
        if sum(word.stop - word.start for word in words) <= ROWS:
            self._differences.never("links", happens=~self._found)

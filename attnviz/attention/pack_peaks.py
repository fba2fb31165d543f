"""The peaks of packed documents: which word each word looks at most, in every head."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from attnviz.attention.packs import Group, PackWords
from attnviz.attention.peaks import Peaks, Places, peaks
from attnviz.attention.scores import hide, to_weights
from attnviz.attention.texts import Bools, Ints
from attnviz.attention.window import KeyWindow


class PackPeaks:
    """Turns the scores of packed documents into weights and finds their peaks; it is called as a ``packed.See``.

    Args:
        words: where each document's words begin among all W words (B + 1,).
        edges: for each document, the first tokens of its words, and then its length (W + B,).
        keys: which words may be looked at (W,).
        before: as of ``PeakUnits``.
    """

    def __init__(self, words: Ints, edges: Ints, keys: Bools, *, before: bool = False) -> None:
        self._words, self._edges, self._keys, self._before = words, edges, keys, before
        self._found: dict[int, Places] = {}
        self.finite = np.ones(len(words) - 1, np.bool_)
        """Whether the scores of each document are all finite (B,)."""
        self._of = cache(self._read)

    def __call__(
        self, layer: int, window: KeyWindow, group: Group, scores: Tensor, sinks: Tensor | None = None
    ) -> None:
        """Turn the ``scores`` (B, H, n, n) of the documents of ``group`` into weights and find their peaks."""
        self.finite[group.first : group.first + group.count] &= torch.isfinite(scores.sum((1, 2, 3))).cpu().numpy()
        at = torch.arange(group.length, device=scores.device)
        hide(scores, at, at, window, 0, 0)
        to_weights(scores, sinks)
        words, keys = self._of(group, scores.device)
        found = peaks(words.between(scores), keys[:, None], before=self._before).cpu().numpy()  # (B, H, W)
        if layer not in self._found:
            self._found[layer] = np.empty((scores.shape[1], len(self._keys)), np.int32)
        for number, each in enumerate(found, group.first):
            start, stop = int(self._words[number]), int(self._words[number + 1])
            self._found[layer][:, start:stop] = each[:, : stop - start]

    def _read(self, group: Group, device: torch.device) -> tuple[PackWords, Tensor]:
        words = PackWords(self._words, self._edges, group, device)
        return words, words.masks(self._keys)

    @property
    def peaks(self) -> list[Peaks]:
        """The peaks of each document."""
        whole = Peaks.of(self._found)
        return [Peaks(part, whole.layers) for part in np.split(whole.words, self._words[1:-1], -1)]

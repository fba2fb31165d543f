"""A document in windows, and the weights between its tokens, assembled from the windows' full weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.observers import Weights
from attnviz.encoding import Encoding, Windows
from attnviz.model.native.backend import Native

Array = NDArray[np.floating]
LONG_TEXT = (
    f"The bank approved the loan, because it had strong financials. {'x' * 40} {'abcdefg ' * 3} of the river. " * 2
)


@dataclass(frozen=True, eq=False)
class Read:
    """A document read in windows, one by one, without the code under test."""

    backend: Native
    document: Encoding
    windows: Windows
    each: list[Array]
    """(L, H, T, T) of each window."""
    sinks: bool

    @cached_property
    def whole(self) -> Array:
        """The weights (L, H, N, N) between the document's tokens, put together window by window."""
        n = len(self.document)
        found = np.zeros((*self.each[0].shape[:2], n, n))
        for window, weights in zip(self.windows, self.each, strict=True):
            places = window.positions
            rows = np.flatnonzero((window.first <= places) & (places < window.last))
            columns = np.flatnonzero((window.start <= places) & (places < window.stop))
            columns = columns if self.sinks else columns[columns > 0]
            found[:, :, places[rows, None], places[columns]] = weights[:, :, rows[:, None], columns]
        found.flags.writeable = False
        return found


def read_windows(backend: Native, document: Encoding, windows: Windows, *, sinks: bool) -> Read:
    """Run each of the windows as a text of its own."""
    each = []
    for window in windows:
        kept = Weights()
        backend.run(window.encoding, [kept])
        each.append(kept.stacked().numpy())
    return Read(backend, document, windows, each, sinks)

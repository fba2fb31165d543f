"""What an observation keeps for its check: rows of weights as they pass by in the very run that is shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.kernel import Kind, Tile
from attnviz.attention.observers import InWindows, Pairs
from attnviz.encoding import Encoding, Window, Windows
from attnviz.model.check import drawing
from attnviz.record import Evidence, Rows


class Gathering(InWindows):
    """Keeps rows of whole units of an ``encoding``: the first, the last, some that are ``wanted``, and drawn ones.

    Of a text in ``windows`` they are those of the first, a middle and the last one. Memory: as many rows as
    ``drawing.ROWS``, or fewer where those of all heads take more than ``drawing.ROOM``.
    """

    def __init__(
        self,
        encoding: Encoding,
        starts: Sequence[int],
        wanted: Sequence[int],
        windows: Windows | None,
        heads: int,
        keys: int,
    ) -> None:
        """``starts`` are the first tokens of the units; ``heads`` those of all layers."""
        count = min(drawing.ROWS, max(drawing.FEWEST, drawing.ROOM // (4 * max(1, heads) * keys)))
        self._pairs: dict[int | None, tuple[NDArray[np.intp], Pairs]] = {}
        self._numbers = {} if windows is None else {windows[i].start: i for i in windows.sampled}
        if windows is None:
            self._keep(None, _tokens(starts, len(encoding), count, wanted), 0)
        for number, window in ((number, windows[number]) for number in self._numbers.values() if windows):
            inside = _inside(starts, len(encoding), window)
            if inside:
                first = [starts[unit] for unit in inside]
                end = starts[inside[-1] + 1] if inside[-1] + 1 < len(starts) else len(encoding)
                asked = [unit - inside[0] for unit in wanted if inside[0] <= unit <= inside[-1]]
                shift = window.start - window.lead
                self._keep(number, _tokens(first, end, -(-count // len(self._numbers)), asked), shift)
        self._now: Pairs | None = self._pairs[None][1] if windows is None else None

    def _keep(self, number: int | None, tokens: list[int], shift: int) -> None:
        queries = np.array(tokens) - shift
        self._pairs[number] = queries, Pairs(queries.tolist())

    def enter(self, window: Window) -> None:
        """See the next window."""
        number = self._numbers.get(window.start)
        self._now = self._pairs[number][1] if number in self._pairs else None

    def tile(self, tile: Tile) -> None:
        """Keep the rows of the tile that are drawn."""
        if self._now is not None:
            self._now.tile(tile)

    def evidence(self, kind: Kind, read: Encoding, written: Encoding | None) -> Evidence:
        """What was kept; the model has ``read`` a text, and its decoder what is ``written``."""
        rows = tuple(
            Rows(queries, {layer: pairs.layer(layer).cpu().numpy() for layer in pairs.layers()}, number)
            for number, (queries, pairs) in self._pairs.items()
        )
        other = {"encoder": written, "decoder": read}.get(kind)
        return Evidence(rows, other)


def _tokens(starts: Sequence[int], stop: int, count: int, wanted: Sequence[int]) -> list[int]:
    ends = [*starts[1:], stop]
    return [
        token for unit in drawing.draw_words(starts, stop, count, wanted) for token in range(starts[unit], ends[unit])
    ]


def _inside(starts: Sequence[int], stop: int, window: Window) -> list[int]:
    """The units whose tokens are all kept as queries of a window."""
    ends = [*starts[1:], stop]
    return [unit for unit, start in enumerate(starts) if window.first <= start and ends[unit] <= window.last]

"""Show the progress of a long run on standard error: the layer, its tiles, and the remaining time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from attnviz.attention.kernel import Kind, Observer, Tile
from attnviz.cli import console
from attnviz.errors import ModelError
from attnviz.model.cost.estimates import visible_scores
from attnviz.render.terminal.cost import duration

if TYPE_CHECKING:
    from attnviz.interface import Model

PATIENCE = 2.0
"""The seconds before anything is shown: most runs are over by then."""
_EVERY = 0.25
"""The seconds between two updates, which are drawn between tiles, so that no thread takes time from the run."""


class RunProgress(Observer):
    """Count the scores of the tiles; on a terminal a bar is shown, and removed when it is closed.

    Work is measured in visible scores: in a causal layer it grows with the square of the query's position. ``layers``
    is the number of layers of all kinds; None if unknown. ``only`` are the layers that were asked for; None is all.
    """

    def __init__(
        self,
        layers: int | None,
        on: Console,
        clock: Callable[[], float] = time.monotonic,
        only: Collection[int] | None = None,
    ) -> None:
        self._layers, self._clock, self._only = layers, clock, only
        self._begun: set[tuple[str, int]] = set()
        self._at: tuple[str, int] | None = None
        self._scores = self._tiles = 0
        self._start = clock()
        self._next = self._start + PATIENCE
        self._on = on
        self._bar: Bar | None = None

    def wants(self, layer: int, kind: Kind) -> bool:  # noqa: ARG002
        """Whether somebody asked for the layer."""
        return self._only is None or layer in self._only

    def tile(self, tile: Tile) -> None:
        """Count a tile, and update the bar if it is time."""
        if (tile.kind, tile.layer) != self._at:
            self._at = tile.kind, tile.layer
            self._begun.add(self._at)
            self._scores = self._tiles = 0
        self._tiles += 1
        self._scores += tile.weights.numel()
        now = self._clock()
        if now >= self._next and self._on.is_terminal:
            self._next = now + _EVERY
            self._draw(tile, now - self._start)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()

    def _draw(self, tile: Tile, elapsed: float) -> None:
        heads, queries, keys = tile.shape
        # Tiles at the edge of a window also hold scores that are not visible.
        within = min(1.0, self._scores / max(1, heads * visible_scores(tile.window, queries, keys)))
        done = len(self._begun) - 1 + within
        total = None if self._layers is None else max(self._layers, len(self._begun))
        of, left = "", ""
        if total is not None:
            of, left = f" of {total}", f"{duration(elapsed * (total - done) / done)} left"
        if self._bar is None:
            self._bar = _begin(self._on)
        words = f"layer {len(self._begun)}{of}, tile {self._tiles}"
        self._bar.update(self._bar.task_ids[0], description=words, completed=done, total=total, left=left)
        self._bar.refresh()


def _begin(on: Console) -> Bar:
    """Show a bar with words before it and the remaining time behind it; it is drawn when it is told to."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}")
    bar = Bar(*columns, console=on, auto_refresh=False, transient=True)
    bar.add_task("", left="")
    bar.start()
    return bar


@contextlib.contextmanager
def step_progress(what: str, clock: Callable[[], float] = time.monotonic) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that is told how many steps are done, and of how many; it shows a bar on a terminal.

    ``what`` the steps are is said beside it.
    """
    on, start = console.errors(), clock()
    bar: Bar | None = None
    due = start + PATIENCE

    def tell(done: int, total: int) -> None:
        nonlocal bar, due
        now = clock()
        if now < due or not on.is_terminal:
            return
        due = now + _EVERY
        if bar is None:
            bar = _begin(on)
        left = f"{duration((now - start) * (total - done) / max(done, 1))} left"
        words = f"{done:,} of {total:,} {what}"
        bar.update(bar.task_ids[0], description=words, completed=done, total=total, left=left)
        bar.refresh()

    try:
        yield tell
    finally:
        if bar is not None:
            bar.stop()


@contextlib.contextmanager
def run_progress(model: Model, only: Collection[int] | None = None) -> Iterator[RunProgress]:
    """Yield an observer that shows the progress of a run of ``model``."""
    from attnviz.model import overview

    layers: int | None = sum(model.backend.layers.values())
    if not layers:  # a hosted model knows it only after a run
        try:
            layers = sum(len(stack.blocks) for stack in overview.checkpoint_shape(model.checkpoint).stacks)
        except ModelError:
            layers = None
    if only is not None:
        layers = len(only)
    on = console.errors()
    progress = RunProgress(layers, on, only=only)
    try:
        with console.compilation_noted(on):
            yield progress
    finally:
        progress.close()

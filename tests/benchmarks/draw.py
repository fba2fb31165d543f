"""Drawing a grid of all heads, against a subplot a head. ``python -m tests.benchmarks.draw [rounds]``."""

from __future__ import annotations

import io
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.shown_maps import grid
from attnviz.render.figure import draw_grid, to_png
from tests.records import random_weights, record

LAYERS, HEADS, WORDS = 30, 9, 64
SECONDS = 1.5
"""The most that drawing may take, from weights to the bytes of a PNG."""


def subplots(weights: np.ndarray) -> bytes:
    """The usual way: an axes with an image for each head."""
    figure = Figure(figsize=(9, 30))
    for axes, head in zip(figure.subplots(LAYERS, HEADS).flat, weights.reshape(-1, WORDS, WORDS), strict=True):
        axes.imshow(head)
        axes.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def seconds(draw: Callable[[], bytes]) -> float:
    """How long one drawing takes."""
    start = time.perf_counter()
    draw()
    return time.perf_counter() - start


def main() -> None:
    """Print the table as it stands in the README."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    attention = record([f"word{i}" for i in range(WORDS)], random_weights((LAYERS, HEADS, WORDS)))
    observation = replay(attention)
    maps = grid(observation)
    mosaic, axes = [], []
    for _ in range(rounds + 1):
        mosaic.append(seconds(lambda: to_png(draw_grid(observation, maps))))
        axes.append(seconds(lambda: subplots(attention.weights)))
    ours, theirs = (statistics.median(times[1:]) for times in (mosaic, axes))  # the first round loads the fonts
    print("| what | against | ratio | at most |\n|---|---|---|---|")
    print(f"| grid of {LAYERS} × {HEADS} heads × {WORDS} words, drawn | a subplot a head | {ours / theirs:.2f} | – |")
    print(f"| the same | – | {ours:.2f} s | {SECONDS} s |")


if __name__ == "__main__":
    main()

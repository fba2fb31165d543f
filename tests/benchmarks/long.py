"""Long texts: a run with HeadSums and Units against transformers, SmolLM2 in float32.

``python -m tests.benchmarks.long 512 4096 8192`` prints for each number of tokens the time and the peak memory of our
run as a part of those of transformers' SDPA, which returns no weights, and of its eager attention with
``output_attentions``, where that fits. Each contender runs in a process of its own, in turns; times are the least
of some rounds, without loading; memory is the most that its process ever held. ``--device cuda`` measures a GPU, for
which 131,072 tokens are the aim.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import torch

from tests.benchmarks.smollm2 import PACKAGES, folder

EAGER = 4096
"""Beyond so many tokens eager attention takes more memory than most machines have."""


def measure(contender: str, tokens: int, rounds: int, device: str) -> dict[str, float]:
    """Run one contender in this process: seconds, and the most bytes."""
    run = {"ours": _ours, "sdpa": _theirs, "eager": _theirs}[contender](contender, tokens, device)
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": min(seconds), "bytes": most if device == "cpu" else torch.cuda.max_memory_allocated()}


def _ids(tokens: int) -> list[int]:
    return torch.randint(1000, 49000, (tokens,), generator=torch.Generator().manual_seed(0)).tolist()


def _ours(_: str, tokens: int, device: str) -> Any:
    import attnviz
    from attnviz.model.cost.measuring import _observers

    network = attnviz.load(folder() or "", device=device).backend.network  # type: ignore[union-attr]
    network(_ids(1000), (), _observers(1000))  # the loops are compiled once

    def run() -> None:
        observers = _observers(tokens)
        network(_ids(tokens), (), observers, whole=False)
        assert observers[0].figures["entropy"].shape == (30, 9)

    return run


def _theirs(attention: str, tokens: int, device: str) -> Any:
    from transformers import AutoModel

    from attnviz.checkpoint import quiet_transformers

    with quiet_transformers():
        model = AutoModel.from_pretrained(folder(), dtype=torch.float32, attn_implementation=attention).to(device)
    model.eval()
    ids = torch.tensor([_ids(tokens)], device=device)

    def run() -> None:
        with torch.inference_mode():
            model(ids, use_cache=False, output_attentions=attention == "eager")

    return run


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tokens", type=int, nargs="+")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="ours only")
    parser.add_argument("--contender")
    given = parser.parse_args()
    if given.contender:
        print(json.dumps(measure(given.contender, given.tokens[0], given.rounds, given.device)))
        return
    if folder() is None:
        sys.exit(f"the model is not installed: {PACKAGES}")
    if given.device != "cpu" and not torch.cuda.is_available():
        sys.exit("skipped: there is no GPU")
    for tokens in given.tokens:
        _compare(tokens, given)


def _compare(tokens: int, given: argparse.Namespace) -> None:
    ours = _run("ours", tokens, given)
    print(f"{tokens:,} tokens: {ours['seconds']:.1f} s, {ours['bytes'] / 1e9:.2f} GB", flush=True)
    peers = ["sdpa", *(["eager"] if tokens <= EAGER else [])]
    for peer in [] if given.alone else peers:
        theirs = _run(peer, tokens, given)
        again = _run("ours", tokens, given) if peer == "sdpa" else ours  # before and after, as machines vary
        ours = {name: min(ours[name], again[name]) for name in ours}
        time_, memory = (ours[name] / theirs[name] for name in ("seconds", "bytes"))
        print(f"  {time_:.2f} of the time and {memory:.2f} of the memory of {peer}", flush=True)


def _run(contender: str, tokens: int, given: argparse.Namespace) -> dict[str, float]:
    rounds = 1 if contender == "eager" and tokens > 1000 else given.rounds
    command = [sys.executable, "-m", "tests.benchmarks.long", str(tokens), "--contender", contender]
    command += ["--device", given.device, "--rounds", str(rounds)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return measured


if __name__ == "__main__":
    main()

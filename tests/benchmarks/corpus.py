"""A corpus of short texts: all metrics and top links of the default model, against what transformers takes.

``python -m tests.benchmarks.corpus FILE.conllu [--documents N] [--rounds R]`` reads the sentences of a treebank and
prints by how many times ours, tokenising and measuring, is faster than

- scripts that take entropy, distance and the three strongest links of each head out of ``output_attentions``: one text
  at a time, 32 padded to the longest, and 32 of near lengths;
- transformers' own SDPA forward, 32 of near lengths, which returns no weights.

All run in turns in one process, on as many threads as torch has; each round gives ratios, and the median counts.
``--half`` compares ours in bfloat16 with ours in float32, and with the best of these in bfloat16.

``--processor`` takes the processor's time, for a machine on which something else runs too.

``--memory`` prints how much memory ``attnviz batch`` takes at its peak for that many documents, a hundred times fewer
being 1, each a process of its own; the sentences come again and again.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import attnviz
from attnviz.analysis.corpus.metrics import Measured
from attnviz.analysis.corpus.packed import measure
from attnviz.checkpoint.bundle import find_bundle
from attnviz.encoding import Encoding, encode_many
from attnviz.interface import Model
from attnviz.record import Request
from tests.benchmarks.cold import ATTNVIZ

BATCH = 32


def sentences(path: Path, count: int) -> list[str]:
    """The first ``count`` sentences of a treebank."""
    mark = "# text = "
    found = [line.removeprefix(mark) for line in path.read_text(encoding="utf-8").splitlines() if line.startswith(mark)]
    return found[:count]


def ours(model: Model) -> Callable[[list[str]], object]:
    """All metrics and the eight strongest links of each layer."""

    def run(texts: list[str]) -> object:
        tokenizer, limit = model.checkpoint.tokenizer, model.backend.limit
        encodings = encode_many(tokenizer, texts, limit=limit)
        found = measure(model.backend, [each for each in encodings if isinstance(each, Encoding)], Request())
        assert all(isinstance(one, Measured) for one in found)
        return found

    return run


def transformers_model(attention: str, dtype: torch.dtype) -> Any:
    """The same checkpoint by transformers."""
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    return AutoModel.from_pretrained(find_bundle(), attn_implementation=attention, dtype=dtype).eval()


def batches(model: Model, texts: list[str], size: int, *, near: bool) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Numbers of texts, their ids and mask (B, n) each, padded; texts of ``near`` lengths together, or as they come."""
    ids = [pieces.ids for pieces in model.checkpoint.tokenizer.encode_batch(texts)]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i])) if near else list(range(len(ids)))
    for start in range(0, len(order), size):
        numbers = order[start : start + size]
        longest = max(len(ids[i]) for i in numbers)
        padded = torch.tensor([ids[i] + [0] * (longest - len(ids[i])) for i in numbers])
        mask = torch.tensor([[1] * len(ids[i]) + [0] * (longest - len(ids[i])) for i in numbers])
        yield numbers, padded, mask


def script(model: Model, size: int, *, near: bool) -> Callable[[list[str]], object]:
    """Entropy, distance and the three strongest links of each head, from ``output_attentions``."""
    eager = transformers_model("eager", model.options.dtype)

    @torch.inference_mode()
    def run(texts: list[str]) -> object:
        found: dict[int, tuple[Tensor, Tensor, Tensor, Tensor]] = {}
        for numbers, ids, mask in batches(model, texts, size, near=near):
            attentions = eager(input_ids=ids, attention_mask=mask, output_attentions=True).attentions
            weights = torch.stack(attentions, dim=1)  # (B, L, H, n, n)
            rows = mask[:, None, None].to(weights.dtype)
            count = rows.sum(-1)
            at = torch.arange(weights.shape[-1], dtype=weights.dtype)
            apart = (at[:, None] - at).abs()
            entropy = (torch.special.entr(weights).sum(-1) * rows).sum(-1) / count
            distance = ((weights * apart).sum(-1) * rows).sum(-1) / count
            top, place = (weights * rows[..., None]).flatten(-2).topk(3)
            found |= zip(numbers, zip(entropy, distance, top, place, strict=True), strict=True)
        return found

    return run


def sdpa(model: Model) -> Callable[[list[str]], object]:
    """The forward pass alone."""
    fast = transformers_model("sdpa", model.options.dtype)

    @torch.inference_mode()
    def run(texts: list[str]) -> object:
        for _, ids, mask in batches(model, texts, BATCH, near=True):
            fast(input_ids=ids, attention_mask=mask)
        return None

    return run


def ratios(
    contenders: dict[str, Callable[[list[str]], object]], texts: list[str], rounds: int, *, processor: bool
) -> Any:
    """For each contender but the first its time by that of the first, the median over the rounds."""
    clock = time.process_time if processor else time.perf_counter
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run(texts[:100])  # compiles, and touches all weights
    for _ in range(rounds):
        spent = {}
        for name, run in contenders.items():
            start = clock()
            run(texts)
            spent[name] = clock() - start
        print({name: round(seconds, 2) for name, seconds in spent.items()}, file=sys.stderr, flush=True)
        for name, seconds in spent.items():
            found[name].append(seconds / spent["ours"])
    return {name: statistics.median(each) for name, each in found.items()}


def peak(texts: list[str], count: int) -> int:
    """The bytes that ``attnviz batch`` takes at its peak for ``count`` documents: ``texts`` again and again."""
    with tempfile.TemporaryDirectory() as folder:
        lines = itertools.islice(itertools.cycle(texts), count)
        path = Path(folder, "corpus.txt")
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        options = ["--output", str(Path(folder, "results")), "--split", "line", "--check", "none", "--quiet"]
        process = subprocess.Popen([sys.executable, "-c", ATTNVIZ, "batch", str(path), *options])
        _, state, used = os.wait4(process.pid, 0)
    assert state == 0
    return used.ru_maxrss * 1024


def singles() -> dict[str, Callable[[list[str]], object]]:
    """Everything in float32."""
    model = attnviz.load()
    return {
        "ours": ours(model),
        "script, one at a time": script(model, 1, near=False),
        f"script, {BATCH} padded": script(model, BATCH, near=False),
        f"script, {BATCH} of near lengths": script(model, BATCH, near=True),
        f"SDPA forward, {BATCH} of near lengths": sdpa(model),
    }


def halves() -> dict[str, Callable[[list[str]], object]]:
    """Ours in bfloat16, against float32 and transformers in bfloat16."""
    model = attnviz.load(dtype="bfloat16")
    return {
        "ours": ours(model),
        "ours in float32": ours(attnviz.load()),
        f"script in bfloat16, {BATCH} of near lengths": script(model, BATCH, near=True),
        f"SDPA forward in bfloat16, {BATCH} of near lengths": sdpa(model),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--documents", type=int, default=2001)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processor", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--half", action="store_true")
    given = parser.parse_args(arguments)
    if given.memory:
        many = given.documents
        few, most = (peak(sentences(given.file, many), count) for count in (many // 100, many))
        print(
            f"{many:,} documents peak at {most / few:.2f} of what {many // 100:,} do, {few / 2**20:,.0f} MiB (aim: 1.1)"
        )
        return
    contenders = halves() if given.half else singles()
    texts = sentences(given.file, given.documents)
    found = ratios(contenders, texts, given.rounds, processor=given.processor)
    print(f"{len(texts):,} texts, {torch.get_num_threads()} threads; ours takes, so many times faster:")
    for name, ratio in found.items():
        if name != "ours":
            print(f"  {ratio:5.2f} × {name}")
    if given.half:
        return
    best = min(ratio for name, ratio in found.items() if name.startswith("script"))
    print(f"the best script: {best:.2f} × (aim: 4); SDPA: {list(found.values())[-1]:.2f} × (aim: 1.5)")


if __name__ == "__main__":
    main()

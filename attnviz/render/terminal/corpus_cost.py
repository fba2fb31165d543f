"""The cost of a corpus: as a table in the terminal, and as a JSON document."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from attnviz.analysis.corpus.cost import DAY, GPU, GPU_PEAK, GPU_SHARE, HOUR, CorpusCost, workers
from attnviz.attention.memory import in_words
from attnviz.model.cost.estimates import ModelShape
from attnviz.model.overview import Overview
from attnviz.record.schemas import VERSIONS
from attnviz.render.terminal.cost import cost_heading, duration, fits, format_count, name_table, operations


@dataclass(frozen=True)
class CorpusEstimate:
    """The estimate of a corpus.

    Args:
        overview: how the model runs.
        shape: the model's sizes.
        cost: the cost.
        bytes_: the bytes of one of the model's numbers.
        free: the free bytes of memory; None if unknown.
        seconds: the time of one machine; None if it was not measured.
    """

    overview: Overview
    shape: ModelShape
    cost: CorpusCost
    bytes_: int
    free: int | None
    seconds: float | None

    def cluster(self) -> dict[str, int | None]:
        """Return how many machines like this one, and how many GPUs, finish in a day and in an hour; None if
        unknown.
        """
        return {
            f"{name}_{within}": None if seconds is None else workers(seconds, most)
            for name, seconds in (("machines", self.seconds), ("gpus", self.cost.gpu_seconds))
            for within, most in (("day", DAY), ("hour", HOUR))
        }


def corpus_cost_table(found: CorpusEstimate) -> RenderableType:
    """Return the cost, one line for each part."""
    cost = found.cost
    what = f"{_many(cost.documents, 'document')} of {_many(cost.tokens, 'token')}"
    return Group(cost_heading(found.overview, what), Text(), name_table([*_needed(found), *_taken(found)]))


def _needed(found: CorpusEstimate) -> list[tuple[str, str]]:
    """Return the lines that do not depend on the machine, except for the memory of tiles."""
    cost, size = found.cost, found.cost.bytes
    windows = f", each document in {cost.windows:,} windows" if cost.windows > 1 else ""
    parts = [] if cost.model is None else [f"{in_words(cost.model)} model"]
    parts += [f"{in_words(cost.activations)} activations", f"{in_words(cost.results)} results"]
    return [
        ("tokens", f"{format_count(cost.all_tokens)}{windows}"),
        ("computing", operations(cost.linear_flops, cost.attention_flops)),
        ("tables", f"{in_words(size.total)}, links at their most ({cost.top:,} a document and layer)"),
        ("  documents", f"{in_words(size.documents)}, {_many(cost.rows.documents, 'row')}"),
        ("  heads", f"{in_words(size.heads)}, {_many(cost.rows.heads, 'row')}"),
        ("  links", f"{in_words(size.links)}, {_many(cost.rows.links, 'row')}"),
        ("parts", f"{_many(cost.parts, 'file')} of each table, {_many(cost.part, 'document')} each"),
        ("a worker", f"{in_words(cost.peak)} at its peak: {', '.join(parts)}"),
    ]


def _taken(found: CorpusEstimate) -> list[tuple[str, str]]:
    """Return the lines that depend on the machine."""
    cost, seconds = found.cost, found.seconds
    rows = [
        ("free memory", fits(found.free, cost.peak)),
        ("time", "not measured" if seconds is None else f"about {duration(seconds)} on this machine{_pace(found)}"),
    ]
    needed = found.cluster()
    for within, words in (("day", "in a day"), ("hour", "in an hour")):
        machines, gpus = needed[f"machines_{within}"], needed[f"gpus_{within}"]
        who = [] if machines is None else [f"{_many(machines, 'machine')} like this one"]
        who += [] if gpus is None else [_many(gpus, f"{GPU} GPU")]
        rows.append((words, " or ".join(who) or "unknown"))
    if cost.gpu_seconds is not None:
        rows.append(("a GPU", _gpu(found)))
    return rows + [("unknown", words) for words in found.shape.unknown]


def _pace(found: CorpusEstimate) -> str:
    """Return the documents per second, or the time per document if one takes long."""
    if not found.seconds:
        return ""
    each = found.seconds / found.cost.documents
    return f", {format_count(1 / each)} documents a second" if each < 0.1 else f", {duration(each)} a document"


def _gpu(found: CorpusEstimate) -> str:
    """Return the assumptions about a GPU, and the work of the CPUs that feed it, in words."""
    cost = found.cost
    peak, single = (GPU_PEAK[size] / 1e12 for size in (found.bytes_, 4))
    more = "" if peak == single else f", {single:.0f} of them in attention"
    seconds = cost.gpu_seconds or 0.0
    said = f"estimated, not measured, at {GPU_SHARE:.0%} of {peak:.0f} TFLOP/s{more}: {duration(seconds)} of one"
    if seconds < 1:
        return said
    read, written = format_count(cost.documents / seconds), in_words(cost.bytes.total / seconds)
    return f"{said}, if the CPUs beside it read {read} documents a second and write {written}"


def _many(number: int, what: str) -> str:
    return f"{format_count(number)} {what}" + ("" if number == 1 else "s")


def corpus_cost_document(found: CorpusEstimate) -> dict[str, Any]:
    """Return all numbers for programs: bytes, seconds, FLOPs."""
    cost = found.cost
    own = {name: value for name, value in asdict(cost).items() if name not in ("model", "rows", "bytes")}
    return {
        "schema_version": VERSIONS["cost"],
        "model": found.overview.name,
        "model_type": found.overview.model_type,
        "backend": found.overview.backend,
        **own,
        "all_tokens": cost.all_tokens,
        "rows": asdict(cost.rows),
        "bytes": asdict(cost.bytes) | {"total": cost.bytes.total},
        "model_bytes": cost.model,
        "peak": cost.peak,
        "free": found.free,
        "fits": None if found.free is None else cost.peak <= found.free,
        "seconds": found.seconds,
        **found.cluster(),
        "gpu": {"name": GPU, "flops_per_second": GPU_PEAK[found.bytes_], "share": GPU_SHARE},
        "limit": found.shape.limit,
        "unknown": list(found.shape.unknown),
    }

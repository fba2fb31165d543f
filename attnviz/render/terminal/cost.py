"""The cost of a text: as a table in the terminal, and as a JSON document."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from attnviz.attention.memory import in_words
from attnviz.errors import count_of
from attnviz.model.cost.estimates import Cost, ModelShape
from attnviz.model.overview import Overview
from attnviz.record.schemas import VERSIONS
from attnviz.render.labels import clean


@dataclass(frozen=True)
class Estimate:
    """The estimate of a text.

    Args:
        overview: how the model runs.
        shape: the model's sizes.
        cost: the cost.
        free: the free bytes of memory; None if unknown.
        seconds: the time of the run; None if it was not measured.
    """

    overview: Overview
    shape: ModelShape
    cost: Cost
    free: int | None
    seconds: float | None

    @property
    def fits(self) -> bool | None:
        """Whether the run's peak fits the free memory; None if unknown."""
        return None if self.free is None else self.cost.peak <= self.free


def cost_heading(overview: Overview, what: str) -> Text:
    """Return the first line: the model, its type, how it runs, and ``what`` is estimated."""
    line = Text(clean(overview.name), "bold").append(f" · {clean(overview.model_type)} · {overview.backend}", "dim")
    return line.append(f" · {what}")


def name_table(rows: Iterable[tuple[str, str]]) -> Table:
    """Return a table of names and their descriptions."""
    found = Table.grid(padding=(0, 2))
    for name, words in rows:
        found.add_row(Text(f"  {name}", "dim"), Text(words))
    return found


def cost_table(found: Estimate) -> RenderableType:
    """Return the cost, one line for each part."""
    return Group(cost_heading(found.overview, count_of(found.cost.tokens, "token")), Text(), name_table(_rows(found)))


def _rows(found: Estimate) -> list[tuple[str, str]]:
    cost, shape = found.cost, found.shape
    layers = sum(len(stack.blocks) for stack in shape.stacks)
    seen = "" if cost.seen is None else f", {format_count(cost.seen)} of them seen"
    parts = [] if cost.model is None else [f"{in_words(cost.model)} model"]
    parts += [f"{in_words(cost.activations)} activations", f"{in_words(cost.kept)} results"]
    rows = [
        ("scores", f"{format_count(cost.scores)} a head and layer ({cost.tokens:,}²)"),
        ("", f"{format_count(cost.all_scores)} in {count_of(layers, 'layer')}{seen}"),
        ("computing", operations(cost.linear_flops, cost.attention_flops)),
        ("keys and values", f"{in_words(cost.keys_values)} in all; {in_words(cost.one_layer)} at a time in attnviz"),
        ("all weights", f"{in_words(cost.weights)}, as a record or output_attentions keeps them"),
        ("attnviz", f"{in_words(cost.peak)} at its peak: {', '.join(parts)}"),
        ("free memory", fits(found.free, cost.peak)),
        ("time", "not measured" if found.seconds is None else f"about {duration(found.seconds)} on this machine"),
    ]
    if shape.limit is not None and cost.tokens > shape.limit:
        over = f"the model has positions for {shape.limit:,} tokens only: --windows slides over the text"
        rows.append(("limit", over))
    return rows + [("unknown", words) for words in shape.unknown]


def operations(linear: int | None, attention: int) -> str:
    """Describe the floating-point operations of both parts; those of the linear layers if they are known."""
    known = "" if linear is None else f"{format_count(linear)} FLOP in linear layers, "
    return f"{known}{format_count(attention)} FLOP in attention"


def fits(free: int | None, peak: int) -> str:
    """Describe how much memory is ``free``, and whether ``peak`` fits."""
    if free is None:
        return "unknown"
    return f"{in_words(free)}: {'it fits' if peak <= free else 'it does not fit'}"


def format_count(number: float) -> str:
    """Format a large number: ``12,345`` or ``1.35 × 10¹²``."""
    if number < 1e6:
        return f"{number:,.0f}"
    digits, power = f"{number:.2e}".split("e")
    raised = str(int(power)).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    digits = digits.rstrip("0").rstrip(".")
    return f"10{raised}" if digits == "1" else f"{digits} × 10{raised}"


def duration(seconds: float) -> str:
    """Format a duration: ``9 ms``, ``0.3 s``, ``12 s``, ``41 min``, ``3.2 h`` or ``5.0 days``."""
    if seconds < 0.095:
        return f"{seconds * 1000:.0f} ms" if seconds > 0.0005 else "less than 1 ms"
    for most, unit, of in ((99.5, "s", 1), (99.5 * 60, "min", 60), (48 * 3600, "h", 3600)):
        if seconds < most:
            number = seconds / of
            return f"{number:.1f} {unit}" if number < 9.95 else f"{number:.0f} {unit}"
    return f"{seconds / 86400:,.1f} days"


def cost_document(found: Estimate) -> dict[str, Any]:
    """Return all numbers for programs: bytes, seconds, FLOPs."""
    cost = asdict(found.cost)
    size = cost.pop("model")
    return {
        "schema_version": VERSIONS["cost"],
        "model": found.overview.name,
        "model_type": found.overview.model_type,
        "backend": found.overview.backend,
        **cost,
        "model_bytes": size,
        "peak": found.cost.peak,
        "free": found.free,
        "fits": found.fits,
        "seconds": found.seconds,
        "limit": found.shape.limit,
        "unknown": list(found.shape.unknown),
    }

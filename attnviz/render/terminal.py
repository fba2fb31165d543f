"""A summary in the terminal: one function for each thing that ``show`` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from attnviz.analysis.links import Attended, Positional
from attnviz.analysis.summary import Cell, Summary
from attnviz.record import Attention
from attnviz.render.blocks import Blocks
from attnviz.render.heatmap import head_heatmap, head_name, overview_heatmap
from attnviz.render.labels import clean, fit, fit_right, shorten, width

if TYPE_CHECKING:
    from attnviz.model.check import Check

_LABEL = 17
"""The most columns of a word in a list; longer ones are cut."""
_BAR = 24
_WORDS = 12
"""The most words that are listed with what they look at, unless some are asked for by name."""

_CELLS: dict[Cell, str] = {
    "link": "each head's strongest link between the {unit}s that count, in %",
    "entropy": "each head's mean entropy in nats: low looks at one token, high at many",
    "sink": "the largest mean share that one token takes of a head's attention, in %",
    "distance": "how many tokens away each head looks, on average",
}


def show(summary: Summary, *, named: bool) -> Iterator[RenderableType]:
    """All that ``show`` prints before the check, top to bottom; ``named``: the listed words were asked for."""
    unit = summary.units.kind
    yield heading(summary.attention)
    yield _title("Strongest links", f"each pair of {unit}s once, in the head where it is strongest")
    yield StrongestLinks(summary)
    yield from _left_out(summary)
    yield _title("Overview", _CELLS[summary.cell].format(unit=unit))
    yield Blocks(overview_heatmap(summary), scale=True)
    for head in summary.maps:
        yield _title(head_name(head), "each row looks at the columns, in % of its attention")
        yield Blocks(head_heatmap(summary.units, head), scale=True)
    yield _title(f"What each {unit} looks at most", "")
    yield attended(summary, named=named)
    yield Text()


def heading(attention: Attention) -> Text:
    """The model, the way, and the sizes."""
    line = Text(clean(attention.model.rpartition("/")[2]), "bold")
    line.append(
        f" · {attention.path} · {attention.layers} layers × {attention.heads} heads"
        f" · {len(attention.tokens)} tokens · {len(attention.words)} words",
        "not bold",
    )
    if attention.encoding.dropped:
        line.append(f" · {attention.encoding.dropped} tokens cut off", "bold yellow")
    return line


def _title(title: str, note: str) -> Text:
    """A section's title, after an empty line, and what its numbers are."""
    return Text("\n").append(title, "bold").append(f"  {note}" if note else "", "dim")


@dataclass(frozen=True, eq=False)
class StrongestLinks:
    """``bank → loan  0.46  L5 H7`` and a bar, a line each; a narrow console gets shorter bars, all of one scale."""

    summary: Summary

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        links, names = self.summary.links, self.summary.units.names
        if not links:
            yield Text(f"  none: no two {self.summary.units.kind}s count here", "dim")
            return
        first = _widest([names[link.query_index] for link in links])
        second = _widest([names[link.key_index] for link in links])
        room = options.max_width - first - second - len("   →   0.46  L10 H10 ")
        bar = max(0, min(_BAR, room))
        for link in links:
            query, key = fit_right(names[link.query_index], first), fit(names[link.key_index], second)
            line = Text(f"  {query} → {key}  {link.weight:.2f}  ", no_wrap=True, overflow="crop")
            line.append(f"{f'L{link.layer} H{link.head}':<8}", "cyan")
            yield line.append("█" * int(link.weight * bar) + "▌" * (link.weight * bar % 1 >= 0.5), "magenta")


def _widest(labels: Iterable[str]) -> int:
    return min(max(map(width, labels), default=0), _LABEL)


def _left_out(summary: Summary) -> Iterator[RenderableType]:
    """How much of the attention goes where no links are listed, and what else is left out."""
    selection, units = summary.selection, summary.units
    shares = []
    if units.special.any():
        marks = " ".join(dict.fromkeys(clean(units.labels[i]) for i in units.special.nonzero()[0]))
        shares.append((summary.special_share, marks))
    if units.punctuation.any():
        shares.append((summary.punctuation_share, "punctuation"))
    if shares:
        counted = selection.queries[units.special | units.punctuation].any()
        (share, first), *rest = shares
        others = "".join(f", {share:.0%} to {keys}" for share, keys in rest)
        where = "counted here" if counted else "see --special"
        yield _Note(f"{share:.0%} of the attention goes to {first}{others}; {where}.")
    also = []
    if units.function.any() and not selection.queries[units.function].any():
        also.append("function words (the, of, is …)")
    if not selection.keys[0] and selection.queries[0]:
        also.append(f"the first {units.kind} as a key, on which causal models rest")
    if not selection.heads.all():
        also += map(_positional, summary.positional)
    if also:
        yield _Note(f"Also left out: {'; '.join(also)}. --all counts them.")


@dataclass(frozen=True)
class _Note:
    """A remark in dim text, indented on all its lines."""

    text: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in Text(self.text, "dim").wrap(console, max(options.max_width - 2, 1)):
            line.rstrip()
            yield Text("  ") + line


def _positional(found: Positional) -> str:
    side, steps = "before" if found.offset < 0 else "after", abs(found.offset)
    place = {0: "itself", 1: f"the one {side}"}.get(steps, f"the one {steps} {side}")
    return f"L{found.layer} H{found.head}, where each token looks at {place}"


def attended(summary: Summary, *, named: bool) -> RenderableType:
    """For each word its keys by their best head, and by the average over all heads."""
    rows = summary.attended if named else summary.attended[:_WORDS]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(f"  {summary.units.kind}")
    table.add_column("in its best head")
    table.add_column("on average over all heads")
    for row in rows:
        table.add_row(*_attended_cells(row, rows, summary.units.names))
    if len(rows) == len(summary.attended):
        return table
    rest = f"  … {len(rows)} of {len(summary.attended)} {summary.units.kind}s; --token WORD shows any"
    return Group(table, Text(rest, "dim"))


def _attended_cells(row: Attended, rows: Sequence[Attended], names: Sequence[str]) -> Iterator[Text]:
    yield Text(f"  {shorten(names[row.query_index], _LABEL)}")
    size = _widest(names[link.key_index] for other in rows for link in other.best)
    best = [f"{fit(names[link.key_index], size)} {link.weight:.2f} L{link.layer} H{link.head}" for link in row.best]
    yield Text("\n".join(best) or "–")
    size = _widest(names[key] for other in rows for key, _ in other.average)
    yield Text("\n".join(f"{fit(names[key], size)} {weight:.2f}" for key, weight in row.average) or "–")


def check_line(check: Check) -> Text:
    """``✓ 72 heads agree with transformers to 2.4e-07``, or what disagrees."""
    if check.max_abs_diff <= check.tolerance:
        apart = f"to {check.max_abs_diff:.1e}" if check.max_abs_diff else "to the last bit"
        return Text(f"✓ {check.heads} heads agree with transformers {apart}", "green")
    layer, head = check.worst
    found = f"differ by {check.max_abs_diff:.1e} (L{layer} H{head}; tolerance {check.tolerance:.0e})"
    if check.passed and check.double:
        return Text(
            f"✓ {check.heads} heads agree with transformers: they {found} in {check.dtype}, which is rounding: "
            f"{check.double.max_abs_diff:.1e} in float64",
            "green",
        )
    line = Text(f"✗ attnviz and transformers {found} in {check.dtype}", "bold red")
    if check.double:
        line.append(f", and by {check.double.max_abs_diff:.1e} in float64: this is a mistake, not rounding")
    return line


def unchecked_line(wanted: bool) -> Text:
    """Why there was no check."""
    why = "the record was read from a file" if wanted else "--no-check"
    return Text(f"not checked against transformers ({why})", "dim")


def check_table(check: Check) -> Table:
    """Per layer: the largest and mean difference of the weights, the worst head, the difference of the states."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", title_justify="left")
    for title in ("layer", "max |Δ| weights", "mean |Δ| weights", "worst head", "max |Δ| hidden states"):
        table.add_column(title, justify="right")
    for number, layer in enumerate(check.layers):
        table.add_row(
            f"L{number}",
            f"{layer.max_abs_diff:.1e}",
            f"{layer.mean_abs_diff:.1e}",
            f"H{layer.worst_head}",
            f"{layer.hidden_abs_diff:.1e}",
        )
    return table

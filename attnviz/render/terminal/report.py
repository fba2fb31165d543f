"""The report of a check in the terminal: its verdict in a line, and a table of the layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from attnviz.errors import count_of
from attnviz.record import ATTENTION, Measure
from attnviz.render.labels import clean

if TYPE_CHECKING:
    from attnviz.model.check.report import Check, Choice, LayerCheck, Recomputed

_WIDE = 78
"""The columns that the whole table of layers takes."""
_MORE = ("mean |Δ| weights", "worst head")
"""The columns of that table that a narrow console leaves out."""


def check_line(check: Check, measure: Measure = ATTENTION) -> Text:
    """Return the verdict: ``✓ 72 heads agree with transformers to 2.4e-07 in all 15 rows``, or what disagrees.

    Of a ``measure`` that is made of attention weights, these are what was compared.
    """
    if check.inputs.differs:
        return Text(
            f"✗ attnviz tokenizes the text differently from transformers: {clean(check.inputs.differs)}", "bold red"
        )
    if check.recomputed and not check.recomputed.passed:
        return Text(f"✗ {_wrong(check.recomputed)}", "bold red")
    if not check.agrees:
        return Text(_disagreement(check), "bold red")
    wrong = check.written and check.written.wrong
    if wrong:
        return Text(_otherwise(wrong), "bold red")
    if check.logits and not check.logits.passed:
        apart = f"by {check.logits.max_abs_diff:.1e} (tolerance {check.logits.tolerance:.0e})"
        return Text(f"✗ the scores of the labels differ from transformers' {apart}", "bold red")
    whom = f"{check.heads} heads" if check.heads else "the hidden states"
    whom = whom if measure.plain else f"the attention weights below, in {whom},"
    also = "" if check.heads else " (its attention returns no weights)"
    if check.against == "sdpa":
        also = " by its SDPA (its eager attention contradicts that)"
    apart = _apart(check.max_abs_diff)
    apart += f" in {check.dtype}" if check.double else ""
    unknown = f" (of the ids: {clean(check.inputs.reason)})" if check.inputs.reason else ""
    found = f"{_rows(check)}{_rounded(check)}{_recomputed(check)}{_written(check)}{_scores(check)}"
    line = f"{whom} agree with transformers {apart}{also}{found}{unknown}"
    if check.rerun:
        return Text(f"not checked: transformers has no weights to hold this to; of another run, {line}", "dim")
    return Text(f"✓ {line}", "green")


def _rounded(check: Check) -> str:
    """Describe the rounding that explains a difference; empty if there is nothing to explain."""
    rounding, double = check.rounding, check.double
    if not double:
        return ""
    if not rounding:
        far = f"{double.max_abs_diff:.1e} from what it says in {double.dtype}"
        return f", which is rounding: {far} ({double.tolerance:.0e} is the bound)"
    times = f"{rounding.times:.1f} times as far as rounding moves its own ({rounding.bound:g} is the bound)"
    return f", which is rounding: {times}, and to {double.max_abs_diff:.1e} in {double.dtype}"


def _disagreement(check: Check) -> str:
    """Describe how far both sides differ, and whether they do in a wider type too."""
    rounding, double = check.rounding, check.double
    known = "" if check.dtype in ("bfloat16", "float16") else f"; tolerance {check.tolerance:.0e}"
    line = (
        f"✗ attnviz and transformers differ by {check.max_abs_diff:.1e} ({_place(check.worst)}{known}) in {check.dtype}"
        f"{'' if _whole(check) else _rows(check)}"
    )
    if not double:
        return line
    if not double.agrees:
        return f"{line}, and by {double.max_abs_diff:.1e} in {double.dtype}: this is a mistake, not rounding"
    times = (
        f"{rounding.times:.0f} times as far as rounding moves its own" if rounding else "and no rounding explains it"
    )
    return f"{line}, {times}, but not in {double.dtype}: this is a mistake in {check.dtype} alone"


def _otherwise(wrong: Choice) -> str:
    """Describe what transformers would have generated."""
    theirs = "ends the text" if wrong.theirs is None else f"writes {wrong.theirs}"
    line = f"✗ attnviz wrote the token {wrong.ours} at position {wrong.place}, where transformers {theirs}"
    if not isfinite(wrong.apart):
        return line
    return f"{line}: it scores that {wrong.apart:.1e} higher, and rounding explains {wrong.explained:.1e}"


def _written(check: Check) -> str:
    """Describe how many generated tokens agree with transformers; empty if there are none."""
    written = check.written
    if written is None:
        return ""
    tokens = f"{written.compared} written token{'' if written.compared == 1 else 's'}"
    if written.by == "transformers":
        return f"; transformers itself wrote {tokens.replace('written ', '')}"
    if not written.differ:
        return f"; so do {tokens}" if written.compared > 1 else f"; so does {tokens}"
    apart = max(choice.apart for choice in written.differ)
    others = f"{len(written.differ)} might as well be {'another' if len(written.differ) == 1 else 'others'}"
    return f"; of {tokens}, {others}: it scores both alike but for {apart:.0e}, which is rounding"


def _scores(check: Check) -> str:
    """Describe how far the scores of labels agree with transformers; empty if the model is no classifier."""
    return f"; so do the scores of the labels, {_apart(check.logits.max_abs_diff)}" if check.logits else ""


def _apart(most: float) -> str:
    return f"to {most:.1e}" if most else "to the last bit"


def _recomputed(check: Check) -> str:
    """Describe what was recomputed from transformers' weights, and agrees."""
    found = check.recomputed
    if not found:
        return ""
    windows = found.windows
    of = f" from {windows.rows:,} of {windows.total:,} windows" if windows and windows.rows < windows.total else ""
    if windows and windows.read < windows.total:
        unread = f"figures and maps, which are of all {windows.total:,} windows, were not recomputed"
        return f"{of}, and the links of these rows; {unread}"
    some = "all heads" if found.heads == found.total else f"{found.heads:,} of {found.total:,} heads"
    rows = f"all rows of all {windows.total:,} windows" if windows else "all rows"
    return f"{of}; figures, maps and links of {some}, recomputed from {rows}, too"


def _wrong(found: Recomputed) -> str:
    times = f"{found.apart:,.0f} times as far as rounding goes"
    if not isfinite(found.apart):
        times = "beyond any rounding"
    return f"attnviz and transformers differ in what is shown: {found.what}, {times}"


def _whole(check: Check) -> bool:
    return all(rows.compared == rows.total for rows in check.rows.values())


def _rows(check: Check) -> str:
    """Describe the compared rows: `` in 64 of 20,000 rows each``, or `` in all 15 rows``; by map if these differ."""
    if _whole(check):
        counts = dict.fromkeys(f"{rows.total:,}" for rows in check.rows.values())
        return f" in all {' and '.join(counts)} rows" if counts else ""
    kinds: dict[str, list[str]] = {}
    for kind, rows in check.rows.items():
        all_ = rows.compared == rows.total
        said = f"all {count_of(rows.total, 'row')}" if all_ else f"{rows.compared:,} of {count_of(rows.total, 'row')}"
        kinds.setdefault(said, []).append(kind)
    if len(kinds) < 2:
        return "".join(f" in {rows} each" for rows in kinds)
    return " in " + ", ".join(f"{rows} ({' and '.join(names)})" for rows, names in kinds.items())


def _place(layer: LayerCheck) -> str:
    """Return ``L5 H7``, ``cross L0 H3``, or the layer alone if no heads were compared."""
    kind = "" if layer.kind == "self" else f"{layer.kind} "
    return f"{kind}L{layer.layer}" + ("" if layer.worst_head is None else f" H{layer.worst_head}")


def unchecked_line(why: str) -> Text:
    """Return the line that says that there was no check, and why."""
    return Text(f"not checked against transformers ({why})", "dim")


def check_table(check: Check) -> RenderableType:
    """Return a table of the layers: the largest and mean difference of weights, the worst head, the difference of
    states.
    """
    return _CheckTable(check)


@dataclass(frozen=True)
class _CheckTable:
    """The table of ``check_table``; on a narrow console it has fewer columns, and no number is cut."""

    check: Check

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", title_justify="left")
        narrow = options.max_width < _WIDE
        for title in ("layer", "max |Δ| weights", *_MORE * (not narrow), "max |Δ| hidden states"):
            table.add_column(title, justify="right")
        for layer in self.check.layers:
            more = (_number(layer.mean_abs_diff), "–" if layer.worst_head is None else f"H{layer.worst_head}")
            table.add_row(
                _place(replace(layer, worst_head=None)),
                _number(layer.max_abs_diff),
                *more * (not narrow),
                _number(layer.hidden_abs_diff),
            )
        yield table


def _number(difference: float | None) -> str:
    return "–" if difference is None else f"{difference:.1e}"

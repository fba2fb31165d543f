"""A summary in the terminal: one function for each thing that ``summary_parts`` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from attnviz.analysis.languages import ENGLISH, NONE, function_words, language_name, plain
from attnviz.analysis.text.links import Attended
from attnviz.analysis.text.offsets import Positional
from attnviz.analysis.text.summary import Summary
from attnviz.analysis.text.units import Axis
from attnviz.record import Cell, Observation
from attnviz.render.heatmap import head_heatmap, head_name, overview_heatmap
from attnviz.render.labels import clean, fit, fit_right, shorten, width
from attnviz.render.terminal import long
from attnviz.render.terminal.blocks import Blocks

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


def summary_parts(summary: Summary, *, named: bool) -> Iterator[RenderableType]:
    """All that ``show`` prints before the check, top to bottom; ``named``: the listed words were asked for."""
    unit = summary.units.kind
    yield summary_heading(summary.observation)
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
    for title, note, part in long.long_sections(summary):
        yield _title(title, note)
        yield part
    if summary.generated:
        yield _title("What each new token looked at when it was made", "the row of the token before it")
        yield generated(summary)
    yield Text()


def summary_heading(observation: Observation) -> Text:
    """The model, the way, and the sizes."""
    line = Text(clean(observation.model.rpartition("/")[2]), "bold")
    whose = "observed: the model's own weights" if observation.backend == "observed" else observation.backend
    line.append(
        f" · {whose} · {observation.layers} layers × {observation.heads} heads · {_texts(observation)}", "not bold"
    )
    if observation.windows:
        windows = observation.windows
        line.append(f" · in {len(windows)} windows of {windows.widest} tokens, which no link leaves", "bold yellow")
    dropped = observation.encoding.dropped + (observation.keys.dropped if observation.keys else 0)
    if observation.note:
        line.append(f" · {clean(observation.note)}", "bold yellow")
    if dropped:
        line.append(f" · {dropped} tokens cut off", "bold yellow")
    return line


def _texts(observation: Observation) -> str:
    """The sizes of the text, or of both; and which map it is, of a model that has three."""
    new = f" ({observation.encoding.generated} generated)" if observation.encoding.generated else ""
    tokens = f"{len(observation.tokens):,}"
    if observation.keys is not None:
        return f"{observation.kind} · {tokens} target tokens{new} look at {len(observation.keys):,} source tokens"
    kind = "" if observation.kind == "self" else f"{observation.kind} · "
    return f"{kind}{tokens} tokens{new} · {len(observation.words):,} words"


def _title(title: str, note: str) -> Text:
    """A section's title, after an empty line, and what its numbers are."""
    return Text("\n").append(title, "bold").append(f"  {note}" if note else "", "dim")


@dataclass(frozen=True, eq=False)
class StrongestLinks:
    """``bank → loan  0.46  L5 H7`` and a bar, a line each; a narrow console gets shorter bars, all of one scale."""

    summary: Summary

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        links, units = self.summary.links, self.summary.units
        queries, keys = units.queries.names, units.keys.names
        if not links:
            yield Text(f"  none: no two {units.kind}s count here", "dim")
            return
        first = _widest([queries[link.query_index] for link in links])
        second = _widest([keys[link.key_index] for link in links])
        room = options.max_width - first - second - len("   →   0.46  L10 H10 ")
        bar = max(0, min(_BAR, room))
        for link in links:
            query, key = fit_right(queries[link.query_index], first), fit(keys[link.key_index], second)
            line = Text(f"  {query} → {key}  {link.weight:.2f}  ", no_wrap=True, overflow="crop")
            line.append(f"{f'L{link.layer} H{link.head}':<8}", "cyan")
            yield line.append("█" * int(link.weight * bar) + "▌" * (link.weight * bar % 1 >= 0.5), "magenta")


def _widest(labels: Iterable[str]) -> int:
    return min(max(map(width, labels), default=0), _LABEL)


def _left_out(summary: Summary) -> Iterator[RenderableType]:
    """How much of the attention goes where no links are listed, and what else is left out."""
    units = summary.units
    keys = units.keys
    shares = []
    if keys.special.any():
        marks = " ".join(dict.fromkeys(clean(keys.labels[i]) for i in keys.special.nonzero()[0]))
        shares.append((summary.special_share, marks))
    if keys.punctuation.any():
        shares.append((summary.punctuation_share, "punctuation"))
    if shares:
        counted = summary.key_mask[keys.special | keys.punctuation].any()
        (share, first), *rest = shares
        others = "".join(f", {share:.0%} to {owner}" for share, owner in rest)
        where = "counted here" if counted else "see --special"
        yield _Note(f"{share:.0%} of the attention goes to {first}{others}; {where}.")
    also = []
    axes = ((units.queries, summary.query_mask), (keys, summary.key_mask))
    if any(axis.function.any() and not counting[axis.function].any() for axis, counting in axes):
        also.append(_function_words(units.language, (units.queries, keys)))
    if units.one_text and not summary.key_mask[0] and summary.query_mask[0]:
        also.append(f"the first {units.kind} as a key, on which causal models rest")
    if not summary.heads.all():
        also += map(_positional, summary.positional)
    if summary.dominant:
        also.append(_dominant(summary.dominant))
    if also:
        yield _Note(f"Also left out: {'; '.join(also)}. --all counts them.")
    if units.language != NONE and not function_words(units.language):
        yield _Note(f"No function words of {clean(language_name(units.language))} are known: all words count.")


def _function_words(language: str, axes: Iterable[Axis]) -> str:
    if language == ENGLISH:
        return "function words (the, of, is …)"
    found = dict.fromkeys(plain(axis.labels[i]) for axis in axes for i in axis.function.nonzero()[0])
    return f"function words of {language_name(language)} ({', '.join(map(clean, list(found)[:3]))} …)"


@dataclass(frozen=True)
class _Note:
    """A remark in dim text, indented on all its lines."""

    text: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in Text(self.text, "dim").wrap(console, max(options.max_width - 2, 1)):
            line.rstrip()
            yield Text("  ") + line


def _positional(found: Positional) -> str:
    return f"L{found.layer} H{found.head}, where each token looks at {_offset(found)}"


def _dominant(found: Sequence[Positional]) -> str:
    """The head that does it most often by name, and how many others there are."""
    most = max(found, key=lambda head: head.share)
    more = len(found) - 1
    others = f" (and so of {more} more head{'s' * (more > 1)})" if more else ""
    return f"L{most.layer} H{most.head}'s links to {_offset(most)}, where {most.share:.0%} of the tokens look{others}"


def _offset(found: Positional) -> str:
    side, steps = "before" if found.offset < 0 else "after", abs(found.offset)
    return {0: "itself", 1: f"the one {side}"}.get(steps, f"the one {steps} {side}")


def attended(summary: Summary, *, named: bool) -> RenderableType:
    """For each word its keys by their best head, and by the average over all heads."""
    units, rows = summary.units, summary.attended
    listed = rows if named else rows[:_WORDS]
    table = _looks(units.kind, [units.queries.names[row.query_index] for row in listed], listed, units.keys.names)
    return _cut(table, len(listed), len(rows), f"{units.kind}s; --token WORD shows any")


def generated(summary: Summary) -> RenderableType:
    """For each token that the model wrote the keys of the query that predicted it, as ``attended`` lists them."""
    units, rows = summary.pieces, summary.generated
    listed = rows[:_WORDS]
    table = _looks("new token", [units.queries.names[row.query_index + 1] for row in listed], listed, units.keys.names)
    return _cut(table, len(listed), len(rows), "new tokens; --json has all")


def _cut(table: Table, listed: int, all_: int, what: str) -> RenderableType:
    return table if listed == all_ else Group(table, Text(f"  … {listed} of {all_} {what}", "dim"))


def _looks(title: str, firsts: Sequence[str], rows: Sequence[Attended], keys: Sequence[str]) -> Table:
    """A row for each of ``firsts`` with the keys of its row; ``keys`` are the names of all keys."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column in (f"  {title}", "in its best head", "on average over all heads"):
        table.add_column(column)
    strong = _widest(keys[link.key_index] for row in rows for link in row.best)
    usual = _widest(keys[key] for row in rows for key, _ in row.average)
    for first, row in zip(firsts, rows, strict=True):
        best = [f"{fit(keys[it.key_index], strong)} {it.weight:.2f} L{it.layer} H{it.head}" for it in row.best]
        average = [f"{fit(keys[key], usual)} {weight:.2f}" for key, weight in row.average]
        cells = (f"  {shorten(first, _LABEL)}", "\n".join(best) or "–", "\n".join(average) or "–")
        table.add_row(*map(Text, cells))
    return table

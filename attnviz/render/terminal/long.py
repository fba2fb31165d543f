"""What ``show`` prints only for a long text: long-range links, how far attention goes, and the most read passages."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from attnviz.analysis.text.long_range import LongRange, LongRangeLink, Passage
from attnviz.analysis.text.summary import Summary
from attnviz.encoding import Place
from attnviz.errors import count_of
from attnviz.record import ATTENTION, Measure
from attnviz.render.heatmap import profile_heatmap
from attnviz.render.labels import fit, head_name, shorten, shorten_left, width
from attnviz.render.palette import BAR, HEAD
from attnviz.render.terminal.blocks import Blocks

_PASSAGES = 8
"""The most passages that are listed."""
_BAR = 16
_LEAD = len("    0.46  L10 H10 ")
_CONTEXT = 32
"""The fewest columns of a word in its context with which both ends of a link fit one line."""
_WORD = 24
"""The most columns of a word in its context."""


def long_sections(summary: Summary) -> Iterator[tuple[str, str, RenderableType]]:
    """Yield the sections for a long text: the title, a note about the numbers, and the content."""
    if not summary.is_long:
        return
    unit = summary.units.kind
    if summary.long_range:
        note = f"the strongest of each distance, with the {unit}s around both ends"
        yield "Long-range links", note, LongRangeLinks(summary.long_range, unit, summary.units.measure)
    if summary.profile is not None:
        heatmap = profile_heatmap(summary.profile, summary.units.layers, len(summary.observation.tokens))
        note = f"in % of {summary.units.measure.noun}, by tokens apart; first: the first token"
        yield "Distance profile", note, Blocks(heatmap)
    if any(not math.isnan(passage.received) for passage in summary.passages):
        note = "what others give them; 1.0 is an even share"
        yield "Most read passages", note, MostRead(summary.passages)


@dataclass(frozen=True, eq=False)
class LongRangeLinks:
    """The links of each band of distances: weight, head, and both ends in their context, with the words aligned.

    Both ends share a line if the console is wide enough. A word is bold, or between asterisks if the console has no
    bold.
    """

    long_range: list[LongRange]
    unit: str
    measure: Measure = ATTENTION

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        ends = [place for band in self.long_range for link in band.links for place in (link.query, link.key)]
        where = max((width(_where(place)) for place in ends), default=0)
        both = (options.max_width - _LEAD - len(" → ")) // 2 - where - 2
        room = both if both >= _CONTEXT else max(8, options.max_width - _LEAD - where - 4)
        mark = "" if console.color_system else "*"
        for band in self.long_range:
            if band.links:
                yield Text(f"  {_band(band, self.unit)}")
            for link in band.links:
                yield from self._lines(link, where, room, mark, one=both >= _CONTEXT)

    def _lines(self, link: LongRangeLink, where: int, room: int, mark: str, *, one: bool) -> Iterator[Text]:
        """Yield a link on ``one`` line or on two, with ``room`` columns for each end."""
        query, key = (
            Text.assemble((fit(_where(place), where), "dim"), "  ", _context(place, room, mark))
            for place in (link.query, link.key)
        )
        head = f"{head_name(link.link.layer, link.link.head, self.measure):<8}"
        line = Text.assemble(f"    {link.link.weight:.2f}  ", (head, HEAD), no_wrap=True, overflow="crop")
        if one:
            yield line.append(query).append(" → ").append(key)
        else:
            yield line.append("  ").append(query)
            yield Text(" " * (_LEAD - 2) + "→ ", no_wrap=True, overflow="crop").append(key)


def _band(band: LongRange, unit: str) -> str:
    """Write a band of distances: ``10–99 words apart``."""
    if band.far is None:
        return f"{count_of(band.near, unit)} apart and more"
    last = band.far - 1
    return f"{count_of(last, unit)} apart" if last == band.near else f"{band.near:,}–{last:,} {unit}s apart"


def _where(place: Place) -> str:
    """Write the place of a word: ``line 12``, after the page if the text has pages."""
    return f"line {place.line:,}" if place.page is None else f"page {place.page:,}, line {place.line:,}"


def _context(place: Place, room: int, mark: str) -> Text:
    """Return the word in bold and between two ``mark``s, with as much context as fits ``room`` columns."""
    before, after = _set_apart(place.before, before=True), _set_apart(place.after, before=False)
    word = mark + shorten(place.word, min(_WORD, room - 2 * len(mark))) + mark
    left = max(0, (room - cell_len(word)) // 2)
    before = shorten_left(before, left) if before else ""
    line = Text(" " * (left - cell_len(before)) + before).append(word, "bold")
    rest = room - left - cell_len(word)
    return line.append(fit(after, rest) if after else " " * rest)


def _set_apart(text: str, *, before: bool) -> str:
    """Return the context before or after a word, with a space between unless punctuation is adjacent to the word."""
    text = " ".join(text.split())
    at = unicodedata.category(text[-1 if before else 0]) if text else ""
    if not text or at in ("Pd", *(("Ps", "Pi") if before else ("Pe", "Pf", "Po"))):
        return text
    return f"{text} " if before else f" {text}"


@dataclass(frozen=True, eq=False)
class MostRead:
    """The passages that receive most attention: how much, a bar, the line, and the first words."""

    passages: list[Passage]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        read = [passage for passage in self.passages if not math.isnan(passage.received)]
        listed = sorted(read, key=lambda passage: -passage.received)[:_PASSAGES]
        most = max(listed[0].received, 1e-9)
        where = max(width(f"line {passage.line:,}") for passage in listed)
        bar = min(_BAR, options.max_width // 5)
        room = max(0, options.max_width - len("  10.0  ") - bar - where - 4)
        for passage in listed:
            line = Text(f"  {passage.received:4.1f}  ", no_wrap=True, overflow="crop")
            length = passage.received / most * bar
            line.append(fit("█" * int(length) + "▌" * int(length % 1 >= 0.5), bar), BAR)
            line.append(f"  {fit(f'line {passage.line:,}', where)}  ", "dim")
            yield line.append(shorten(passage.text, room))
        if len(listed) < len(self.passages):
            yield Text(f"  … {len(listed)} of {len(self.passages)} passages; --json has all", "dim")

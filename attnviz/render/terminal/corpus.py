"""A short table of what was found in a corpus; the page and the files have the rest."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from attnviz.analysis.corpus.accumulation import Corpus
from attnviz.analysis.corpus.roles import RoleHeads
from attnviz.analysis.corpus.typical_links import TypicalPair
from attnviz.analysis.languages import ENGLISH, NONE, function_words, language_name
from attnviz.errors import count_of
from attnviz.render.about import About
from attnviz.render.labels import clean, shorten
from attnviz.render.maps import format_number
from attnviz.render.palette import HEAD
from attnviz.render.terminal.cost import duration

_HEADS, _LINKS, _REASONS = 2, 3, 3
_WORD = 24
"""The most columns of a word."""


def corpus_table(
    corpus: Corpus, found: Sequence[RoleHeads], about: About, files: Sequence[tuple[str, str]]
) -> RenderableType:
    """Return counts, the strongest heads of each role, the most typical links, and the ``files`` with their content."""
    parts = [_counts(corpus, about)]
    blocks = [
        [(each.role.name, _heads(each)) for each in found if each.heads],
        [(_pair(pair), _documents(pair)) for pair in corpus.typical[:_LINKS]],
        [("failed", _reason(corpus, place)) for place in range(min(_REASONS, len(corpus.failures)))],
        [(name, Text(clean(what), "dim")) for name, what in files],
    ]
    for block in filter(None, blocks):
        grid = Table.grid(padding=(0, 2))
        grid.add_column(overflow="fold")  # a path that is cut can't be used
        for name, words in block:
            grid.add_row(Text(clean(name), HEAD if block is blocks[-1] else ""), words)
        parts += [Text(), Padding(grid, (0, 0, 0, 2), expand=False)]
    return Group(*parts)


def _counts(corpus: Corpus, about: About) -> RenderableType:
    counts = corpus.counts
    line = Text(f"{counts.measured:,}", "bold")
    line.append(" document measured" if counts.measured == 1 else " documents measured", "not bold")
    if counts.failed:
        line.append(f", {counts.failed:,} failed", "bold red")
    line.append(f" · {count_of(counts.tokens, 'token')} · {count_of(counts.links, 'link')}", "not bold")
    if about.seconds > 0:
        rate = f"{counts.tokens / about.seconds:,.0f} tokens a second"
        line.append(f" · {duration(about.seconds)}, {rate}", "not bold dim")
    language = about.options.get("language", ENGLISH)
    if language != NONE and not function_words(language):
        line.append(f"\nno function words of {clean(language_name(language))} are known: all words count", "not bold")
    if counts.left_out:
        line.append(f"\n{counts.left_out}", "not bold dim")
    if about.backend == "observed":
        line.append("\nobserved: the model attends by itself, these are its own weights", "not bold dim")
    if about.passed:
        line.append(f"\n✓ {clean(about.check)}", "not bold green")
    return line


def _heads(found: RoleHeads) -> Text:
    strongest = found.heads[:_HEADS]
    said = [f"L{each.layer} H{each.head} {format_number(each.score, 'share')}" for each in strongest]
    line = Text(", ".join(said))
    count = len(found.heads)
    return line.append(f"  of {count:,} heads", "dim") if count > len(strongest) else line


def _pair(pair: TypicalPair) -> str:
    best = pair.strongest
    return f"{shorten(best.query, _WORD)} → {shorten(best.key, _WORD)}"


def _documents(pair: TypicalPair) -> Text:
    many = count_of(pair.documents, "document")
    return Text(f"in {many}, {format_number(pair.weight, 'share')} of the attention")


def _reason(corpus: Corpus, place: int) -> Text:
    reason = corpus.failures[place]
    line = Text(f"{reason.documents:,} × {clean(reason.text)}", "red")
    rest = sum(each.documents for each in corpus.failures[_REASONS:])
    return line.append(f"  and {rest:,} more", "dim") if rest and place == _REASONS - 1 else line

"""What a model writes as it is and under interventions, side by side in the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from attnviz.analysis.effects.writing import TITLE
from attnviz.analysis.table import Table
from attnviz.errors import count_of
from attnviz.render.labels import clean
from attnviz.render.palette import BAR, HEAD
from attnviz.render.values import formatted

_WIDE = 76
"""So many columns are room for two texts side by side."""
_MARK = "▸"
"""Stands before the first token that differs."""


class BothTexts:
    """The texts of an answer of ``generate``: how both begin, and how each goes on, the first other token marked."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        about: Any = self.table.about
        equal = not about["plain"] and not about["changed"]
        yield ""
        yield Padding(Text(clean(about["text"]), "dim"), (0, 2))
        yield ""
        if equal:
            yield Text(f"  both write the same {count_of(about['same'], 'token')}", HEAD)
        elif about["both"]:
            yield Text("  both begin", HEAD)
        if about["both"]:
            yield Padding(Text(f"{_joined(about['both']).strip()}{'' if equal else ' …'}"), (0, 2))
            yield ""
        if equal:
            return
        first = next(self.table.take([i]) for i, step in enumerate(self.table["step"]) if step == about["same"] + 1)
        row = next(first.rows())
        sides = [
            ("as it is", HEAD, _side(about["plain"], row["plain"]), _odds(row["p"], row["p_then"])),
            (
                self.table.title.removeprefix(TITLE),
                BAR,
                _side(about["changed"], row["changed"]),
                _odds(*(about["odds"] or (None, None))),
            ),
        ]
        if options.max_width >= _WIDE:
            grid = Grid.grid(padding=(0, 3, 0, 0), expand=True)
            for _ in sides:
                grid.add_column(ratio=1)
            for part in zip(
                *([Text(clean(name), style), text, odds] for name, style, text, odds in sides), strict=True
            ):
                grid.add_row(*part)
            yield Padding(grid, (0, 0, 0, 2))
        else:
            for name, style, text, odds in sides:
                yield Padding(Text(clean(name), style), (0, 2))
                yield Padding(text, (0, 2))
                yield Padding(odds, (0, 2))
                yield ""
            return
        yield ""


def _side(text: str, token: str) -> Text:
    """A text whose first token is marked; one that ends here says so."""
    if not text:
        return Text("(ends here)", "dim")
    shown, rest = text[: len(token)], text[len(token) :]
    if not text.startswith(token):  # a part of a character
        shown, rest = text[:1], text[1:]
    line = Text(f"{_MARK}{_joined(shown).strip() or '␣'}", "bold underline")
    return line.append(_joined(rest), "not bold not underline")


def _odds(p: float | None, then: float | None) -> Text:
    """How likely the marked token is, as it is and then."""
    return Text("" if p is None else f"{_MARK} {formatted(p, 'share')}, then {formatted(then, 'share')}", "dim")


def _joined(text: str) -> str:
    """A part of a text in one line; nothing where there is nothing."""
    return clean(text) if text else ""

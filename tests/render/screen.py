"""Render on a screen: the characters, and the colours of each cell, decoded from the escapes."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any, Literal

import regex
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.style import Style

Colours = Literal["truecolor", "256", "standard"] | None
RGB = tuple[int, int, int]

_SGR = re.compile(r"\x1b\[([0-9;]*)m")


def console(width: int = 80, colours: Colours = None, **options: Any) -> Console:
    """A console as the command line makes it, of fixed width, which writes into ``file``."""
    # A style remembers the codes of the first console that it was printed on, and equal styles are one object.
    Style._add.cache_clear()
    Style.parse.cache_clear()
    options = {"color_system": colours, "force_terminal": colours is not None, "no_color": False} | options
    return Console(
        width=width, file=io.StringIO(), legacy_windows=False, markup=False, highlight=False, emoji=False, **options
    )


def printed(
    renderable: RenderableType, width: int = 80, colours: Colours = None, *, broken: bool = True, **options: Any
) -> str:
    """Return what is printed, with escapes; unless ``broken``, lines are not wrapped at the edge."""
    screen = console(width, colours, **options)
    how: dict[str, Any] = {} if broken else {"no_wrap": True, "overflow": "ignore", "crop": False}
    screen.print(renderable, **how)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def lines(renderable: RenderableType, width: int = 80, colours: Colours = None, **options: Any) -> list[str]:
    """The printed lines without escapes and without spaces at their ends."""
    text = _SGR.sub("", printed(renderable, width, colours, **options))
    return [line.rstrip() for line in text.removesuffix("\n").split("\n")]


@dataclass(frozen=True)
class Cell:
    """One letter on the screen, and its colours where they are not the terminal's own."""

    text: str
    ink: RGB | None
    paper: RGB | None


def cells(renderable: RenderableType, width: int = 80, colours: Colours = "truecolor") -> list[list[Cell]]:
    """Return each line's cells; a letter that is two columns wide is followed by an empty one."""
    return [_decode(line) for line in printed(renderable, width, colours).removesuffix("\n").split("\n")]


def _decode(line: str) -> list[Cell]:
    found: list[Cell] = []
    ink: RGB | None = None
    paper: RGB | None = None
    for i, part in enumerate(_SGR.split(line)):
        if i % 2 == 0:
            for letter in regex.findall(r"\X", part):
                found += [Cell(letter, ink, paper)] + [Cell("", ink, paper)] * (cell_len(letter) - 1)
            continue
        codes = [int(code or 0) for code in part.split(";")]
        while codes:
            code = codes.pop(0)
            if code == 0:
                ink = paper = None
            elif code in (38, 48):
                colour = _colour(codes)
                ink, paper = (colour, paper) if code == 38 else (ink, colour)
    return found


def _colour(codes: list[int]) -> RGB:
    if codes.pop(0) == 2:
        return codes.pop(0), codes.pop(0), codes.pop(0)
    number = codes.pop(0)
    if number >= 232:
        return (8 + 10 * (number - 232),) * 3
    assert number >= 16, "the sixteen colours are the theme's, not ours"
    red, green, blue = ((number - 16) // 36, (number - 16) // 6 % 6, (number - 16) % 6)
    return tuple(55 + 40 * step if step else 0 for step in (red, green, blue))  # type: ignore[return-value]


def luminance(colour: RGB | None) -> float:
    """How bright a colour is; the terminal's own counts as nothing."""
    return -1 if colour is None else 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]

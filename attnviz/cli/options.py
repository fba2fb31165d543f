"""The options that several commands share, and what their values mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from attnviz.errors import UsageError

if TYPE_CHECKING:
    from attnviz.analysis.summary import Heads

_MODEL, _TEXT, VIEW = "Model", "Text", "What is shown"
"""The panels of the help."""

ModelOption = Annotated[
    str,
    typer.Option(
        "--model", "-m", envvar="ATTNVIZ_MODEL", help="A folder, a Hub id, or 'default'.", rich_help_panel=_MODEL
    ),
]
RevisionOption = Annotated[
    str | None, typer.Option(help="Branch, tag or commit of a Hub model.", rich_help_panel=_MODEL)
]
FileOption = Annotated[
    Path | None, typer.Option("--file", "-f", help="Read the text from a UTF-8 file.", rich_help_panel=_TEXT)
]
PairOption = Annotated[
    str | None, typer.Option(help="A second text, for models of sentence pairs.", rich_help_panel=_TEXT)
]
TruncateOption = Annotated[
    bool, typer.Option("--truncate", help="Cut a text that is too long for the model.", rich_help_panel=_TEXT)
]
FromOption = Annotated[
    Path | None,
    typer.Option(
        "--from", metavar="FILE", help="A record that 'export' saved, instead of a text.", rich_help_panel=_TEXT
    ),
]
TokensOption = Annotated[bool, typer.Option("--tokens", help="The model's tokens, not words.", rich_help_panel=VIEW)]
SpecialOption = Annotated[
    bool, typer.Option("--special", help="Count special tokens and punctuation.", rich_help_panel=VIEW)
]
AllOption = Annotated[
    bool,
    typer.Option("--all", help="Count everything: function words and positional heads too.", rich_help_panel=VIEW),
]
MapOption = Annotated[
    Literal["encoder", "decoder", "cross"] | None,
    typer.Option(
        "--map",
        metavar="WHICH",
        help="Of an encoder–decoder: encoder, decoder or cross.",
        show_default="cross",
        rich_help_panel=VIEW,
    ),
]
LayerOption = Annotated[str | None, typer.Option(metavar="N,N-N", help="The layers of the maps.", rich_help_panel=VIEW)]
HeadOption = Annotated[
    str | None, typer.Option(metavar="N,N-N|mean", help="The heads of the maps, or their mean.", rich_help_panel=VIEW)
]


def parse_heads(layer: str | None, head: str | None) -> Heads:
    """``--layer`` and ``--head``: a number, a list, ranges; ``mean`` for the heads."""
    from attnviz.analysis.summary import Heads

    mean = head == "mean"
    return Heads(_numbers("--layer", layer), None if mean else _numbers("--head", head), mean)


def _numbers(option: str, value: str | None) -> tuple[int, ...] | None:
    """``1,4-6`` as (1, 4, 5, 6), each number once."""
    if value is None:
        return None
    numbers: list[int] = []
    for part in value.split(","):
        first, dash, last = part.strip().partition("-")
        # Six digits are more layers than any model has, and keep a range from filling the memory.
        if not (first.isdecimal() and len(first) < 6 and (not dash or (last.isdecimal() and len(last) < 6))):
            also = ", or mean" if option == "--head" else ""
            raise UsageError(f"{option} is {value!r}, expected numbers such as 3 or 1,4-6{also}")
        numbers += range(int(first), int(last or first) + 1)
    if not numbers:
        raise UsageError(f"{option} is {value!r}: the range is empty")
    return tuple(dict.fromkeys(numbers))


def parse_size(value: str | None) -> tuple[float, float] | None:
    """``8x6`` as inches, width and height."""
    if value is None:
        return None
    try:
        width, height = (float(part) for part in value.lower().split("x"))
    except ValueError:
        width = height = 0.0
    if not (1 <= width <= 100 and 1 <= height <= 100):
        raise UsageError(f"--size is {value!r}, expected width x height in inches from 1 to 100, such as 8x6")
    return width, height

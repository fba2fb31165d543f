"""The options that several commands share, and what their values mean."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from attnviz.cli import completion, console
from attnviz.cli.option_groups import spread as spread
from attnviz.cli.reading import decode_argument
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from attnviz.interface import Model
    from attnviz.record import Crop, Heads
    from attnviz.record.request import Span

_MODEL, _TEXT, VIEW = "Model", "Text", "What is shown"
"""The panels of the help."""


@dataclass(frozen=True)
class ModelOptions:
    """Which model, and how it is run."""

    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            envvar="ATTNVIZ_MODEL",
            help="A folder, a Hub id, or 'default'.",
            rich_help_panel=_MODEL,
            autocompletion=completion.complete_model,
        ),
    ] = "default"
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of a Hub model.", rich_help_panel=_MODEL)
    ] = None
    gguf: Annotated[
        str | None, typer.Option(metavar="FILE", help="A GGUF file, alone or in --model.", rich_help_panel=_MODEL)
    ] = None
    dtype: Annotated[
        Literal["float32", "float64", "bfloat16", "float16"],
        typer.Option(metavar="TYPE", help="float32, float64, bfloat16 or float16.", rich_help_panel=_MODEL),
    ] = "float32"
    device: Annotated[
        str,
        typer.Option(
            help="cpu, cuda, cuda:1, mps, or auto for the fastest.",
            rich_help_panel=_MODEL,
            autocompletion=completion.complete_device,
        ),
    ] = "cpu"
    trust_remote_code: Annotated[
        bool,
        typer.Option("--trust-remote-code", help="Let a model run code that it brings along.", rich_help_panel=_MODEL),
    ] = False
    source_lang: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="The text's language, for translation models.", rich_help_panel=_MODEL),
    ] = None
    target_lang: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="The target's language, for translation models.", rich_help_panel=_MODEL),
    ] = None

    def load(self) -> Model:
        """The model; a warning where its own code may run."""
        from attnviz.interface import load

        self.warn()
        return load(**asdict(self))

    def warn(self) -> None:
        """Say that the model's own code may run, where it may."""
        if self.trust_remote_code:
            console.warn("--trust-remote-code runs code that the model brings along, with all your rights")


WordsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Words to cut whole, one a line, where a script has no spaces; or .json with pairs of characters.",
        rich_help_panel=_TEXT,
    ),
]


@dataclass(frozen=True)
class TextOptions:
    """What the model reads, beside the argument."""

    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read the text from a UTF-8 file.", rich_help_panel=_TEXT)
    ] = None
    pair: Annotated[
        str | None, typer.Option(help="A second text, for models of sentence pairs.", rich_help_panel=_TEXT)
    ] = None
    target: Annotated[
        str | None, typer.Option(help="The decoder's text, for encoder–decoders.", rich_help_panel=_TEXT)
    ] = None
    generate: Annotated[
        int | None,
        typer.Option(
            "--generate",
            "--max-new-tokens",
            min=1,
            metavar="N",
            help="Let the model write N tokens more; an encoder–decoder without a target writes 32.",
            rich_help_panel=_TEXT,
        ),
    ] = None
    chat: Annotated[
        bool, typer.Option("--chat", help="Put the text into the model's chat template.", rich_help_panel=_TEXT)
    ] = False
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Cut a text that is too long for the model.", rich_help_panel=_TEXT)
    ] = False

    windows: Annotated[
        bool,
        typer.Option("--windows", help="Slide over a text that is longer than the model.", rich_help_panel=_TEXT),
    ] = False
    stride: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Tokens from one window to the next.", show_default="half", rich_help_panel=_TEXT
        ),
    ] = None

    words: WordsOption = None

    def given(self) -> dict[str, Any]:
        """The options as keyword arguments of ``Model.attend``, ``observe`` and ``check``."""
        apart = ("file", "windows", "stride", "words")
        found = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in apart}
        return {name: decode_argument(value) if isinstance(value, str) else value for name, value in found.items()}

    def require_whole(self) -> None:
        """Raise a ``UsageError`` where windows are asked for and all weights of one text are needed."""
        if self.windows or self.stride is not None:
            raise UsageError("--windows and --stride are for show and pictures: they keep no weights of all heads")


LanguageOption = Annotated[
    str,
    typer.Option(
        metavar="CODE",
        help="The language whose function words do not count: de, German, zh, … or none.",
        rich_help_panel=VIEW,
    ),
]


@dataclass(frozen=True)
class MapOptions:
    """Which maps are shown, and what counts in them."""

    which: Annotated[
        Literal["encoder", "decoder", "cross"] | None,
        typer.Option(
            "--map",
            metavar="WHICH",
            help="Which map of an encoder–decoder: encoder, decoder or cross.",
            show_default="cross",
            rich_help_panel=VIEW,
        ),
    ] = None
    layer: Annotated[
        str | None, typer.Option(metavar="N,N-N", help="The layers of the maps.", rich_help_panel=VIEW)
    ] = None
    head: Annotated[
        str | None,
        typer.Option(metavar="N,N-N|mean", help="The heads of the maps, or their mean.", rich_help_panel=VIEW),
    ] = None
    rows: Annotated[
        str | None,
        typer.Option(
            metavar="A:B|WORD",
            help="Only these rows of the maps: 120:160, or a word: bank, the:2.",
            rich_help_panel=VIEW,
        ),
    ] = None
    cols: Annotated[
        str | None,
        typer.Option(
            metavar="A:B|WORD",
            help="Only these columns of the maps: 3:40, 3:, :40, 3, or a word.",
            rich_help_panel=VIEW,
        ),
    ] = None
    unit: Annotated[
        Literal["token", "word", "sentence", "line", "paragraph"] | None,
        typer.Option(
            metavar="UNIT",
            help="The unit of rows, columns and links: token, word, sentence, line or paragraph.",
            show_default="word",
            rich_help_panel=VIEW,
        ),
    ] = None
    tokens: Annotated[bool, typer.Option("--tokens", help="Short for --unit token.", rich_help_panel=VIEW)] = False
    per_token: Annotated[
        bool,
        typer.Option(
            "--per-token",
            help="Divide weights by the tokens of what is looked at, so that length does not win.",
            rich_help_panel=VIEW,
        ),
    ] = False
    special: Annotated[
        bool, typer.Option("--special", help="Count special tokens and punctuation.", rich_help_panel=VIEW)
    ] = False
    language: LanguageOption = "en"


FromOption = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="FILE|WORDS",
        help="A record that 'export' saved, instead of a text; or a passage, or generated: only that looks.",
        rich_help_panel=_TEXT,
    ),
]


def _bytes(value: str) -> int:
    from attnviz.attention.memory import parse_size

    return parse_size(value)


MemoryOption = Annotated[
    int | None,
    typer.Option(
        "--max-memory",
        parser=_bytes,
        metavar="SIZE",
        help="What the weights of a record may take, such as 4GB; by default a quarter of free memory.",
        show_default=False,
    ),
]


def parse_heads(layer: str | None, head: str | None) -> Heads:
    """``--layer`` and ``--head``: a number, a list, ranges; ``mean`` for the heads."""
    from attnviz.record import Heads

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


def parse_crop(rows: str | None, columns: str | None) -> Crop:
    """``--rows`` and ``--cols``: ``3:40`` from 3 to 39, ``3:`` to the end, ``:40`` from the start, ``3`` alone; or a
    word (``the:2``).
    """
    from attnviz.record import Crop

    return Crop(_span("--rows", rows), _span("--cols", columns))


def _span(option: str, value: str | None) -> Span | str:
    if value is None:
        return None, None
    value = decode_argument(value).strip()
    # No text has numbers of ten digits, and Python reads no number of thousands of them.
    found = re.fullmatch(r"(?=.*[0-9])([0-9]{1,9})?(:)?([0-9]{1,9})?", value)
    if not found and re.search(r"[^0-9:\-\s]", value):
        return value
    if not found or (found[3] and not found[2]):
        raise UsageError(f"{option} is {value!r}, expected numbers such as 3:40, 3:, :40 or 3, or a word")
    start, stop = (None if part is None else int(part) for part in (found[1], found[3]))
    return (start, stop) if found[2] else (start, int(found[1]) + 1)


def parse_inches(value: str | None) -> tuple[float, float] | None:
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


_INCHES = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72}
"""Inches by unit of length."""


def parse_width(value: str | None) -> float | None:
    """``3.3in``, ``84mm``, ``8.4cm`` or ``240pt`` as inches."""
    if value is None:
        return None
    found = re.fullmatch(r"\s*([0-9]{1,5}(?:\.[0-9]{1,6})?)\s*(in|cm|mm|pt)\s*", value.lower())
    inches = float(found[1]) * _INCHES[found[2]] if found else 0.0
    if not 1 <= inches <= 100:
        expected = "expected a width from 1 to 100 inches with its unit, such as 3.3in, 84mm, 8.4cm or 240pt"
        raise UsageError(f"--width is {value!r}, {expected}")
    return inches


def parse_weight(option: str, value: str | None) -> float | None:
    """``0.5`` or ``50%`` as a weight above 0 and at most 1."""
    if value is None:
        return None
    found = re.fullmatch(r"\s*([0-9]{0,4}\.?[0-9]{0,12})\s*(%)?\s*", value)
    try:
        weight = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    except ValueError:
        weight = 0.0
    if not 0 < weight <= 1:
        raise UsageError(f"{option} is {value!r}, expected a weight above 0 and at most 1, such as 0.5 or 50%")
    return weight

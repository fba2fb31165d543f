"""The options that several commands share, and what their values mean."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from attnviz.cli import completion, console
from attnviz.cli.option_groups import spread as spread
from attnviz.cli.reading import decode_argument
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from attnviz.interface import Model

MODEL, TEXT, VIEW = "Model", "Text", "What is shown"
"""The panels of the help."""
MODEL_VARIABLE = "ATTNVIZ_MODEL"
"""The variable of the environment that names the model where no option does."""


@dataclass(frozen=True)
class ModelOptions:
    """Which model, and how it is run."""

    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            envvar=MODEL_VARIABLE,
            help="A folder, a GGUF file, a Hub id, or 'default'.",
            rich_help_panel=MODEL,
            autocompletion=completion.complete_model,
        ),
    ] = "default"
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of a Hub model.", rich_help_panel=MODEL)
    ] = None
    gguf: Annotated[
        str | None, typer.Option(metavar="FILE", help="A GGUF file, alone or in --model.", rich_help_panel=MODEL)
    ] = None
    dtype: Annotated[
        Literal["float32", "float64", "bfloat16", "float16"],
        typer.Option(metavar="TYPE", help="float32, float64, bfloat16 or float16.", rich_help_panel=MODEL),
    ] = "float32"
    device: Annotated[
        str,
        typer.Option(
            help="cpu, cuda, cuda:1, mps, or auto for the fastest.",
            rich_help_panel=MODEL,
            autocompletion=completion.complete_device,
        ),
    ] = "cpu"
    trust_remote_code: Annotated[
        bool,
        typer.Option("--trust-remote-code", help="Let a model run code that it brings along.", rich_help_panel=MODEL),
    ] = False
    source_lang: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="The text's language, for models that must know it.", rich_help_panel=MODEL),
    ] = None
    target_lang: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="The target's language, for translation models.", rich_help_panel=MODEL),
    ] = None

    def load(self) -> Model:
        """The model, loaded once; said is what ``warn`` says."""
        return self._loaded

    @cached_property
    def _loaded(self) -> Model:
        from attnviz.interface import load

        self.warn()
        return load(**asdict(self))

    def refuse(self, what: str) -> None:
        """Raise a ``UsageError`` if a model is named by an option beside ``what`` holds its own."""
        if self.gguf or self.model not in ("default", os.environ.get(MODEL_VARIABLE)):
            raise UsageError(f"{what}: --model is for texts", hint="Leave --model out.")

    def warn(self) -> None:
        """Say that the model's own code may run, where it may, and which type of numbers is slow here."""
        from attnviz.model.processor import slow_type

        slow = slow_type(self.dtype) if self.device == "cpu" else ""
        if slow:
            console.note(slow)
        if self.trust_remote_code:
            console.warn("--trust-remote-code runs code that the model brings along, with all your rights")


WordsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Words to cut whole, one a line, where a script has no spaces; or .json with pairs of characters.",
        rich_help_panel=TEXT,
    ),
]


@dataclass(frozen=True)
class TextOptions:
    """What the model reads, beside the argument."""

    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read the text from a UTF-8 file.", rich_help_panel=TEXT)
    ] = None
    pair: Annotated[
        str | None, typer.Option(help="A second text, for models of sentence pairs.", rich_help_panel=TEXT)
    ] = None
    target: Annotated[
        str | None, typer.Option(help="The decoder's text, for encoder–decoders.", rich_help_panel=TEXT)
    ] = None
    generate: Annotated[
        int | None,
        typer.Option(
            "--generate",
            "--max-new-tokens",
            min=1,
            metavar="N",
            help="Let the model write N tokens more; an encoder–decoder without a target writes 32.",
            rich_help_panel=TEXT,
        ),
    ] = None
    chat: Annotated[
        bool, typer.Option("--chat", help="Put the text into the model's chat template.", rich_help_panel=TEXT)
    ] = False
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Cut a text that is too long for the model.", rich_help_panel=TEXT)
    ] = False

    windows: Annotated[
        bool,
        typer.Option("--windows", help="Slide over a text that is longer than the model.", rich_help_panel=TEXT),
    ] = False
    stride: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Tokens from one window to the next.", show_default="half", rich_help_panel=TEXT
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


FromOption = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="FILE|WORDS",
        help="A record that 'export' saved, instead of a text; or a passage, or generated: only that looks.",
        rich_help_panel=TEXT,
    ),
]


NeuronsOption = Annotated[
    bool,
    typer.Option(
        "--neurons",
        help="Keep the query and key vectors: a weight unfolds dimension by dimension. For short texts.",
        rich_help_panel=VIEW,
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

"""What commands that intervene in a model share: the text, the word whose logit counts, and the heads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from attnviz.cli.options import TEXT
from attnviz.cli.reading import decode_argument

EFFECT = "Effect"
"""The panel of the help."""


@dataclass(frozen=True)
class EffectTextOptions:
    """What the model reads, beside the argument: ``--target`` is a word that it may say next."""

    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read the text from a UTF-8 file.", rich_help_panel=TEXT)
    ] = None
    pair: Annotated[
        str | None, typer.Option(help="A second text, for models of sentence pairs.", rich_help_panel=TEXT)
    ] = None
    decoder_text: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="The decoder's text, for encoder–decoders.",
            show_default="what the model writes",
            rich_help_panel=TEXT,
        ),
    ] = None
    chat: Annotated[
        bool, typer.Option("--chat", help="Put the text into the model's chat template.", rich_help_panel=TEXT)
    ] = False
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Cut a text that is too long for the model.", rich_help_panel=TEXT)
    ] = False

    def given(self) -> dict[str, Any]:
        """The options as keyword arguments of ``Model.ablate`` and its like."""
        found = {"pair": self.pair, "decoder_text": self.decoder_text}
        decoded = {name: None if value is None else decode_argument(value) for name, value in found.items()}
        return decoded | {"chat": self.chat, "truncate": self.truncate}


@dataclass(frozen=True)
class TargetOptions:
    """The word, or the label of a classifier, whose logit is measured."""

    target: Annotated[
        str | None,
        typer.Option(
            metavar="WORD",
            help="A word that the model may say next, or a label: its logit is measured.",
            rich_help_panel=EFFECT,
        ),
    ] = None
    against: Annotated[
        str | None,
        typer.Option(metavar="WORD", help="Another, whose logit is subtracted.", rich_help_panel=EFFECT),
    ] = None

    def wanted(self) -> dict[str, Any]:
        """The options as keyword arguments of ``Model.ablate`` and its like."""
        found = {"target": self.target, "against": self.against}
        return {name: None if value is None else decode_argument(value) for name, value in found.items()}


def head_names(given: list[str] | None) -> list[str] | None:
    """The names of ``--head 5.7 --head 5.8,6.*``, one by one; None where there are none."""
    return [name for each in given for name in each.split(",")] if given else None

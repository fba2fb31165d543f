"""What commands that intervene in a model share: the text, the word whose logit counts, and the heads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from attnviz.cli.documents import DocumentOptions, read_texts
from attnviz.cli.options import TEXT
from attnviz.cli.reading import decode_argument
from attnviz.errors import UsageError

EFFECT = "Effect"
"""The panel of the help."""


@dataclass(frozen=True)
class HowReadOptions:
    """How texts are read."""

    chat: Annotated[
        bool, typer.Option("--chat", help="Put the text into the model's chat template.", rich_help_panel=TEXT)
    ] = False
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Cut a text that is too long for the model.", rich_help_panel=TEXT)
    ] = False


@dataclass(frozen=True)
class OneTextOptions(HowReadOptions):
    """The text that the model reads, beside the argument."""

    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read the text from a UTF-8 file.", rich_help_panel=TEXT)
    ] = None


@dataclass(frozen=True)
class EffectReadOptions(HowReadOptions):
    """What the model reads beside a text: ``--target`` is a word that it may say next."""

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

    def given(self) -> dict[str, Any]:
        """The options as keyword arguments of ``Model.ablate`` and its like."""
        found = {"pair": self.pair, "decoder_text": self.decoder_text}
        decoded = {name: None if value is None else decode_argument(value) for name, value in found.items()}
        return decoded | {"chat": self.chat, "truncate": self.truncate}


@dataclass(frozen=True)
class EffectTextOptions(EffectReadOptions, OneTextOptions):
    """What the model reads, beside the argument."""


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


@dataclass(frozen=True)
class WayOptions:
    """Which heads are changed, beside those that are named, and what is put in their place."""

    role: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE",
            help="The heads with a role: induction, previous, duplicate or sink.",
            rich_help_panel=EFFECT,
        ),
    ] = None
    which: Annotated[
        Literal["encoder", "decoder", "cross"] | None,
        typer.Option("--map", metavar="WHICH", help="Whose heads, of an encoder–decoder.", rich_help_panel=EFFECT),
    ] = None
    mean: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILES", help="Put a head's mean over texts in its place. May be repeated.", rich_help_panel=EFFECT
        ),
    ] = None
    freeze: Annotated[
        Literal["uniform", "mean"] | None,
        typer.Option(
            metavar="WHAT",
            help="Freeze a head's weights: uniform, or their mean over the texts of --mean.",
            rich_help_panel=EFFECT,
        ),
    ] = None
    cut: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="FROM TO", help="Cut the link from a word to a word.", rich_help_panel=EFFECT),
    ] = None
    renormalise: Annotated[
        bool,
        typer.Option(
            "--renormalise/--no-renormalise",
            help="With --cut: divide what is left of the row by its sum.",
            rich_help_panel=EFFECT,
        ),
    ] = True
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="With --role: the seed of random tokens.", rich_help_panel=EFFECT)
    ] = 0

    def asked(self, documents: DocumentOptions) -> dict[str, Any]:
        """The options but the texts of ``mean`` as keyword arguments of ``Model.ablate`` and its like.

        Raises:
            UsageError: it is said how ``documents`` are read, and there are none.
        """
        if documents != DocumentOptions() and not self.mean:
            raise UsageError("--split, --text-field and --read-as are of the files of --mean, and none are given")
        cut = self.cut and tuple(map(decode_argument, self.cut))
        return {
            "role": self.role, "attention": self.which, "freeze": self.freeze, "cut": cut,
            "renormalise": self.renormalise, "seed": self.seed,
        }  # fmt: skip

    @contextlib.contextmanager
    def texts(self, documents: DocumentOptions) -> Iterator[dict[str, Any]]:
        """The texts of which means are made, if there are any, as keyword arguments."""
        if not self.mean:
            yield {}
            return
        with read_texts(self.mean, documents) as (texts, progress):
            yield {"mean": texts, "on_texts": progress}


def head_names(given: list[str] | None) -> list[str] | None:
    """The names of ``--head 5.7 --head 5.8,6.*``, one by one; None where there are none."""
    return [name for each in given for name in each.split(",")] if given else None

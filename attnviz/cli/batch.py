"""``attnviz batch``: whole corpora, from text files to tables."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from attnviz.cli import console, source
from attnviz.cli.options import ModelOptions, spread
from attnviz.errors import ExitCode, SomeFailed, UsageError

if TYPE_CHECKING:
    from attnviz.batch.job import Done

_IN, _OUT, _WORK = "Documents", "Results", "How it runs"
"""The panels of the help."""


@spread
def batch(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Files, folders, globs or URLs; - reads standard input."),
    ],
    *,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="DIR", help="The folder or URL of the results.", rich_help_panel=_OUT),
    ],
    split: Annotated[
        Literal["line", "paragraph"] | None,
        typer.Option(
            help="Of plain text: a document a line, or a paragraph.", show_default="file", rich_help_panel=_IN
        ),
    ] = None,
    text_field: Annotated[
        str,
        typer.Option(metavar="NAME", help="The field or column that is the text.", rich_help_panel=_IN),
    ] = "text",
    read_as: Annotated[
        Literal["text", "jsonl", "csv", "tsv", "conllu"] | None,
        typer.Option(
            metavar="FORMAT",
            help="What standard input and files of unknown ending are: text, jsonl, csv, tsv or conllu.",
            show_default="text",
            rich_help_panel=_IN,
        ),
    ] = None,
    windows: Annotated[
        bool,
        typer.Option(
            help="Slide over documents that are longer than the model, or let them fail.", rich_help_panel=_IN
        ),
    ] = True,
    stride: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Tokens from one window to the next.", show_default="half", rich_help_panel=_IN
        ),
    ] = None,
    top: Annotated[
        int,
        typer.Option(min=0, max=10_000, metavar="N", help="Links of a document and layer.", rich_help_panel=_OUT),
    ] = 8,
    special: Annotated[
        bool, typer.Option("--special", help="Links of special tokens and punctuation too.", rich_help_panel=_OUT)
    ] = False,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Links of everything: function words, positional heads.", rich_help_panel=_OUT),
    ] = False,
    formats: Annotated[
        list[Literal["csv", "jsonl"]] | None,
        typer.Option("--format", metavar="FORMAT", help="csv or jsonl beside Parquet.", rich_help_panel=_OUT),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew where another run's results are.", rich_help_panel=_OUT)
    ] = False,
    check: Annotated[
        Literal["none", "sample", "all"],
        typer.Option(
            metavar="WHICH",
            help="Documents to compare with transformers: none, a sample (the first 3 and 1 in 100), or all.",
            rich_help_panel=_WORK,
        ),
    ] = "sample",
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first document that fails.", rich_help_panel=_WORK)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel=_WORK)
    ] = False,
    model: ModelOptions,
) -> None:
    """Analyse a corpus: texts in, tables of every document, head and link out.

    The folder gets documents, heads and links as Parquet, a summary, a picture and a page. A run that was stopped goes
    on where it was.
    """
    ...

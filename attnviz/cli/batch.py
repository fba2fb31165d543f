"""``attnviz batch``: analyse whole corpora, from text files to tables."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from attnviz.cli import completion, console
from attnviz.cli.documents import DOCUMENTS, DocumentOptions, require_installed, standard_input
from attnviz.cli.map_options import LanguageOption
from attnviz.cli.matplotlib_settings import isolate_matplotlib
from attnviz.cli.options import ModelOptions, spread
from attnviz.cli.reading import read_words
from attnviz.errors import ExitCode, SomeFailed, UsageError, count_of

if TYPE_CHECKING:
    from attnviz.batch.engine.job import JobResult

_OUT, _WORK = "Results", "How it runs"
"""The panels of the help."""


@spread
def batch(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Files, folders, globs or URLs; - reads standard input."),
    ],
    *,
    documents: DocumentOptions,
    target_field: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The field with the target: tables of cross-attention. A plain text has lines 'source ||| target'.",
            rich_help_panel=DOCUMENTS,
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Input columns to copy into the documents table: ticket,priority or all.",
            show_default="none",
            rich_help_panel=DOCUMENTS,
        ),
    ] = None,
    windows: Annotated[
        bool,
        typer.Option(
            help="Slide over documents that are longer than the model, or let them fail.", rich_help_panel=DOCUMENTS
        ),
    ] = True,
    stride: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Tokens from one window to the next.",
            show_default="half",
            rich_help_panel=DOCUMENTS,
        ),
    ] = None,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="DIR", help="The folder or URL of the results.", rich_help_panel=_OUT),
    ],
    top: Annotated[
        int,
        typer.Option(min=0, max=10_000, metavar="N", help="Links per document and layer.", rich_help_panel=_OUT),
    ] = 8,
    special: Annotated[
        bool, typer.Option("--special", help="Count special tokens and punctuation.", rich_help_panel=_OUT)
    ] = False,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Count everything: function words and positional heads too.", rich_help_panel=_OUT),
    ] = False,
    language: LanguageOption = "en",
    words: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Words to cut whole, one a line, where a script has no spaces.",
            rich_help_panel=DOCUMENTS,
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="Write the tables as csv or jsonl too.",
            rich_help_panel=_OUT,
            autocompletion=completion.complete_format,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start over if another run's results are there.", rich_help_panel=_OUT)
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
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(metavar="ENGINE", help="This machine (local), or a Ray cluster (ray).", rich_help_panel=_WORK),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="The Ray cluster; auto finds the one of this machine.",
            show_default="one of its own",
            rich_help_panel=_WORK,
        ),
    ] = None,
    cpus: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="CPUs of each worker on the cluster.", show_default="2", rich_help_panel=_WORK
        ),
    ] = None,
    model: ModelOptions,
) -> None:
    """Analyse a corpus: texts in, tables of every document, head and link out.

    The folder gets documents, heads and links as Parquet, a summary, a picture and a page.
    A run that was stopped continues where it was.
    """
    if engine == "local" and (address is not None or cpus is not None):
        raise UsageError("--address and --cpus are for a cluster", hint="Add --engine ray, or leave them out.")
    if stride is not None and not windows:
        raise UsageError("--stride is given, and --no-windows that it could be of")
    require_installed("batch")
    isolate_matplotlib()
    model.warn()
    from attnviz.analysis.languages import language_code
    from attnviz.batch.engine.cluster import Cluster
    from attnviz.batch.engine.job import Job, run_job
    from attnviz.batch.engine.work import WorkOptions
    from attnviz.batch.input.source import total_size
    from attnviz.cli.corpus_progress import corpus_progress
    from attnviz.record import Request

    known = read_words(words)
    if known and known.spans:
        raise UsageError("--words has the positions of one text's words, expected a list", hint="Give one word a line.")
    job = Job(
        tuple(inputs),
        output,
        asdict(model),
        documents.reading(keep=_names(keep), target=target_field),
        WorkOptions(
            Request(links=top, special=special, everything=everything, language=language_code(language)),
            windows,
            stride,
            known,
            target_field is not None,
        ),
        tuple(formats or ()),
        check,
        strict,
        overwrite,
        Cluster(address, cpus) if engine == "ray" else None,
        shlex.join(["attnviz", *sys.argv[1:]]),
    )
    stdin = standard_input(inputs)
    # The sizes of all files are needed to estimate the remaining time.
    total = None if quiet else total_size(job.inputs, job.reading, stdin=stdin, leave_out=output)
    with corpus_progress(None if quiet else console.errors(), total) as on_progress:
        done = run_job(job, on_progress, stdin)
    _say(done, () if quiet else _files(done, job.formats))


def _names(keep: str | None) -> tuple[str, ...]:
    """Split the columns to keep."""
    names = [name.strip() for name in (keep or "").split(",")]
    if keep is not None and not all(names):
        raise UsageError(f"--keep {keep!r} has a name that is empty", hint="Give names with commas between: --keep a,b")
    return tuple(dict.fromkeys(filter(None, names)))


def _say(done: JobResult, files: Sequence[tuple[str, str]]) -> None:
    """Print the results of a run with where they are, and what went wrong."""
    from attnviz.analysis.corpus.roles import roles
    from attnviz.render.terminal import corpus as tables

    try:
        if files:
            console.output().print(tables.corpus_table(done.corpus, roles(done.corpus), done.about, files))
    finally:  # failures decide the exit code even if the table could not be printed
        _require_good(done)


def _require_good(done: JobResult) -> None:
    """Print what went wrong, and exit with its code."""
    from attnviz.render.labels import clean

    counts = done.corpus.counts
    if done.checked.passed is False:
        console.errors().print(Text(f"✗ {clean(str(done.checked))}", "bold red"))
        console.errors().print("Do not rely on these tables. Please report the model and a text: something is wrong.")
        raise typer.Exit(ExitCode.CHECK)
    if counts.failed:
        raise SomeFailed(
            f"{counts.failed:,} of {count_of(counts.documents, 'document')} failed",
            hint=f"Why is in the column reason of {done.where}/documents.parquet, where status is failed.",
        )


_TABLES = {
    "documents": "a row for each document",
    "heads": "for each head in each document",
    "links": "for each of its strongest links",
}
_FILES = (
    ("summary.json, summary.parquet", "every head over the corpus"),
    ("heads.png, report.html", "to look at"),
    ("run.json", "what it was made from"),
)


def _files(done: JobResult, formats: Sequence[str]) -> list[tuple[str, str]]:
    """Return the files of the results, and what each contains."""
    beside = "".join(f", .{name}/" for name in dict.fromkeys(formats) if name != "parquet")
    tables = [(f"{table}.parquet/{beside}", what) for table, what in _TABLES.items()]
    return [(done.where, "all of it:"), *tables, *(_FILES if done.corpus.counts.measured else _FILES[-1:])]

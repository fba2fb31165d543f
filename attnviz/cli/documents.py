"""How commands read corpora: the options that say so, standard input, and the packages that it needs."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

import typer

from attnviz.cli import console
from attnviz.errors import InputError, UsageError

if TYPE_CHECKING:
    from attnviz.batch.input.options import ReadOptions
    from attnviz.errors import AttnvizError

DOCUMENTS = "Documents"
"""The panel of the help."""
_PACKAGES = {"charset-normalizer": "charset_normalizer", "conllu": "conllu", "filelock": "filelock", "fsspec": "fsspec",
             "pyarrow": "pyarrow"}  # fmt: skip
"""The packages of the extra ``batch``, and their modules."""


@dataclass(frozen=True)
class DocumentOptions:
    """How files are cut into documents."""

    split: Annotated[
        Literal["line", "paragraph"] | None,
        typer.Option(
            help="Split plain text into documents by line or paragraph.", show_default="file", rich_help_panel=DOCUMENTS
        ),
    ] = None
    text_field: Annotated[
        str,
        typer.Option(metavar="NAME", help="The field or column with the text.", rich_help_panel=DOCUMENTS),
    ] = "text"
    read_as: Annotated[
        Literal["text", "jsonl", "csv", "tsv", "conllu"] | None,
        typer.Option(
            metavar="FORMAT",
            help="The format of standard input and of files with an unknown ending: text, jsonl, csv, tsv or conllu.",
            show_default="text",
            rich_help_panel=DOCUMENTS,
        ),
    ] = None

    def reading(self, **more: Any) -> ReadOptions:
        """How the inputs are read, with ``more`` fields of it."""
        from attnviz.batch.input.options import ReadOptions

        ending = "txt" if self.read_as == "text" else self.read_as
        return ReadOptions(self.split, self.text_field, ending, **more)


def standard_input(inputs: Sequence[str]) -> BinaryIO | None:
    """Standard input, where one of the ``inputs`` names it and it is open."""
    from attnviz.batch.input.source import STANDARD_INPUT

    return sys.stdin.buffer if STANDARD_INPUT in inputs and sys.stdin else None


def require_installed(command: str) -> None:
    """Raise a ``UsageError`` where a package of the extra ``batch`` is missing that the ``command`` needs."""
    missing = [name for name, module in _PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(
            f"attnviz {command} needs {' and '.join(missing)}",
            hint="Install what it needs: pip install 'attnviz[batch]'",
        )


@contextlib.contextmanager
def read_texts(
    inputs: list[str], documents: DocumentOptions
) -> Iterator[tuple[Iterator[str | AttnvizError], Callable[[int, int], None]]]:
    """The texts of the documents, and what is told of the progress."""
    from attnviz.batch.input.source import read_documents, total_size
    from attnviz.cli.corpus_progress import corpus_progress

    options, stdin = documents.reading(), standard_input(inputs)
    total = total_size(inputs, options, stdin=stdin)
    with corpus_progress(console.errors(), total) as progress:

        def texts() -> Iterator[str | AttnvizError]:
            noted: set[str] = set()
            for each in read_documents(inputs, options, stdin=stdin, meter=progress.read):
                if each.note and each.note not in noted:
                    noted.add(each.note)
                    console.note(f"{each.where}: {each.note}")
                progress.found(1)
                yield InputError(each.reason) if each.reason else each.text

        yield texts(), progress.worked

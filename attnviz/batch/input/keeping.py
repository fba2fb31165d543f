"""Which columns of the input are kept in the table of the documents, and what they are called there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attnviz.batch.document import Document
from attnviz.batch.input.decoding import mend
from attnviz.batch.input.options import ReadOptions
from attnviz.batch.kept import KeptColumn, type_of
from attnviz.errors import UsageError

BEFORE = "input_"
"""Stands before the name of a column where the table has one of that name already."""


def kept_columns(documents: Sequence[Document], reading: ReadOptions, taken: Iterable[str]) -> tuple[KeptColumn, ...]:
    """The columns that are kept of a corpus, whose first ``documents`` say which columns there are, and their types.

    Args:
        documents: the first documents of the corpus.
        reading: which columns are asked for.
        taken: the names that the table has already.

    Raises:
        UsageError: a column is asked for that none of them has.
    """
    there = dict.fromkeys(name for each in documents for name in each.columns)
    wanted = [name for name in there if reading.keeps(name)] if reading.keeps_all else list(reading.keep)
    for name in wanted:
        if name not in there:
            listed = ", ".join(there) or "none, as in plain text"
            raise UsageError(
                f"`keep` names {name!r}: there is no such column in the first {len(documents):,} documents",
                hint=f"There are: {listed}.",
            )
    names, found = {name.casefold() for name in taken}, []
    for name in wanted:
        column = mend(name)[0].strip() or BEFORE
        while column.casefold() in names:  # databases take ID for id
            column = BEFORE + column
        names.add(column.casefold())
        found.append(KeptColumn(name, column, type_of(each.kept.get(name) for each in documents)))
    return tuple(found)

"""The results of documents as Arrow tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.metrics import METRICS, NAMES, Measured, WordLinks
from attnviz.batch.document import Document
from attnviz.batch.kept import KeptColumn, arrow_type, fitting
from attnviz.batch.output.columns import MEANS, TABLES, Column
from attnviz.batch.output.result import DocumentResult
from attnviz.encoding import Word

if TYPE_CHECKING:
    import pyarrow as pa

_SURROGATES = re.compile("[\ud800-\udfff]")
"""Lone surrogates, which UTF-8 can't encode; they come from file names and broken JSON escapes."""


@dataclass(frozen=True, eq=False)
class PartTables:
    """The three tables of some documents, each in the order of the documents."""

    documents: pa.Table
    heads: pa.Table
    links: pa.Table

    def items(self) -> Iterator[tuple[str, pa.Table]]:
        """The tables by name; that of the documents is the last."""
        yield from (("heads", self.heads), ("links", self.links), ("documents", self.documents))


def table_schema(table: str, kept: Sequence[KeptColumn] = ()) -> pa.Schema:
    """The schema of ``documents``, ``heads`` or ``links``: what a row is, and the unit and meaning of each column.

    Behind those of ``documents`` are the columns that are ``kept`` of the input.
    """
    import pyarrow as pa

    kind = next(kind for kind in TABLES if kind.name == table)
    columns = [
        *kind.columns,
        *(Column(each.column, each.type, "", f"the column {_writable(each.name)} of the input") for each in kept),
    ]
    return pa.schema(
        [
            pa.field(column.name, arrow_type(column.type), metadata={"unit": column.unit, "meaning": column.meaning})
            for column in columns
        ],
        metadata={"description": f"one row is {kind.row}"},
    )


def build_tables(found: Sequence[DocumentResult], layers: Sequence[int], kept: Sequence[KeptColumn] = ()) -> PartTables:
    """The rows of all results, in the order of the documents; ``layers`` (L,) are the layers' own numbers.

    A document that failed has a row among the documents alone. A figure that is NaN becomes null.
    """
    found = sorted(found, key=lambda one: one.document.number)
    measured = [(one, one.measured) for one in found if one.measured is not None]
    own = np.array(layers, np.int16)
    figures = np.empty((0, len(own), 0, len(METRICS)))
    if measured:
        figures = np.stack([each.figures for _, each in measured])  # (D, L, H, METRICS)
    numbers = np.array([one.document.number for one, _ in measured], np.int64)
    return PartTables(_documents(found, figures, kept), _heads(numbers, figures, own), _links(numbers, measured, own))


def _documents(found: Sequence[DocumentResult], figures: NDArray[np.float64], kept: Sequence[KeptColumn]) -> pa.Table:
    """The table of the documents; ``figures`` (D, L, H, METRICS) are of those that were measured, in order."""
    kind = table_schema("documents", kept)
    columns: dict[str, Any] = {name: [] for name in kind.names if name not in MEANS}
    for one in found:
        for name, value in (_document(one) | _kept(one.document, kept)).items():
            columns[name].append(value)
    means = np.full((len(found), len(MEANS)), np.nan)
    if len(figures):
        has = np.array([one.measured is not None for one in found])
        means[has] = figures[..., [NAMES.index(name) for name in MEANS]].mean((1, 2))
    return _table(kind, columns | dict(zip(MEANS, means.T.astype(np.float32, order="C"), strict=True)))


def _kept(document: Document, kept: Sequence[KeptColumn]) -> dict[str, Any]:
    """The document's fields that are kept; the note says what could not be."""
    if not kept:
        return {}
    values, notes = {}, [document.note]
    for column in kept:
        value, why = fitting(document.kept.get(column.name), column)
        values[column.column] = _writable(value) if isinstance(value, str) else value
        notes.append(why)
    others = set(document.kept) - {column.name for column in kept}
    if others:
        notes.append(f"not kept, since the first documents have no such columns: {', '.join(sorted(others))}")
    return values | {"note": _writable("; ".join(filter(None, notes))) or None}


def _document(one: DocumentResult) -> dict[str, Any]:
    document, encoding = one.document, one.encoding
    reason = document.reason or one.reason
    failed = one.measured is None
    facts: dict[str, Any] = {
        "document": document.number,
        "id": document.id,
        "source": _writable(document.source),
        "row": document.row,
        "line": document.line,
        "status": "failed" if failed else "ok",
        "reason": (_writable(reason) or "nothing was measured") if failed else None,
        "note": _writable(document.note) or None,
        "characters": None if document.reason else len(document.text),
        "seconds": one.seconds,
        **dict.fromkeys(("words", "tokens", "special_tokens", "distinct_tokens", "tokens_per_word", "windows")),
    }
    if encoding is None:
        return facts
    special = sum(encoding.special)
    text, words = len(encoding) - special, len(encoding.words) - special  # a special token is a word of its own
    return facts | {
        "words": words,
        "tokens": len(encoding),
        "special_tokens": special,
        "distinct_tokens": len(set(compress(encoding.ids, (not mark for mark in encoding.special)))),
        "tokens_per_word": text / words if words else None,
        "windows": one.windows or None,
    }


def _heads(numbers: NDArray[np.int64], figures: NDArray[np.float64], layers: NDArray[np.int16]) -> pa.Table:
    import pyarrow as pa

    documents, _, heads, _ = figures.shape
    rows = figures.reshape(-1, len(METRICS)).T.astype(np.float32, order="C")  # (METRICS, D·L·H)
    columns: dict[str, Any] = {
        "document": np.repeat(numbers, len(layers) * heads),
        "layer": np.tile(np.repeat(layers, heads), documents),
        "head": np.tile(np.arange(heads, dtype=np.int16), documents * len(layers)),
    }
    for metric, values in zip(METRICS, rows, strict=True):
        if metric.kind == "position":
            missing = np.isnan(values)
            values = pa.array(np.where(missing, 0, values).astype(np.int32), mask=missing)
        columns[metric.name] = values
    return _table(table_schema("heads"), columns)


def _links(
    numbers: NDArray[np.int64], measured: Sequence[tuple[DocumentResult, Measured]], layers: NDArray[np.int16]
) -> pa.Table:
    import pyarrow as pa

    each = [one.links for _, one in measured]
    counts = [len(links) for links in each]
    query, key = (_joined(each, name, np.int32) for name in ("query", "key"))
    texts = [
        _linked([each.words if each else () for each in encodings], counts, places)
        for encodings, places in (
            ([found.looking for found, _ in measured], query), ([found.encoding for found, _ in measured], key)
        )
    ]  # fmt: skip
    pairs = np.repeat([found.target is not None for found, _ in measured], counts).astype(bool)
    columns = {
        "document": np.repeat(numbers, counts),
        "layer": layers[_joined(each, "layer", np.int16)],
        "head": _joined(each, "head", np.int16),
        "query": texts[0],
        "key": texts[1],
        "query_position": query,
        "key_position": key,
        "distance": pa.array(np.abs(query - key), pa.int32(), mask=pairs),
        "weight": _joined(each, "weight", np.float32),
    }
    return _table(table_schema("links"), columns)


def _joined(each: Sequence[WordLinks], name: str, kind: type[np.generic]) -> NDArray[Any]:
    arrays = [getattr(links, name) for links in each]
    return np.concatenate(arrays).astype(kind, copy=False) if arrays else np.empty(0, kind)


def _linked(words: Sequence[Sequence[Word]], counts: Sequence[int], places: NDArray[np.int64]) -> pa.Array:
    """The texts of the ``words`` of each document at its ``counts`` of ``places``.

    Only words that have a link are converted to Arrow.
    """
    import pyarrow as pa

    # The words of all documents stand in one row, those of a document from its first on.
    places = places + np.repeat(np.cumsum([0, *map(len, words)])[:-1], counts)
    row = [word for some in words for word in some]
    linked = np.zeros(len(row), bool)
    linked[places] = True
    found = [word.text for word in compress(row, linked)]
    try:
        texts = pa.array(found, pa.string())
    except UnicodeEncodeError:
        texts = pa.array(list(map(_writable, found)), pa.string())
    return texts.take(pa.array((np.cumsum(linked) - 1)[places]))


def _writable(text: str) -> str:
    return text if text.isascii() else _SURROGATES.sub("�", text)


def _table(kind: pa.Schema, columns: dict[str, Any]) -> pa.Table:
    import pyarrow as pa

    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, field.type, from_pandas=True)
        for field, column in ((field, columns[field.name]) for field in kind)
    ]
    return pa.Table.from_arrays(arrays, schema=kind)

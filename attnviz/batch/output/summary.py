"""The summary of a corpus out of its tables: JSON, Parquet, a picture and a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.accumulation import AMOUNTS, Collector, Corpus, DocumentRows
from attnviz.analysis.corpus.distribution import ACCURACY, QUANTILES, SMALLEST
from attnviz.analysis.corpus.metrics import INDUCTION, METRICS, POSITIONAL
from attnviz.analysis.corpus.modes import Modes
from attnviz.analysis.corpus.quotes import Quotations
from attnviz.analysis.corpus.roles import roles
from attnviz.analysis.corpus.typical_links import LinkRows
from attnviz.batch.output.summary_json import document, statistics
from attnviz.batch.output.writers import as_parquet
from attnviz.errors import count_of
from attnviz.render.about import About
from attnviz.render.maps import corpus_maps
from attnviz.render.page.corpus import corpus_page

if TYPE_CHECKING:
    import pyarrow as pa

_MEANINGS = {
    "layer": "the model's own number, from 0",
    "head": "from 0",
    "metric": "the figure: its meaning is in the metadata of the schema",
    "unit": "of all values in the row",
    "count": "documents in which the head has this figure; of induction, random texts",
    "mean": "over these documents",
    "deviation": "standard deviation over these documents (divided by their number)",
    **{
        f"q{100 * share:02.0f}": (
            f"quantile {share:g}, within {ACCURACY:.0%} of the value of that rank; 0 where that is below {SMALLEST:g}"
        )
        for share in QUANTILES
    },
    "min": "exactly",
    "max": "exactly",
}


def add_part(collector: Collector, documents: pa.Table, heads: pa.Table, links: pa.Table) -> None:
    """Add one part of the tables, all of whose documents stand in all three of them and in their order."""
    layers, count = len(collector.layers), collector.heads
    figures = {
        metric.name: _column(heads, metric.name, np.float64).reshape(-1, layers, count)  # (B·L·H,) → (B, L, H)
        for metric in METRICS
    }
    collector.add(_documents(documents), figures, _links(links))


def _documents(table: pa.Table) -> DocumentRows:
    number, words, tokens, special = (
        _column(table, name, np.int64) for name in ("document", "words", "tokens", "special_tokens")
    )
    reason, note = ([text or "" for text in table[name].to_pylist()] for name in ("reason", "note"))
    source, line, row = (table[name].to_pylist() for name in ("source", "line", "row"))
    return DocumentRows(number, source, line, words, tokens, reason, note, special, row)


def _links(table: pa.Table) -> LinkRows:
    import pyarrow as pa

    ends = pa.chunked_array([*_plain(table["query"]).chunks, *_plain(table["key"]).chunks], pa.string())
    named = ends.dictionary_encode().unify_dictionaries().combine_chunks()
    named = named.combine_chunks() if isinstance(named, pa.ChunkedArray) else named
    query, key = np.split(named.indices.to_numpy(zero_copy_only=False).astype(np.int64), 2)
    integers = {name: _column(table, name, np.int64) for name in ("document", "layer", "head", "distance")}
    words = named.dictionary.to_pylist()
    return LinkRows(query=query, key=key, weight=_column(table, "weight", np.float64), words=words, **integers)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    return column.cast(pa.string())


def _column(table: pa.Table, name: str, kind: type[np.generic]) -> NDArray[Any]:
    """A column as an array; null is NaN, or 0 where the ``kind`` has none."""
    import pyarrow.compute as pc

    column = table[name] if np.issubdtype(kind, np.floating) else pc.fill_null(table[name], 0)
    return np.asarray(column.to_numpy()).astype(kind)


def summary_files(corpus: Corpus, about: About, quotations: Quotations | None = None) -> dict[str, bytes]:
    """The files of the summary by their names; the page has the ``quotations``."""
    from attnviz.render.figure import draw_maps, to_png

    found = roles(corpus)
    shown = corpus_maps(corpus)
    title = f"{about.model.rpartition('/')[2]} over {count_of(corpus.counts.measured, 'document')}"
    note = "Means over the documents. Shares of attention in percent. Layers down, heads across."
    parts = {
        name: json.dumps(part, ensure_ascii=False, allow_nan=False)
        for name, part in document(corpus, found, about).items()
    }
    text = "{\n" + ",\n".join(f'"{name}": {part}' for name, part in parts.items()) + "\n}\n"
    return {
        "summary.json": text.encode("utf-8", "replace"),
        "summary.parquet": _parquet(corpus),
        "heads.png": to_png(draw_maps(shown, corpus.layers, title, note)),
        "report.html": corpus_page(corpus, found, about, quotations).encode("utf-8", "replace"),
    }


def _parquet(corpus: Corpus) -> bytes:
    """A row for each layer, head and figure; behind the figures of documents are the scores of other roles."""
    import pyarrow as pa

    layers, count = len(corpus.layers), corpus.heads
    metrics, known = [*AMOUNTS], [statistics(corpus.figures[metric.name]) for metric in AMOUNTS]
    metrics.append(POSITIONAL)
    known.append(_of_modes(corpus.modes["offset"], [*known[0]]))
    if corpus.induction is not None:
        metrics.append(INDUCTION)
        known.append(statistics(corpus.induction))
    cells, many = layers * count, len(metrics)
    head = np.tile(np.arange(count, dtype=np.int16), layers)
    columns: dict[str, Any] = {
        "layer": np.repeat(np.repeat(np.array(corpus.layers, np.int16), count), many),
        "head": np.repeat(head, many),
        "metric": [metric.name for metric in metrics] * cells,
        "unit": [metric.unit for metric in metrics] * cells,
    }
    for name in known[0]:
        columns[name] = np.stack([each[name].ravel() for each in known], 1).ravel()  # (L·H, metrics) → rows
    arrays = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
    fields = [pa.field(name, array.type, metadata={"meaning": _MEANINGS[name]}) for name, array in arrays.items()]
    meanings = {metric.name: f"{metric.meaning} [{metric.unit}]" for metric in metrics}
    table = pa.table(list(arrays.values()), schema=pa.schema(fields, metadata=meanings))
    return bytes(as_parquet(table))


def _of_modes(modes: Modes, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """What is known of the weights counted with the commonest values, by the ``names`` of columns; else NaN."""
    there = {"count": modes.documents, "mean": modes.weighted, "deviation": modes.deviation}
    return {name: there.get(name, np.full(modes.share.shape, np.nan)) for name in names}

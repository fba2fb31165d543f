"""Small corpora that are run, what their tables say, and who looks on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attnviz.analysis.corpus.metrics import METRICS, NAMES, Measured
from attnviz.attention.observers import Only, Weights
from attnviz.batch.engine.job import Job
from attnviz.batch.input.options import ReadOptions
from attnviz.encoding import Encoding
from attnviz.interface import Model
from attnviz.record import Request
from attnviz.render import figure
from tests.analysis import naive

LINE = ReadOptions(split="line")
SENTENCES = (
    "The bank approved the loan.",
    "The river bank, because of the river!",
    "a",
    "It had the company; the company had it.",
    "?",
    "The financial loan of the strong bank.",
)
LONG = ("The bank approved the loan because the company had it, of the river. " * 8).strip()
"""Of more tokens than the tiny models read at once."""


class Seen:
    """Looks on, and keeps what it is told."""

    def __init__(self) -> None:
        self.bytes = self.documents = self.tokens = self.failures = self.known = 0
        self.verdicts: list[str] = []

    def began(self, folder: Any) -> None:
        self.folder = folder

    def read(self, count: int) -> None:
        self.bytes += count

    def found(self, documents: int) -> None:
        self.known += documents

    def worked(self, documents: int, tokens: int) -> None:
        self.documents += documents
        self.tokens += tokens

    def failed(self, documents: int) -> None:
        self.failures += documents

    def differs(self, verdict: str) -> None:
        self.verdicts.append(verdict)


def lines(path: Path, texts: Sequence[str]) -> Path:
    """A file with a text a line."""
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def job(inputs: Path | str, output: Path | str, model: Path, **more: Any) -> Job:
    """A document a line, and no check, unless ``more`` says so."""
    return replace(Job((str(inputs),), str(output), {"model": str(model)}, LINE, check="none"), **more)


def table(where: Path, name: str) -> pa.Table:
    """One of the tables, all parts of it, without what their schemas say of each part."""
    parts = sorted(where.joinpath(f"{name}.parquet").glob("*.parquet"))
    return pa.concat_tables(pq.ParquetFile(part).read().replace_schema_metadata() for part in parts)


def rows(where: Path) -> dict[str, pa.Table]:
    """All tables, without the seconds, which are not the same twice."""
    found = {name: table(where, name) for name in ("documents", "heads", "links")}
    return found | {"documents": found["documents"].drop_columns(["seconds"])}


def facts(where: Path) -> Any:
    """What run.json says."""
    return json.loads(where.joinpath("run.json").read_bytes())


def without_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture, which takes longest, is not drawn."""
    monkeypatch.setattr(figure, "draw_maps", lambda *_: None)
    monkeypatch.setattr(figure, "to_png", lambda _: b"no picture")


def by_definition(model: Model, encoding: Encoding, asked: Request) -> Measured:
    """What is measured of a text that the model reads at once, from all of its weights."""
    kept, kind = Weights(), model.backend.kinds[0]
    target = model.encode("a") if len(model.backend.kinds) > 1 else None
    model.backend.run(encoding, [Only(kind, [kept])], target)
    n, causal = len(encoding), model.backend.causal(kind)
    seen = np.tri(n, dtype=bool) if causal else np.ones((n, n), bool)
    return naive.measured(kept.stacked(kind).numpy(), encoding, asked, causal=causal, seen=seen)


def assert_rows(where: Path, number: int, encoding: Encoding, expected: Measured, close: float = 1e-4) -> None:
    """The document ``number`` has the rows that its figures and links make."""
    heads = table(where, "heads").filter(pa.compute.field("document") == number)
    layers, count, _ = expected.figures.shape
    assert heads["layer"].to_pylist() == [layer for layer in range(layers) for _ in range(count)]
    assert heads["head"].to_pylist() == [*range(count)] * layers
    for metric, place in zip(METRICS, range(len(NAMES)), strict=True):
        found = np.array([np.nan if value is None else value for value in heads[metric.name].to_pylist()])
        theirs = expected.figures[..., place].ravel()
        np.testing.assert_allclose(found, theirs, rtol=close, atol=close, err_msg=metric.name)
    links = table(where, "links").filter(pa.compute.field("document") == number)
    theirs = expected.links
    words = [word.text for word in encoding.words]
    assert links["layer"].to_pylist() == theirs.layer.tolist()
    assert links["head"].to_pylist() == theirs.head.tolist()
    assert links["query_position"].to_pylist() == theirs.query.tolist()
    assert links["key_position"].to_pylist() == theirs.key.tolist()
    assert links["query"].to_pylist() == [words[place] for place in theirs.query]
    assert links["key"].to_pylist() == [words[place] for place in theirs.key]
    np.testing.assert_allclose(links["weight"].to_numpy(), theirs.weight, rtol=close)

"""Tables of pairs: the attention of targets to their sources, held to transformers' and to plain loops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attnviz.analysis.corpus.crossing import measure_pair
from attnviz.analysis.corpus.metrics import METRICS, NAMES
from attnviz.batch.document import Document
from attnviz.batch.engine.checking import Checker
from attnviz.batch.engine.chunk import Chunk
from attnviz.batch.engine.work import Worker, WorkOptions
from attnviz.batch.output.result import DocumentResult
from attnviz.errors import UsageError
from attnviz.interface import EncoderDecoder, Model, load
from attnviz.record import Request
from tests import tiny, translators

PAIRS = (
    ("The bank approved the loan.", "It had the river, of the company, because it had the bank."),
    ("The river bank, because of the river!", "the loan"),
    ("a", "It had the company."),
)
ALL = Request(links=4, special=True, everything=True)


def work(model: Model, request: Request = ALL) -> tuple[Worker, list[DocumentResult]]:
    worker = Worker(model, WorkOptions(request, pairs=True))
    documents = tuple(Document(i, "a", i + 1, text, target=target) for i, (text, target) in enumerate(PAIRS))
    chunk = Chunk(0, documents)
    return worker, worker.measure(chunk, worker.encode(chunk))


@pytest.mark.parametrize("make", [tiny.t5, translators.nllb, translators.seamless], ids=["t5", "nllb", "hosted"])
@pytest.mark.parametrize("request_", [ALL, Request(links=3)], ids=["all", "content"])
def test_the_tables_are_what_transformers_says(tmp_path: Path, make: tiny.Saver, request_: Request) -> None:
    worker, found = work(load(make(tmp_path)), request_)
    verdict = Checker(worker, "all").check(found)
    assert verdict is not None
    assert (verdict.documents, verdict.passed, verdict.unchecked) == (3, True, 0), verdict


@pytest.mark.parametrize("name", ["entropy", "special", "confidence", "received", "sink_position", "distance", "links"])
def test_a_wrong_value_fails_the_check(tiny_t5: Path, name: str) -> None:
    worker, found = work(load(tiny_t5))
    measured = found[1].measured
    assert measured is not None
    if name == "links":
        measured.links.weight[1] *= 1.001
    else:
        measured.figures[1, 2, NAMES.index(name)] = 99.5
    verdict = Checker(worker, "all").check(found)
    assert verdict is not None
    assert verdict.failed == (1,)
    assert verdict.differ == name


def test_links_and_figures_are_those_of_plain_loops(tiny_t5: Path) -> None:
    model = load(tiny_t5)
    source, target = model.inputs(*PAIRS[0][:1], target=PAIRS[0][1])
    assert target is not None
    record = model.attend(PAIRS[0][0], target=PAIRS[0][1])
    assert isinstance(record, EncoderDecoder)
    a = np.asarray(record.cross.weights, float)
    measured = measure_pair(model.backend, source, target, ALL)
    for layer in range(2):
        best = {}
        for q, query in enumerate(target.words):
            for k, key in enumerate(source.words):
                each = a[layer, :, query.start : query.stop, key.start : key.stop].sum(-1).mean(-1)
                best[q, k] = float(each.max()), int(each.argmax())
        strongest = sorted(best.items(), key=lambda one: -one[1][0])[:4]
        some = measured.links.layer == layer
        found = zip(*(getattr(measured.links, name)[some].tolist() for name in ("query", "key", "head")), strict=True)
        assert list(found) == [(*place, head) for place, (_, head) in strongest]
        assert measured.links.weight[some] == pytest.approx([weight for _, (weight, _) in strongest], abs=1e-6)
    figures = dict(zip(NAMES, np.moveaxis(measured.figures, -1, 0), strict=True))
    assert figures["entropy"] == pytest.approx((-a * np.log(a)).sum(-1).mean(-1), abs=1e-5)
    assert figures["received"] == pytest.approx(a.sum(2).max(-1), abs=1e-5)
    assert figures["special"] == pytest.approx(a[..., np.array(source.special)].sum(-1).mean(-1), abs=1e-5)
    assert figures["first"] == pytest.approx(a[..., 0].mean(-1), abs=1e-6)
    alone = {metric.name for metric in METRICS if metric.of_one_text}
    assert {name for name in NAMES if name != "cls" and np.isnan(figures[name]).all()} == alone


def test_a_model_of_one_stack_takes_no_pairs(tiny_bert: Path) -> None:
    with pytest.raises(UsageError, match="no decoder beside an encoder") as told:
        work(load(tiny_bert))
    assert "Marian" in told.value.hint


def test_pairs_with_one_source_are_told_apart() -> None:
    one = Document(0, "a", 1, "text", target="x")
    assert len({one.id, replace(one, target="y").id, replace(one, target=None).id}) == 3

"""The check of a corpus finds wrong weights and wrong figures, and checks the same documents however it is cut."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attnviz.analysis.check.differences import Differences, Tolerance
from attnviz.analysis.corpus.metrics import NAMES, Measured
from attnviz.batch.document import Document
from attnviz.batch.engine import work
from attnviz.batch.engine.checking import NAMED, Checked, Checker, Mode, merge_checks
from attnviz.batch.engine.chunk import chunks
from attnviz.batch.engine.work import Worker, WorkOptions
from attnviz.batch.output.result import DocumentResult
from attnviz.encoding import encode
from attnviz.interface import load
from attnviz.model.hosted import Hosted
from attnviz.model.native import run
from attnviz.record import Request
from tests.batch.jobs import LONG, SENTENCES


@pytest.fixture(scope="module")
def worker(tiny_bert: Path) -> Worker:
    return Worker(load(tiny_bert), WorkOptions(Request(links=2)))


def corpus(count: int) -> list[Document]:
    return [Document(i, "a.txt", i + 1, f"{SENTENCES[i % 6]} {i}") for i in range(count)]


def found(worker: Worker, documents: list[Document], size: int = 1024) -> list[list[DocumentResult]]:
    return [worker.measure(chunk, worker.encode(chunk)) for chunk in chunks(documents, size)]


def checked(worker: Worker, mode: Mode, documents: list[Document]) -> Checked:
    checker = Checker(worker, mode)
    return merge_checks(filter(None, map(checker.check, found(worker, documents))))


def test_those_first_and_one_in_a_hundred_are_checked_however_the_corpus_is_cut(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(Checker, "_check", lambda _, number, *__: drawn.append(number) or Checked(1))
    documents = [Document(i, "a.txt", i + 1, f"the bank {i}") for i in range(600)]
    some: list[list[int]] = []
    for size in (7, 600):
        for mode in ("sample", "all", "none"):
            checker = Checker(worker, mode)  # type: ignore[arg-type]
            assert [checker.check(each) for each in found(worker, documents, size)][-1:] != [Checked()]
            some.append(drawn[:])
            drawn.clear()
    by_content = [each.number for each in documents if int(each.id[:12], 16) % 100 == 0]
    assert 1 < len(by_content) < 20
    assert some == [sorted({0, 1, 2, *by_content}), [*range(600)], []] * 2


def test_a_corpus_that_is_right_passes(worker: Worker) -> None:
    verdict = checked(worker, "all", [*corpus(8), Document(8, "b.txt", None, LONG)])
    assert verdict.passed
    assert verdict.documents == 9
    assert verdict.max_abs_diff <= verdict.tolerance == 1e-5
    assert 0 < verdict.figures_apart < 4e-5
    assert str(verdict).startswith("9 documents against transformers: links at most ")


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_hosted", "tiny_t5"])
def test_every_kind_of_model_is_checked(name: str, request: pytest.FixtureRequest) -> None:
    verdict = checked(Worker(load(request.getfixturevalue(name)), WorkOptions()), "all", corpus(2))
    assert (verdict.documents, verdict.passed) == (2, True), verdict


def test_wrong_weights_fail(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long document has other weights than transformers'."""
    own = run.attend
    monkeypatch.setattr(run, "attend", lambda q, *given, **more: own(q * 1.001, *given, **more))
    verdict = checked(worker, "all", [Document(0, "b.txt", None, LONG), *corpus(5)[1:]])
    assert verdict.passed is False
    assert verdict.max_abs_diff > 1e-5
    assert verdict.failed == (0,)
    assert "; beyond what rounding explains in 1 of them (number 0; " in str(verdict)


def wrong_figure(measured: Measured) -> None:
    measured.figures[1, 2, NAMES.index("entropy")] += 0.01


def no_figure(measured: Measured) -> None:
    measured.figures[1, 2, NAMES.index("punctuation")] = np.nan


@pytest.mark.parametrize("harm", [wrong_figure, no_figure])
def test_a_wrong_figure_fails_where_the_weights_are_right(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Measured], None]
) -> None:
    own = work.measure

    def wrong(*given: Any, **how: Any) -> Any:
        some = own(*given, **how)
        harm(some[1])
        return some

    monkeypatch.setattr(work, "measure", wrong)
    verdict = checked(worker, "all", corpus(4))
    assert verdict.passed is False
    assert verdict.failed == (1,)
    assert verdict.max_abs_diff <= 1e-5
    assert verdict.figures_apart > 1e-3
    assert f"figures at most {verdict.figures_apart:.1e}; beyond" in str(verdict)
    assert f"in 1 of them (number 1; {verdict.differ})" in str(verdict)


def test_all_that_differ_are_counted_and_the_first_are_named_in_whatever_order_they_come() -> None:
    parts = [Checked(1, 1.0, 1e-5, failed=(number,), beyond=1, differ="entropy") for number in reversed(range(1000))]
    verdict = Checked()
    for part in parts:  # one by one, as a run adds them
        verdict = merge_checks([verdict, part])
    assert verdict == merge_checks(parts)
    assert (verdict.beyond, verdict.failed) == (1000, (*range(NAMED),))
    assert str(verdict).endswith("in 1,000 of them (number 0, 1, 2, 3, 4 …; entropy)")


@pytest.mark.parametrize(
    ("shown", "right", "fits"),
    [
        (1000.03, 1000, True),
        (1000.1, 1000, False),  # a part in a thousand of a large figure is not rounding
        (1.5e-5, 0, False),
        (np.nan, np.nan, True),
        (np.nan, 1e6, False),
        (1e6, np.nan, False),
    ],
)
def test_what_is_rounding_of_a_figure(shown: float, right: float, *, fits: bool) -> None:
    found = Differences(Tolerance.of(1e-5))
    found.values("distance", torch.tensor([shown]), torch.tensor([right]))
    assert (found.apart <= 1) is fits
    assert found.worst == "distance"


def test_of_more_windows_than_are_all_read_the_verdict_says_how_many_were(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnviz.analysis.check.tables.ALL_WINDOWS", 2)
    long = Document(0, "a.txt", 1, " ".join([LONG] * 3))
    documents = [long, Document(1, "a.txt", 2, SENTENCES[0])]
    windows = worker.windows(encode(worker.model.checkpoint.tokenizer, long.text))
    assert windows
    total = len(windows)
    verdict = checked(worker, "all", documents)
    assert verdict.passed
    assert (verdict.documents, verdict.links_only, verdict.windows, verdict.partly) == (2, 1, total, 0)
    assert 0 < verdict.read < total
    assert f"(of 1 very long ones no figures, and the links in {verdict.read} of their {total} windows)" in str(verdict)


def test_where_it_can_not_be_made_that_is_said(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("no memory is left")

    monkeypatch.setattr(Hosted, "reference", full)
    verdict = checked(worker, "all", corpus(4))
    assert verdict.passed is None
    assert verdict.unchecked == 4
    assert str(verdict) == "not made: the model can't run this text (no memory is left)"
    some = merge_checks([verdict, Checked(2, 1e-7, 1e-5, 2e-6)])
    assert some.passed
    assert str(some) == (
        "2 documents against transformers: links at most 1.0e-07 apart, figures at most 2.0e-06; "
        "4 could not be checked: the model can't run this text (no memory is left)"
    )
    assert str(Checked()) == "not made"


def test_a_verdict_is_kept_in_json(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    own = work.measure

    def endless(*given: Any, **how: Any) -> Any:
        found = own(*given, **how)
        for measured in found:
            measured.links.weight[:1] = np.inf
        return found

    monkeypatch.setattr(work, "measure", endless)
    verdict = checked(worker, "all", corpus(3))
    assert verdict.passed is False
    read = Checked(**json.loads(json.dumps(asdict(verdict), allow_nan=False)))
    assert merge_checks([read]) == verdict
    many = merge_checks(Checked(unchecked=1, reasons=(f"reason {i}",)) for i in range(100))
    assert (many.unchecked, len(many.reasons)) == (100, 5)

"""The check of a corpus finds wrong weights and wrong figures, and checks the same documents however it is cut."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attnviz.analysis.measured import NAMES, Asked, Measured
from attnviz.batch import checking, work
from attnviz.batch.checking import NAMED, Checked, Checker, Mode, figures_apart, together
from attnviz.batch.chunk import chunks
from attnviz.batch.document import Document
from attnviz.batch.found import Found
from attnviz.batch.work import How, Worker
from attnviz.interface import load
from attnviz.model import run
from tests.batch.jobs import LONG, SENTENCES


@pytest.fixture(scope="module")
def worker(tiny_bert: Path) -> Worker:
    return Worker(load(tiny_bert), How(Asked(top=2)))


def corpus(count: int) -> list[Document]:
    return [Document(i, "a.txt", i + 1, f"{SENTENCES[i % 6]} {i}") for i in range(count)]


def found(worker: Worker, documents: list[Document], size: int = 1024) -> list[list[Found]]:
    return [worker.measure(chunk, worker.encode(chunk)) for chunk in chunks(documents, size)]


def checked(worker: Worker, mode: Mode, documents: list[Document]) -> Checked:
    checker = Checker(worker, mode)
    return together(filter(None, map(checker.check, found(worker, documents))))


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
    assert 0 < verdict.figures_apart < 1e-4
    assert str(verdict).startswith("9 documents against transformers: weights ")


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_mixtral", "tiny_t5"])
def test_every_kind_of_model_is_checked(name: str, request: pytest.FixtureRequest) -> None:
    verdict = checked(Worker(load(request.getfixturevalue(name)), How()), "all", corpus(2))
    assert (verdict.documents, verdict.passed) == (2, True), verdict


def test_wrong_weights_fail(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents run alone have other weights than transformers'."""
    own = run.attend
    monkeypatch.setattr(run, "attend", lambda q, *given, **more: own(q * 1.001, *given, **more))
    verdict = checked(worker, "all", corpus(5))
    assert verdict.passed is False
    assert verdict.max_abs_diff > 1e-5
    assert 0 in verdict.failed
    assert "; beyond 1e-05 or 1e-04 in " in str(verdict)
    assert "(number 0, 1" in str(verdict)


def wrong_figure(measured: Measured) -> None:
    measured.figures[1, 2, NAMES.index("entropy")] += 0.01


def no_figure(measured: Measured) -> None:
    measured.figures[1, 2, NAMES.index("punctuation")] = np.nan


@pytest.mark.parametrize("harm", [wrong_figure, no_figure])
def test_a_wrong_figure_fails_where_the_weights_are_right(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Measured], None]
) -> None:
    own = work.measure

    def wrong(*given: Any) -> Any:
        some = own(*given)
        harm(some[1])
        return some

    monkeypatch.setattr(work, "measure", wrong)
    verdict = checked(worker, "all", corpus(4))
    assert verdict.passed is False
    assert verdict.failed == (1,)
    assert verdict.max_abs_diff <= 1e-5
    assert verdict.figures_apart > 1e-3
    assert f"figures at most {verdict.figures_apart:.1e}; beyond" in str(verdict)
    assert str(verdict).endswith("in 1 of them (number 1)")


def test_all_that_differ_are_counted_and_the_first_are_named_in_whatever_order_they_come() -> None:
    parts = [Checked(1, 1.0, 1e-5, failed=(number,), beyond=1) for number in reversed(range(1000))]
    verdict = Checked()
    for part in parts:  # one by one, as a run adds them
        verdict = together([verdict, part])
    assert verdict == together(parts)
    assert (verdict.beyond, verdict.failed) == (1000, (*range(NAMED),))
    assert str(verdict).endswith("in 1,000 of them (number 0, 1, 2, 3, 4 …)")


def test_a_part_in_a_thousand_of_a_large_figure_is_not_rounding() -> None:
    figures = np.zeros((1, 1, len(NAMES)))
    one, other = (Measured(figures.copy(), None) for _ in range(2))  # type: ignore[arg-type]
    one.figures[..., NAMES.index("distance")], other.figures[..., NAMES.index("distance")] = 1000.01, 1000
    one.figures[..., NAMES.index("sink_position")] = 7  # where two keys take the same, either may be the sink
    assert figures_apart(one, other) == pytest.approx(1e-5)
    one.figures[..., NAMES.index("distance")] = np.nan
    assert figures_apart(one, other) == figures_apart(other, one) == 1


def test_where_it_can_not_be_made_that_is_said(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("no memory is left")

    monkeypatch.setattr(checking, "measure_alone", full)
    verdict = checked(worker, "all", corpus(4))
    assert verdict.passed is None
    assert verdict.unchecked == 4
    assert str(verdict) == "not made: the model can't run this text (no memory is left)"
    some = together([verdict, Checked(2, 1e-7, 1e-5, 2e-6)])
    assert some.passed
    assert str(some) == (
        "2 documents against transformers: weights at most 1.0e-07 apart, figures at most 2.0e-06; "
        "4 could not be checked: the model can't run this text (no memory is left)"
    )
    assert str(Checked()) == "not made"


def test_a_verdict_is_kept_in_json(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    own = worker.model.check_encoding

    def endless(*given: Any, **more: Any) -> Any:
        return replace(own(*given, **more), max_abs_diff=float("inf"), double=None)

    monkeypatch.setattr(type(worker.model), "check_encoding", lambda _, *given, **more: endless(*given, **more))
    verdict = checked(worker, "all", corpus(3))
    assert verdict.passed is False
    read = Checked(**json.loads(json.dumps(asdict(verdict), allow_nan=False)))
    assert together([read]) == verdict
    many = together(Checked(unchecked=1, reasons=(f"reason {i}",)) for i in range(100))
    assert (many.unchecked, len(many.reasons)) == (100, 5)

"""Breaks in what is shown of long texts, windows and corpora: the check sees each of them, exit code 5."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz.analysis import survey as survey_module
from attnviz.analysis.measured import METRICS, NAMES, Measured
from attnviz.batch import work
from attnviz.model import loops
from attnviz.record import Survey
from tests.cli.conftest import Run, run

__all__ = ["run"]

TEXT = "\n\n".join(
    ["The bank approved the loan, of it.", "The company had strong financials of it.", "It flooded."] * 2
)
WINDOWS = " ".join([TEXT] * 2)


@pytest.fixture(autouse=True)
def _everything_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnviz.model.ways.LONG", 0)


WAYS = ("native", "hosted", "windows")


@pytest.fixture
def show(request: pytest.FixtureRequest, run: Run) -> Callable[[str], int]:
    """Shows a long text, by each way and in windows, and says how that ended."""

    def show(way: str) -> int:
        if way == "windows":
            return run("show", WINDOWS, "--windows").code
        model = request.getfixturevalue({"native": "tiny_llama", "hosted": "tiny_mixtral"}[way])
        return run("show", TEXT, "--model", model).code

    return show


@pytest.mark.parametrize("way", WAYS)
def test_what_is_right_passes(show: Callable[[str], int], way: str) -> None:
    assert show(way) == 0


@pytest.mark.parametrize("way", WAYS)
def test_mutation_the_compiled_softmax_of_a_long_text(
    show: Callable[[str], int], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    own = loops.softmax

    def wrong(scores: Any, *given: Any) -> None:
        own(scores, *given)
        scores *= np.float32(1.05)

    monkeypatch.setattr(loops, "softmax", wrong)
    assert show(way) == 5


def harmed(found: Survey, **changed: Any) -> Survey:
    return replace(found, **changed)


def swap(array: np.ndarray) -> np.ndarray:
    """Two heads of the last layer in each other's place."""
    array = array.copy()
    array[-1, [1, 2]] = array[-1, [2, 1]]
    return array


def top(found: Any, change: Callable[[np.ndarray], np.ndarray], *names: str) -> Any:
    return replace(found, **{name: change(getattr(found, name)) for name in names})


def figure(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Survey], Survey]:
    return lambda found: harmed(found, figures={**found.figures, name: change(found.figures[name])})


def shift(array: np.ndarray) -> np.ndarray:
    return np.roll(array, 1, -1)


BREAKS: dict[str, Callable[[Survey], Survey]] = {
    "entropy": figure("entropy", lambda a: a * 1.5),
    "figures of two heads": lambda found: harmed(found, figures={k: swap(v) for k, v in found.figures.items()}),
    "links of two heads": lambda found: harmed(found, links=top(found.links, swap, "weights", "keys")),
    "keys off by one": lambda found: harmed(
        found, links=top(found.links, lambda keys: np.where(keys > 1, keys - 1, keys), "keys")
    ),
    "half of each link": lambda found: harmed(found, links=top(found.links, lambda a: a * 0.5, "weights")),
    "no strongest link": lambda found: harmed(
        found, links=top(found.links, lambda a: np.concatenate((a[..., 1:], a[..., -1:]), -1), "weights", "keys")
    ),
    "a map": lambda found: harmed(found, maps=top(found.maps, shift, "values")),
    "received": lambda found: harmed(found, received=found.received * 2),
    "received by another": lambda found: harmed(found, received=shift(found.received)),
    "sink": figure("sink", lambda a: a + 0.01),
    "largest": figure("largest", lambda a: a * 0.99),
    "offset": figure("offset", lambda a: a - 1),
    "offset share": figure("offset_share", lambda a: a * 0.8),
    "far links of another band": lambda found: harmed(
        found, bands=top(found.bands, lambda a: np.roll(a, 1, 2), "weights", "keys", "queries")
    ),
    "far links of two heads": lambda found: harmed(found, bands=top(found.bands, swap, "weights", "keys", "queries")),
    "profile": lambda found: harmed(found, profile=shift(found.profile)),
    "averages": lambda found: harmed(found, average=None if found.average is None else found.average * 1.05),
}


@pytest.mark.parametrize(("harm", "way"), [*zip(BREAKS, cycle(WAYS), strict=False)])
def test_mutation_of_a_survey(show: Callable[[str], int], monkeypatch: pytest.MonkeyPatch, harm: str, way: str) -> None:
    """A survey is spoiled before it is shown."""
    own = survey_module.survey

    def wrong(*given: Any, **more: Any) -> Survey:
        return BREAKS[harm](own(*given, **more))

    monkeypatch.setattr(survey_module, "survey", wrong)
    assert show(way) == 5


DOCUMENTS = [
    "The bank approved the loan because the company had strong financials of it.",
    "It flooded the river, and the loan of the bank had it.",
    " ".join([TEXT] * 2),  # longer than the random BERT: in windows
]


MODELS = ("tiny_bert", "tiny_llama", "tiny_mixtral", "tiny_t5")


@pytest.fixture
def tables(request: pytest.FixtureRequest, run: Run, tmp_path: Path) -> Callable[[str], int]:
    """Writes the tables of documents, all of them checked, and says how that ended; long ones run alone."""

    def tables(model: str) -> int:
        (tmp_path / "a.txt").write_text("\n".join(text.replace("\n", " ") for text in DOCUMENTS))
        given = ["--model", request.getfixturevalue(model), "--split", "line", "--check", "all", "-q"]
        return run("batch", tmp_path / "a.txt", "-o", tmp_path / "out", *given).code

    return tables


@pytest.mark.parametrize("model", MODELS)
def test_tables_that_are_right_pass(tables: Callable[[str], int], model: str) -> None:
    assert tables(model) == 0


def column(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Measured], None]:
    def harm(measured: Measured) -> None:
        place = measured.figures[..., NAMES.index(name)]
        place[...] = change(place)

    return harm


def link(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Measured], None]:
    def harm(measured: Measured) -> None:
        place = getattr(measured.links, name)
        place[...] = change(place)

    return harm


def in_the_wrong_head(measured: Measured) -> None:
    measured.links.head[...] = (measured.links.head + 1) % measured.figures.shape[1]
    measured.links.weight[...] *= 0.5


def other_heads(measured: Measured) -> None:
    measured.figures[-1, [1, 2]] = measured.figures[-1, [2, 1]]


TABLES: dict[str, Callable[[Measured], None]] = {
    **{
        metric.name: column(metric.name, lambda a: a * 1.01 + 0.001)
        for metric in METRICS
        if metric.kind == "amount" and metric.name != "offset_share"
    },
    "offset share": column("offset_share", lambda a: a * 0.7),
    "offset": column("offset", lambda a: a - 1),
    "sink position": column("sink_position", lambda a: a + 1),
    "received position": column("received_position", lambda a: (a + 1) % 3),
    "links in the wrong head at half their weight": in_the_wrong_head,
    "keys of links": link("key", lambda a: np.where(a > 1, a - 1, a + 1)),
    "queries of links": link("query", lambda a: a[::-1]),
    "figures of two heads": other_heads,
}


def spoil(monkeypatch: pytest.MonkeyPatch, harm: Callable[[Measured], None], *, short: bool) -> None:
    """Spoil what is measured of short documents, or of long ones, before it is checked and written."""
    if not short:
        monkeypatch.setattr("attnviz.batch.work.fits_tile", lambda *_: False)
    name = "measure" if short else "measure_alone"
    own = getattr(work, name)

    def wrong(*given: Any, **more: Any) -> Any:
        found = own(*given, **more)
        for measured in found if short else [found]:
            harm(measured)
        return found

    monkeypatch.setattr(work, name, wrong)


@pytest.mark.parametrize(("harm", "model"), [*zip(TABLES, cycle(MODELS), strict=False)])
def test_mutation_of_tables_of_packs(
    tables: Callable[[str], int], monkeypatch: pytest.MonkeyPatch, harm: str, model: str
) -> None:
    spoil(monkeypatch, TABLES[harm], short=True)
    assert tables(model) == 5


@pytest.mark.parametrize(("harm", "model"), [*zip(TABLES, cycle(MODELS[:2]), strict=False)])
def test_mutation_of_tables_of_long_documents(
    tables: Callable[[str], int], monkeypatch: pytest.MonkeyPatch, harm: str, model: str
) -> None:
    spoil(monkeypatch, TABLES[harm], short=False)
    assert tables(model) == 5

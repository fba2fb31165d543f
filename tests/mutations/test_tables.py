"""Breaks in what is shown of long texts, windows and corpora: the check sees each of them, exit code 5."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from attnviz.analysis.corpus import alone as alone_module
from attnviz.analysis.corpus.metrics import METRICS, NAMES, Measured
from attnviz.attention import kernel
from attnviz.attention.compiled import HIDDEN
from attnviz.attention.compiled import packs as pack_loops
from attnviz.attention.compiled import passes as loops
from attnviz.attention.compiled import products as pack_products
from attnviz.batch.document import Document
from attnviz.batch.engine.checking import Checker
from attnviz.batch.engine.chunk import chunks
from attnviz.batch.engine.work import Worker, WorkOptions
from attnviz.batch.output.result import DocumentResult
from attnviz.encoding import Encoding
from attnviz.interface import Model, load
from attnviz.model.check.judge import Judge
from attnviz.model.native.backend import Native
from attnviz.record import Observation, Request
from tests import tiny
from tests.cli.conftest import Run, run

__all__ = ["run"]

TEXT = "\n\n".join(
    ["The bank approved the loan, of it.", "The company had strong financials of it.", "It flooded."] * 2
)
WINDOWS = " ".join([TEXT] * 2)


@pytest.fixture(autouse=True)
def _everything_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnviz.model.backends.MAX_KEPT_BYTES", 0)


BACKENDS = ("native", "hosted", "windows")


@pytest.fixture
def show(request: pytest.FixtureRequest, run: Run) -> Callable[[str], int]:
    """Shows a long text, by each way and in windows, and says how that ended."""

    def show(backend: str) -> int:
        if backend == "windows":
            return run("show", WINDOWS, "--windows").code
        model = request.getfixturevalue({"native": "tiny_llama", "hosted": "tiny_hosted"}[backend])
        return run("show", TEXT, "--model", model).code

    return show


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_right_passes(show: Callable[[str], int], backend: str) -> None:
    assert show(backend) == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_mutation_the_compiled_softmax_of_a_long_text(
    show: Callable[[str], int], monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    own = loops.weigh

    def wrong(scores: Any, *given: Any) -> None:
        own(scores, *given)
        scores *= np.float32(1.05)

    monkeypatch.setattr(kernel, "PARALLEL", 0)
    monkeypatch.setattr(loops, "weigh", wrong)
    assert show(backend) == 5


def harmed(found: Observation, **changed: Any) -> Observation:
    return replace(found, **changed)


def swap(array: np.ndarray) -> np.ndarray:
    """Two heads of the last layer in each other's place."""
    array = array.copy()
    array[-1, [1, 2]] = array[-1, [2, 1]]
    return array


def top(found: Any, change: Callable[[np.ndarray], np.ndarray], *names: str) -> Any:
    return replace(found, **{name: change(getattr(found, name)) for name in names})


def figure(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Observation], Observation]:
    return lambda found: harmed(found, figures={**found.figures, name: change(found.figures[name])})


def shift(array: np.ndarray) -> np.ndarray:
    return np.roll(array, 1, -1)


BREAKS: dict[str, Callable[[Observation], Observation]] = {
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
    "long-range links of another band": lambda found: harmed(
        found, bands=top(found.bands, lambda a: np.roll(a, 1, 2), "weights", "keys", "queries")
    ),
    "long-range links of two heads": lambda found: harmed(
        found, bands=top(found.bands, swap, "weights", "keys", "queries")
    ),
    "profile": lambda found: harmed(found, profile=shift(found.profile)),
    "averages": lambda found: harmed(found, average=None if found.average is None else found.average * 1.05),
}


@pytest.fixture(scope="module")
def judges() -> dict[str, tuple[Model, Observation, Judge]]:
    """By way: a model, what it shows, and the models that judge that, which stay open."""
    return {}


@pytest.mark.parametrize(("harm", "backend"), [*zip(BREAKS, cycle(BACKENDS), strict=False)])
def test_mutation_of_a_survey(
    judges: dict[str, tuple[Model, Observation, Judge]], request: pytest.FixtureRequest, harm: str, backend: str
) -> None:
    """An observation is spoiled before it is checked."""
    if backend not in judges:
        names = {"native": "tiny_llama", "hosted": "tiny_hosted", "windows": "tiny_bert"}
        model = load(request.getfixturevalue(names[backend]))
        found = model.observe(WINDOWS if backend == "windows" else TEXT, windows=backend == "windows")
        judges[backend] = model, found, Judge(model.checkpoint)
    model, found, judge = judges[backend]
    check = model.check_record(BREAKS[harm](found), judge=judge)
    assert not check.passed
    assert check.recomputed


DOCUMENTS = [
    "The bank approved the loan because the company had strong financials of it.",
    "It flooded the river, and the loan of the bank had it.",
    " ".join([TEXT] * 2),  # longer than the random BERT: in windows
]


MODELS = ("tiny_bert", "tiny_hosted", "tiny_t5")


@pytest.fixture
def tables(
    request: pytest.FixtureRequest, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str | Path], int]:
    """Writes the tables of documents, all of them checked, and says how that ended; long ones run alone."""
    monkeypatch.setattr("attnviz.batch.engine.finish.summary_files", lambda *_: {})  # pictures are of no matter here

    def tables(model: str | Path) -> int:
        folder = request.getfixturevalue(model) if isinstance(model, str) else model
        (tmp_path / "a.txt").write_text("\n".join(text.replace("\n", " ") for text in DOCUMENTS))
        given = ["--model", folder, "--split", "line", "--check", "all", "-q"]
        return run("batch", tmp_path / "a.txt", "-o", tmp_path / "out", *given).code

    return tables


@pytest.mark.parametrize("model", MODELS)
def test_tables_that_are_right_pass(tables: Callable[[str | Path], int], model: str) -> None:
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


@pytest.fixture(scope="module")
def checkers() -> dict[tuple[str, str], tuple[Checker, DocumentResult]]:
    """By path and model: a document that was measured, and what checks it, which stays open."""
    return {}


PATHS = [("packs", "tiny_llama"), ("long", "tiny_llama"), ("packs", "tiny_hosted"), ("long", "tiny_bert")]


@pytest.mark.parametrize(
    ("harm", "path", "model"), [(harm, *path) for harm, path in zip(TABLES, cycle(PATHS), strict=False)]
)
def test_mutation_of_tables(
    checkers: dict[tuple[str, str], tuple[Checker, DocumentResult]],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    harm: str,
    path: str,
    model: str,
) -> None:
    """What was measured is spoiled before it is checked and written: of short documents, and of those that run alone.

    BERT reads its one in windows.
    """
    if (path, model) not in checkers:
        alone(monkeypatch, path)
        worker = Worker(load(request.getfixturevalue(model)), WorkOptions(Request(links=3)))
        text = (DOCUMENTS[2] if model == "tiny_bert" else DOCUMENTS[0]).replace("\n", " ")
        chunk = next(iter(chunks([Document(0, "a.txt", 1, text)], 8)))
        checkers[path, model] = Checker(worker, "all"), worker.measure(chunk, worker.encode(chunk))[0]
    checker, found = checkers[path, model]
    assert found.measured
    measured = copy.deepcopy(found.measured)
    TABLES[harm](measured)
    verdict = checker.check([replace(found, measured=measured)])
    assert verdict
    assert verdict.passed is False


def alone(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Let every document run alone, as long ones do, where the ``path`` is that of these."""
    if path == "long":
        monkeypatch.setattr("attnviz.analysis.plan.fits_tile", lambda *_: False)


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_mutation_the_entropy_of_long_documents(
    tables: Callable[[str | Path], int], monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """Times 1.5 where the observer of a document that runs alone adds it up."""
    alone(monkeypatch, "long")
    own = loops.weigh

    def wrong(*given: Any) -> None:
        own(*given)
        given[6][:, 0] *= 1.5  # the sums of the entropy

    monkeypatch.setattr(loops, "weigh", wrong)
    assert tables(model) == 5


def test_mutation_links_of_packs_in_the_wrong_head_at_half_their_weight(
    tables: Callable[[str | Path], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnviz.analysis.plan.FEW", 0)
    own = pack_loops.find_links

    def wrong(scores: Any, first: int, *given: Any) -> None:
        own(scores, first, *given)
        (heads, _, _), weights = given[-2:]
        some = slice(first, first + len(scores))
        heads[some] = (heads[some] + 1) % scores.shape[1]
        weights[some] *= 0.5

    monkeypatch.setattr(pack_loops, "find_links", wrong)
    assert tables("tiny_llama") == 5


def test_mutation_a_pack_leaks_a_token_over_its_boundary(
    tables: Callable[[str | Path], int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The compiled product takes the last key of the document before for a document's first one."""
    monkeypatch.setattr("attnviz.analysis.plan.FEW", 0)
    own, leaks = pack_products.make_scores, 0

    def wrong(q: Any, k: Any, first: int, scale: float, scores: Any) -> None:
        nonlocal leaks
        starts = first + np.arange(len(scores)) * scores.shape[2]
        starts = starts[starts > 0]
        k = k.copy()
        k[:, starts] = k[:, starts - 1]
        leaks += len(starts)
        own(q, k, first, scale, scores)

    monkeypatch.setattr(pack_products, "make_scores", wrong)
    assert tables(tiny.llama(tmp_path / "model", head_dim=16)) == 5
    assert leaks


@pytest.mark.parametrize("path", ["show", "batch"])
def test_mutation_a_window_has_the_rows_of_its_neighbour(
    show: Callable[[str], int], tables: Callable[[str | Path], int], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """In the run: the ids of the window before."""
    before: list[Encoding] = []

    def neighbour(encoding: Encoding) -> Encoding:
        before.append(encoding)
        return before[-2] if len(before) > 1 and len(before[-2]) == len(encoding) else encoding

    if path == "show":
        own = Native.run
        monkeypatch.setattr(Native, "run", lambda self, read, *given: own(self, neighbour(read), *given))
        assert show("windows") == 5
    else:
        alone(monkeypatch, "long")
        run_alone = alone_module.run_alone
        monkeypatch.setattr(
            alone_module, "run_alone", lambda backend, read, seen: run_alone(backend, neighbour(read), seen)
        )
        assert tables("tiny_bert") == 5


@pytest.fixture(scope="module")
def reaching(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A native model with a window of attention, and a hosted one that has sinks as well."""
    shape = tiny.DECODER | {"head_dim": 8, "sliding_window": 5, "num_local_experts": 4, "num_experts_per_tok": 2}
    oss = transformers.GptOssForCausalLM(transformers.GptOssConfig(**shape))
    return {
        "window": tiny.mistral(tmp_path_factory.mktemp("window"), sliding_window=5),
        "sinks": tiny.save(tmp_path_factory.mktemp("sinks"), oss),
    }


@pytest.mark.parametrize(
    ("model", "command", "wrong"),
    [
        ("window", "show", None),
        ("window", "show", "window"),
        ("window", "batch", "window"),
        ("sinks", "show", None),
        ("sinks", "show", "window"),
        ("sinks", "show", "sinks"),
    ],
)
def test_mutation_of_a_window_and_of_sinks_in_the_compiled_loops(
    run: Run,
    reaching: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    model: str,
    command: str,
    wrong: str | None,
) -> None:
    """One key more is seen, or what the sinks take is not taken; None is what is right."""
    own = loops.weigh

    def harmed(scores: Any, shape: Any, window: Any, places: Any, sinks: Any, *given: Any) -> None:
        behind, ahead = window
        behind = behind + (wrong == "window" and behind >= 0)
        sinks = np.full_like(sinks, HIDDEN) if wrong == "sinks" else sinks
        own(scores, shape, (behind, ahead), places, sinks, *given)

    monkeypatch.setattr(kernel, "PARALLEL", 0)
    monkeypatch.setattr(loops, "weigh", harmed)
    alone(monkeypatch, "long")
    (tmp_path / "a.txt").write_text(TEXT.replace("\n", " "))
    given: dict[str, list[object]] = {
        "show": [TEXT],
        "batch": [tmp_path / "a.txt", "-o", tmp_path / "out", "--check", "all", "-q"],
    }
    assert run(command, *given[command], "--model", reaching[model]).code == (5 if wrong else 0)

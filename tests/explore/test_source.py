"""Where the explorer's attention comes from: a model that runs, and what is shown while it does."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("textual")

from attnviz.analysis.text.replaying import part_of, replay
from attnviz.errors import UsageError
from attnviz.explore import source as sources
from attnviz.explore.app import Explorer
from attnviz.explore.source import OnLayers, Running, Saved
from attnviz.interface import Model, load
from attnviz.model import backends
from attnviz.record import Observation, Request
from tests import tiny
from tests.explore.driving import drive, long_record, saw, session, settled, shown, small_record

LONG = " ".join(["the bank approved the loan because the company had strong financial"] * 4)


def test_layers_are_shown_while_others_are_computed(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_PATIENCE", 0.0)
    monkeypatch.setattr(sources, "_SHARE", 0)
    told: list[tuple[Observation | None, int, int]] = []
    running = Running(lambda: tiny_model, tiny.SENTENCE)
    whole = running.observe(Request(rank="lift"), lambda *layers: told.append(layers))
    assert [(done, total) for _, done, total in told] == [(1, 3), (2, 3)]
    for found, done, _ in told:
        assert found is not None
        assert found.layers == done
        assert np.allclose(found.maps.values, whole.maps.values[:done])


@pytest.mark.parametrize("kind", ["hosted", "cross", "encoder", "generated"])
def test_layers_of_other_models_are_shown_as_they_come(
    kind: str, tiny_hosted: Path, tiny_t5: Path, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_PATIENCE", 0.0)
    monkeypatch.setattr(sources, "_SHARE", 0)
    model = load({"hosted": tiny_hosted, "generated": tiny_llama}.get(kind, tiny_t5))
    options = {"generated": {"generate": 3}, "hosted": {}}.get(kind, {"target": "the bank approved"})
    request = Request(rank="lift", unit="token", map="encoder" if kind == "encoder" else None)
    told: list[Observation] = []

    def tell(found: Observation | None, done: int, total: int) -> None:  # noqa: ARG001
        told.extend([found] if found else [])

    whole = Running(lambda: model, "the bank approved the loan", options).observe(request, tell)
    assert told
    for found in told:
        assert found.kind == whole.kind
        assert found.causal == whole.causal
        assert found.encoding.tokens == whole.encoding.tokens
        assert np.allclose(found.maps.values, whole.maps.values[: found.layers])


def test_the_first_layers_of_a_large_record_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = long_record()
    monkeypatch.setattr(sources, "_AT_FIRST", found.weights.nbytes // 4)
    told: list[tuple[Observation | None, int, int]] = []
    whole = Saved(found).observe(Request(), lambda *layers: told.append(layers))
    (first, done, total) = told[0]
    assert (len(told), done, total) == (1, 1, 2)
    assert first is not None
    assert np.array_equal(first.maps.values, whole.maps.values[:1])


class Slow(Saved):
    """Shows a layer, and waits for the others until it may go on."""

    def __init__(self, go: threading.Event) -> None:
        super().__init__(small_record())
        self._go = go

    def observe(self, request: Request, on_layers: OnLayers) -> Observation:
        if not self._go.is_set():
            on_layers(replay(part_of(small_record(), slice(1)), request), 1, 2)
            assert self._go.wait(10)
        return super().observe(request, on_layers)


@pytest.mark.slow
@pytest.mark.parametrize("pressed", [(), ("right", "tab")])
def test_what_is_asked_meanwhile_is_answered_and_the_cursor_stays(pressed: tuple[str, ...]) -> None:
    go, seen = threading.Event(), list[str]()

    async def run() -> None:
        program = Explorer(session(source=Slow(go)))
        async with program.run_test(size=(100, 30), notifications=True) as pilot:
            while not program.begun:
                await pilot.pause()
            await pilot.press("home", *pressed, "f", "enter", "enter")
            await pilot.pause()
            seen.append(shown(program))
            moved = program.view.head
            go.set()
            await settled(program, pilot)
            seen.append(shown(program))
            assert program.view.head == moved
            assert not program.scene.there.partial

    asyncio.run(run())
    assert "computing layer 2 of 2 … · looking for links …" in seen[0]
    assert "the first layers" in seen[0]
    assert "Which heads take" in seen[1]


def test_a_short_run_shows_nothing_before_its_end(tiny_model: Model) -> None:
    told: list[object] = []
    Running(lambda: tiny_model, tiny.SENTENCE).observe(Request(), lambda *layers: told.append(layers))
    assert not told


def test_what_was_kept_answers_other_questions_without_the_model(tiny_model: Model) -> None:
    loaded: list[int] = []

    def open_model() -> Model:
        loaded.append(1)
        return tiny_model

    running = Running(open_model, tiny.SENTENCE)
    running.observe(Request(), lambda *_: None)
    found = running.observe(Request(unit="token"), lambda *_: None)
    assert found.unit == "token"
    assert loaded == [1]
    assert found.whole is not None


def test_a_part_of_a_text_that_is_not_kept_is_computed_exactly(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(tiny_llama)
    exact = model.attend(LONG)
    monkeypatch.setattr(backends, "MAX_KEPT_BYTES", 0)
    seen: list[str] = []
    begun = session(source=Running(lambda: model, LONG), request=Request(rank="lift", size=8, unit="token"))
    program = drive(begun, "tab", "enter", saw(seen))
    material, view = program.scene.there, program.view
    assert material.observation.whole is None
    assert not material.exact
    assert view.part is not None
    (a, b), (c, d) = view.part
    heat = program.scene.heat()
    assert heat is not None
    assert heat.numbers is not None
    layer, head = view.head
    if heat.down == heat.across == 1:
        wanted = exact.weights[layer, head][np.ix_(heat.numbers[0], heat.numbers[1])]
        assert heat.values == pytest.approx(wanted, abs=1e-6)
    assert (a, c) <= (b, d)


def test_another_text_leaves_what_was_only_of_the_first(tiny_model: Model) -> None:
    other = Running(lambda: tiny_model, "The bank.", {"pair": "The loan.", "truncate": True}).of_text("The river.")
    assert isinstance(other, Running)
    assert (other.text, other.options) == ("The river.", {"truncate": True})


def test_a_head_is_ablated(tiny_llama: Path) -> None:
    model = load(tiny_llama)
    table = Running(lambda: model, "the bank approved").ablate(0, 1, "self")
    assert (table["layer"].tolist(), table["head"].tolist()) == ([0], [1])


def test_a_record_has_no_model() -> None:
    for ask in (lambda: Saved(small_record()).of_text("x"), lambda: Saved(small_record()).ablate(0, 0, "self")):
        with pytest.raises(UsageError, match="a record holds no model"):
            ask()

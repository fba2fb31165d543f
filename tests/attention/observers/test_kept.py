"""Observers that keep weights and hidden states as they are, through the whole model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attnviz.attention import kernel, memory, observers
from attnviz.attention.kernel import Observer, Tile
from attnviz.attention.observers import HiddenStates, Pairs, Weights, stack
from attnviz.errors import ExitCode, InputError
from attnviz.interface import Model, load
from tests import tiny
from tests.attention.observers.naive import Case, cases


def tile(layer: int, query: int, key: int, weights: Tensor, shape: tuple[int, int, int] = (1, 3, 4)) -> Tile:
    return Tile(layer, query, key, weights, shape)


def test_weights_puts_tiles_in_their_places_and_zeros_elsewhere() -> None:
    kept = Weights()
    kept.tile(tile(0, 0, 0, torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])))
    kept.tile(tile(0, 2, 1, torch.tensor([[[5.0, 6.0, 7.0]]])))
    assert kept.stacked().tolist() == [[[[1, 2, 0, 0], [3, 4, 0, 0], [0, 5, 6, 7]]]]


def test_weights_keeps_copies_of_tiles() -> None:
    kept, shown = Weights(), torch.ones(1, 3, 4)
    kept.tile(tile(0, 0, 0, shown))
    shown.zero_()
    assert bool((kept.stacked() == 1).all())


def test_weights_stacks_layers_by_their_number() -> None:
    kept = Weights()
    for layer in (2, 0, 1):
        kept.tile(tile(layer, 0, 0, torch.full((1, 3, 4), float(layer))))
    assert kept.stacked()[:, 0, 0, 0].tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_keeps_the_precision_of_the_kernel(dtype: torch.dtype) -> None:
    kept = Weights()
    kept.tile(tile(0, 0, 0, torch.ones(1, 3, 4, dtype=dtype)))
    assert kept.stacked().dtype == dtype


@pytest.mark.parametrize("bound", [1, 4 * 15 * 4, 1 << 22])
def test_weights_of_a_model_do_not_depend_on_the_tiles(
    bound: int, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(tiny_bert, dtype="float64")  # in float32 it is the processor that says how far rounding goes
    expected = model.attend(tiny.SENTENCE).weights
    monkeypatch.setattr(kernel, "TILE", bound)
    weights = model.attend(tiny.SENTENCE).weights
    assert weights.shape == (3, 4, 15, 15)
    assert abs(weights - expected).max() < 1e-13


def test_last_states_that_are_narrower_are_filled_up() -> None:
    wide, narrow = torch.ones(2, 3), torch.ones(2, 1)
    assert stack([wide, narrow]).tolist() == [[[1, 1, 1], [1, 1, 1]], [[1, 0, 0], [1, 0, 0]]]
    assert torch.equal(stack([wide, 2 * wide]), torch.stack([wide, 2 * wide]))


def test_hidden_states_are_kept_from_the_embeddings_to_the_last_layer(tiny_model: Model) -> None:
    kept, encoding = HiddenStates(), tiny_model.encode(tiny.SENTENCE)
    last = tiny_model.backend.run(encoding, [kept])
    states = kept.stacked()
    assert states.shape == (3 + 1, len(encoding), 32)
    assert torch.equal(states[-1], last)
    assert not any(torch.equal(states[i], states[i + 1]) for i in range(3))


def test_an_observer_that_watches_nothing_stores_nothing(tiny_model: Model) -> None:
    watching = Observer()
    tiny_model.backend.run(tiny_model.encode(tiny.SENTENCE), [watching])
    assert vars(watching) == {}


def test_an_observer_of_ones_own_sees_the_whole_pass(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The strongest link of all, found tile by tile, without keeping a tile."""

    class Strongest(Observer):
        best = (0.0, 0, 0, 0, 0)

        def tile(self, tile: Tile) -> None:
            _, n, m = tile.weights.shape
            weight, at = tile.weights.flatten().max(0)
            head, rest = divmod(int(at), n * m)
            self.best = max(
                self.best, (float(weight), tile.layer, tile.head + head, tile.query + rest // m, tile.key + rest % m)
            )

    monkeypatch.setattr(kernel, "TILE", 4 * 15 * 2)
    strongest, weights = Strongest(), torch.from_numpy(tiny_model.attend(tiny.SENTENCE).weights)
    tiny_model.backend.run(tiny_model.encode(tiny.SENTENCE), [strongest])
    where = tuple(int(i) for i in torch.unravel_index(weights.argmax(), weights.shape))
    assert strongest.best == (float(weights.max()), *where)


@pytest.mark.parametrize(("count", "at_least"), [(0, "at least "), (3, "")])
def test_weights_that_do_not_fit_are_refused_with_their_size(
    count: int, at_least: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written, and not by the system's killing the process; a quarter of free memory is allowed."""
    size = 4_000_000 * max(count, 1)
    monkeypatch.setattr(memory, "free_memory", lambda _: 4 * size - 1)
    kept = observers.Weights({"self": count} if count else {})
    tile = Tile(0, 0, 0, torch.zeros(1, 1, 1000), (1, 1000, 1000))
    with pytest.raises(InputError, match=f"1,000 tokens: the weights of all its heads would take {at_least}") as caught:
        kept.tile(tile)
    assert caught.value.exit_code is ExitCode.INPUT
    monkeypatch.setattr(memory, "free_memory", lambda _: 4 * size)
    kept = observers.Weights({"self": count} if count else {})
    kept.tile(tile)
    assert kept.layers() == (0,)


def test_all_that_weights_keeps_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda _: None)
    kept = observers.Weights(most=2 * 4_000_000)
    for layer in range(2):
        kept.tile(Tile(layer, 0, 0, torch.zeros(1, 1, 1000), (1, 1000, 1000)))
    with pytest.raises(InputError, match=r"at least 12 MB, and `max_memory` allows 8.0 MB"):
        kept.tile(Tile(2, 0, 0, torch.zeros(1, 1, 1000), (1, 1000, 1000)))


def test_no_more_is_allowed_than_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda _: 5_000_000)
    kept = observers.Weights(most=8_000_000)
    kept.tile(Tile(0, 0, 0, torch.zeros(1, 1, 1000), (1, 1000, 1000)))
    with pytest.raises(InputError, match=r"would take at least 8.0 MB, and 5.0 MB are free"):
        kept.tile(Tile(1, 0, 0, torch.zeros(1, 1, 1000), (1, 1000, 1000)))


def test_where_nothing_says_how_much_is_free_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda _: None)
    observers.Weights().tile(Tile(0, 0, 0, torch.zeros(1, 1, 5), (1, 1, 5)))


@settings(deadline=None, max_examples=30)
@given(case=cases(dtypes=(torch.float32, torch.float64)), data=st.data())
def test_pairs_are_rows_and_cells_of_the_map(case: Case, data: st.DataObject) -> None:
    queries = data.draw(st.lists(st.integers(0, case.queries - 1), max_size=9))
    keys = data.draw(st.lists(st.integers(0, case.keys - 1), max_size=9))
    rows, cells = Pairs(queries), Pairs(queries, keys)
    weights = case.watch(rows, cells)
    assert rows.layers() == cells.layers() == (5,)
    assert torch.equal(rows.layer(5).double(), weights[:, queries])
    assert torch.equal(cells.layer(5).double(), weights[:, queries][..., keys])


def test_pairs_of_nothing_are_empty() -> None:
    case, observers = Case(2, 1, 5, 5), (Pairs([]), Pairs([], [1]), Pairs([1, 1], []), Pairs([], []))
    case.watch(*observers)
    assert [tuple(each.layer(5).shape) for each in observers] == [(2, 0, 5), (2, 0, 1), (2, 2, 0), (2, 0, 0)]

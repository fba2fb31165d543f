"""Properties of the forward pass beside parity (``test_parity``): what observers see, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from attnviz.attention.kernel import Kind, Observer, Tile
from attnviz.attention.observers import Weights
from attnviz.attention.window import EVERYTHING
from attnviz.model.architecture.spec import Sinusoidal
from attnviz.model.native import mlps
from attnviz.model.native.forward import KVCache, Network
from tests.model.parity import assert_same, make, ours, ours_of, saved, spec_of, theirs_of
from tests.model.variants import VOCABULARY, Variant, all_variants

CASES = all_variants()
ENCODER_DECODER = ("t5", "encoder–decoder")
PARALLEL = ("gptj", "half of each head turns")
Open = Callable[[tuple[str, str]], Network]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Open:
    """Our network of a variant, made once."""
    made: dict[tuple[str, str], Network] = {}

    def open_(case: tuple[str, str]) -> Network:
        if case not in made:
            made[case] = saved(make(CASES[case], torch.float32), tmp_path_factory.mktemp("variant"), torch.float32)
        return made[case]

    return open_


def ids_of(case: tuple[str, str]) -> list[int]:
    return list(CASES[case].ids)


class Order(Observer):
    """Records the order of events."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Kind, int]] = []
        self.last = torch.zeros(0)

    def tile(self, tile: Tile) -> None:
        self.seen.append(("tile", tile.kind, tile.layer))

    def hidden(self, layer: int, states: Tensor, kind: Kind = "self") -> None:
        self.seen.append(("hidden", kind, layer))
        self.last = states


def test_observers_see_states_and_weights_in_the_order_of_the_layers(network: Open) -> None:
    order = Order()
    last = network(PARALLEL)(ids_of(PARALLEL), (), [order])
    assert order.seen == [
        *((what, "self", i) for i in range(3) for what in ("hidden", "tile")),
        ("hidden", "self", 3),
    ]
    assert order.last is last


def test_observers_see_the_encoder_first_and_then_each_layer_of_the_decoder_with_what_it_crosses(
    network: Open,
) -> None:
    order, variant = Order(), CASES[ENCODER_DECODER]
    both = network(ENCODER_DECODER)
    assert both.encoder is not None
    assert variant.target is not None
    memory = both.encoder(variant.ids, (), [order])
    last = both(variant.target, (), [order], memory=memory)
    assert order.seen == [
        *((what, "encoder", i) for i in range(3) for what in ("hidden", "tile")),
        ("hidden", "encoder", 3),
        *(step for i in range(2) for step in (("hidden", "decoder", i), ("tile", "decoder", i), ("tile", "cross", i))),
        ("hidden", "decoder", 2),
    ]
    assert order.last is last


def test_a_decoder_that_crosses_needs_what_the_encoder_gave(network: Open) -> None:
    with pytest.raises(ValueError, match="needs the encoder's output"):
        network(ENCODER_DECODER)([1, 2])


@pytest.mark.parametrize("case", [PARALLEL, ("llama", "grouped queries"), ("bert", "encoder")], ids=str)
def test_observing_changes_nothing(case: tuple[str, str], network: Open) -> None:
    ids = ids_of(case)
    # A layer of which nobody wants the weights is computed without them: the sums are rounded in another order.
    seen = network(case)(ids, (), [Order(), Order()])
    torch.testing.assert_close(network(case)(ids), seen, rtol=1e-5, atol=1e-5)
    assert torch.equal(network(case)(ids, (), [Order()]), seen)


@pytest.mark.parametrize("case", [PARALLEL, ("llama", "grouped queries"), ("bert", "encoder")], ids=str)
def test_a_long_text_passes_the_mlps_in_parts(
    case: tuple[str, str], network: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = ids_of(case)
    expected = network(case)(ids)
    monkeypatch.setattr(mlps, "TOGETHER", 3)
    assert len(ids) % 3
    torch.testing.assert_close(network(case)(ids), expected, rtol=0, atol=1e-5)


def test_a_window_hides_what_is_beyond_it(network: Open) -> None:
    found = 0
    for case, variant in CASES.items():
        if variant.target is not None:
            continue
        layer_windows = [attention.window for attention in spec_of(variant).attentions.values()]
        if all(window.left is None for window in layer_windows):
            continue
        found += 1
        stack = network(case)
        assert [attention.window for attention in stack.spec.attentions.values()] == layer_windows
        weights = ours(stack, variant.ids, variant.types)[0]
        n = len(variant.ids)
        place = torch.arange(n)
        apart = place - place[:, None]  # where the key is, as the query sees it
        chunks = [layer.attention.chunk or n for layer in stack.spec.layers]
        for window, chunk, layer in zip(layer_windows, chunks, weights, strict=True):
            seen = (apart >= -n if window.left is None else apart >= -window.left) & (
                apart <= n if window.right is None else apart <= window.right
            )
            seen &= place // chunk == place[:, None] // chunk
            assert window.left is None or not bool(seen.all()), "a window as long as the text tests nothing"
            assert bool((layer[:, ~seen] == 0).all()), case
            assert bool((layer[:, seen] > 0).all()), case
    assert found > 5


def test_a_model_is_causal_where_no_layer_looks_ahead(network: Open) -> None:
    spec = network(("gemma2", "soft caps and alternating windows")).spec
    ahead = replace(spec.layers[0], attention=replace(spec.layers[0].attention, window=EVERYTHING))
    assert spec.causal
    assert not replace(spec, layers=(*spec.layers, ahead)).causal
    both = network(ENCODER_DECODER).spec
    assert both.encoder is not None
    assert (both.causal, both.encoder.causal) == (True, False)


LIMITS = {
    ("opt", "decoder"): 40,
    ("bert", "encoder"): 40,
    ("bloom", "ALiBi"): None,
    ("llama", "grouped queries"): None,
    ENCODER_DECODER: None,
}


@pytest.mark.parametrize(("case", "limit"), LIMITS.items(), ids=[family for family, _ in LIMITS])
def test_only_tables_of_positions_limit_the_length(case: tuple[str, str], limit: int | None, network: Open) -> None:
    assert network(case).spec.limit == limit


FIRST = {family: (family, name) for family, name in reversed(CASES) if CASES[family, name].target is None}
SPECS = {case: spec_of(CASES[case]) for case in FIRST.values()}
LIMITED = [case for case, spec in SPECS.items() if spec.limit is not None]
CAUSAL = [case for case, spec in SPECS.items() if spec.causal]


@pytest.mark.parametrize("case", LIMITED, ids=[family for family, _ in LIMITED])
def test_the_longest_text_that_fits_uses_the_last_position(case: tuple[str, str], tmp_path: Path) -> None:
    variant = CASES[case]
    model = make(variant, torch.float32)
    mine = saved(model, tmp_path, torch.float32)
    limit = mine.spec.limit
    assert limit is not None
    ids = [3 + i % (VOCABULARY - 3) for i in range(limit)]
    longest = Variant(variant.model, variant.config, ids, types=variant.types and [0] * limit)
    assert_same(ours_of(mine, longest)["self"], theirs_of(model, longest)["self"], torch.float32)
    # Sinusoids are computed, as far as one likes; the position after the text's is that of a stream that predicts.
    if not isinstance(mine.spec.embedding.positions, Sinusoidal) and not mine.spec.streams:
        with pytest.raises(IndexError):
            mine([*ids, 3])


@pytest.mark.parametrize("case", CAUSAL, ids=[family for family, _ in CAUSAL])
def test_the_rows_of_a_run_in_parts_are_those_of_a_whole_run(case: tuple[str, str], tmp_path: Path) -> None:
    """The tokens of a part see those before it, and observers see the rows of the whole run."""
    variant = CASES[case]
    mine = saved(make(variant, torch.float64), tmp_path, torch.float64)
    expected, states = ours(mine, variant.ids)
    past, start = KVCache(), 0
    for stop in (9, 10, len(variant.ids)):
        kept = Weights()
        last = mine(variant.ids[start:stop], (), [kept], past=past)
        assert past.length == stop
        found = kept.stacked()
        assert found.shape[2:] == (stop - start, stop)
        torch.testing.assert_close(found, expected[:, :, start:stop, :stop], rtol=0, atol=1e-10)
        torch.testing.assert_close(last, states[-1, start:stop, : last.shape[-1]], rtol=1e-10, atol=1e-10)
        start = stop

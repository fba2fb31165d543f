"""Rollout and flow: what the papers define, and what must hold of any attention."""

from __future__ import annotations

import networkx
import numpy as np
import pytest

from attnviz.analysis.text.flow import UNITS, flow
from attnviz.analysis.text.measures import measured
from attnviz.analysis.text.rollout import mixing, rollout
from attnviz.errors import InputError, UsageError
from tests.records import record


def weights(layers: int, heads: int, n: int, *, causal: bool = False, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).exponential(size=(layers, heads, n, n)) ** 2
    found = np.tril(found) if causal else found
    return found / found.sum(-1, keepdims=True)


@pytest.mark.parametrize("causal", [False, True])
def test_rows_of_a_rollout_sum_to_1(causal: bool) -> None:
    found = rollout(weights(5, 3, 9, causal=causal), causal=causal)
    assert found.shape == (5, 9, 9)
    assert np.abs(found.sum(-1) - 1).max() < 1e-9
    assert not causal or not np.triu(found, 1).any()


def test_a_rollout_is_the_product_of_half_attention_and_half_residual() -> None:
    a = weights(3, 2, 6)
    w = [0.5 * layer.mean(0) + 0.5 * np.eye(6) for layer in a]
    found = rollout(a, causal=False)
    assert np.abs(found[2] - w[2] @ w[1] @ w[0]).max() < 1e-12
    assert np.abs(found[0] - w[0]).max() < 1e-12


def test_in_a_decoder_even_attention_takes_from_all_that_it_sees_alike() -> None:
    n = 7
    even = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
    found = rollout(np.broadcast_to(even, (6, 2, n, n)), causal=True)
    assert np.abs(found - even).max() < 1e-12
    plain = mixing(np.broadcast_to(even, (6, 2, n, n)))
    product = np.linalg.multi_dot(plain[::-1])
    assert product[-1, 0] > 2 / n  # plain rollout ends on the first token


def test_the_order_of_heads_is_no_matter() -> None:
    a = weights(3, 4, 5)
    assert np.abs(rollout(a, causal=False) - rollout(a[:, ::-1], causal=False)).max() < 1e-12
    assert np.array_equal(flow(a), flow(a[:, ::-1]))


def test_what_a_sink_takes_of_a_softmax_is_left_out() -> None:
    a = weights(2, 2, 4) * np.array([0.3, 1.0])[None, :, None, None]
    assert np.abs(rollout(a, causal=False).sum(-1) - 1).max() < 1e-12
    assert np.array_equal(mixing(np.zeros((1, 1, 3, 3)))[0], np.eye(3))


def test_flow_is_that_of_networkx_on_24_tokens() -> None:
    n, layers = 24, 2
    a = weights(layers, 3, n, causal=True)
    found, w = flow(a), mixing(a)
    graph = networkx.DiGraph()
    for layer in range(layers):
        for i, j in np.argwhere(w[layer] > 0).tolist():
            graph.add_edge((layer + 1, i), (layer, j), capacity=float(w[layer, i, j]))
    for i, j in [(23, 0), (23, 23), (12, 3), (5, 5), (17, 16)]:
        theirs = networkx.maximum_flow_value(graph, (layers, i), (0, j))
        assert abs(found[-1, i, j] - theirs) < n * layers / UNITS
    assert np.abs(found[0] - w[0]).max() <= 1 / UNITS
    assert found.max() <= 1 + 1 / UNITS


def test_flow_of_many_tokens_is_refused_at_once() -> None:
    with pytest.raises(InputError, match=r"512 tokens are too many, up to \d+ take a minute"):
        flow(np.zeros((6, 1, 512, 512)))


def test_a_record_of_attention_suffices_for_rollout_and_flow_alone() -> None:
    found = record(["a", "b", "c"], weights(2, 3, 3))
    made = measured(found, "rollout")
    assert (made.measure, made.below, made.shape[1]) == ("rollout", found, 1)
    assert measured(found, None) is found
    for wanted in ("norm", "zeroing"):
        with pytest.raises(UsageError, match=f"holds attention, of which {wanted} can't be computed") as error:
            measured(found, wanted)
        assert error.value.hint.endswith(f"--weights {wanted}")
    with pytest.raises(UsageError, match="holds rollout, of which attention can't be computed"):
        measured(made, "attention")

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnviz.record import Array
from tests.analysis import whole as metrics
from tests.records import query_mask, random_weights


@st.composite
def weights(draw: st.DrawFn, *, causal: bool | None = None) -> Array:
    return random_weights(
        (draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 9))),
        seed=draw(st.integers(0, 10**6)),
        causal=draw(st.booleans()) if causal is None else causal,
        dtype=draw(st.sampled_from(["float32", "float64"])),
    )


def uniform(n: int, *, causal: bool = False) -> Array:
    seen = np.tri(n) if causal else np.ones((n, n))
    return (seen / seen.sum(-1, keepdims=True))[None, None]


@settings(deadline=None, max_examples=60)
@given(weights())
def test_entropy_is_the_mean_over_queries_of_minus_a_ln_a(a: Array) -> None:
    found = metrics.entropy(a)
    n = a.shape[-1]
    assert found.shape == a.shape[:2]
    for place in np.ndindex(a.shape[:2]):
        rows = [sum(-w * math.log(w) for w in row.tolist() if w > 0) for row in a[place]]
        assert found[place] == pytest.approx(sum(rows) / n, abs=1e-5)


@settings(deadline=None, max_examples=60)
@given(weights())
def test_distance_is_the_mean_over_queries_of_a_times_the_steps(a: Array) -> None:
    found = metrics.distance(a)
    n = a.shape[-1]
    for place in np.ndindex(a.shape[:2]):
        rows = [sum(float(a[place][q, k]) * abs(q - k) for k in range(n)) for q in range(n)]
        assert found[place] == pytest.approx(sum(rows) / n, abs=1e-4)


@settings(deadline=None, max_examples=60)
@given(weights(causal=False))
def test_sink_is_the_largest_mean_of_a_key_over_all_queries(a: Array) -> None:
    found = metrics.sink(a, causal=False)
    n = a.shape[-1]
    for place in np.ndindex(a.shape[:2]):
        means = [sum(float(a[place][q, k]) for q in range(n)) / n for k in range(n)]
        assert found[place] == pytest.approx(max(means), abs=1e-5)


@settings(deadline=None, max_examples=60)
@given(weights(causal=True))
def test_sink_of_a_causal_head_is_the_mean_over_the_queries_that_see_the_key(a: Array) -> None:
    found = metrics.sink(a, causal=True)
    n = a.shape[-1]
    for place in np.ndindex(a.shape[:2]):
        keys = [k for k in range(n) if n - k >= n / 2]  # seen by half of the queries
        means = [sum(float(a[place][q, k]) for q in range(k, n)) / (n - k) for k in keys]
        assert found[place] == pytest.approx(max(means), abs=1e-5)


@settings(deadline=None, max_examples=60)
@given(weights(), st.data())
def test_share_is_the_mean_of_what_the_keys_receive(a: Array, data: st.DataObject) -> None:
    n = a.shape[-1]
    keys = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    received = [
        float(a[place][q, k]) for place in np.ndindex(a.shape[:2]) for q in range(n) for k in range(n) if keys[k]
    ]
    assert metrics.share(a, keys) == pytest.approx(sum(received) / (a.shape[0] * a.shape[1] * n), abs=1e-5)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_uniform_weights_have_the_largest_entropy(n: int) -> None:
    assert metrics.entropy(uniform(n))[0, 0] == pytest.approx(math.log(n))


def test_causal_uniform_weights_have_the_entropy_of_what_each_query_sees() -> None:
    assert metrics.entropy(uniform(4, causal=True))[0, 0] == pytest.approx(sum(map(math.log, range(1, 5))) / 4)


@pytest.mark.parametrize("offset", [-2, -1, 0, 1])
def test_a_head_that_looks_at_one_token_has_no_entropy_and_its_offset_as_distance(offset: int) -> None:
    a = query_mask(offset, 8)[None, None]
    assert metrics.entropy(a)[0, 0] == 0
    at_the_end = sum(range(abs(offset)))  # the queries whose look ends at the first or last token
    assert metrics.distance(a)[0, 0] == pytest.approx((abs(offset) * (8 - abs(offset)) + at_the_end) / 8)


def test_no_entropy_is_zero_and_not_minus_zero() -> None:
    # Minus zero is written "-0.0".
    assert not np.signbit(metrics.entropy(query_mask(0, 4)[None, None])).any()


def test_uniform_weights_have_no_sink_and_a_fixed_key_is_one() -> None:
    assert metrics.sink(uniform(5), causal=False)[0, 0] == pytest.approx(1 / 5)
    fixed = np.zeros((1, 1, 5, 5))
    fixed[..., 2] = 1
    assert metrics.sink(fixed, causal=False)[0, 0] == 1


def test_the_last_key_of_a_causal_head_is_no_sink_because_it_sees_itself() -> None:
    # Every query looks at itself: each key but the first takes little from those that see it.
    diagonal = np.eye(8)[None, None]
    assert metrics.sink(diagonal, causal=True)[0, 0] == pytest.approx(1 / 4)


def test_first_token_of_a_causal_head_is_its_sink() -> None:
    first = np.zeros((1, 1, 6, 6))
    first[..., 0] = 1
    assert metrics.sink(first, causal=True)[0, 0] == 1


def test_shares_are_between_nothing_and_all() -> None:
    a = uniform(4)
    assert metrics.share(a, np.zeros(4, bool)) == 0
    assert metrics.share(a, np.ones(4, bool)) == pytest.approx(1)
    assert metrics.share(a, np.array([True, False, False, True])) == pytest.approx(0.5)


# Two texts


@st.composite
def cross_weights(draw: st.DrawFn) -> Array:
    sizes = tuple(draw(st.integers(1, most)) for most in (2, 2, 7, 7))
    return random_weights(sizes, seed=draw(st.integers(0, 10**6)), dtype=draw(st.sampled_from(["float32", "float64"])))


@settings(deadline=None, max_examples=60)
@given(cross_weights())
def test_entropy_and_sink_of_a_cross_map_are_means_over_its_queries(a: Array) -> None:
    n, m = a.shape[2:]
    entropy, sink = metrics.entropy(a), metrics.sink(a, causal=False)
    for place in np.ndindex(a.shape[:2]):
        rows = [sum(-w * math.log(w) for w in row.tolist() if w > 0) for row in a[place]]
        assert entropy[place] == pytest.approx(sum(rows) / n, abs=1e-5)
        means = [sum(float(a[place][q, k]) for q in range(n)) / n for k in range(m)]
        assert sink[place] == pytest.approx(max(means), abs=1e-5)


def test_the_share_of_keys_in_a_cross_map_is_of_its_queries() -> None:
    a = np.array([[[[0.25, 0.25, 0.5], [0.0, 0.0, 1.0]]]])
    assert metrics.share(a, np.array([False, False, True])) == pytest.approx(0.75)

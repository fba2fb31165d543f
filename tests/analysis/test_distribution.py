from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import numpy as np
import pytest
from numpy.typing import NDArray

from attnviz.analysis.corpus.distribution import ACCURACY, QUANTILES, SMALLEST, Distribution
from attnviz.errors import AttnvizError

Values = NDArray[np.float64]


def distribution(*parts: Values, **options: float) -> Distribution:
    found = Distribution(parts[0].shape[1:], **options)
    for part in parts:
        found.add(part)
    return found


def samples(count: int, shape: Sequence[int] = (2, 3), seed: int = 0) -> Values:
    """Values of both signs, over six orders of magnitude."""
    random = np.random.default_rng(seed)
    return random.lognormal(0, 3, (count, *shape)) * random.choice([-1, 1, 1], (count, *shape))


def test_moments_are_those_of_all_values_at_once() -> None:
    values = samples(1000)
    found = distribution(*np.array_split(values, 7))
    np.testing.assert_allclose(found.mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.deviation, values.std(0), rtol=1e-12)
    np.testing.assert_array_equal(found.count, np.full((2, 3), 1000))
    np.testing.assert_array_equal(found.minimum, values.min(0))
    np.testing.assert_array_equal(found.maximum, values.max(0))


def test_the_deviation_of_values_far_from_zero_is_not_lost() -> None:
    values = 1e8 + np.array([[1.0], [2.0], [3.0]])
    np.testing.assert_allclose(distribution(values[:1], values[1:]).deviation, values.std(0), rtol=1e-6)


@pytest.mark.parametrize("share", [*QUANTILES, 0.0, 1.0])
@pytest.mark.parametrize("accuracy", [ACCURACY, 0.001])
def test_quantiles_are_within_the_stated_accuracy(share: float, accuracy: float) -> None:
    values = samples(997)
    true = np.sort(values, axis=0)[int(share * 996)]
    found = distribution(values[:300], values[300:], accuracy=accuracy).quantile(share)
    np.testing.assert_allclose(found, true, rtol=accuracy * 1.0001)


def test_the_quantiles_of_small_values_are_no_zeros() -> None:
    values = 10.0 ** np.linspace(-11, -6, 501)[:, None]
    found = distribution(values)
    for share in QUANTILES:
        assert found.quantile(share)[0] == pytest.approx(values[int(share * 500), 0], rel=ACCURACY)


def test_more_than_four_billion_values_are_counted() -> None:
    found = distribution(np.ones((3, 1)))
    for _ in range(31):
        other = distribution(np.ones((1, 1)))
        other.merge(found)
        found.merge(other)
    assert found.count[0] > 1 << 32
    assert found.quantile(0.5)[0] == pytest.approx(1, rel=ACCURACY)


def test_zeros_and_what_is_nearly_zero_count_as_zero_in_the_quantiles() -> None:
    values = np.array([[-2.0], [-SMALLEST / 2], [0.0], [SMALLEST / 3], [5.0]])
    found = distribution(values)
    assert [float(found.quantile(share)[0]) for share in (0.25, 0.5, 0.75)] == [0.0, 0.0, 0.0]
    assert (found.minimum[0], found.maximum[0]) == (-2.0, 5.0)
    assert found.quantile(0.0)[0] == pytest.approx(-2, rel=ACCURACY)


def test_parts_and_their_order_do_not_matter() -> None:
    values = samples(600)
    whole = distribution(values)
    parted = distribution(*np.array_split(values[::-1], 11))
    merged = distribution(values[:100])
    merged.merge(distribution(values[100:101] * 1e-3, values[101:]))
    merged_again = distribution(values[100:101] * 1e-3, values[101:])
    merged_again.merge(distribution(values[:100]))
    for share in QUANTILES:
        np.testing.assert_array_equal(parted.quantile(share), whole.quantile(share))
        np.testing.assert_array_equal(merged.quantile(share), merged_again.quantile(share))
    np.testing.assert_allclose(parted.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(merged.deviation, merged_again.deviation, rtol=1e-12)
    np.testing.assert_array_equal(merged.count, whole.count)


def test_values_that_are_missing_are_left_out() -> None:
    values = samples(50, (3,))
    values[::2, 0] = np.nan
    values[:, 1] = np.nan
    values[3, 2] = np.inf
    found = distribution(values[:7], values[7:])
    assert found.count.tolist() == [25, 0, 49]
    assert found.mean[0] == pytest.approx(values[1::2, 0].mean())
    for result in (found.mean, found.deviation, found.minimum, found.maximum, found.quantile(0.5)):
        assert np.isfinite(result).tolist() == [True, False, True]


def test_nothing_has_no_mean() -> None:
    found = distribution(np.zeros((0, 2)))
    assert np.isnan([found.mean, found.deviation, found.minimum, found.quantile(0.5)]).all()
    found.merge(Distribution((2,)))
    assert found.count.tolist() == [0, 0]


def test_one_document_has_no_deviation() -> None:
    found = distribution(np.array([[0.3]]))
    assert (found.mean[0], found.deviation[0], found.quantile(0.95)[0]) == (0.3, 0, 0.3)


def test_other_cells_or_another_accuracy_do_not_merge() -> None:
    with pytest.raises(AttnvizError, match=r"\(\(2,\), 0.01\) and \(\(3,\), 0.01\)"):
        Distribution((2,)).merge(Distribution((3,)))
    with pytest.raises(AttnvizError, match="accuracy"):
        Distribution((2,)).merge(Distribution((2,), 0.05))


def test_memory_does_not_grow_with_the_documents() -> None:
    found = Distribution((4,))
    found.add(samples(20_000, (4,)))
    before = found._buckets.size
    found.add(samples(20_000, (4,)))
    assert found._buckets.size == before < 5_000 * 4


def test_a_thousand_documents_are_added_in_no_time() -> None:
    figures = np.random.default_rng(0).random((1024, 6, 12, 20))
    found = [Distribution((6, 12)) for _ in range(20)]
    took = []
    for _ in range(3):
        start = perf_counter()
        for number, each in enumerate(found):
            each.add(figures[..., number])
        took.append(perf_counter() - start)
    assert min(took) < 0.5  # 0.04 s where nothing else runs

"""Which heads behave alike: divergences by the plain definition, clusters that are known, maps that hold distances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from attnviz.analysis.corpus.alike import (
    Sample,
    classical_scaling,
    cluster,
    head_divergence,
    mean_divergence,
    silhouettes,
)
from attnviz.analysis.text.compared_rows import divergence
from attnviz.attention.observers import Weights
from attnviz.encoding import encode
from attnviz.errors import UsageError
from attnviz.interface import Model, load
from tests import tiny


def random_rows(heads: int, rows: int, keys: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(keys, 0.3), (heads, rows))


def test_the_divergence_is_that_of_compare_the_mean_over_rows_and_documents() -> None:
    texts = [random_rows(5, 3, 7), random_rows(5, 4, 30, 1)]
    found = mean_divergence(texts)
    assert found is not None
    plain = np.mean([divergence(each[:, None], each).mean(-1) for each in texts], 0)
    np.testing.assert_allclose(found, plain, atol=1e-6)
    assert mean_divergence([]) is None


def test_permuting_heads_permutes_the_matrix_and_equal_heads_are_at_zero() -> None:
    rows, order = random_rows(6, 5, 9), np.random.default_rng(2).permutation(6)
    plain, moved = mean_divergence([rows]), mean_divergence([rows[order]])
    assert plain is not None
    assert moved is not None
    np.testing.assert_allclose(moved, plain[np.ix_(order, order)], atol=1e-6)
    same = mean_divergence([np.repeat(rows[:1], 3, 0)])
    assert same is not None
    assert same == pytest.approx(0, abs=1e-6)
    disjoint = mean_divergence([np.eye(4)[:, None]])
    assert disjoint == pytest.approx(1 - np.eye(4))


def test_the_rows_are_those_of_the_model(tiny_llama: Path) -> None:
    model = load(tiny_llama)
    texts = [encode(model.checkpoint.tokenizer, text) for text in (tiny.SENTENCE, "the river of it")]
    found = head_divergence(model.backend, model.checkpoint.tokenizer, texts, causal=True)
    plain = []
    for text in texts:
        kept = Weights()
        model.backend.run(text, [kept])
        a = kept.stacked().numpy().astype(float).reshape(12, len(text), -1)
        rows = [i for i in range(1, len(text)) if not text.special[i]]
        chosen = np.unique(np.array(rows)[np.linspace(0, len(rows) - 1, min(16, len(rows))).round().astype(int)])
        plain.append(divergence(a[:, None, chosen], a[:, chosen]).mean(-1))
    np.testing.assert_allclose(found.divergence, np.mean(plain, 0), atol=1e-5)
    assert found.documents == 2
    with pytest.raises(UsageError, match="no text has two tokens"):
        head_divergence(model.backend, model.checkpoint.tokenizer, [], causal=True)


def test_a_long_text_is_read_in_one_window(tiny_model: Model) -> None:
    text = encode(tiny_model.checkpoint.tokenizer, tiny.SENTENCE * 20)
    assert len(text) > 64
    found = head_divergence(tiny_model.backend, tiny_model.checkpoint.tokenizer, [text], causal=False)
    assert found.rows <= 16


def test_groups_that_were_made_are_found_and_their_middle_named() -> None:
    pytest.importorskip("scipy")
    generator, middles = np.random.default_rng(0), np.eye(5)
    rows = np.concatenate([
        0.9 * middles[group] + 0.1 * generator.dirichlet(np.ones(5), (size, 6))
        for group, size in enumerate((9, 6, 4, 3, 2))
    ])  # fmt: skip
    found = mean_divergence([rows])
    assert found is not None
    made = cluster(found)
    assert made.number.tolist() == [1] * 9 + [2] * 6 + [3] * 4 + [4] * 3 + [5] * 2
    assert [made.number[medoid] for medoid in made.medoids] == [1, 2, 3, 4, 5]
    assert made.silhouette.min() > 0.5
    assert made.number[made.nearest].tolist() == made.number.tolist()
    assert cluster(found, 2).number.max() == 2
    with pytest.raises(UsageError, match="24 heads make no 25 clusters"):
        cluster(found, 25)


def test_silhouettes_are_those_of_plain_loops() -> None:
    points, cut = np.random.default_rng(0).random((12, 2)), np.array([1] * 5 + [2] * 6 + [3])
    apart = np.linalg.norm(points[:, None] - points, axis=-1)
    for i, found in enumerate(silhouettes(apart, cut)):
        own = [apart[i, j] for j in range(12) if cut[j] == cut[i] and j != i]
        other = min(apart[i, cut == each].mean() for each in {1, 2, 3} - {int(cut[i])})
        expected = (other - np.mean(own)) / max(other, np.mean(own)) if own else 0
        assert found == pytest.approx(expected)


def test_a_map_of_points_in_a_plane_holds_all_distances_and_divergences_have_one() -> None:
    points = np.random.default_rng(0).random((10, 2))
    squared = ((points[:, None] - points) ** 2).sum(-1)
    places, held = classical_scaling(squared)
    assert held == pytest.approx(1)
    np.testing.assert_allclose(((places[:, None] - places) ** 2).sum(-1), squared, atol=1e-12)
    rows = random_rows(20, 1, 6)
    plain, centring = divergence(rows[:, None, 0], rows[:, 0]), np.eye(20) - 1 / 20
    assert np.linalg.eigvalsh(-centring @ plain @ centring / 2).min() > -1e-12  # Fuglede & Topsøe 2004


def test_each_document_is_drawn_as_often() -> None:
    counts = np.zeros(20)
    for seed in range(2000):
        sample = Sample(seed, 5)
        for number in range(20):
            sample.add(number)  # type: ignore[arg-type]
        assert len(sample.texts) == 5
        assert sample.texts == sorted(sample.texts)  # type: ignore[type-var]
        counts[sample.texts] += 1  # type: ignore[index]
    assert counts / 2000 == pytest.approx(0.25, abs=0.04)


@pytest.mark.usefixtures("tiny_model")
def test_the_table_has_clusters_and_draws_itself(tiny_model: Model) -> None:
    pytest.importorskip("scipy")
    table = tiny_model.heads([tiny.SENTENCE, "the river had a bank of it"], clusters=3)
    assert sorted(set(table["cluster"].tolist())) == [1, 2, 3]
    assert table["medoid"].sum() == 3
    assert table["cluster"].tolist() == sorted(table["cluster"])
    assert table.notes[0].startswith("Cluster 1: ")
    assert "induction" in table.values
    for drawn in (table, tiny_model.heads()):
        assert drawn.plot(width=3.3).get_size_inches()[0] == pytest.approx(3.3)
    with pytest.raises(UsageError, match="`clusters` is 1"):
        tiny_model.heads(clusters=1)

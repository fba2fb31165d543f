"""Links of texts that are read in windows, held to plain loops over all weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz.analysis.text.find import find_links
from attnviz.analysis.text.summary import summarise
from attnviz.interface import Model, load
from attnviz.record import Pairs, Request
from tests import tiny
from tests.documents import read_windows

TEXT = " ".join(
    ["The bank approved the loan.", "The company had strong financials of it.", "It flooded the river."] * 3
)


@pytest.fixture(scope="module", params=["bert", "llama"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model of 24 positions."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    if request.param == "bert":
        return load(tiny.bert(folder, max_position_embeddings=24), dtype="float64")
    found = load(tiny.llama(folder), dtype="float64")
    found.checkpoint.tokenizer.post_processor = None
    found.backend.limit = 24
    return found


class Plain:
    """One head's weights between units, what each unit sees, and the lift of a link, by loops over tokens."""

    def __init__(self, weights: Any, seen: list[range], starts: list[int]) -> None:
        n = len(weights)
        self.units = [range(a, b) for a, b in zip(starts, [*starts[1:], n], strict=True)]
        self.seen = [
            {
                k
                for k, keys in enumerate(self.units)
                if any(q_seen.start < keys.stop and keys.start < q_seen.stop for q_seen in (seen[t] for t in unit))
            }
            for unit in self.units
        ]
        self.even = [float(np.mean([1 / len(seen[token]) for token in unit])) for unit in self.units]
        self.a = [
            [sum(float(weights[t, s]) for t in unit for s in keys) / len(unit) for keys in self.units]
            for unit in self.units
        ]

    def lifts(self, queries: list[int], keys: list[int]) -> dict[str, float]:
        """Of a link from units side by side to units side by side."""
        tokens = sum(len(self.units[q]) for q in queries)
        weight = sum(len(self.units[q]) / tokens * self.a[q][k] for q in queries for k in keys)
        even = sum(len(self.units[q]) / tokens * self.even[q] for q in queries) * sum(len(self.units[k]) for k in keys)
        others = [q for q in range(len(self.units)) if q not in queries]
        seeing = max(sum(k in self.seen[q] for q in range(len(self.units))) for k in keys) - len(queries)
        key_mean = sum(self.a[q][k] for q in others for k in keys) / seeing if seeing > 0 else 0.0
        distance_mean = 0.0
        for q in queries:
            for k in keys:
                own = {(i, j) for i in queries for j in keys if i - j == q - k}
                pairs = [
                    (i, i - (q - k)) for i in range(len(self.units))
                    if i - (q - k) in self.seen[i] and (i, i - (q - k)) not in own
                ]  # fmt: skip
                mean = float(np.mean([self.a[i][j] for i, j in pairs])) if pairs else 0.0
                distance_mean += len(self.units[q]) / tokens * mean
        lifts = weight / max(key_mean, even), weight / max(distance_mean, even)
        return {
            "weight": weight, "key_mean": key_mean, "distance_mean": distance_mean, "key_lift": lifts[0],
            "distance_lift": lifts[1], "lift": min(lifts),
        }  # fmt: skip


@pytest.mark.parametrize("unit", ["word", "token"])
@pytest.mark.parametrize(
    ("query", "key"),
    [("bank:2", "loan:2"), ("loan:2", "bank:2"), ("the loan:2", "bank:2"), ("strong financials:2", "company:2")],
)
def test_lifts_in_windows(model: Model, unit: str, query: str, key: str) -> None:
    if model.backend.causal() and query == "bank:2":
        pytest.skip("a causal model does not look ahead")
    asked = Request(unit=unit, special=True, evidence=False, pairs=Pairs((query,), (key,)))  # type: ignore[arg-type]
    observation = model.inspect(TEXT, windows=True, request=asked)
    assert observation.windows is not None
    assert len(observation.windows) > 2
    backend: Any = model.backend
    read = read_windows(backend, observation.encoding, observation.windows, sinks=True)
    n = len(read.document)
    seen = [range(0)] * n
    for window in read.windows:
        for token in range(window.first, window.last):
            seen[token] = range(window.start, min(window.stop, token + 1) if observation.causal else window.stop)
    words = read.document.words
    starts = [word.start for word in words] if unit == "word" else [*range(n)]
    labels = [word.text for word in words] if unit == "word" else [*read.document.tokens]
    found = {(row["layer"], row["head"]): row for row in find_links(observation, both=False).rows()}
    assert len(found) == 12
    for (layer, head), row in found.items():
        plain = Plain(read.whole[layer, head], seen, starts)
        for name, expected in plain.lifts(places(labels, query), places(labels, key)).items():
            assert row[name] == pytest.approx(expected, rel=1e-6, abs=1e-12), name


def places(labels: list[str], wanted: str) -> list[int]:
    """The units of ``the loan:2``, the second time that they stand side by side."""
    words, _, number = wanted.partition(":")
    pieces = [
        piece for word in words.split() for piece in ([word] if word in map(str.lower, labels) else cut(word, labels))
    ]
    lowered = [label.lower() for label in labels]
    found = [i for i in range(len(labels)) if lowered[i : i + len(pieces)] == pieces]
    return [*range(found[int(number) - 1], found[int(number) - 1] + len(pieces))]


def cut(word: str, labels: list[str]) -> list[str]:
    """The pieces of a word that is several tokens."""
    lowered = [label.lower() for label in labels]
    for i in range(len(lowered)):
        for j in range(i + 1, len(lowered) + 1):
            if "".join(piece.removeprefix("##") for piece in lowered[i:j]) == word:
                return lowered[i:j]
    raise AssertionError(word)


def test_what_looks_at_a_word_in_windows(model: Model) -> None:
    observation = model.inspect(
        TEXT, windows=True, request=Request(received=True, words=("loan:2",), special=True, evidence=False)
    )
    backend: Any = model.backend
    read = read_windows(backend, observation.encoding, observation.windows, sinks=True)
    words = read.document.words
    (row,) = summarise(observation).received
    key = words[row.query_index]
    assert key.text == "loan"
    given = [read.whole[..., word.start : word.stop, key.start : key.stop].sum(-1).mean(-1) for word in words]
    for link in row.best:
        assert link.weight == pytest.approx(given[link.query_index].max(), rel=1e-5)
        assert link.weight == pytest.approx(given[link.query_index][link.layer, link.head], rel=1e-5)
    counted = [i for i in range(len(words)) if observation.query_mask[i] and i != row.query_index]
    means = {i: float(given[i].mean()) for i in counted}
    largest = sorted(means, key=lambda i: -means[i])[: len(row.average)]
    assert [i for i, _ in row.average] == largest
    assert [weight for _, weight in row.average] == pytest.approx([means[i] for i in largest], rel=1e-5)

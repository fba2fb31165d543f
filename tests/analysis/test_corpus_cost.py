"""What a corpus costs, against numbers worked out by hand for all-MiniLM-L6."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from attnviz.analysis.corpus import cost as costs
from attnviz.analysis.corpus.cost import corpus_cost, is_short, pace, reading, workers
from attnviz.encoding import Encoding
from attnviz.errors import ModelError
from attnviz.interface import Model
from attnviz.model.cost.estimates import ModelShape, estimate_cost, model_shape
from attnviz.model.families import find_family
from attnviz.record import Request

MINILM = {
    "model_type": "bert",
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
BILLION = 10**9


@pytest.fixture
def minilm() -> ModelShape:
    return model_shape(find_family(MINILM).spec(MINILM))


def test_computing(minilm: ModelShape) -> None:
    found = corpus_cost(minilm, BILLION, 25)
    assert (found.windows, found.all_tokens) == (1, 25 * BILLION)
    # four matrices of attention and two of the MLP, each number multiplied and added; q·k and weights·v
    assert found.linear_flops == BILLION * 25 * 2 * 6 * (4 * 384 * 384 + 2 * 384 * 1536)
    assert found.attention_flops == BILLION * 25 * 25 * 4 * 6 * 384


def test_rows_and_parts(minilm: ModelShape) -> None:
    found = corpus_cost(minilm, BILLION, 25, top=3)
    rows = found.rows
    assert (rows.documents, rows.heads, rows.links) == (BILLION, 72 * BILLION, 18 * BILLION)
    assert (found.part, found.parts) == (1024, math.ceil(BILLION / 1024))
    assert corpus_cost(minilm, 1024, 25).parts == 1
    assert corpus_cost(minilm, 1025, 25).parts == 2
    assert corpus_cost(minilm, 7, 25, top=99).rows.links == 7 * 6 * 99
    assert corpus_cost(minilm, 7, 2, top=99).rows.links == 7 * 6 * 4  # no text has more pairs of tokens


def test_bytes_are_so_many_a_row(minilm: ModelShape) -> None:
    found = corpus_cost(minilm, BILLION, 25)
    assert found.bytes.heads == found.rows.heads * 55
    assert found.bytes.total == found.bytes.documents + found.bytes.heads + found.bytes.links


def test_long_documents_are_read_in_windows_that_overlap_by_half(minilm: ModelShape) -> None:
    assert [reading(minilm, n) for n in (1, 512)] == [(1, 1), (512, 1)]
    for tokens, windows in ((513, 2), (768, 2), (769, 3), (1024, 3)):
        assert reading(minilm, tokens) == (512, windows)
    found, one = corpus_cost(minilm, 10, 1024), estimate_cost(minilm, 512)
    assert (found.linear_flops, found.attention_flops) == (30 * (one.linear_flops or 0), 30 * one.attention_flops)
    assert found.all_tokens == 10 * 1024
    assert reading(replace(minilm, limit=None), 10**6) == (10**6, 1)


def test_a_worker_holds_a_pack_and_a_part_however_large_the_corpus(minilm: ModelShape) -> None:
    few, many = corpus_cost(minilm, 10**5, 25), corpus_cost(minilm, BILLION, 25)
    assert many.peak == few.peak == (few.model or 0) + few.activations + few.results
    assert 1024 * 72 * 20 * 8 < few.results < 10 * 1024 * 72 * 20 * 8
    assert corpus_cost(minilm, 10, 25).peak < few.peak
    # However long the documents are: a part has fewer of them.
    long = corpus_cost(replace(minilm, limit=None), BILLION, 1 << 20)
    assert (long.part, long.parts) == (1, BILLION)
    assert long.results < 2 * costs.PART_TOKENS * 800


def test_packs_are_run_at_once_and_their_weights_some_at_a_time(
    minilm: ModelShape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "_WORKERS", 2)
    # three arrays of weights of a document, or of so many documents as are seen at once; states of 4,096 tokens
    weights = 3 * 4 * (1 << 19)
    width = 4 * (3 * 384 + 2 * 1536)
    assert corpus_cost(minilm, 1, 25).activations == 25 * width + 3 * 4 * 12 * 25 * 25
    assert corpus_cost(minilm, 163, 25).activations == 163 * 25 * width + weights
    assert corpus_cost(minilm, BILLION, 25).activations == 2 * (163 * 25 * width + weights)
    assert corpus_cost(minilm, BILLION, 512).activations == 2 * (8 * 512 * width + 3 * 4 * 12 * 512 * 512)


def test_a_gpu_does_a_part_of_its_peak_and_attention_in_single_precision(minilm: ModelShape) -> None:
    for size, peak in ((2, 989e12), (4, 67e12), (8, 67e12)):
        found = corpus_cost(minilm, BILLION, 25, bytes_=size)
        seconds = ((found.linear_flops or 0) / peak + found.attention_flops / 67e12) / 0.3
        assert found.gpu_seconds == pytest.approx(seconds)


def test_what_is_unknown_stays_so(minilm: ModelShape) -> None:
    stack = replace(minilm.stacks[0], linear=None)
    found = corpus_cost(replace(minilm, stacks=(stack,), parameters=None), 10, 25)
    assert (found.linear_flops, found.gpu_seconds, found.model) == (None, None, None)
    assert found.peak == found.activations + found.results


@pytest.mark.parametrize(("seconds", "count"), [(0, 1), (1, 1), (3600, 1), (3601, 2), (36_000, 10)])
def test_workers_are_whole_ones(seconds: float, count: int) -> None:
    assert workers(seconds, costs.HOUR) == count


def test_documents_are_short_while_their_weights_fit_a_tile(minilm: ModelShape) -> None:
    assert (is_short(minilm, 25), is_short(minilm, 836), is_short(minilm, 837)) == (True, True, False)  # √(2²³/12)
    long = replace(minilm, limit=None)
    one = estimate_cost(long, 900)
    assert corpus_cost(long, BILLION, 900).activations == one.activations + one.kept


def test_the_pace_is_that_of_as_many_documents_as_take_a_second(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "_WORKERS", 2)
    counts: list[int] = []

    def seconds(_backend: object, documents: Sequence[Encoding], _asked: Request) -> float:
        counts.append(len(documents))
        assert [document.ids for document in documents] == [(5, 6, 7, 5, 6, 7, 5)] * len(documents)
        return each * len(documents) + 0.001

    monkeypatch.setattr(costs, "_seconds", seconds)
    for each, most in ((0.01, 101), (1e-4, 2 * 586), (3.0, 2)):
        counts.clear()
        assert pace(tiny_model.backend, (5, 6, 7), 7, Request()) == pytest.approx(each + 0.001 / counts[-1])
        assert counts[0] == 1
        assert 0.8 * most < counts[-1] <= most


def test_a_model_that_can_not_run_the_documents_says_so(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "attnviz.analysis.corpus.packed.measure", lambda _, documents, __: [ModelError("no")] * len(documents)
    )
    with pytest.raises(ModelError, match="no"):
        pace(tiny_model.backend, (5,), 7, Request())

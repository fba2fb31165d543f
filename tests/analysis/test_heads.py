"""What each head is for: roles and scores of all heads, intervals, sinks; and the same whatever way texts come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from transformers import SmolLM3Config, SmolLM3ForCausalLM

from attnviz.analysis.corpus.distribution import Distribution
from attnviz.analysis.corpus.heads import heads_table
from attnviz.analysis.corpus.induction import of_tokens, repeats
from attnviz.analysis.corpus.roles import ROLES, having, roles
from attnviz.analysis.corpus.sinks import natural_text, sinks
from attnviz.analysis.intervals import mean_share, wilson
from attnviz.analysis.table import Table
from attnviz.attention.observers import Weights
from attnviz.errors import InputError, UsageError
from attnviz.interface import Model, load
from tests import tiny
from tests.analysis.corpora import HEADS, LAYERS, corpus
from tests.analysis.test_induction import inductive_gpt2

ROLE = {role.name: role for role in ROLES}
SMOLLM2 = {(18, 6): 0.924, (17, 4): 0.860, (17, 3): 0.836, (17, 5): 0.820, (23, 7): 0.662, (18, 7): 0.654,
           (23, 2): 0.620, (20, 6): 0.603, (24, 4): 0.520}  # fmt: skip
"""The heads of induction of SmolLM2-135M in four bits, with seed 0: those of 0.5 and more."""


def by_head(table: Table) -> dict[tuple[int, int], dict[str, object]]:
    return {(row["layer"], row["head"]): row for row in table.rows()}


def test_wilson_is_that_of_the_textbooks() -> None:
    low, high = wilson(0.5, 10)
    assert (float(low), float(high)) == pytest.approx((0.2366, 0.7634), abs=1e-4)  # Newcombe 1998
    low, high = wilson([0.0, 1.0, np.nan], [10, 10, 10])
    assert low[0] == 0
    assert high[0] == pytest.approx(0.2775, abs=1e-4)
    assert np.isnan([low[2], high[2]]).all()
    assert np.isnan(wilson(0.5, 0)[0])


@pytest.mark.parametrize("documents", [5, 40])
@pytest.mark.parametrize("shape", [(0.5, 0.5), (2.0, 8.0), (6.0, 0.8)])
def test_nineteen_of_twenty_intervals_hold_the_mean(documents: int, shape: tuple[float, float]) -> None:
    generator = np.random.default_rng(0)
    values = generator.beta(*shape, (4000, documents))
    low, high = mean_share(values.mean(1), values.std(1), np.full(4000, documents))
    held = (low <= shape[0] / sum(shape)) & (shape[0] / sum(shape) <= high)
    assert 0.93 <= held.mean() <= 0.98
    assert ((low >= 0) & (high <= 1) & (low <= values.mean(1)) & (values.mean(1) <= high)).all()


def test_one_document_says_nothing_of_the_spread_and_equal_ones_that_there_is_none() -> None:
    assert np.isnan(mean_share(0.5, 0.0, 1)).all()
    assert mean_share(0.5, 0.0, 7) == (pytest.approx(0.5), pytest.approx(0.5))
    assert mean_share(0.0, 0.0, 7) == (0, 0)


def scored(**scores: np.ndarray) -> list[object]:
    return [having(ROLE[name], Distribution.of(np.stack([each, each])), LAYERS) for name, each in scores.items()]


def table_of(**scores: np.ndarray) -> Table:
    return heads_table(scored(**scores), LAYERS, HEADS)  # type: ignore[arg-type]


def test_a_head_has_all_its_roles_and_one_that_rests_comes_after() -> None:
    sink, previous, induction = np.zeros((3, 3, HEADS))
    sink[0], sink[1, 2], previous[1, 2], induction[2, 1], previous[2, 1] = 0.9, 0.95, 0.6, 0.8, 0.7
    table = table_of(sink=sink, previous=previous, induction=induction)
    first, second, third = [row for row, _ in zip(table.rows(), range(3), strict=False)]
    assert (first["layer"], first["head"], first["role"], first["also"]) == (3, 1, "induction", "previous")
    assert (second["layer"], second["head"], second["role"], second["also"]) == (1, 2, "previous", "sink")
    assert (second["score"], second["sink"]) == (0.6, 0.95)
    assert (third["role"], third["also"]) == ("sink", "")
    assert [*table["role"][6:]] == [""] * 6
    assert np.isnan(table["score"][6:]).all()
    assert len(table) == 3 * HEADS
    assert "sink > 0.3: 5, previous > 0.5: 2, induction ≥ 0.5: 1, none: 6" in table.notes[0]
    assert "previous: weight to the token before; induction: weight to" in table.notes[1]


def test_only_roles_that_heads_have_are_explained_and_the_one_that_is_asked_for() -> None:
    nothing = np.zeros((3, HEADS))
    assert not any("What the scores are" in note for note in table_of(self=nothing).notes)
    asked = heads_table(scored(self=nothing, next=nothing), LAYERS, HEADS, role="self")  # type: ignore[arg-type]
    assert "What the scores are, means over the texts: self: weight of a token to itself." in asked.notes


def test_by_a_role_the_heads_are_in_its_order() -> None:
    scores = np.random.default_rng(0).random((3, HEADS))
    table = heads_table(scored(sink=np.ones((3, HEADS)), next=scores), LAYERS, HEADS, role="next")  # type: ignore[arg-type]
    assert [*table["next"]] == sorted(scores.ravel(), reverse=True)
    assert table.ranked == "next"


def test_permuting_heads_permutes_the_table() -> None:
    order = np.random.default_rng(1).permutation(HEADS)
    scores = np.random.default_rng(0).random((3, 3, HEADS))
    plain = by_head(table_of(sink=scores[0], previous=scores[1], duplicate=scores[2]))
    moved = by_head(table_of(**dict(zip(("sink", "previous", "duplicate"), scores[..., order], strict=True))))
    for (layer, head), row in moved.items():
        assert row == plain[layer, int(order[head])] | {"head": head}


def test_a_corpus_gives_all_roles_with_offsets() -> None:
    table = heads_table(roles(corpus(offset_share=0.95)), LAYERS, HEADS)
    assert {*table["role"]} == {"positional"}
    assert {*table["where"]} == {"−1"}
    assert {f"{role.name}{end}" for role in ROLES for end in ("", "_low", "_high")} <= set(table.values)
    assert "Not measured: induction." in table.notes


def test_hand_made_heads_score_one(tmp_path: Path) -> None:
    """A head of previous tokens that writes them where the next layer's head looks for its own token."""
    table = by_head(load(inductive_gpt2(tmp_path)).heads())
    assert (table[0, 0]["role"], table[1, 0]["role"]) == ("previous", "induction")
    assert table[0, 0]["previous"] == pytest.approx(1, abs=0.01)
    assert table[1, 0]["induction"] == pytest.approx(1, abs=0.01)
    assert table[1, 0]["previous"] < 0.05  # type: ignore[operator]


def test_repeats_are_those_of_plain_loops(tiny_llama: Path) -> None:
    model = load(tiny_llama, dtype="float64")
    seen = []

    class Reading:
        def __getattr__(self, name: str) -> object:
            return getattr(model.backend, name)

        def run(self, encoding: object, observers: object, target: object = None) -> object:
            seen.append(encoding)
            return model.backend.run(encoding, observers, target)  # type: ignore[arg-type]

    found = repeats(Reading(), model.checkpoint.tokenizer)  # type: ignore[arg-type]
    assert found is not None
    previous, duplicate = [], []
    for encoding in seen:
        kept = Weights()
        model.backend.run(encoding, [kept])
        a, ids = kept.stacked().numpy(), np.array(encoding.ids)
        previous.append(np.mean([a[..., i, i - 1] for i in range(1, len(ids))], 0))
        same = [a[..., i, :i][..., ids[:i] == ids[i]].sum(-1) for i in range(len(ids)) if ids[i] in ids[:i]]
        duplicate.append(np.mean(same, 0))
    np.testing.assert_allclose(found["previous"].mean, np.mean(previous, 0), rtol=1e-9)
    np.testing.assert_allclose(found["duplicate"].mean, np.mean(duplicate, 0), rtol=1e-9)


def test_no_head_with_rotary_positions_sinks_into_one_repeated_token(tiny_llama: Path) -> None:
    """A theorem of Gu et al. (2025): all hidden states are alike, so every query spreads its weight evenly."""
    model = load(tiny_llama, dtype="float64")
    found = sinks(model.backend, model.checkpoint.tokenizer)
    assert found is not None
    assert found.length == 64
    assert found.rates["repeated"] == 0
    assert set(found.rates) == {"natural", "random", "repeated"}
    harmonic = sum(1 / t for t in range(1, 65)) / 64
    assert found.first["repeated"].mean == pytest.approx(np.full((3, 4), harmonic), abs=0.06)


def test_without_positions_a_repeated_token_has_the_same_weight_everywhere(tmp_path: Path) -> None:
    """A = 1/t, exactly (Gu et al. 2025)."""
    config = SmolLM3Config(**(tiny.DECODER | {"no_rope_layers": [0, 0, 0], "use_sliding_window": False}))
    tiny.save(tmp_path, SmolLM3ForCausalLM(config))
    model, kept = load(tmp_path, dtype="float64"), Weights()
    model.backend.run(of_tokens(model.checkpoint.tokenizer, [30] * 40), [kept])
    even = np.tril(np.ones((40, 40))) / np.arange(1, 41)[:, None]
    np.testing.assert_allclose(kept.stacked().numpy(), np.broadcast_to(even, (3, 4, 40, 40)), atol=1e-12)


def test_texts_come_in_any_order_and_failures_are_counted(tiny_model: Model) -> None:
    texts = [tiny.SENTENCE, "the river", "the company had loan of the river " * 30, InputError("it is torn")]
    table, other = (tiny_model.heads(each) for each in (texts, texts[::-1]))
    assert table.notes[0].startswith("3 documents of ")
    assert "1 failed (it is torn)" in table.notes[0]
    first, second = by_head(table), by_head(other)
    for head, row in first.items():
        assert row["sink"] == pytest.approx(second[head]["sink"], abs=1e-6)
        assert row["low"] == pytest.approx(second[head]["low"], abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda model: model.heads([]), "there are no texts"),
        (lambda model: model.heads(["\ud800"]), "no text could be measured"),
        (lambda model: model.heads("one text"), "`texts` is one text"),
        (lambda model: model.heads(role="indution"), "`role` is 'indution'"),
        (lambda model: model.heads(role="broad"), "without texts there is no score of broad"),
        (lambda model: model.heads(role="sink"), "no score of sink could be measured"),
    ],
)
def test_what_can_not_be_answered_is_said(tiny_model: Model, ask: Callable[[Model], object], message: str) -> None:
    with pytest.raises((InputError, UsageError), match=message):
        ask(tiny_model)


def test_an_encoder_has_no_sink_rate_and_says_so(tiny_model: Model) -> None:
    table = tiny_model.heads()
    assert table.about["sink_rates"] is None
    assert any("No sink rate" in note for note in table.notes)
    assert np.isnan(table["sink"]).all()
    assert not table.column("sink").shown


def test_of_an_encoder_decoder_and_a_hosted_model(tiny_t5: Path, tiny_hosted: Path) -> None:
    for folder in (tiny_t5, tiny_hosted):
        model = load(folder)
        assert len(model.heads()) == 12
        assert np.isfinite(model.heads([tiny.SENTENCE])["previous"]).all()


def test_the_natural_text_is_long_enough() -> None:
    assert len(" ".join(natural_text()).split()) > 10 * 64 * 0.75


@pytest.mark.real
@pytest.mark.slow
def test_heads_of_smollm2(real_decoder: Path) -> None:
    table = load(real_decoder).heads(role="induction")
    found = {head: row["induction"] for head, row in by_head(table).items() if row["induction"] >= 0.5}  # type: ignore[operator]
    assert found == pytest.approx(SMOLLM2, abs=0.02)
    rows = by_head(table)
    assert rows[16, 0]["role"] == rows[11, 1]["role"] == "previous"
    assert rows[16, 0]["previous"] == pytest.approx(0.90, abs=0.02)
    assert table.about["sink_rates"]["repeated"] == 0
    assert table.about["sink_rates"]["random"] == pytest.approx(0.77, abs=0.05)


@pytest.mark.hub
def test_heads_of_gpt2_are_the_published_ones() -> None:
    from huggingface_hub import try_to_load_from_cache

    if not isinstance(try_to_load_from_cache("openai-community/gpt2", "config.json"), str):
        pytest.skip("GPT-2 small is not in the cache of the Hub")
    table = load("openai-community/gpt2").heads(role="induction")
    five = {(row["layer"], row["head"]) for row, _ in zip(table.rows(), range(5), strict=False)}
    assert five == {(5, 5), (6, 9), (7, 10), (5, 1), (7, 2)}
    assert by_head(table)[4, 11]["role"] == "previous"

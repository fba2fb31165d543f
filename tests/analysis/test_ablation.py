"""Ablation: what changes without a head, held to transformers' own models whose matrices lack the head."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch

import attnviz
from attnviz.analysis.effects.means import PatternSums
from attnviz.analysis.effects.places import HeadPlace
from attnviz.attention.tile import Tile
from attnviz.errors import InputError, UsageError
from tests.model.test_classifiers import made, tokenizer
from tests.model.variants import all_variants

CLOSE = 1e-6
"""transformers' RMS norm computes in float32, whatever the model's type."""
LLAMA = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "tie_word_embeddings": False,
}  # fmt: skip
T5 = {
    "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0,
}  # fmt: skip
BERT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = "The bank approved the loan because the company had strong financials."


def decoder() -> Any:
    return made("LlamaForCausalLM", LLAMA).double()


def encoder(name: str = "BertModel") -> Any:
    return made(name, BERT).double()


def opened(theirs: Any) -> Any:
    model = attnviz.load((theirs, tokenizer()), dtype="float64")
    assert model.backend.name == "native"
    return model


def without(theirs: Any, layer: int, head: int, size: int = 8) -> Any:
    """A copy of a model in which the head's part of the output matrix is zero."""
    copy = deepcopy(theirs)
    body = getattr(copy, copy.base_model_prefix, copy)
    blocks = body.layers if hasattr(body, "layers") else body.encoder.layer
    block = blocks[layer]
    output = block.self_attn.o_proj if hasattr(block, "self_attn") else block.attention.output.dense
    with torch.no_grad():
        output.weight[:, head * size : (head + 1) * size] = 0
    return copy


def logits(theirs: Any, ids: Any) -> Any:
    with torch.inference_mode():
        return theirs(input_ids=torch.tensor([ids])).logits[0].double()


def test_a_decoder_without_each_head_says_what_transformers_says() -> None:
    theirs = decoder()
    model = opened(theirs)
    ids = model.encode(TEXT).ids
    found = model.ablate(TEXT, target="loan", against="river")
    assert (found.ranked, len(found)) == ("difference", 12)
    table = found.to_pandas().set_index(["layer", "head"])
    target, against = (model.checkpoint.tokenizer.token_to_id(word) for word in ("loan", "river"))
    plain = logits(theirs, ids)
    p = plain[-1].log_softmax(-1)

    def loss(given: Any) -> float:
        return float(torch.nn.functional.cross_entropy(given[:-1], torch.tensor(ids[1:])))

    for layer in range(3):
        for head in range(4):
            changed = logits(without(theirs, layer, head), ids)
            q, row = changed[-1].log_softmax(-1), table.loc[layer, head]
            assert row.kl == pytest.approx(float((p.exp() * (p - q)).sum()), abs=CLOSE)
            assert row.loss == pytest.approx(loss(changed) - loss(plain), abs=CLOSE)
            moved = (changed[-1, target] - changed[-1, against]) - (plain[-1, target] - plain[-1, against])
            assert row.difference == pytest.approx(float(moved), abs=CLOSE)
            assert row.p == pytest.approx(float(q[target].exp()), abs=CLOSE)
            others = [table.loc[layer, each].difference for each in range(4) if each != head]
            beside = (np.median(others), min(others), max(others))
            np.testing.assert_allclose((row.control, row.lowest, row.highest), beside, atol=1e-12)
    assert list(abs(found["difference"])) == sorted(abs(found["difference"]), reverse=True)


def test_an_encoder_without_a_head_has_the_states_that_transformers_has() -> None:
    theirs = encoder()
    model = opened(theirs)
    encoding = model.encode(TEXT)
    found = model.ablate(TEXT, heads=["1.2"])
    with torch.inference_mode():
        plain, changed = (
            each(input_ids=torch.tensor([encoding.ids])).last_hidden_state[0]
            for each in (theirs, without(theirs, 1, 2))
        )

    def apart(one: Any, other: Any) -> float:
        return 1 - float(torch.nn.functional.cosine_similarity(one, other, dim=-1))

    words = [
        apart(changed[word.start : word.stop].mean(0), plain[word.start : word.stop].mean(0)) for word in encoding.words
    ]
    assert found["pooled"][0] == pytest.approx(apart(changed.mean(0), plain.mean(0)), abs=1e-9)
    assert found["words"][0] == pytest.approx(np.mean(words), abs=1e-9)
    assert found["largest"][0] == pytest.approx(max(words), abs=1e-9)
    by_word = model.ablate(TEXT, heads=[(1, 2)], by_word=True)
    assert len(by_word) == len(words)
    assert sorted(by_word["change"]) == pytest.approx(sorted(words), abs=1e-9)
    assert by_word["word"][0] == found["word"][0]


def test_a_classifier_without_a_head_has_the_probabilities_that_transformers_has() -> None:
    theirs = encoder("BertForSequenceClassification")
    model = opened(theirs)
    ids = model.encode(TEXT).ids
    plain, changed = (logits(each, ids).softmax(-1).numpy() for each in (theirs, without(theirs, 0, 3)))
    found = model.ablate(TEXT, heads=[(0, 3)])
    assert found.ranked == "kl"
    assert found["kl"][0] == pytest.approx((plain * np.log(plain / changed)).sum(), abs=1e-6)
    assert found["change"][0] == pytest.approx((changed - plain)[plain.argmax()], abs=1e-6)
    label = list(found.about["labels"])[1]
    wanted = model.ablate(TEXT, heads=[(0, 3)], target=label.lower())
    assert wanted["change"][0] == pytest.approx((changed - plain)[1], abs=1e-6)
    with pytest.raises(UsageError, match="the label is 'glee', expected one of"):
        model.ablate(TEXT, target="glee")


def test_the_losses_of_words_add_up_to_that_of_the_text() -> None:
    model = opened(decoder())
    whole, words = (model.ablate(TEXT, heads=[(1, 1)], by_word=each) for each in (False, True))
    assert words["change"].sum() / (len(model.encode(TEXT)) - 1) == pytest.approx(whole["loss"][0], abs=1e-9)


def test_several_heads_are_ablated_one_by_one_and_together() -> None:
    theirs = decoder()
    model = opened(theirs)
    ids = model.encode(TEXT).ids
    found = model.ablate(TEXT, heads=["0.1", "L2 H3"])
    assert set(zip(found["layer"].tolist(), found["head"].tolist(), strict=True)) == {(0, 1), (2, 3)}
    p, q = (logits(each, ids)[-1].log_softmax(-1) for each in (theirs, without(without(theirs, 0, 1), 2, 3)))
    assert found.about["together"]["kl"] == pytest.approx(float((p.exp() * (p - q)).sum()), abs=CLOSE)
    assert any(note.startswith("Both heads at once: kl ") for note in found.notes)
    layer = model.ablate(TEXT, heads=["1.*"])
    assert sorted(layer["head"].tolist()) == [0, 1, 2, 3]


def test_the_mean_of_one_text_that_is_the_same_everywhere_changes_nothing() -> None:
    """A head whose outputs are equal at all tokens is its own mean: here all tokens are one, without positions."""
    model = opened(made("BertModel", {**BERT, "position_embedding_type": "absolute"}).double())
    with torch.inference_mode():
        model.backend.network.tensors["embed.positions.weight"][:] = 0
        model.backend.network.tensors["embed.tokens.weight"][:] = 1
    found = model.ablate("bank bank bank", mean=["bank loan bank river"])
    assert found["pooled"].max() < 1e-12
    assert model.ablate("bank bank bank")["pooled"].max() > 1e-6


def test_a_mean_is_over_all_tokens_of_all_texts() -> None:
    from attnviz.attention.observers.changed import KeptContexts

    model = opened(decoder())
    texts = ["The river had it.", "The company approved the loan of the bank."]
    kept = [KeptContexts() for _ in texts]
    for text, each in zip(texts, kept, strict=True):
        model.backend.run(model.encode(text), [each])
    mean = torch.cat([each.found["self"][1][2] for each in kept]).mean(0)
    with model.intervene(attnviz.Mean(1, 2, values=mean)):
        states = model.backend.run(model.encode(TEXT))
    q = model.backend.next_logits(states)[-1].log_softmax(-1)
    p = model.backend.next_logits(model.backend.run(model.encode(TEXT)))[-1].log_softmax(-1)
    found = model.ablate(TEXT, heads=[(1, 2)], mean=texts)
    assert found["kl"][0] == pytest.approx(float((p.exp() * (p - q)).sum()), abs=1e-9)
    assert found.about["documents"] == 2


@pytest.mark.parametrize("way", ["freeze", "as", "mean"])
def test_weights_of_the_text_itself_change_nothing(way: str) -> None:
    model = opened(decoder())
    given: dict[str, Any] = {"as": {"as_": TEXT}, "mean": {"freeze": "mean", "mean": [TEXT, TEXT]}}.get(way, {})
    if way == "freeze":
        uniform = model.ablate(TEXT, freeze="uniform")
        assert uniform["kl"].max() > 1e-6
        return
    assert model.ablate(TEXT, **given)["kl"].max() < 1e-12


def test_a_link_is_cut_where_it_is() -> None:
    model = opened(decoder())
    words = [word.text for word in model.encode(TEXT).words]
    query, key = words.index("loan"), words.index("bank")
    assert model.encode(TEXT).words[query].start == query
    found = model.ablate(TEXT, heads=[(0, 0)], cut=("loan", "bank"))
    with model.intervene(attnviz.Cut(0, 0, queries=(query,), keys=(key,))):
        att = model.attend(TEXT)
        states = model.backend.run(model.encode(TEXT))
    assert att.weights[0, 0, query, key] == 0
    assert att.weights[0, 0, query].sum() == pytest.approx(1, abs=1e-6)
    p, q = (
        model.backend.next_logits(each)[-1].log_softmax(-1) for each in (model.backend.run(model.encode(TEXT)), states)
    )
    assert found["kl"][0] == pytest.approx(float((p.exp() * (p - q)).sum()), abs=1e-9)
    with pytest.raises(UsageError, match="bank comes before loan, and this model looks back only"):
        model.ablate(TEXT, cut=("bank", "loan"))
    with pytest.raises(UsageError, match="has no word 'lone'"):
        model.ablate(TEXT, cut=("lone", "bank"))


def test_blocks_compose_and_leave_nothing_behind() -> None:
    model = opened(decoder())
    plain = model.attend(TEXT).weights
    with model.intervene(attnviz.Zero(0, 0)):
        with model.intervene(attnviz.Freeze(2, 1)):
            both = model.attend(TEXT).weights
            table = model.ablate(TEXT, heads=[(1, 1)])
        one = model.attend(TEXT).weights
    assert abs(one[1] - plain[1]).max() > 1e-6
    np.testing.assert_array_equal(both[:2], one[:2])
    assert abs(both[2, 1] - one[2, 1]).max() > 1e-6
    np.testing.assert_array_equal(model.attend(TEXT).weights, plain)
    assert abs(table["kl"][0] - model.ablate(TEXT, heads=[(1, 1)])["kl"][0]) > 1e-9


def test_many_texts_inside_a_block_are_intervened_in_too() -> None:
    model = opened(decoder())
    texts, scores = [TEXT, "The river had it."], []
    for interventions in ((), (attnviz.Freeze(0, 0),)):
        with model.intervene(*interventions):
            rows = [*model.heads(texts).rows()]
        scores += [row["broad"] for row in rows if (row["layer"], row["head"]) == (0, 0)]
    lengths = [len(model.encode(text)) for text in texts]
    assert scores[1] == pytest.approx(np.mean([1 - 1 / n for n in lengths]), abs=0.03)
    assert scores[1] > scores[0] + 0.05


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_an_encoder_decoder_has_heads_of_three_kinds(family: str) -> None:
    each = next(each for (one, _), each in all_variants().items() if one == family)
    model = opened(made(each.model, each.config))
    found = model.ablate("The bank approved the loan", decoder_text="The river had the loan")
    assert set(found["map"].tolist()) == {"encoder", "decoder", "cross"}
    assert np.isfinite(found["kl"]).all()
    some = model.ablate("The bank", decoder_text="The river", heads=[(0, 1)])
    assert some["map"].tolist() == ["cross"]
    encoder_only = model.ablate("The bank", decoder_text="The river", heads=[(0, 1)], attention="encoder")
    assert encoder_only["map"].tolist() == ["encoder"]
    with pytest.raises(UsageError, match="has no self attention"):
        model.ablate("The bank", decoder_text="The river", attention="self")


def test_hosted_models_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for theirs, text in ((decoder(), TEXT), (encoder("BertForSequenceClassification"), TEXT), (encoder(), TEXT)):
        native = opened(theirs).ablate(text)
        with monkeypatch.context() as patched:
            patched.setattr("attnviz.model.backends.hosted_reason", lambda _: "a test")
            hosted = attnviz.load((theirs, tokenizer()), dtype="float64")
            assert hosted.backend.name == "hosted"
            found = hosted.ablate(text)
        for name in native.values:
            if native[name].dtype.kind == "f":
                np.testing.assert_allclose(found[name], native[name], atol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"heads": [(9, 0)]}, "there is no layer 9: this model has layers 0–2"),
        ({"heads": [(0, 4)]}, "layer 0 has no head 4: it has heads 0 to 3"),
        ({"heads": ["five"]}, "'five' is no head"),
        ({"heads": [(-1, 0)]}, r"\(-1, 0\) is no head"),
        ({"heads": []}, "no head is given"),
        ({"heads": [(0, 0)], "role": "induction"}, "both heads and a role"),
        ({"role": "poet"}, "`role` is 'poet'"),
        ({"against": "river"}, "`against` is given and no `target`"),
        ({"freeze": "ice"}, "`freeze` is 'ice'"),
        ({"freeze": "mean"}, "the mean of weights needs texts"),
        ({"as_": "x", "cut": ("bank", "loan")}, "`as_` and `cut` are given"),
        ({"rank": "kll"}, "there is no column 'kll'"),
        ({"rank": "next"}, "rows can't be ranked by 'next'"),
        ({"mean": TEXT}, "`mean` is one text"),
        ({"cut": ("bank",)}, "expected two words"),
    ],
)
def test_bad_questions(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        opened(decoder()).ablate(TEXT, **given)


def test_texts_that_do_not_fit() -> None:
    model = opened(decoder())
    with pytest.raises(InputError, match=r"differ in length, \d+ and 5 tokens"):
        model.ablate(TEXT, as_="The bank.")
    with pytest.raises(InputError, match=r"no text has the \d+ tokens"):
        model.ablate(TEXT, freeze="mean", mean=["The bank."])
    with pytest.raises(InputError, match="no text could be used for a mean"):
        model.ablate(TEXT, mean=[])
    with pytest.raises(UsageError, match="it has no logit of a target"):
        opened(encoder()).ablate(TEXT, target="loan")


def test_an_observed_model_is_not_intervened_in() -> None:
    from attnviz.errors import UnsupportedModel
    from attnviz.model.hosted.observed import Observed

    model = opened(encoder())
    observed = Observed(encoder(), "a model")
    with pytest.raises(UnsupportedModel, match="attends by itself"), observed.intervened([attnviz.Zero(0, 0)]):
        pass
    assert model.backend.interventions == ()


def test_a_classifier_has_the_difference_of_two_labels_and_nothing_word_by_word() -> None:
    theirs = encoder("BertForSequenceClassification")
    model = opened(theirs)
    ids = model.encode(TEXT).ids
    found = model.ablate(TEXT, heads=[(0, 3)], target="positive", against="NEUTRAL")
    one, other = 1, 2
    plain, changed = (logits(each, ids) for each in (theirs, without(theirs, 0, 3)))
    expected = (changed[one] - changed[other]) - (plain[one] - plain[other])
    assert found.ranked == "difference"
    assert found.columns[2].about == "change of the logit of POSITIVE minus that of NEUTRAL"
    assert found["difference"][0] == pytest.approx(float(expected), abs=1e-9)
    assert found.about["logit_difference"] == pytest.approx(float(plain[one] - plain[other]), abs=1e-9)
    with pytest.raises(UsageError, match="the label is 'glee'"):
        model.ablate(TEXT, heads=[(0, 3)], target="positive", against="glee")
    with pytest.raises(UsageError, match="no change word by word"):
        model.ablate(TEXT, heads=[(0, 3)], by_word=True)


def test_a_target_against_itself_is_refused() -> None:
    model = opened(decoder())
    with pytest.raises(UsageError, match="both the token"):
        model.ablate(TEXT, heads=[(0, 0)], target="bank", against="bank")


def test_one_head_without_a_link_is_not_several_at_once() -> None:
    found = opened(decoder()).ablate(TEXT, heads=[(0, 1)], cut=("loan", "bank"))
    assert "together" not in found.about
    assert not any("at once" in note for note in found.notes)


def test_the_decoder_reads_the_same_beside_another_text() -> None:
    model = opened(made("T5ForConditionalGeneration", T5).double())
    same = model.ablate(TEXT, as_=TEXT)
    assert same["kl"].max() < 1e-12
    assert model.ablate(TEXT, as_=TEXT.replace("bank", "river"))["kl"].max() > 1e-12
    mean = model.ablate(TEXT, freeze="mean", mean=[TEXT, "The bank"])
    assert mean["kl"].max() < 1e-12
    assert any("1 was left out, as too short" in note for note in mean.notes)


def test_weights_of_rows_with_a_sink_that_has_no_key_stay_as_they_are() -> None:
    sums = PatternSums([HeadPlace("self", 0, 0)])
    weights = torch.tensor([[[0.3, 0.0], [0.2, 0.4]]], dtype=torch.float64)
    for times in (1.0, 0.5):
        sums.tile(Tile(0, 0, 0, weights * times, (1, 2, 2)))
    frozen = sums.frozen(HeadPlace("self", 0, 0))
    assert torch.allclose(frozen.pattern, weights[0] * 0.75)

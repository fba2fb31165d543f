"""What adds to the logit of a target: sums, words, labels and the models that have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import attnviz
from attnviz.errors import AttnvizError, InputError, UsageError
from attnviz.interface.tables import Table
from tests import tiny
from tests.model.test_classifiers import MOODS, made, tokenizer

S = tiny.SENTENCE
IOI = "When Mary and John went to the store, John gave a drink to"
TOKENS = transformers.PreTrainedTokenizerFast(
    tokenizer_object=tiny.wordpiece(), pad_token="[PAD]", bos_token="[CLS]", eos_token="[SEP]"
)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> attnviz.Model:
    return attnviz.load(tiny.llama(tmp_path_factory.mktemp("llama")), dtype="float64")


def sums(table: Table) -> float:
    """The sum of all rows is what the table says it is."""
    total = float(table["contribution"].sum())
    assert table.about["sum"] == pytest.approx(total, abs=1e-12)
    return total


def test_all_rows_sum_to_the_logit_that_the_model_gives(llama: attnviz.Model) -> None:
    found = llama.contributions(S, "loan", "river")
    read = llama.encode(S)
    logits = llama.backend.next_logits(llama.backend.run(read))[-1]
    expected = logits[tiny.VOCABULARY.index("loan")] - logits[tiny.VOCABULARY.index("river")]
    assert sums(found) == pytest.approx(float(expected), abs=1e-9)
    assert found.about["logit"] == pytest.approx(float(expected), abs=1e-9)
    assert abs(found.about["apart"]) < 1e-9
    assert found.about["target"] == " loan"
    assert [*found.values][:4] == ["component", "part", "layer", "head"]
    assert sorted(set(found["part"])) == ["MLP", "embedding", "head"]
    assert len(found) == 3 * 4 + 3 + 1
    sizes = np.abs(found["contribution"])
    assert (np.diff(sizes) <= 0).all()


def test_words_sum_to_their_head(llama: attnviz.Model) -> None:
    heads, words = (llama.contributions(S, "loan", by=by) for by in ("head", "word"))
    expected = {(row["layer"], row["head"]): row["contribution"] for row in heads.heads.rows()}
    found = dict.fromkeys(expected, 0.0)
    for row in words.rows():
        found[row["layer"], row["head"]] += row["contribution"]
    assert found == pytest.approx(expected, abs=1e-9)
    strongest = {(row["layer"], row["head"]): (row["word"], row["of_word"]) for row in heads.heads.rows()}
    for row in words.rows():  # those that add or take most come first
        head = row["layer"], row["head"]
        if head in strongest:
            assert strongest.pop(head) == (row["word"], pytest.approx(row["contribution"]))
    assert not strongest


def test_a_word_inside_the_text_is_looked_at_as_the_end_of_a_shorter_one(llama: attnviz.Model) -> None:
    long, short = llama.contributions(S, "loan", at="approved"), llama.contributions("The bank approved", "loan")
    assert "after 'approved'" in long.title
    names = [dict(zip(each["component"], each["contribution"], strict=True)) for each in (long, short)]
    if short.about["at"] == "approved":
        assert names[0] == pytest.approx(names[1], abs=1e-9)


def test_the_target_is_what_the_model_predicts_if_none_is_named(llama: attnviz.Model) -> None:
    found = llama.contributions(S)
    logits = llama.backend.next_logits(llama.backend.run(llama.encode(S)))[-1]
    assert found.about["target_id"] == int(logits.argmax())
    assert found.about["probability"] == pytest.approx(float(logits.softmax(-1).max()))
    assert found.about["target"] == found.about["predicted"]
    assert llama.contributions(S, int(logits.argmax())).about["logit"] == found.about["logit"]


def test_a_soft_cap_is_said(tmp_path: Path) -> None:
    shape = {name: value for name, value in tiny.DECODER.items() if not name.startswith("max")}
    config = transformers.Gemma2Config(**shape, head_dim=8, final_logit_softcapping=2.0)
    tiny.save(tmp_path, transformers.Gemma2ForCausalLM(config))
    found = attnviz.load(tmp_path, dtype="float64").contributions(S, "loan")
    assert sums(found) == pytest.approx(found.about["logit"], abs=1e-9)
    assert found.about["capped"] == pytest.approx(2 * np.tanh(found.about["logit"] / 2), abs=1e-9)
    assert any("soft cap" in note for note in found.notes)


def test_an_encoder_decoder_has_heads_of_both_kinds(tmp_path: Path) -> None:
    model = attnviz.load(tiny.t5(tmp_path), dtype="float64")
    found = model.contributions(S, "loan", "river", decoder_text="the bank")
    assert sums(found) == pytest.approx(found.about["logit"], abs=1e-9)
    assert sorted(set(found.heads["map"])) == ["cross", "decoder"]
    assert "cross L1 H2" in found["component"]
    read, written = model.inputs(S, target="the bank")
    logits = model.backend.next_logits(model.backend.run(read, (), written))[-1]
    assert found.about["logit"] == pytest.approx(
        float(logits[tiny.VOCABULARY.index("loan")] - logits[tiny.VOCABULARY.index("river")])
    )
    first = model.contributions(S)
    assert first.about["at"] == "[PAD]"
    assert first.about["text"] != S
    with pytest.raises(UsageError, match="what the decoder reads"):
        model.contributions(S, at="bank")


def test_a_label_of_a_classifier_with_one_layer() -> None:
    config = {**tiny.DECODER, "pad_token_id": 0}
    model = attnviz.load((made("LlamaForSequenceClassification", config), tokenizer()), dtype="float64")
    mood = [*MOODS.values()]
    found = model.contributions(S, mood[1], mood[0])
    att = model.attend(S)
    assert att.prediction
    assert sums(found) == pytest.approx(float(att.prediction.logits[1] - att.prediction.logits[0]), abs=1e-5)
    assert (found.about["of"], found.about["target"]) == ("label", mood[1])
    assert model.contributions(S, mood[1].upper()).about["target"] == mood[1]
    with pytest.raises(UsageError, match="expected one of"):
        model.contributions(S, "nothing")
    with pytest.raises(UsageError, match="leave `at` out"):
        model.contributions(S, at="bank")


def test_a_label_of_a_word() -> None:
    config = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    model = attnviz.load((made("BertForTokenClassification", config), tokenizer()), dtype="float64")
    found = model.contributions(S, at="loan")
    att: Any = model.attend(S)
    assert sums(found) == pytest.approx(float(att.prediction.logits[att.tokens.index("loan")].max()), abs=1e-5)
    assert {"tokens", "positions", "types", "norm biases", "attention biases", "MLP biases", "head bias"} <= set(
        found["component"]
    )
    with pytest.raises(UsageError, match="no word is named"):
        model.contributions(S)


def test_what_has_no_such_sum_is_refused_and_what_can_be_measured_is_said(tmp_path: Path) -> None:
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    cases: list[tuple[attnviz.Model, str]] = [
        (attnviz.load((made("BertForSequenceClassification", small), tokenizer())), "more than one layer"),
        (attnviz.load(tiny.bert(tmp_path / "bert")), "no head that predicts"),
        (attnviz.load(tiny.hosted(tmp_path / "hosted")), "hosted is hosted"),
    ]
    for model, message in cases:
        with pytest.raises(UsageError, match=message) as error:
            model.contributions(S)
        assert "What can be measured instead: attnviz" in error.value.hint


@pytest.mark.parametrize(
    ("asked", "kind", "message"),
    [
        ({"target": ""}, UsageError, "the target is empty"),
        ({"target": "☃"}, InputError, "does not know '☃'"),
        ({"target": "loan", "against": "loan"}, UsageError, "`target` and `against` are both the token ' loan'"),
        ({"target": 10**6}, UsageError, "there is no token"),
        ({"at": "nowhere"}, UsageError, "the text has no word 'nowhere'"),
        ({"at": "the"}, UsageError, "'the' is 3 words of the text"),
        ({"by": "letter"}, UsageError, "`by` is 'letter'"),
        ({"decoder_text": "the"}, UsageError, "no decoder"),
    ],
)
def test_bad_input(llama: attnviz.Model, asked: dict[str, Any], kind: type[AttnvizError], message: str) -> None:
    with pytest.raises(kind, match=message):
        llama.contributions(S, **asked)


def test_a_target_of_several_tokens_says_its_pieces(llama: attnviz.Model) -> None:
    found = llama.contributions(S, "banks")
    assert found.notes[0] == "'banks' is 2 tokens (' bank', 's'): the first, ' bank', is taken."


def test_maps_of_contributions_are_of_what_each_row_predicts(llama: attnviz.Model, tmp_path: Path) -> None:
    adds, takes = (llama.attend(S, weights=name) for name in ("contribution", "contribution-"))
    assert (adds.weights >= 0).all()
    assert ((adds.weights == 0) | (takes.weights == 0)).all()
    rows = (adds.weights - takes.weights).sum(-1)  # (L, H, N)
    for at, row in ((None, -1), ("approved", adds.tokens.index("approved"))):
        found = llama.contributions(S, at=at)
        expected = [row["contribution"] for row in sorted(found.heads.rows(), key=lambda row: row["component"])]
        np.testing.assert_allclose(rows[..., row].ravel(), expected, atol=1e-9)
    assert np.triu(adds.weights, 1).max() == 0
    adds.save(tmp_path / "record.json")
    again = attnviz.Attention.open(tmp_path / "record.json")
    assert again.measure == "contribution"
    np.testing.assert_allclose(again.weights, adds.weights, atol=1e-6)
    assert llama.check_record(adds).passed


def test_maps_of_contributions_need_a_language_model(tmp_path: Path) -> None:
    config = {**tiny.DECODER, "pad_token_id": 0}
    cases: list[tuple[attnviz.Model, str]] = [
        (attnviz.load(tiny.bert(tmp_path / "bert")), "predicts no tokens"),
        (attnviz.load(tiny.t5(tmp_path / "t5")), "is an encoder–decoder"),
        (attnviz.load(tiny.hosted(tmp_path / "hosted")), "transformers runs"),
        (attnviz.load((made("LlamaForSequenceClassification", config), tokenizer())), "is a classifier"),
    ]
    for model, message in cases:
        with pytest.raises(UsageError, match=message):
            model.attend(S, target="the" if "encoder" in message else None, weights="contribution")


def test_maps_of_contributions_are_of_texts_whose_weights_fit(
    llama: attnviz.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnviz.model.backends.MAX_KEPT_BYTES", 100)
    with pytest.raises(InputError, match="too many of to keep"):
        llama.inspect(S, request=attnviz.record.Request(weights="contribution"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_against_transformer_lens(tmp_path: Path) -> None:
    """It folds norms into weights and centres these: what that moves is the same for all tokens, and differences agree.

    Value biases stay with their heads, as ours do.
    """
    lens = pytest.importorskip("transformer_lens")
    TOKENS.save_pretrained(tmp_path)
    tokens = transformers.AutoTokenizer.from_pretrained(tmp_path)
    shape = {"vocab_size": len(tiny.VOCABULARY), "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape, attn_implementation="eager")).eval()
    tiny.randomise(model, scale=0.3)
    ours = attnviz.load((model, tokens))
    found = ours.contributions(S, "loan", "river")
    theirs = lens.TransformerBridge.boot_transformers("gpt2", hf_model=model, tokenizer=tokens, device="cpu")
    theirs.enable_compatibility_mode(fold_value_biases=False)
    with torch.inference_mode():
        _, cache = theirs.run_with_cache(torch.tensor([ours.encode(S).ids]))
        loan, river = (
            theirs.tokens_to_residual_directions(torch.tensor([tiny.VOCABULARY.index(word)]))
            for word in ("loan", "river")
        )
        heads = cache.apply_ln_to_stack(cache.stack_head_results(layer=-1, pos_slice=-1), layer=-1, pos_slice=-1)
        expected = (heads[:, 0] @ (loan - river).flatten()).view(3, 4)
    for row in found.heads.rows():
        assert row["contribution"] == pytest.approx(float(expected[row["layer"], row["head"]]), abs=1e-5)


@pytest.mark.hub
def test_the_name_movers_of_gpt2() -> None:
    """Indirect objects in GPT-2 small (Wang et al. 2022): the eight heads that add or take most.

    The values are those of TransformerLens' demo, which folds norms and centres weights, and counts what the biases of
    values write, the same for every text, as the layer's and not as the head's.
    """
    try:
        model = attnviz.load("openai-community/gpt2")
    except AttnvizError as error:
        pytest.skip(f"GPT-2 is not in the cache of the Hub ({error.message})")
    found = model.contributions(f"<|endoftext|>{IOI}", "Mary", "John")
    expected = {
        (9, 9): 1.958, (9, 6): 1.628, (10, 7): -1.427, (11, 1): -0.912, (11, 10): -0.904, (10, 0): 0.637,
        (10, 10): 0.452, (8, 10): 0.426,
    }  # fmt: skip
    adds = {(row["layer"], row["head"]): row["contribution"] for row in found.heads.rows()}
    assert {head: adds[head] for head in expected} == pytest.approx(expected, abs=0.1)
    assert [*adds][:3] == [*expected][:3]

"""``--weights gradient``: of which answer the numbers are, which models have one, and what is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import attnviz
from attnviz import record
from attnviz.errors import InputError, UsageError
from attnviz.interface import EncoderDecoder
from tests.analysis.test_ablation import BERT, TEXT, decoder, opened
from tests.model.test_classifiers import made, tokenizer
from tests.model.variants.t5 import t5


def expected(theirs: Any, ids: Any, say: Any) -> Any:
    """The maps by transformers' own autograd."""
    output = theirs(input_ids=torch.tensor([ids]), output_attentions=True)
    for each in output.attentions:
        each.retain_grad()
    say(output.logits[0]).backward()
    return np.stack([(each[0] * each.grad[0]).clamp(min=0).mean(0).numpy(force=True) for each in output.attentions])


def test_a_language_model_is_asked_for_what_it_predicts() -> None:
    theirs = decoder()
    model = opened(theirs)
    ids = model.encode(TEXT).ids
    att = model.attend(TEXT, weights="gradient")
    assert att.weights.shape == (3, 1, len(ids), len(ids))
    best = int(theirs(torch.tensor([ids])).logits[0, -1].argmax())
    np.testing.assert_allclose(att.weights[:, 0], expected(theirs, ids, lambda out: out[-1, best]), atol=1e-6)
    loan, river = (model.checkpoint.tokenizer.token_to_id(word) for word in ("loan", "river"))
    wanted = model.attend(TEXT, weights="gradient", of="loan", against="river")
    theirs_too = expected(theirs, ids, lambda out: out[-1, loan] - out[-1, river])
    np.testing.assert_allclose(wanted.weights[:, 0], theirs_too, atol=1e-6)
    assert wanted.note == "y is the logit of ' loan' minus that of ' river'"
    assert wanted.below is not None
    np.testing.assert_array_equal(wanted.below.weights, model.attend(TEXT).weights)


def test_the_head_may_have_been_read_by_a_run_without_gradients() -> None:
    model = opened(decoder())
    model.backend.next_logits(model.backend.run(model.encode(TEXT)))
    assert model.attend(TEXT, weights="gradient").weights.max() > 0


@pytest.mark.parametrize("name", ["BertForSequenceClassification", "BertForTokenClassification"])
def test_a_classifier_is_asked_for_its_label(name: str) -> None:
    theirs = made(name, BERT).double()
    model = opened(theirs)
    ids = model.encode(TEXT).ids

    def label(number: int) -> Any:
        return lambda out: out.mean(0)[number] if out.dim() > 1 else out[number]

    logits = theirs(torch.tensor([ids])).logits[0]
    best = int((logits.mean(0) if logits.dim() > 1 else logits).argmax())
    att = model.attend(TEXT, weights="gradient")
    np.testing.assert_allclose(att.weights[:, 0], expected(theirs, ids, label(best)), atol=1e-6)
    wanted = model.attend(TEXT, weights="gradient", of="positive")
    np.testing.assert_allclose(wanted.weights[:, 0], expected(theirs, ids, label(1)), atol=1e-6)
    assert wanted.note == "y is the logit of POSITIVE"
    with pytest.raises(UsageError, match="the label is 'glee'"):
        model.attend(TEXT, weights="gradient", of="glee")


def test_an_encoder_decoder_has_three_maps_of_one_answer() -> None:
    variant = t5()
    theirs = made(variant.model, variant.config).double()
    model = opened(theirs)
    found = model.attend(TEXT, target="The river had it", weights="gradient")
    assert isinstance(found, EncoderDecoder)
    assert {each.measure for each in (found.encoder, found.decoder, found.cross)} == {"gradient"}
    source, target = (torch.tensor([each.encoding.ids]) for each in (found.encoder, found.decoder))
    output = theirs(input_ids=source, decoder_input_ids=target, output_attentions=True)
    kinds = {
        "encoder": output.encoder_attentions,
        "decoder": output.decoder_attentions,
        "cross": output.cross_attentions,
    }
    for maps in kinds.values():
        for each in maps:
            each.retain_grad()
    # The decoder's text has its end: the answer is its last word, which the token before it predicts.
    special = found.decoder.encoding.special
    last = max(i for i in range(len(special)) if not special[i])
    number = int(target[0, last]) if special[-1] else int(output.logits[0, -1].argmax())
    output.logits[0, last - 1 if special[-1] else -1, number].backward()
    for kind, maps in kinds.items():
        theirs_too = [(each[0] * each.grad[0]).clamp(min=0).mean(0).numpy(force=True) for each in maps]
        np.testing.assert_allclose(getattr(found, kind).weights[:, 0], np.stack(theirs_too), atol=1e-6)


def test_interventions_are_followed() -> None:
    model = opened(decoder())
    plain = model.attend(TEXT, weights="gradient").weights
    with model.intervene(attnviz.Freeze(1)):
        changed = model.attend(TEXT, weights="gradient").weights
    assert abs(changed - plain).max() > 1e-6


def test_records_find_and_compare() -> None:
    model = opened(decoder())
    att = model.attend(TEXT, weights="gradient", of="loan")
    found = model.find(TEXT, "loan", "bank", weights="gradient", of="loan")
    assert len(found) == 3
    row = {row["layer"]: row for row in found.rows()}[1]
    words = [word.text for word in att.encoding.words]
    q, k = (att.encoding.words[words.index(word)] for word in ("loan", "bank"))
    weight = att.weights[1, 0, q.start : q.stop, k.start : k.stop].sum(-1).mean()
    assert row["weight"] == pytest.approx(weight, rel=1e-5)
    compared = model.compare(TEXT, TEXT.replace("bank", "company"), weights="gradient", of="loan")
    assert set(compared["layer"].tolist()) == {0, 1, 2}
    assert model.check(TEXT).passed


def test_a_record_says_what_it_is_of(tmp_path: Any) -> None:
    att = opened(decoder()).attend(TEXT, weights="gradient", of="loan")
    record.write(att, tmp_path / "a.json", ".json")
    again = record.read(tmp_path / "a.json")
    assert (again.measure, again.note) == ("gradient", "y is the logit of ' loan'")
    np.testing.assert_allclose(again.weights, att.weights, atol=1e-6)


@pytest.mark.parametrize("name", ["BertModel", "BertForMaskedLM"])
def test_models_without_an_answer_say_so(name: str) -> None:
    model = attnviz.load((made(name, BERT), tokenizer()))
    with pytest.raises(UsageError, match="gradient") as caught:
        model.attend(TEXT, weights="gradient")
    assert "ablate" in caught.value.hint


def test_hosted_models_say_what_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnviz.model.backends.hosted_reason", lambda _: "a test")
    model = attnviz.load((decoder(), tokenizer()), dtype="float64")
    with pytest.raises(UsageError, match="needs attnviz's own forward pass") as caught:
        model.attend(TEXT, weights="gradient")
    assert "rollout" in caught.value.hint


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"of": "loan"}, UsageError, "`of` is given, and no weights that are of an answer"),
        ({"weights": "rollout", "against": "loan"}, UsageError, "`against` is given"),
        ({"weights": "gradient", "of": "loan", "against": "loan"}, UsageError, "are both the token"),
        ({"weights": "gradient", "of": ""}, UsageError, "the target is empty"),
        ({"weights": "gradient", "of": 10**6}, UsageError, "there is no token"),
        ({"weights": "gradient", "max_memory": 40000}, InputError, "gradients of its weights"),
    ],
)
def test_bad_questions(given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        opened(decoder()).attend(TEXT, **given)


def test_a_word_of_several_tokens_is_said() -> None:
    att = opened(decoder()).attend(TEXT, weights="gradient", of="riverbank")
    assert "tokens" in att.note


def test_pictures_name_the_answer() -> None:
    from matplotlib.text import Text

    from attnviz.analysis.text.replaying import replay
    from attnviz.render.figure import Style, draw_view
    from attnviz.render.figure.captions import measure_note

    att = opened(decoder()).attend(TEXT, weights="gradient", of="loan")
    found = replay(att, record.Request(weights="gradient"))
    assert measure_note(found.measure, found.note).endswith("(Chefer et al. 2021); y is the logit of ' loan'")
    for view in ("grid", "arcs"):
        drawn = draw_view(found, view, Style())
        texts = [text.get_text() for text in drawn.findobj(Text)]
        assert any("y is the logit of ' loan'" in " ".join(text.split()) for text in texts)

"""What a model writes without heads, held to transformers' ``generate`` of models whose matrices lack the heads."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

import attnviz
from attnviz.analysis.text.replaying import replay
from attnviz.encoding.spelling import Spelling
from attnviz.errors import InputError, ModelError, UsageError
from attnviz.render.terminal.writing import BothTexts
from tests import tiny
from tests.analysis.test_ablation import BERT, TEXT, decoder, encoder, opened, without
from tests.model.test_classifiers import made, tokenizer

COUNT = 12
ENDLESS = {"eos_token_id": None, "forced_eos_token_id": None, "forced_bos_token_id": None, "no_repeat_ngram_size": 2}


def whole(name: str) -> Any:
    """A model that writes varied texts: no two tokens come again."""
    if name == "llama":
        model = decoder()
    else:
        from tests.model.variants.bart import bart
        from tests.model.variants.t5 import t5

        variant = bart() if name == "bart" else t5()
        model = made(variant.model, variant.config).double()
    model.generation_config.update(**ENDLESS)
    return model


def native_or_hosted(theirs: Any, way: str, patched: pytest.MonkeyPatch) -> Any:
    if way == "hosted":
        patched.setattr("attnviz.model.backends.hosted_reason", lambda _: "a test")
    model = attnviz.load((theirs, tokenizer()), dtype="float64")
    assert model.backend.name == way
    return model


def spelt(ids: Any) -> list[str]:
    spelling = Spelling(tiny.wordpiece())
    return [spelling.written(int(each)) for each in ids]


def lacking(theirs: Any, kind: str, layer: int, head: int) -> Any:
    """A copy of a model in which the head's part of the output matrix is zero."""
    if kind == "self":
        return without(theirs, layer, head)
    copy = deepcopy(theirs)
    side = copy.model if hasattr(copy, "model") else copy
    block = side.encoder if kind == "encoder" else side.decoder
    block = (block.layers if hasattr(block, "layers") else block.block)[layer]
    if hasattr(block, "layer"):
        part = block.layer[0].SelfAttention if kind != "cross" else block.layer[1].EncDecAttention
        output, size = part.o, part.key_value_proj_dim
    else:
        part = block.encoder_attn if kind == "cross" else block.self_attn
        output, size = part.out_proj, part.head_dim
    with torch.no_grad():
        output.weight[:, head * size : (head + 1) * size] = 0
    return copy


def written(theirs: Any, ids: Any, count: int = COUNT) -> list[int]:
    given = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=int)}
    out = theirs.generate(**given, do_sample=False, num_beams=1, max_new_tokens=count)[0].tolist()
    return out[1:] if theirs.config.is_encoder_decoder else out[len(ids) :]


@pytest.mark.parametrize("way", ["native", "hosted"])
@pytest.mark.parametrize(
    ("name", "kind"), [("llama", "self"), ("t5", "cross"), ("t5", "encoder"), ("bart", "decoder"), ("bart", "cross")]
)
def test_transformers_writes_the_same_without_a_head(
    name: str, kind: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = whole(name)
    model = native_or_hosted(theirs, way, monkeypatch)
    ids = model.encode(TEXT).ids
    differ = 0
    for layer, head in ((0, 0), (1, 1)):
        attention = None if kind == "self" else kind
        found = model.generate(TEXT, [(layer, head)], attention=attention, tokens=COUNT)
        steps = found.take(np.argsort(found["step"]))
        plain, changed = written(theirs, ids), written(lacking(theirs, kind, layer, head), ids)
        assert spelt(plain) == list(steps["plain"])
        assert spelt(changed) == list(steps["changed"])
        differ += plain != changed
    assert differ, "the test shows nothing where no head matters"


def test_probabilities_and_divergences_are_transformers() -> None:
    theirs = whole("llama")
    model = opened(theirs)
    ids = model.encode(TEXT).ids
    found = model.generate(TEXT, [(1, 1)], tokens=COUNT)
    assert found.ranked == "kl"
    steps = found.take(np.argsort(found["step"]))
    cut = without(theirs, 1, 1)
    plain, changed = written(theirs, ids), written(cut, ids)
    rows = slice(len(ids) - 1, -1)

    def predicted(one: Any, new: list[int]) -> Any:
        with torch.inference_mode():
            return one(torch.tensor([[*ids, *new]])).logits[0, rows].double().log_softmax(-1)

    p, q, other = predicted(theirs, plain), predicted(cut, plain), predicted(cut, changed)
    np.testing.assert_allclose(steps["p"], [p[i, each].exp() for i, each in enumerate(plain)], atol=1e-6)
    np.testing.assert_allclose(steps["p_then"], [q[i, each].exp() for i, each in enumerate(plain)], atol=1e-6)
    np.testing.assert_allclose(steps["p_changed"], [other[i, each].exp() for i, each in enumerate(changed)], atol=1e-6)
    np.testing.assert_allclose(steps["kl"], (p.exp() * (p - q)).sum(-1), atol=1e-6)
    same = found.about["same"]
    assert plain[:same] == changed[:same]
    assert plain[same] != changed[same]
    assert found.about["odds"] == pytest.approx([float(each[same, changed[same]].exp()) for each in (p, q)], abs=1e-4)
    assert found.about["both"] + found.about["plain"] == "".join(steps["plain"])
    assert found.about["both"] + found.about["changed"] == "".join(steps["changed"])


@pytest.mark.parametrize("way", ["native", "hosted"])
def test_what_is_hidden_while_it_writes_is_not_there(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut of all that writes, in every layer, is a mask: held to runs of the whole text at each step."""
    model = native_or_hosted(whole("llama"), way, monkeypatch)
    ids = list(model.encode(TEXT).ids)
    at = [word.text for word in model.encode(TEXT).words].index("bank")
    found = model.generate(TEXT, cut=("generated", "bank"), tokens=6)
    assert found.title == "What the model writes without the link from generated to bank, in all heads"
    queries = tuple(range(len(ids) - 1, len(ids) + 6))
    for step in range(6):
        read = model.encode(TEXT)
        grown = attnviz.encoding.append_generated(model.checkpoint.tokenizer, read, ids[len(read) :])
        with model.intervene(attnviz.Cut(queries=queries, keys=(at,))):
            states = model.backend.run(grown)
            logits = model.backend.next_logits(states if way == "native" else grown)[-1].clone()
        for i in range(len(ids) - 1):  # no two tokens come again
            if ids[i] == ids[-1]:
                logits[ids[i + 1]] = -torch.inf
        ids.append(int(logits.argmax()))
        row = next(row for row in found.rows() if row["step"] == step + 1)
        assert row["changed"] == spelt(ids[-1:])[0]


def test_what_is_hidden_from_a_decoder_beside_an_encoder_is_not_there() -> None:
    theirs = whole("t5")
    model = opened(theirs)
    found = model.generate(TEXT, cut=("generated", "bank"), tokens=COUNT)
    at = [word.text for word in model.encode(TEXT).words].index("bank")
    ids = torch.tensor([model.encode(TEXT).ids])
    states = theirs.get_encoder()(ids)
    mask = torch.ones_like(ids)
    mask[0, at] = 0
    out = theirs.generate(
        encoder_outputs=states, attention_mask=mask, do_sample=False, num_beams=1, max_new_tokens=COUNT
    )
    steps = found.take(np.argsort(found["step"]))
    assert spelt(out[0, 1:]) == list(steps["changed"])


def test_generation_inside_a_block_is_intervened_in() -> None:
    theirs = whole("llama")
    model = opened(theirs)
    ids, cut = model.encode(TEXT).ids, without(theirs, 0, 0)
    with model.intervene(attnviz.Zero(0, 0)):
        inside = model.inputs(TEXT, generate=COUNT, shown=True)[0]
        record = model.attend(TEXT, generate=COUNT)
        seen = model.observe(TEXT, generate=COUNT)
    assert list(inside.ids[len(ids) :]) == written(cut, ids)
    assert written(cut, ids) != written(theirs, ids)
    plain = opened(cut).attend(TEXT, generate=COUNT)
    np.testing.assert_allclose(record.weights, plain.weights, atol=1e-6)
    np.testing.assert_allclose(seen.links.weights, replay(plain, seen.request).links.weights, atol=1e-5)
    model.inputs(TEXT, generate=COUNT, shown=True)  # what it kept is of the plain model
    with model.intervene(attnviz.Zero(0, 0)):
        model.inputs(TEXT, generate=COUNT, shown=True)
    assert list(model.inputs(TEXT, generate=COUNT)[0].ids[len(ids) :]) == written(theirs, ids)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, UsageError, "no head is given to do without"),
        ({"freeze": "uniform"}, UsageError, "no head is given to do without"),
        ({"without": [(9, 0)]}, UsageError, "there is no layer 9"),
        ({"without": ["x"]}, UsageError, "'x' is no head"),
        ({"without": [(0, 0)], "tokens": 0}, UsageError, "`tokens` is 0"),
        ({"without": [(0, 0)], "freeze": "mean", "mean": [TEXT]}, InputError, "this text grows"),
        ({"without": [(0, 0)], "freeze": "uniform", "cut": ("loan", "bank")}, UsageError, "`freeze` and `cut`"),
        ({"cut": ("generated", "lone")}, UsageError, "has no word 'lone'"),
        ({"cut": ("bank", "loan")}, UsageError, "this model looks back only"),
        ({"without": [(0, 0)], "tokens": 10**7}, UsageError, "asks for 10,000,000 tokens"),
    ],
)
def test_bad_questions(given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        opened(decoder()).generate(TEXT, **given)


def test_texts_that_grow_have_no_values_of_one_length() -> None:
    model = opened(decoder())
    n = len(model.encode(TEXT))
    for each in (attnviz.Freeze(0, 0, pattern=torch.eye(n)), attnviz.Patch(0, 0, values=torch.zeros(n, 8))):
        with model.intervene(each), pytest.raises(InputError, match=r"(Freeze|Patch) has values .* this text grows"):
            model.attend(TEXT, generate=2)
    with model.intervene(attnviz.Freeze(0, 0)):
        assert model.attend(TEXT, generate=2).weights.shape[-1] == n + 2


@pytest.mark.parametrize("way", ["native", "hosted"])
def test_models_that_predict_no_tokens_are_told_what_can_be_measured(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = native_or_hosted(encoder(), way, monkeypatch)
    with pytest.raises(ModelError, match="no head that predicts the next token") as caught:
        model.generate(TEXT, [(0, 0)])
    assert "attnviz ablate" in caught.value.hint
    with pytest.raises(ModelError):
        native_or_hosted(made("BertForMaskedLM", BERT).double(), way, monkeypatch).generate(TEXT, [(0, 0)])


def shown(table: Any, width: int) -> str:
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as found:
        console.print(BothTexts(table))
    return found.get()


def test_texts_stand_side_by_side_where_there_is_room() -> None:
    model = opened(whole("llama"))
    found = model.generate(TEXT, [(1, 1)], tokens=COUNT)
    wide, narrow = shown(found, 100), shown(found, 60)
    heading = next(line for line in wide.splitlines() if "as it is" in line)
    assert "without L1 H1" in heading
    assert not any("as it is" in line and "without" in line for line in narrow.splitlines())
    assert all(len(line) <= 60 for line in narrow.splitlines())
    for each in (wide, narrow):
        assert each.count("▸") == 4
        assert each.index("both begin") < each.index("as it is") < each.index("without L1 H1")
        assert each.count(found.about["both"].strip()) == 1
    same = model.generate(TEXT, cut=("strong", "strong"), tokens=1)
    equal = shown(same, 80)
    assert ("both write the same 1 token" in equal) == (not same.about["plain"])


def test_a_text_that_ends_before_the_other_says_so() -> None:
    from dataclasses import replace

    found = opened(whole("llama")).generate(TEXT, [(1, 1)], tokens=COUNT)
    ended = replace(found, about={**found.about, "plain": "", "odds": None})
    assert "(ends here)" in shown(ended, 80)


def test_text_is_data() -> None:
    from dataclasses import replace

    found = opened(whole("llama")).generate(TEXT, [(1, 1)], tokens=COUNT)
    about = {**found.about, "plain": "\x1b[31m [bold]red\u202e", "changed": "\x1b]0;x", "text": "[red]x\x1b"}
    assert "\x1b" not in (text := shown(replace(found, about=about), 80))
    assert "[bold]red" in text

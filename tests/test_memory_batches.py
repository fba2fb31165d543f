"""Lists of texts, and rows with padding: each record is that of transformers for the same batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray

import attnviz
from attnviz.attention import kernel
from attnviz.errors import AttnvizError, InputError, UsageError
from attnviz.model.native import run
from tests import tiny
from tests.test_memory_models import TEXT, TOKENIZER, dots1, llama

SIZE = len(tiny.VOCABULARY)
IDS = [[2, 77, 78, 79, 80, 77, 3], [2, 81, 82, 77, 3, 0, 0], [0, 0, 2, 83, 84, 81, 3]]
MASK = [[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1, 1]]
SHAPE = {"vocab_size": SIZE, "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32, "pad_token_id": 0}


def random(kind: str, **config: Any) -> Any:
    model = getattr(transformers, kind)
    model = model._from_config(model.config_class(**config), attn_implementation="eager").eval()
    tiny.randomise(model)
    return model


MODELS: dict[str, Any] = {
    "llama": (llama, "native native native"),
    "llama whose angles depend on the length": (
        lambda: llama(
            max_position_embeddings=4, rope_parameters={"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4}
        ),
        "native hosted hosted",
    ),
    "dots1": (dots1, "hosted hosted hosted"),
    "bert": (lambda: random("BertModel", **SHAPE, intermediate_size=48), "native native hosted"),
    "gpt2": (lambda: random("GPT2Model", vocab_size=SIZE, n_embd=32, n_layer=2, n_head=4), "native native hosted"),
    "opt": (
        lambda: random("OPTModel", **SHAPE, ffn_dim=48, word_embed_proj_dim=32, max_position_embeddings=32),
        "native native hosted",
    ),
    "roberta": (lambda: random("RobertaModel", **SHAPE, intermediate_size=48), "native native hosted"),
    "bloom": (
        lambda: random("BloomModel", vocab_size=SIZE, hidden_size=32, n_layer=2, n_head=4),
        "native native native",
    ),
    "gpt_neo": (
        lambda: random(
            "GPTNeoModel",
            vocab_size=SIZE, hidden_size=32, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]],
            window_size=3,
        ),
        "native native observed",
    ),
}  # fmt: skip


def theirs(model: Any, **beside: Any) -> list[NDArray[Any]]:
    """Return transformers' weights of the batch, (L, H, n, n) for each row, without padding."""
    with torch.inference_mode():
        given = {name: torch.tensor(value) for name, value in beside.items()}
        maps = model(
            input_ids=torch.tensor(IDS), attention_mask=torch.tensor(MASK), output_attentions=True, **given
        ).attentions
    found = []
    for i, mask in enumerate(MASK):
        real = slice(mask.index(1), mask.index(1) + sum(mask))
        found.append(torch.stack([layer[i, :, real, real] for layer in maps]).numpy())
    return found


@pytest.mark.parametrize("name", MODELS)
def test_padding_is_left_out_and_counts_as_it_does(name: str) -> None:
    make, backends = MODELS[name]
    model = make()
    model.set_attn_implementation("eager")
    mine = attnviz.load((model, TOKENIZER))
    found = mine.attend(input_ids=IDS, attention_mask=MASK)
    alone = [mine.attend(input_ids=record.encoding.ids).weights for record in found]
    right = theirs(model)
    assert " ".join(record.backend for record in found) == backends
    for record, weights, itself, ids, mask in zip(found, right, alone, IDS, MASK, strict=True):
        np.testing.assert_allclose(record.weights, weights, atol=1e-5)
        assert record.encoding.ids == tuple(i for i, real in zip(ids, mask, strict=True) if real)
        assert bool(record.note) is bool(np.abs(itself - record.weights).max() > 1e-3)
    if "observed" in backends:
        with pytest.raises(UsageError, match="attends by itself"):
            mine.check(input_ids=IDS, attention_mask=MASK)
    else:
        check = mine.check(input_ids=IDS, attention_mask=MASK)
        assert (check.passed, check.heads) == (True, 8)


@pytest.mark.parametrize("scale", [1.001, 1.05])
def test_mutation_of_the_scale_in_rows_fails_the_check(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = attnviz.load((llama(), TOKENIZER))
    original = kernel.attend

    def changed(q: torch.Tensor, *given: Any, **facts: Any) -> torch.Tensor:
        if q.dtype is torch.float32:
            facts["scale"] *= scale
        return original(q, *given, **facts)

    monkeypatch.setattr(run, "attend", changed)
    assert not mine.check(input_ids=IDS, attention_mask=MASK).passed


def test_positions_that_are_given() -> None:
    model = MODELS["gpt2"][0]()
    mine = attnviz.load((model, TOKENIZER))
    counted = mine.attend(input_ids=IDS, attention_mask=MASK)[2]
    assert "padding moved the weights by up to" in counted.note
    assert "padding moved" in repr(counted)
    with pytest.raises(UsageError, match=r"of a row whose padding moved the weights"):
        mine.check_record(counted)
    places = [[0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 4, 4], [0, 0, 0, 1, 2, 3, 4]]
    found = mine.attend(input_ids=IDS, attention_mask=MASK, position_ids=places)
    for record, weights in zip(found, theirs(model, position_ids=places), strict=True):
        np.testing.assert_allclose(record.weights, weights, atol=1e-5)
        assert not record.note
    assert mine.check(input_ids=IDS, attention_mask=MASK, position_ids=places).passed


def test_an_encoder_decoder_reads_a_row_with_padding() -> None:
    shape = {"vocab_size": SIZE, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4}
    more = {"decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 32}
    model = random("BartModel", **shape, **more, pad_token_id=0)
    mine = attnviz.load((model, TOKENIZER))
    target = [[2, 90, 91, 92]]
    for ids, mask in zip(IDS[1:], MASK[1:], strict=True):
        found = mine.attend(input_ids=[ids], attention_mask=[mask], decoder_input_ids=target)[0]
        given = {"input_ids": [ids], "attention_mask": [mask], "decoder_input_ids": target}
        with torch.inference_mode():
            output = model(**{name: torch.tensor(each) for name, each in given.items()}, output_attentions=True)
        real = slice(mask.index(1), mask.index(1) + sum(mask))
        right = torch.cat(output.encoder_attentions)[..., real, real]
        np.testing.assert_allclose(found.encoder.weights, right, atol=1e-5)
        np.testing.assert_allclose(found.cross.weights, torch.cat(output.cross_attentions)[..., real], atol=1e-5)
        np.testing.assert_allclose(found.decoder.weights, torch.cat(output.decoder_attentions), atol=1e-5)
        assert mine.check(**given).passed
    with pytest.raises(UsageError, match="takes decoder_input_ids"):
        mine.attend(input_ids=IDS)


def test_lists_arrays_and_tensors_are_alike() -> None:
    mine = attnviz.load((llama(), TOKENIZER))
    texts = [TEXT, "The company had it."]
    listed = mine.attend(texts)
    assert [record.encoding.text for record in listed] == texts
    padding = transformers.PreTrainedTokenizerFast(tokenizer_object=tiny.wordpiece(), pad_token="[PAD]")
    batch = padding(texts, padding=True, return_tensors="pt")
    kinds = torch.Tensor.int, torch.Tensor.numpy, torch.Tensor.tolist
    masks = torch.Tensor.bool, torch.Tensor.bfloat16, lambda mask: mask.to(torch.uint8).numpy()
    for made, masked in zip(kinds, masks, strict=True):
        found = mine.attend(input_ids=made(batch["input_ids"]), attention_mask=masked(batch["attention_mask"]))
        for one, other in zip(found, listed, strict=True):
            np.testing.assert_allclose(one.weights, other.weights, atol=1e-5)
            assert one.encoding.ids == other.encoding.ids
            assert one.tokens == other.tokens
    single = mine.attend(input_ids=batch["input_ids"][1], attention_mask=batch["attention_mask"][1])
    np.testing.assert_allclose(single.weights, listed[1].weights, atol=1e-5)
    assert "company" in single.words


def test_what_is_no_text_is_refused_as_such() -> None:
    mine = attnviz.load((llama(), TOKENIZER))
    assert mine.attend([]) == []
    wrong: Any
    for wrong in (3, b"bank", [("bank", "river")], [None], (each for each in TEXT)):
        with pytest.raises(UsageError, match=r"a text is a \w+, expected a str|no text is given"):
            mine.attend(wrong)
    for ask in (mine.check, mine.observe, mine.encode):
        with pytest.raises(UsageError, match="a text is a list, expected a str"):
            ask([TEXT])
    with pytest.raises(UsageError, match="a text is a int, expected a str"):
        mine.attend(TEXT, pair=3)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"input_ids": [True, False]}, "input_ids are no whole numbers"),
        ({"input_ids": [1, 2], "attention_mask": [1.0, 0.5]}, "attention_mask are no whole numbers"),
        ({"input_ids": [[1, 2], [1]]}, "input_ids are no whole numbers"),
        ({"input_ids": [1.0, 2.0]}, "input_ids are no whole numbers"),
        ({"input_ids": []}, "input_ids are no whole numbers"),
        ({"input_ids": [[[1]]]}, "input_ids are no whole numbers"),
        ({"input_ids": [5, SIZE]}, f"input_ids hold {SIZE}, the model's vocabulary is 0 to {SIZE - 1}"),
        ({"input_ids": [5, -100]}, "input_ids hold -100"),
        ({"input_ids": IDS, "attention_mask": MASK[:2]}, r"attention_mask have the shape \(2, 7\), input_ids \(3, 7\)"),
        ({"input_ids": IDS[:1], "attention_mask": [[1, 0, 1, 1, 1, 1, 1]]}, "row 0 of attention_mask has holes"),
        ({"input_ids": IDS[0], "attention_mask": [0] * 7}, "attention_mask hides all tokens"),
        ({"input_ids": IDS[0], "attention_mask": [2] * 7}, "attention_mask holds 2"),
        ({"attention_mask": MASK}, "attention_mask is given, and no input_ids"),
        ({"input_ids": IDS, "text": TEXT}, "input_ids are given, and a text"),
        ({"input_ids": IDS, "generate": 3}, "input_ids are given, and generate"),
        ({"input_ids": IDS, "decoder_input_ids": IDS}, "it takes no decoder_input_ids"),
        ({"input_ids": IDS, "atention_mask": MASK}, "there is no atention_mask to give"),
        ({"text": ["a", "b"], "pair": "c"}, "a list of texts takes no pair"),
        ({}, "no text is given"),
    ],
)
def test_what_is_no_batch(given: dict[str, Any], message: str) -> None:
    mine = attnviz.load((llama(), TOKENIZER))
    with pytest.raises((InputError, UsageError), match=message):
        mine.attend(**given)
    if "pair" not in given:
        with pytest.raises(AttnvizError):
            mine.check(**given)

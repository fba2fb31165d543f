"""The logits of the next token from our last hidden states and head, compared with those of transformers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from attnviz.attention.observers import Weights
from attnviz.errors import ModelError
from attnviz.interface import load
from attnviz.model.families import find_family
from attnviz.model.hosted.precision import precision
from attnviz.model.native import weights
from tests import tiny
from tests.model.parity import files_of, inputs, make, network_of, ours_of
from tests.model.variants import Variant, all_variants
from tests.model.variants.cohere import cohere
from tests.model.variants.gemma2 import gemma2
from tests.model.variants.gemma3_text import gemma3
from tests.model.variants.granite import granite
from tests.model.variants.t5 import t5

ENDINGS = ("BertGenerationDecoder", "ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "MarianMTModel")
CASES = {
    case: variant
    for case, variant in all_variants().items()
    # A stream of its own predicts in ProphetNet, with tests of its own.
    if variant.model.endswith(ENDINGS) and case[0] != "prophetnet"
}


def against_transformers(variant: Variant, folder: Path) -> float:
    """The logits agree; return how far they are from those without a scale and a cap."""
    with precision(torch.float64):
        model: Any = make(variant, torch.float64)
        with torch.inference_mode():
            theirs = model(**inputs(variant.ids, target=variant.target), use_cache=False).logits[0]
        model.save_pretrained(folder)
    config, tensors = files_of(folder)
    network = network_of(config, tensors, torch.float64)
    states = ours_of(network, variant)["self" if variant.target is None else "decoder"][1][-1]
    family = find_family(config)
    if network.spec.head is None:
        pytest.skip("an encoder's family, whose decoders do not generate")
    head = weights.take_head(family, network.spec, tensors, torch.float64)
    states = states[:, : head.matrix.shape[1]]  # some last states are narrower
    torch.testing.assert_close(head(states), theirs, rtol=1e-10, atol=1e-10)
    return float((torch.nn.functional.linear(states, head.matrix, head.bias) - theirs).abs().max())


@pytest.mark.parametrize(("family", "name"), CASES, ids=[f"{family}: {name}" for family, name in CASES])
def test_against_the_logits_of_transformers(family: str, name: str, tmp_path: Path) -> None:
    against_transformers(CASES[family, name], tmp_path)


@pytest.mark.parametrize(
    "variant",
    [
        cohere("CohereForCausalLM", logit_scale=2.5),
        replace(CASES["cohere2", "with a head"], config=CASES["cohere2", "with a head"].config | {"logit_scale": 3.0}),
        granite("GraniteForCausalLM", logits_scaling=8.0),
        gemma2("Gemma2ForCausalLM", final_logit_softcapping=2.0),
        gemma3("Gemma3ForCausalLM", final_logit_softcapping=2.0),
        t5(),
        t5(d_model=20),
        t5("UMT5ForConditionalGeneration"),
    ],
    ids=lambda variant: variant.model,
)
def test_scales_and_caps_are_those_of_transformers(variant: Variant, tmp_path: Path) -> None:
    assert against_transformers(variant, tmp_path) > 0.01


def test_a_t5_without_scales(tmp_path: Path) -> None:
    assert against_transformers(t5(tie_word_embeddings=False), tmp_path) < 1e-10
    assert against_transformers(t5("MT5ForConditionalGeneration"), tmp_path) < 1e-10


@pytest.mark.parametrize("save", [tiny.llama, tiny.hosted, tiny.t5], ids=["native", "hosted", "encoder–decoder"])
@pytest.mark.parametrize("where", ["files", "memory"])
def test_every_backend_gives_the_logits_of_the_next_token(save: Any, where: str, tmp_path: Path) -> None:
    save(tmp_path)
    kind = "Seq2SeqLM" if save is tiny.t5 else "CausalLM"
    whole = getattr(transformers, f"AutoModelFor{kind}").from_pretrained(tmp_path).eval()
    target = "the loan" if save is tiny.t5 else None
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    model = load((whole, tokenizer) if where == "memory" else tmp_path)
    read, written = model.inputs(tiny.SENTENCE, target=target)
    seen = Weights()
    backend = model.backend
    if backend.name == "native":
        mine = backend.next_logits(backend.run(read, (), written))
    else:
        mine = backend.next_logits(read, written, [seen])
        assert torch.equal(seen.stacked(), torch.from_numpy(model.attend(tiny.SENTENCE).weights))
    with torch.inference_mode():
        theirs = whole(**inputs(read.ids, target=written and written.ids)).logits[0]
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_a_model_without_a_head_says_so(tmp_path: Path) -> None:
    model = load(tiny.bert(tmp_path))
    with pytest.raises(ModelError, match="no head that predicts the next token"):
        model.backend.next_logits(model.backend.run(model.encode("the bank")))

"""Greedy generation compared with transformers' ``generate``, and the KV cache compared with full runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor

from attnviz.analysis.text.replaying import replay
from attnviz.attention.observers import Weights
from attnviz.attention.window import CAUSAL, EVERYTHING, KeyWindow
from attnviz.errors import ExitCode, ModelError, UnsupportedModel, UsageError
from attnviz.interface import load
from attnviz.model.architecture.spec import (
    MLP,
    ALiBi,
    AttentionSpec,
    Embedding,
    Latent,
    LayerNorm,
    LayerSpec,
    Learned,
    PreNorm,
    RelativeBuckets,
    RMSNorm,
    Rotary,
    Sinusoidal,
    Spec,
    Temperature,
)
from attnviz.model.families import find_family
from attnviz.model.hosted.precision import precision
from attnviz.model.native import weights
from attnviz.model.native.forward import KVCache, Network
from attnviz.model.native.generation import GenerationRules, allowed, generate, read_rules
from attnviz.model.native.language_head import LanguageHead
from tests import tiny
from tests.model.parity import DTYPES, TOLERANCES, make
from tests.model.variants import IDS, VOCABULARY, all_variants
from tests.model.variants.bart import bart
from tests.model.variants.t5 import t5

PROMPT = (5, 9, 9, 30, 17)
COUNT = 24


@dataclass(frozen=True)
class Both:
    """A transformers model, and our network of the same tensors, saved to disk and loaded."""

    model: Any
    network: Network
    head: LanguageHead
    ids: tuple[int, ...]

    @cached_property
    def free(self) -> list[int]:
        """What we generate where nothing else is said."""
        return self.run()[0]

    def run(self, **said: Any) -> tuple[list[int], list[int]]:
        """What we and transformers generate, where ``said`` is in the generation config.

        Random models say one token for ever: unless it is said otherwise, no two may come again.
        """
        usual = self.model.generation_config
        self.model.generation_config = changed = deepcopy(usual)
        changed.update(**({"eos_token_id": None, "forced_eos_token_id": None, "no_repeat_ngram_size": 2} | said))
        given = {"input_ids": torch.tensor([self.ids]), "attention_mask": torch.ones(1, len(self.ids), dtype=int)}
        with precision(torch.float64):
            out = self.model.generate(**given, do_sample=False, num_beams=1, max_new_tokens=COUNT)
        self.model.generation_config = usual
        start = 1 if self.model.config.is_encoder_decoder else len(self.ids)
        rules = read_rules(self.model.config.to_dict(), json.loads(changed.to_json_string()))
        return generate(self.network, self.head, self.ids, rules=rules, count=COUNT), out[0, start:].tolist()


MODELS = {
    "t5": (t5(), IDS),
    "t5 with a head of its own": (t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False), IDS),
    "umt5": (t5("UMT5ForConditionalGeneration"), IDS),
    "bart": (bart(), IDS),
    "bart whose embeddings are untied": (bart(tie_word_embeddings=False), IDS),
    "mbart": (bart("MBartForConditionalGeneration"), IDS),
    "m2m_100": (bart("M2M100ForConditionalGeneration"), IDS),
    "marian": (bart("MarianMTModel", scale_embedding=True), IDS),
    "marian, a vocabulary for each side": (
        bart("MarianMTModel", share_encoder_decoder_embeddings=False, decoder_vocab_size=60),
        IDS,
    ),
    "t5gemma": (all_variants()["t5gemma", "with a tied head"], IDS),
    "prophetnet": (all_variants()["prophetnet", "encoder–decoder"], IDS),
    "prophetnet, three streams": (all_variants()["prophetnet", "another activation, three streams"], IDS),
    "prophetnet's decoder": (all_variants()["prophetnet", "a decoder alone"], PROMPT[:1]),
    "pegasus": (bart("PegasusForConditionalGeneration"), IDS),
    "a decoder": (bart("BartForCausalLM", is_encoder_decoder=False, forced_eos_token_id=None), PROMPT),
    "latent attention, experts": (all_variants()["deepseek_v3", "with a head"], PROMPT),
    "keys of earlier layers": (all_variants()["gemma4_text", "with a tied head"], PROMPT),
    "a decoder after one token": (bart("MBartForCausalLM", is_encoder_decoder=False), PROMPT[:1]),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Both]:
    @cache
    def opened(name: str) -> Both:
        variant, ids = MODELS[name]
        folder = tmp_path_factory.mktemp("model")
        with precision(torch.float64):
            model = make(variant, torch.float64)
        model.save_pretrained(folder)
        config, tensors = json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")
        family = find_family(config)
        spec = family.spec(config)
        network = Network(spec, weights.take_tensors(family, spec, tensors, torch.float64))
        return Both(model, network, weights.take_head(family, spec, tensors, torch.float64), ids)

    return opened


@pytest.mark.parametrize("name", MODELS)
def test_ids_are_those_of_transformers(name: str, both: Callable[[str], Both]) -> None:
    for length in (0, 1, 2):  # of sequences that do not come twice
        found, expected = both(name).run(no_repeat_ngram_size=length)
        assert found == expected
        assert len(found) == COUNT
        assert len(set(found)) == COUNT or length != 1


def said(free: list[int]) -> dict[str, dict[str, Any]]:
    """Return generation settings that change what a model would generate without them."""
    return {
        "a stop token": {"eos_token_id": free[6]},
        "one of several stop tokens": {"eos_token_id": [free[9], free[6]]},
        "a least length": {"eos_token_id": free[0], "min_length": 9},
        "a least number of new tokens": {"eos_token_id": free[0], "min_new_tokens": 7},
        "a last token": {"forced_eos_token_id": 3},
        "a first token": {"forced_bos_token_id": 44},
        "no three tokens twice": {"no_repeat_ngram_size": 3},
        "no token twice": {"no_repeat_ngram_size": 1},
        "a penalty for what was said": {"repetition_penalty": 1.4, "no_repeat_ngram_size": 0},
        "nothing of the source": {"encoder_no_repeat_ngram_size": 1},
        "no pairs of the source": {"encoder_no_repeat_ngram_size": 2},
        "bad words": {"bad_words_ids": [[free[0]], free[1:3], free[2:5]]},
        "the stop token among the bad words": {"bad_words_ids": [[free[5]]], "eos_token_id": free[5]},
        "suppressed tokens": {"suppress_tokens": free[:2]},
        "tokens that do not begin": {"begin_suppress_tokens": free[:2]},
        "tokens that do not follow the first": {"begin_suppress_tokens": free[:2], "forced_bos_token_id": 44},
    }


@pytest.mark.parametrize("what", said([0] * 10))
def test_what_the_generation_config_demands_is_kept_and_matters(what: str, both: Callable[[str], Both]) -> None:
    changed = []
    for name in ("t5", "bart", "marian", "a decoder"):
        free = both(name).free
        found, expected = both(name).run(**said(free)[what])
        assert found == expected
        changed.append(found != free)
    assert any(changed)


def test_the_older_form_is_read_from_the_config() -> None:
    config = {"decoder_start_token_id": 58100, "bad_words_ids": [[58100]], "eos_token_id": 0, "forced_eos_token_id": 0}
    rules = GenerationRules(start=58100, stop=(0,), banned=((58100,),), last=(0,))
    assert read_rules(config | {"num_beams": 6, "min_length": None}) == rules
    assert read_rules({"bad_words_ids": [[3]]}, config) == rules
    assert read_rules({"decoder_start_token_id": 5}, {"bos_token_id": 7}) == GenerationRules(start=5)
    assert read_rules({}, {"bos_token_id": 7}) == GenerationRules(start=7)


@pytest.mark.parametrize("demand", [{"guidance_scale": 1.5}, {"sequence_bias": [[[3], 1.0]]}, {"stop_strings": ["."]}])
def test_what_is_not_done_is_refused_by_name(demand: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedModel, match=next(iter(demand))):
        read_rules({}, demand)
    read_rules({}, dict.fromkeys(demand) | {"guidance_scale": 1.0})


def test_a_translation_needs_a_beginning(both: Callable[[str], Both]) -> None:
    network, head = both("mbart").network, both("mbart").head
    silent = Network(replace(network.spec, start=None), network.tensors)
    with pytest.raises(ModelError, match="which token the decoder begins with"):
        generate(silent, head, IDS, rules=GenerationRules(), count=3)
    begun = Network(replace(network.spec, start=2), network.tensors)
    assert generate(silent, head, IDS, rules=GenerationRules(start=2), count=3) == generate(
        begun, head, IDS, rules=GenerationRules(), count=3
    )


def test_a_text_ends_where_the_positions_end(both: Callable[[str], Both]) -> None:
    network, head = both("a decoder").network, both("a decoder").head
    assert network.spec.limit == 40
    assert len(generate(network, head, PROMPT, rules=GenerationRules(), count=100)) == 36
    assert generate(network, head, [5] * 41, rules=GenerationRules(), count=100) == []


def test_rules_leave_the_scores_as_they_are() -> None:
    scores = torch.arange(5.0)
    found = allowed(GenerationRules(never=(4,), penalty=2.0), scores, [3], [], 1, 9)
    assert found.tolist() == [0, 1, 2, 1.5, -torch.inf]
    assert scores.tolist() == [0, 1, 2, 3, 4]


def attention(position: Any = None, window: KeyWindow = CAUSAL, heads: int = 4) -> AttentionSpec:
    return AttentionSpec(heads, 2, 6, 0.4, window, position)


def decoder(*attentions: AttentionSpec, positions: Any = None, encoder: Spec | None = None) -> Spec:
    cross = attention(window=EVERYTHING) if encoder else None
    layers = tuple(LayerSpec(each, MLP(24, "gelu"), PreNorm(LayerNorm(1e-5)), cross) for each in attentions)
    return Spec(16, Embedding(VOCABULARY, positions), layers, final_norm=RMSNorm(1e-6), encoder=encoder)


WINDOW = KeyWindow(left=3, right=0)
SPECS = {
    "learned positions": decoder(attention(), attention(), positions=Learned(40, offset=2)),
    "sinusoids": decoder(attention(), attention(), positions=Sinusoidal(40)),
    "whole sinusoids": decoder(attention(), attention(), positions=Sinusoidal(40, whole=True, offset=2)),
    "windows": decoder(attention(window=WINDOW), attention(), positions=Learned(40)),
    "rotary": decoder(attention(Rotary(1e4, 6)), attention(Rotary(100.0, 4, interleaved=True), WINDOW)),
    "latents": decoder(*[replace(attention(Rotary(1e4, 4, last=True)), latent=Latent(7, 4, 5, RMSNorm(1e-6), 6))] * 2),
    "chunks, a temperature": decoder(
        *[replace(attention(window=KeyWindow(6, 0)), chunk=7, temperature=Temperature(0.5, 4))] * 2
    ),
    "alibi": decoder(attention(ALiBi()), attention(ALiBi(), WINDOW)),
    "alibi rounded": decoder(attention(ALiBi(bfloat16=True)), attention(ALiBi(bfloat16=True))),
    "relative buckets": decoder(*[attention(RelativeBuckets(8, 15, bidirectional=False))] * 2),
    "a table for each layer": decoder(*[attention(RelativeBuckets(8, 15, bidirectional=False, shared=False))] * 2),
    "biases that queries make": decoder(
        *[attention(RelativeBuckets(8, 5, bidirectional=False, shared=False, made=True))] * 2
    ),
    "an encoder": decoder(
        attention(), attention(), positions=Learned(40), encoder=decoder(attention(window=EVERYTHING))
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cuts", [(1, 2, 3, 4), (9,), (5, 6, 20)])
@pytest.mark.parametrize("name", SPECS)
def test_the_cache_gives_what_a_full_run_gives(name: str, cuts: tuple[int, ...], dtype: torch.dtype) -> None:
    spec, generator = SPECS[name], torch.Generator().manual_seed(4)
    network = Network(
        spec,
        {at: torch.randn(shape, generator=generator, dtype=dtype) for at, shape in weights.tensor_shapes(spec).items()},
    )
    memory = network.encoder(PROMPT) if network.encoder else None
    past, ends = KVCache(), (*cuts, len(IDS))
    parts = [network(IDS[start:end], memory=memory, past=past) for start, end in zip((0, *cuts), ends, strict=True)]
    assert past.length == len(IDS)
    torch.testing.assert_close(torch.cat(parts), network(IDS, memory=memory), rtol=0, atol=TOLERANCES[dtype])


@pytest.mark.parametrize("name", [name for name in SPECS if name != "an encoder"])
def test_what_was_read_is_shown_as_a_run_shows_it(name: str) -> None:
    spec, generator = SPECS[name], torch.Generator().manual_seed(4)
    shapes = weights.tensor_shapes(spec).items()
    network = Network(spec, {at: torch.randn(shape, generator=generator, dtype=torch.float64) for at, shape in shapes})
    past, shown, seen = KVCache(queries=True), Weights(), Weights()
    for start, end in ((0, 9), (9, 10), (10, len(IDS))):
        network(IDS[start:end], past=past)
    network.show(past, [shown])
    network(IDS, (), [seen])
    torch.testing.assert_close(shown.stacked("self"), seen.stacked("self"), rtol=0, atol=1e-10)


def test_a_text_that_was_written_runs_no_second_time(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, run = load(tiny_llama, dtype="float64"), Network.through
    read: list[int] = []

    def through(self: Network, ids: Any, *given: Any, **more: Any) -> Tensor:
        read.append(len(ids))
        return run(self, ids, *given, **more)

    monkeypatch.setattr(Network, "through", through)
    found = model.observe(tiny.SENTENCE, generate=4)
    assert found.encoding.generated == 4
    assert read == [len(found.tokens) - 4, 1, 1, 1, 1]
    again = model.observe(tiny.SENTENCE, generate=4, unit="token")
    assert again.encoding.ids == found.encoding.ids
    kept = replay(model.attend(tiny.SENTENCE, generate=4))
    assert abs(kept.links.weights - found.links.weights).max() < 1e-10
    assert kept.made is not None
    assert found.made is not None
    assert (kept.made.keys == found.made.keys).all()
    assert model.check_record(found).passed


@pytest.mark.parametrize(
    "said",
    [
        {"suppress_tokens": ["a"]},
        {"suppress_tokens": [[3]]},
        {"suppress_tokens": {"a": 1}},
        {"begin_suppress_tokens": [-1]},
        {"suppress_tokens": [50]},
        {"suppress_tokens": True},
        {"forced_bos_token_id": 50},
        {"forced_eos_token_id": 1.5},
        {"decoder_start_token_id": "<s>"},
        {"decoder_start_token_id": 10**12},
        {"bos_token_id": -3},
        {"eos_token_id": "</s>"},
        {"bad_words_ids": [3]},
        {"bad_words_ids": [[]]},
        {"bad_words_ids": [[3, 77]]},
        {"no_repeat_ngram_size": -1},
        {"min_length": "5"},
        {"repetition_penalty": 0},
        {"repetition_penalty": float("nan")},
    ],
)
def test_rules_of_another_sort_are_refused_with_their_name_and_value(said: dict[str, Any]) -> None:
    (name, _), *_ = said.items()
    with pytest.raises(ModelError) as caught:
        read_rules(said, said, 50)
    assert caught.value.message.startswith(f"{name} is ")
    assert caught.value.exit_code is ExitCode.MODEL


def test_an_end_that_the_vocabulary_does_not_have_is_never_written() -> None:
    assert read_rules({"eos_token_id": [3, 77]}, None, 50).stop == (3,)


@pytest.mark.parametrize(("kind", "most"), [("tiny_llama", "100,000"), ("tiny_t5", "100,000"), ("gpt2", "64")])
def test_more_tokens_than_a_model_can_write_are_refused_before_it_does(
    kind: str, most: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kind == "gpt2":
        sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64, "vocab_size": len(tiny.VOCABULARY)}
        folder = tiny.save(tmp_path, transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes)))
    else:
        folder = request.getfixturevalue(kind)
    with pytest.raises(UsageError, match=f"1,000,000,000 tokens, and .* {most} at most"):
        load(folder).attend("the bank", generate=10**9)


@pytest.mark.parametrize("count", [-1, 1.5, "3"])
def test_a_number_of_tokens_that_is_none_is_refused(count: Any, tiny_llama: Path) -> None:
    with pytest.raises(UsageError, match="expected a number of tokens"):
        load(tiny_llama).attend("the bank", generate=count)


def test_a_file_of_a_body_alone_has_no_head(tmp_path: Path) -> None:
    body = tiny.save(tmp_path, transformers.LlamaModel(transformers.LlamaConfig(**tiny.DECODER)))
    with pytest.raises(ModelError, match="the checkpoint has no head that predicts the next token"):
        load(body).attend("the bank", generate=2)

"""The hosted backend: transformers models attend with our kernel, and are restored afterwards.

Each model is a random one of transformers with every parameter of its own; all layers, heads and hidden states are
compared with what the model's own eager attention says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from attnviz.attention import kernel
from attnviz.attention.kernel import Kind
from attnviz.attention.observers import HiddenStates, Weights
from attnviz.encoding import Encoding
from attnviz.model.hosted import Hosted
from attnviz.model.hosted.precision import precision
from tests import tiny
from tests.model.parity import DTYPES, assert_same, assert_telling

IDS = [*range(5, 22), 7, 7, 49, 0, 31, 5]  # 23 tokens, some of them twice
TARGET = [0, 9, 8, 31, 8, 44, 17]
LENGTH = len(IDS)
COMMON = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}
GROUPED = COMMON | {"num_key_value_heads": 2}


def encoding(ids: list[int], type_ids: list[int] | None = None) -> Encoding:
    """Return an input of ``ids`` whose tokens are their numbers."""
    tokens = tuple(map(str, ids))
    return Encoding("", None, tuple(ids), tuple(type_ids or [0] * len(ids)), tokens, (False,) * len(ids), ())


@dataclass(frozen=True)
class Case:
    """A model of the class ``name``, and which of its layers have maps."""

    name: str
    config: Mapping[str, Any]
    scale: float = 0.3
    sharpen: float = 1.0  # post-norms make tokens alike, and attention to them uniform
    layers: tuple[int, ...] = (0, 1, 2, 3)
    causal: bool = True

    def model(self) -> Any:
        kind = getattr(transformers, self.name)
        config = kind.config_class(**self.config)
        model = kind._from_config(config, attn_implementation="eager", experts_implementation="eager").eval()
        tiny.randomise(model, scale=self.scale)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith(("query.weight", "q_proj.weight", "c_attn.weight")):
                    parameter *= self.sharpen
        return model


CASES = {
    "llama with grouped queries": Case("LlamaModel", GROUPED),
    "llama with a head": Case("LlamaForCausalLM", GROUPED),
    "mistral with a window": Case("MistralModel", GROUPED | {"sliding_window": 5, "head_dim": 8}),
    "mixtral": Case("MixtralModel", GROUPED | {"num_local_experts": 4}),
    "qwen 3 moe": Case(
        "Qwen3MoeModel",
        GROUPED | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "head_dim": 8},
        scale=0.6,
    ),
    "gpt-oss with sinks and windows": Case(
        "GptOssModel", GROUPED | {"num_local_experts": 4, "head_dim": 8, "sliding_window": 5}
    ),
    "deepseek v3, values of another size": Case(
        "DeepseekV3Model",
        COMMON
        | {
            "num_key_value_heads": 4,
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_rope_head_dim": 4,
            "qk_nope_head_dim": 6,
            "v_head_dim": 5,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
        },
    ),
    "deepseek v3.2, chosen keys": Case(
        "DeepseekV32Model",
        COMMON
        | {
            "num_key_value_heads": 4,
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_rope_head_dim": 4,
            "qk_nope_head_dim": 6,
            "v_head_dim": 5,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "index_topk": 5,
            "index_n_heads": 2,
            "index_head_dim": 16,
        },
    ),
    "lfm 2, a hybrid": Case(
        "Lfm2Model", GROUPED | {"layer_types": ["conv", "full_attention", "conv", "full_attention"]}, layers=(1, 3)
    ),
    "qwen 3 next, a hybrid": Case(
        "Qwen3NextModel",
        GROUPED
        | {
            "head_dim": 8,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
            "layer_types": ["linear_attention", "full_attention"] * 2,
            "linear_num_value_heads": 4,
            "linear_num_key_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
        },
        layers=(1, 3),
    ),
    "minimax, whose other layers have maps of another sort": Case(
        "MiniMaxModel",
        GROUPED | {"num_local_experts": 4, "layer_types": ["full_attention", "linear_attention"] * 2},
        layers=(0, 2),
    ),
    "zamba 2, a shared block": Case(
        "Zamba2Model",
        COMMON
        | {
            "num_key_value_heads": 4,
            "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"],
            "mamba_d_state": 8,
            "mamba_ngroups": 1,
            "n_mamba_heads": 4,
            "num_mem_blocks": 1,
            "use_mamba_kernels": False,
            "use_mem_eff_path": False,
        },
        layers=(1, 3),
        scale=0.2,
    ),
    "diffllama, two calls a layer": Case("DiffLlamaModel", GROUPED),
    "gemma 2 with soft caps and windows": Case(
        "Gemma2Model", GROUPED | {"head_dim": 8, "attn_logit_softcapping": 2.0, "sliding_window": 6}
    ),
    "gemma 3": Case("Gemma3TextModel", GROUPED | {"head_dim": 8, "sliding_window": 6, "query_pre_attn_scalar": 4}),
    "granite": Case("GraniteModel", GROUPED | {"attention_multiplier": 0.3, "residual_multiplier": 0.5}),
    "gpt-2": Case("GPT2Model", COMMON, scale=0.2, sharpen=10),
    "opt": Case("OPTModel", COMMON | {"word_embed_proj_dim": 32, "ffn_dim": 48}),
    "doge, a mask that adds numbers": Case("DogeModel", GROUPED),
    "modernbert with windows": Case(
        "ModernBertModel", COMMON | {"local_attention": 6, "global_attn_every_n_layers": 2}, causal=False
    ),
    "albert, one layer four times": Case(
        "AlbertModel", COMMON | {"embedding_size": 16}, scale=0.18, sharpen=6, causal=False
    ),
    "bert that classifies texts": Case("BertForSequenceClassification", COMMON, scale=0.18, sharpen=3, causal=False),
    "bert that classifies tokens": Case("BertForTokenClassification", COMMON, scale=0.18, sharpen=3, causal=False),
    "bert that looks back only": Case("BertModel", COMMON | {"is_decoder": True}, scale=0.18, sharpen=3),
}


@pytest.fixture(params=CASES, ids=CASES.keys())
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def hosted(model: Any) -> Hosted:
    return Hosted(model.base_model, "tiny")


def theirs(model: Any, **target: Tensor) -> Any:
    """Return the results of the eager model itself."""
    ids = torch.tensor([IDS])
    with torch.inference_mode():
        return model.base_model(
            ids, attention_mask=torch.ones_like(ids), output_attentions=True, output_hidden_states=True, **target
        )


def ours(model: Hosted, target: Encoding | None = None) -> tuple[Weights, HiddenStates, Tensor]:
    weights, states = Weights(), HiddenStates()
    last = model.run(encoding(IDS), [weights, states], target)
    return weights, states, last


@pytest.mark.parametrize("dtype", DTYPES)
def test_against_transformers(case: Case, dtype: torch.dtype) -> None:
    with precision(dtype):
        model = case.model()
        expected = theirs(model)
        mine = hosted(model)
        weights, states, last = ours(mine)
        reference = mine.reference(encoding(IDS))["self"]
    maps = (
        [expected.attentions[layer] for layer in case.layers] if len(expected.attentions) == 4 else expected.attentions
    )
    attention, hidden = torch.cat([part for part in maps if part is not None]), torch.cat(expected.hidden_states)
    assert weights.layers() == mine.numbers() == case.layers
    assert_same((weights.stacked(), states.stacked()), (attention, hidden), dtype)
    assert_same((torch.stack([*reference[0]]), reference[1]), (attention, hidden), dtype)
    assert torch.equal(last, states.stacked()[-1])
    assert mine.causal() is case.causal
    assert_telling(attention)


ENCODER_DECODERS = {
    "t5": Case(
        "T5Model",
        {"vocab_size": 50, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 4},
        scale=0.25,
    ),
    "t5 with a head": Case(
        "T5ForConditionalGeneration",
        {"vocab_size": 50, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 4},
        scale=0.25,
    ),
    "bart": Case(
        "BartModel",
        {
            "vocab_size": 50,
            "d_model": 32,
            "encoder_layers": 3,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48,
            "max_position_embeddings": 64,
        },
        scale=0.18,
        sharpen=4,
    ),
    "m2m 100": Case(
        "M2M100Model",
        {
            "vocab_size": 50,
            "d_model": 32,
            "encoder_layers": 3,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48,
        },
        scale=0.3,
    ),
}
PARTS: dict[Kind, tuple[str, str]] = {
    "encoder": ("encoder_attentions", "encoder_hidden_states"),
    "decoder": ("decoder_attentions", "decoder_hidden_states"),
    "cross": ("cross_attentions", ""),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_encoder_decoders_against_transformers(name: str, dtype: torch.dtype) -> None:
    with precision(dtype):
        model = ENCODER_DECODERS[name].model()
        expected = theirs(model, decoder_input_ids=torch.tensor([TARGET]))
        mine = hosted(model)
        weights, states, last = ours(mine, encoding(TARGET))
        reference = mine.reference(encoding(IDS), encoding(TARGET))
    assert mine.kinds == tuple(PARTS)
    for kind, (maps, hidden) in PARTS.items():
        attention = torch.cat(getattr(expected, maps))
        stack = torch.cat(getattr(expected, hidden)) if hidden else attention.sum((0, 2))
        kept = states.stacked(kind) if hidden else weights.stacked(kind).sum((0, 2))
        assert_same((weights.stacked(kind), kept), (attention, stack), dtype)
        assert reference[kind][0] is not None
        assert torch.equal(torch.stack(reference[kind][0]), attention)
        assert mine.causal(kind) is (kind == "decoder")
        assert_telling(attention)
    assert torch.equal(last, states.stacked("decoder")[-1])


@pytest.mark.parametrize(
    "name", ["gemma 3", "deepseek v3.2, chosen keys", "doge, a mask that adds numbers", "t5", "bart"]
)
def test_small_tiles_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = hosted((CASES | ENCODER_DECODERS)[name].model().double())
    target = encoding(TARGET) if "cross" in mine.kinds else None
    whole = ours(mine, target)
    monkeypatch.setattr(kernel, "TILE", 4 * LENGTH * 5)
    small = ours(mine, target)
    for kind in mine.kinds:
        torch.testing.assert_close(small[0].stacked(kind), whole[0].stacked(kind), atol=1e-10, rtol=0)
    torch.testing.assert_close(small[2], whole[2], atol=1e-10, rtol=1e-10)


def test_windows_are_shorter_than_the_text_and_hide_what_is_beyond() -> None:
    for name, window in {"mistral with a window": 5, "gpt-oss with sinks and windows": 5}.items():
        weights = ours(hosted(CASES[name].model()))[0].stacked()
        assert bool((weights[0, :, -1, : LENGTH - window] == 0).all())
        assert bool((weights[0, :, -1, LENGTH - window :] > 0).all())


def test_sinks_take_their_share() -> None:
    weights = ours(hosted(CASES["gpt-oss with sinks and windows"].model()))[0].stacked()
    assert bool((weights.sum(-1) < 0.999).any())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_reduced_precision(dtype: torch.dtype) -> None:
    model = CASES["llama with grouped queries"].model().to(dtype)
    expected = theirs(model)
    weights, _, last = ours(hosted(model))
    assert weights.stacked().dtype is torch.float32
    assert last.dtype is dtype
    assert float((weights.stacked()[0] - expected.attentions[0][0]).abs().max()) < 0.02


def test_a_bias_of_positions_and_chosen_experts_in_float64() -> None:
    """The default implementation of experts, grouped_mm, does not support float64."""
    case = CASES["mixtral"]
    model = transformers.MixtralModel(transformers.MixtralConfig(**case.config)).double()
    before = model.config._experts_implementation
    mine = hosted(model)
    assert ours(mine)[2].dtype is torch.float64
    assert mine.reference(encoding(IDS))["self"][1] is not None
    assert model.config._experts_implementation == before


def test_weights_are_compared_after_the_sinks_have_taken_their_share() -> None:
    """Granite's eager attention returns weights that it reduces afterwards: it is probed for those that it uses."""
    config = GROUPED | {"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"] * 2}
    with precision(torch.float64):
        mine = hosted(Case("GraniteSWAModel", config).model())
        weights, states, _ = ours(mine)
        reference = mine.reference(encoding(IDS))["self"]
    assert reference[0] is not None
    assert reference[1] is not None
    torch.testing.assert_close(weights.stacked(), torch.stack([*reference[0]]), atol=1e-10, rtol=0)
    torch.testing.assert_close(states.stacked(), reference[1], atol=1e-6, rtol=1e-6)
    assert bool((weights.stacked().sum(-1) < 0.999).any())


def test_two_berts_that_are_an_encoder_decoder() -> None:
    """A model of models, which has a head, and no class without one."""
    config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(
        transformers.BertConfig(**COMMON), transformers.BertConfig(**(COMMON | {"num_hidden_layers": 2}))
    )
    model = transformers.EncoderDecoderModel(config).eval()
    tiny.randomise(model, scale=0.18)
    mine = Hosted(model, "tiny")
    weights, states, last = ours(mine, encoding(TARGET))
    reference = mine.reference(encoding(IDS), encoding(TARGET))
    for kind, layers in {"encoder": 4, "decoder": 2, "cross": 2}.items():
        maps = reference[kind][0]  # type: ignore[index]
        assert maps is not None
        assert len(maps) == layers
        torch.testing.assert_close(weights.stacked(kind), torch.stack(maps), atol=1e-5, rtol=0)  # type: ignore[arg-type]
    assert torch.equal(last, states.stacked("decoder")[-1])
    assert (mine.causal("encoder"), mine.causal("decoder"), mine.causal("cross")) == (False, True, False)

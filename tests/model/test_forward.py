"""The forward pass carries families beyond BERT: a spec by hand and a literal map of names must be enough.

Each model is a random one of transformers with every parameter of its own; all layers, heads and hidden states
are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from attnviz.model import kernel, weights
from attnviz.model.families import Family
from attnviz.model.forward import Network
from attnviz.model.kernel import Kind, Observer, Tile
from attnviz.model.precision import precision
from attnviz.model.spec import (
    CAUSAL,
    EVERYTHING,
    MLP,
    ALiBi,
    Attention,
    Embedding,
    GatedMLP,
    Layer,
    LayerNorm,
    Learned,
    ParallelNorm,
    PreNorm,
    Reach,
    RelativeBuckets,
    RMSNorm,
    Rotary,
    SandwichNorm,
    Spec,
)
from tests import tiny
from tests.model.parity import DTYPES, assert_same, assert_telling, ours, theirs

VOCABULARY, WIDTH, HEADS, D, INNER, LAYERS = 50, 32, 4, 8, 48, 3
IDS = [*range(5, 22), 7, 7, 49, 0, 31, 5]  # 23 tokens, some of them twice
LENGTH = len(IDS)


@dataclass(frozen=True)
class Case:
    """A model of transformers' ``kind`` with ``config``, our ``spec`` of it, and the names of its tensors."""

    kind: str
    config: Mapping[str, Any]
    spec: Spec
    names: Mapping[str, str]
    scale: float = 0.3

    def model(self) -> Any:
        config = getattr(transformers, f"{self.kind.removesuffix('Encoder')}Config")(**self.config)
        model = getattr(transformers, f"{self.kind}Model")._from_config(config, attn_implementation="eager").eval()
        tiny.randomise(model, scale=self.scale)
        return model

    def network(self, model: Any, dtype: torch.dtype) -> Network:
        tensors = model.state_dict()
        family = Family(self.kind, read=lambda _: self.spec, names=self.names)
        return Network(self.spec, weights.take(family, self.spec, dict(split(tensors, self.kind)), dtype))


def split(tensors: Mapping[str, Tensor], kind: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors, those of NeoX and BLOOM that hold each head's query, key and value cut into three."""
    for name, tensor in tensors.items():
        if kind in ("GPTNeoX", "Bloom") and "query_key_value" in name:
            heads = tensor.view(HEADS, 3, D, *tensor.shape[1:])  # (H·3·D, …) → (H, 3, D, …)
            for part, which in zip(heads.unbind(1), ("query", "key", "value"), strict=True):
                yield name.replace("query_key_value", which), part.flatten(0, 1)
        else:
            yield name, tensor


def both(theirs_name: str, our_name: str) -> dict[str, str]:
    """The names of a weight and its bias."""
    return {f"{theirs_name}.{last}": f"{our_name}.{last}" for last in ("weight", "bias")}


def alike(attention: Attention, mlp: MLP | GatedMLP, norms: Any, count: int = LAYERS) -> tuple[Layer, ...]:
    return (Layer(attention, mlp, norms),) * count


def attention(**facts: Any) -> Attention:
    """Attention of the shape that most cases have."""
    usual: dict[str, Any] = {"heads": HEADS, "kv_heads": HEADS, "head_size": D, "reach": CAUSAL}
    facts = usual | facts
    return Attention(**({"scale": facts["head_size"] ** -0.5} | facts))


def llama(kind: str = "Llama", kv_heads: int = 2, head_size: int = D, *, bias: bool = False, **more: Any) -> Case:
    """RMS pre-norms, grouped queries, rotary positions, a gated MLP; Mistral's window where one is given."""
    window = more.get("sliding_window")
    reach = CAUSAL if window is None else Reach(behind=window - 1, ahead=0)
    names = {
        "embed_tokens.weight": "embed.tokens.weight",
        "norm.weight": "norm.weight",
        **both("layers.{}.self_attn.q_proj", "layers.{}.attention.query"),
        **both("layers.{}.self_attn.k_proj", "layers.{}.attention.key"),
        **both("layers.{}.self_attn.v_proj", "layers.{}.attention.value"),
        **both("layers.{}.self_attn.o_proj", "layers.{}.attention.output"),
        "layers.{}.input_layernorm.weight": "layers.{}.attention.norm.weight",
        "layers.{}.post_attention_layernorm.weight": "layers.{}.mlp.norm.weight",
        **both("layers.{}.mlp.gate_proj", "layers.{}.mlp.gate"),
        **both("layers.{}.mlp.up_proj", "layers.{}.mlp.up"),
        **both("layers.{}.mlp.down_proj", "layers.{}.mlp.down"),
    }
    config = {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": kv_heads,
        "head_dim": head_size,
        "intermediate_size": INNER,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0},
        **({"attention_bias": True, "mlp_bias": True} if bias else {}),
        **more,
    }
    norm = RMSNorm(1e-5)
    heads = attention(
        kv_heads=kv_heads,
        head_size=head_size,
        reach=reach,
        position=Rotary(theta=5000.0, size=head_size),
        bias=bias,
        output_bias=bias,
    )
    layers = alike(heads, GatedMLP(INNER, "silu", bias=bias), PreNorm(norm))
    return Case(kind, config, Spec(WIDTH, Embedding(VOCABULARY), layers, final_norm=norm), names)


def gpt_neox(*, parallel: bool) -> Case:
    """Attention and MLP side by side behind a norm each (or one after the other), rotary in half of each head."""
    names = {
        "embed_in.weight": "embed.tokens.weight",
        **both("final_layer_norm", "norm"),
        **both("layers.{}.attention.query", "layers.{}.attention.query"),
        **both("layers.{}.attention.key", "layers.{}.attention.key"),
        **both("layers.{}.attention.value", "layers.{}.attention.value"),
        **both("layers.{}.attention.dense", "layers.{}.attention.output"),
        **both("layers.{}.input_layernorm", "layers.{}.attention.norm"),
        **both("layers.{}.post_attention_layernorm", "layers.{}.mlp.norm"),
        **both("layers.{}.mlp.dense_h_to_4h", "layers.{}.mlp.up"),
        **both("layers.{}.mlp.dense_4h_to_h", "layers.{}.mlp.down"),
    }
    config = {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
        "use_parallel_residual": parallel,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5},
    }
    norm = LayerNorm(1e-5)
    layers = alike(
        attention(position=Rotary(theta=10_000.0, size=D // 2)),
        MLP(INNER, "gelu"),
        ParallelNorm(norm, shared=False) if parallel else PreNorm(norm),
    )
    return Case("GPTNeoX", config, Spec(WIDTH, Embedding(VOCABULARY), layers, final_norm=norm), names)


def gpt_j() -> Case:
    """Attention and MLP side by side behind one norm, interleaved rotary positions, no attention biases."""
    names = {
        "wte.weight": "embed.tokens.weight",
        **both("ln_f", "norm"),
        "h.{}.attn.q_proj.weight": "layers.{}.attention.query.weight",
        "h.{}.attn.k_proj.weight": "layers.{}.attention.key.weight",
        "h.{}.attn.v_proj.weight": "layers.{}.attention.value.weight",
        "h.{}.attn.out_proj.weight": "layers.{}.attention.output.weight",
        **both("h.{}.ln_1", "layers.{}.attention.norm"),
        **both("h.{}.mlp.fc_in", "layers.{}.mlp.up"),
        **both("h.{}.mlp.fc_out", "layers.{}.mlp.down"),
    }
    config = {
        "vocab_size": VOCABULARY,
        "n_embd": WIDTH,
        "n_layer": LAYERS,
        "n_head": HEADS,
        "n_inner": INNER,
        "n_positions": 64,
        "rotary_dim": 4,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
    }
    norm = LayerNorm(1e-5)
    heads = attention(
        position=Rotary(theta=10_000.0, size=4, interleaved=True),
        bias=False,
        output_bias=False,
    )
    layers = alike(heads, MLP(INNER, "gelu_new"), ParallelNorm(norm, shared=True))
    return Case("GPTJ", config, Spec(WIDTH, Embedding(VOCABULARY), layers, final_norm=norm), names, scale=0.5)


def gemma2() -> Case:
    """Norms before and after, RMS norms around one, soft caps, every other layer a window, scaled embeddings."""
    window, softcap = 6, 2.0
    names = {
        **{theirs: our for theirs, our in llama().names.items() if not theirs.endswith("bias")},
        "layers.{}.post_attention_layernorm.weight": "layers.{}.attention.norm_after.weight",
        "layers.{}.pre_feedforward_layernorm.weight": "layers.{}.mlp.norm.weight",
        "layers.{}.post_feedforward_layernorm.weight": "layers.{}.mlp.norm_after.weight",
    }
    config = {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "num_hidden_layers": 4,
        "num_attention_heads": HEADS,
        "num_key_value_heads": 1,
        "head_dim": D,
        "intermediate_size": INNER,
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": 12,
        "attn_logit_softcapping": softcap,
        "sliding_window": window,
        "rms_norm_eps": 1e-6,
    }
    norm = RMSNorm(1e-6, offset=1.0)
    mlp = GatedMLP(INNER, "gelu_pytorch_tanh")
    heads = attention(
        kv_heads=1,
        scale=12**-0.5,
        softcap=softcap,
        position=Rotary(theta=10_000.0, size=D),
        bias=False,
        output_bias=False,
    )
    near = replace(heads, reach=Reach(behind=window - 1, ahead=0))
    layers = alike(near, mlp, SandwichNorm(norm), 1) + alike(heads, mlp, SandwichNorm(norm), 1)
    spec = Spec(WIDTH, Embedding(VOCABULARY, scale=WIDTH**0.5), layers * 2, final_norm=norm)
    return Case("Gemma2", config, spec, names)


def bloom() -> Case:
    """ALiBi and a norm on the embeddings."""
    names = {
        "word_embeddings.weight": "embed.tokens.weight",
        **both("word_embeddings_layernorm", "embed.norm"),
        **both("ln_f", "norm"),
        **both("h.{}.self_attention.query", "layers.{}.attention.query"),
        **both("h.{}.self_attention.key", "layers.{}.attention.key"),
        **both("h.{}.self_attention.value", "layers.{}.attention.value"),
        **both("h.{}.self_attention.dense", "layers.{}.attention.output"),
        **both("h.{}.input_layernorm", "layers.{}.attention.norm"),
        **both("h.{}.post_attention_layernorm", "layers.{}.mlp.norm"),
        **both("h.{}.mlp.dense_h_to_4h", "layers.{}.mlp.up"),
        **both("h.{}.mlp.dense_4h_to_h", "layers.{}.mlp.down"),
    }
    config = {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "n_layer": LAYERS,
        "n_head": HEADS,
        "layer_norm_epsilon": 1e-5,
    }
    norm = LayerNorm(1e-5)
    layers = alike(attention(position=ALiBi()), MLP(4 * WIDTH, "bloom_gelu"), PreNorm(norm))
    return Case("Bloom", config, Spec(WIDTH, Embedding(VOCABULARY, norm=norm), layers, final_norm=norm), names)


def opt() -> Case:
    """Learned positions that begin at row 2, pre-norms, relu."""
    names = {
        "decoder.embed_tokens.weight": "embed.tokens.weight",
        "decoder.embed_positions.weight": "embed.positions.weight",
        **both("decoder.final_layer_norm", "norm"),
        **both("decoder.layers.{}.self_attn.q_proj", "layers.{}.attention.query"),
        **both("decoder.layers.{}.self_attn.k_proj", "layers.{}.attention.key"),
        **both("decoder.layers.{}.self_attn.v_proj", "layers.{}.attention.value"),
        **both("decoder.layers.{}.self_attn.out_proj", "layers.{}.attention.output"),
        **both("decoder.layers.{}.self_attn_layer_norm", "layers.{}.attention.norm"),
        **both("decoder.layers.{}.final_layer_norm", "layers.{}.mlp.norm"),
        **both("decoder.layers.{}.fc1", "layers.{}.mlp.up"),
        **both("decoder.layers.{}.fc2", "layers.{}.mlp.down"),
    }
    config = {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "word_embed_proj_dim": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "ffn_dim": INNER,
        "max_position_embeddings": 40,
    }
    norm = LayerNorm(1e-5)
    layers = alike(attention(), MLP(INNER, "relu"), PreNorm(norm))
    embedding = Embedding(VOCABULARY, positions=Learned(40, offset=2))
    return Case("OPT", config, Spec(WIDTH, embedding, layers, final_norm=norm), names)


def t5(*, gated: bool) -> Case:
    """A T5 encoder: relative buckets in one table for all layers, RMS norms, scores that are not scaled."""
    mlp = {"wi_0": "gate", "wi_1": "up"} if gated else {"wi": "up"}
    names = {
        "shared.weight": "embed.tokens.weight",
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": "relative.weight",
        "encoder.final_layer_norm.weight": "norm.weight",
        "encoder.block.{}.layer.0.SelfAttention.q.weight": "layers.{}.attention.query.weight",
        "encoder.block.{}.layer.0.SelfAttention.k.weight": "layers.{}.attention.key.weight",
        "encoder.block.{}.layer.0.SelfAttention.v.weight": "layers.{}.attention.value.weight",
        "encoder.block.{}.layer.0.SelfAttention.o.weight": "layers.{}.attention.output.weight",
        "encoder.block.{}.layer.0.layer_norm.weight": "layers.{}.attention.norm.weight",
        "encoder.block.{}.layer.1.layer_norm.weight": "layers.{}.mlp.norm.weight",
        "encoder.block.{}.layer.1.DenseReluDense.wo.weight": "layers.{}.mlp.down.weight",
        **{
            f"encoder.block.{{}}.layer.1.DenseReluDense.{wi}.weight": f"layers.{{}}.mlp.{our}.weight"
            for wi, our in mlp.items()
        },
    }
    config = {
        "vocab_size": VOCABULARY,
        "d_model": WIDTH,
        "d_kv": 5,
        "d_ff": INNER,
        "num_layers": LAYERS,
        "num_heads": HEADS,
        "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 15,
        "feed_forward_proj": "gated-gelu" if gated else "relu",
        "layer_norm_epsilon": 1e-6,
    }
    norm = RMSNorm(1e-6)
    heads = attention(
        head_size=5,
        scale=1.0,
        reach=EVERYTHING,
        position=RelativeBuckets(8, 15, bidirectional=True),
        bias=False,
        output_bias=False,
    )
    layers = alike(heads, GatedMLP(INNER, "gelu_new") if gated else MLP(INNER, "relu", bias=False), PreNorm(norm))
    return Case("T5Encoder", config, Spec(WIDTH, Embedding(VOCABULARY), layers, final_norm=norm), names, scale=0.25)


CASES = {
    "llama with grouped queries": llama(),
    "llama with one key head": llama(kv_heads=1),
    "llama with all key heads, odd size, biases": llama(kv_heads=HEADS, head_size=6, bias=True),
    "mistral with a window": llama("Mistral", sliding_window=5),
    "gpt-neox": gpt_neox(parallel=True),
    "gpt-neox, one after the other": gpt_neox(parallel=False),
    "gpt-j": gpt_j(),
    "gemma 2": gemma2(),
    "bloom": bloom(),
    "opt": opt(),
    "t5": t5(gated=False),
    "t5 with a gate": t5(gated=True),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_against_transformers(case: Case, dtype: torch.dtype) -> None:
    with precision(dtype):
        model = case.model()
        expected = theirs(model, IDS)
    assert_same(ours(case.network(model, dtype), IDS), expected, dtype)
    assert_telling(expected[0])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_against_transformers_on_one_token(case: Case) -> None:
    model = case.model()
    assert_same(ours(case.network(model, torch.float32), [7]), theirs(model, [7]), torch.float32)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_small_tiles_change_nothing(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    network = case.network(case.model().double(), torch.float64)
    whole = ours(network, IDS)
    monkeypatch.setattr(kernel, "TILE", HEADS * LENGTH * 5)
    assert_same(ours(network, IDS), whole, torch.float64)


@pytest.mark.parametrize("name", ["gemma 2", "mistral with a window"])
def test_a_window_hides_what_is_beyond_it(name: str) -> None:
    case = CASES[name]
    kept = ours(case.network(case.model(), torch.float32), IDS)[0]
    for layer, (spec, weights_) in enumerate(zip(case.spec.layers, kept, strict=True)):
        behind = spec.attention.reach.behind
        seen = LENGTH if behind is None else behind + 1
        assert seen < LENGTH or layer % 2, "a window as long as the text tests nothing"
        assert bool((weights_[:, -1, : LENGTH - seen] == 0).all())
        assert bool((weights_[:, -1, LENGTH - seen :] > 0).all())


class Order(Observer):
    """Writes down what comes when."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.last = torch.zeros(0)

    def tile(self, tile: Tile) -> None:
        self.seen.append(("tile", tile.layer))

    def hidden(self, layer: int, states: Tensor, kind: Kind = "self") -> None:  # noqa: ARG002
        self.seen.append(("hidden", layer))
        self.last = states


def test_observers_see_states_and_weights_in_the_order_of_the_layers() -> None:
    case, order = CASES["gpt-j"], Order()
    network = case.network(case.model(), torch.float32)
    last = network(IDS, [0] * LENGTH, [order])
    assert order.seen == [(what, i) for i in range(LAYERS) for what in ("hidden", "tile")] + [("hidden", LAYERS)]
    assert order.last is last


def test_observing_changes_nothing() -> None:
    case = CASES["llama with grouped queries"]
    network = case.network(case.model(), torch.float32)
    assert torch.equal(network(IDS, [0] * LENGTH), network(IDS, [0] * LENGTH, [Order(), Order()]))


def test_a_model_is_causal_where_no_layer_looks_ahead() -> None:
    spec = CASES["gemma 2"].spec
    ahead = replace(spec.layers[0], attention=attention(reach=EVERYTHING))
    assert spec.causal
    assert not CASES["t5"].spec.causal
    assert not replace(spec, layers=(*spec.layers, ahead)).causal


def test_only_learned_positions_limit_the_length() -> None:
    assert CASES["opt"].spec.limit == 40
    assert CASES["bloom"].spec.limit is None


def test_the_longest_text_that_fits_uses_the_last_position() -> None:
    case = CASES["opt"]
    model, ids = case.model(), [i % VOCABULARY for i in range(3, 43)]
    assert_same(ours(case.network(model, torch.float32), ids), theirs(model, ids), torch.float32)

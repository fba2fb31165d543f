"""GPT-Neo (Black et al. 2021): as GPT-2, with scores that are not scaled and a window in every other layer."""

from __future__ import annotations

from typing import Any

from attnviz.attention.window import CAUSAL, KeyWindow
from attnviz.checkpoint.config_limits import require_sizes
from attnviz.errors import ModelError, UnsupportedModel, short
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Embedding,
    Head,
    LayerNorm,
    LayerSpec,
    Learned,
    PreNorm,
    Spec,
)
from attnviz.model.families import both

PREFIX = "transformer."
ATTRIBUTES = {"num_attention_heads": "num_heads", "num_hidden_layers": "num_layers"}

NAMES = {
    "wte.weight": "embed.tokens.weight",
    "wpe.weight": "embed.positions.weight",
    **both("h.{}.ln_1", "layers.{}.attention.norm"),
    "h.{}.attn.attention.q_proj.weight": "layers.{}.attention.query.weight",
    "h.{}.attn.attention.k_proj.weight": "layers.{}.attention.key.weight",
    "h.{}.attn.attention.v_proj.weight": "layers.{}.attention.value.weight",
    **both("h.{}.attn.attention.out_proj", "layers.{}.attention.output"),
    **both("h.{}.ln_2", "layers.{}.mlp.norm"),
    **both("h.{}.mlp.c_fc", "layers.{}.mlp.up"),
    **both("h.{}.mlp.c_proj", "layers.{}.mlp.down"),
    **both("ln_f", "norm"),
    "lm_head.weight": "head.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a GPT-Neo; absent attributes have the values of transformers' ``GPTNeoConfig``."""
    heads = config.size("num_heads", 16)
    width = config.width("hidden_size", 2048, heads)
    config.decoder()
    config.ignore("resid_dropout", "embed_dropout", "classifier_dropout")
    norm = LayerNorm(config.number("layer_norm_epsilon", 1e-5))
    mlp = MLP(config.size("intermediate_size", 4 * width), config.activation("activation_function", "gelu_new"))
    layers = (
        LayerSpec(AttentionSpec(heads, heads, width // heads, 1.0, window, bias=False), mlp, PreNorm(norm))
        for window in _layer_windows(config)
    )
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 50257), Learned(config.size("max_position_embeddings", 2048))),
        layers=tuple(layers),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings", True)),
    )


def _layer_windows(config: Config) -> list[KeyWindow]:
    """How far each layer sees: ``attention_types`` is [[kinds, how often], …], ``attention_layers`` its long form."""
    layer_windows = {"global": CAUSAL, "local": KeyWindow(left=config.size("window_size", 256) - 1, right=0)}
    types: Any = config.get("attention_types", [[["global", "local"], 12]])
    try:
        require_sizes({"num_layers": sum(times * len(some) for some, times in types)})
        kinds = [kind for some, times in types for _ in range(times) for kind in some]
    except (TypeError, ValueError):
        raise ModelError(f"config.json: attention_types is {short(types)}, expected [[kinds, how often], …]") from None
    kinds = config.get("attention_layers", kinds)
    if unknown := sorted({str(kind) for kind in kinds} - layer_windows.keys()):
        raise UnsupportedModel(
            f"config.json: attention_types has {', '.join(unknown)}; our forward pass knows global, local"
        )
    if len(kinds) != (count := config.size("num_layers", 24)):
        raise ModelError(f"config.json: attention_types says {len(kinds)} layers, num_layers {count}")
    return [layer_windows[kind] for kind in kinds]

"""Phi (Li et al. 2023): attention and MLP side by side behind one norm, rotary positions in a part of each head."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import MLP, Embedding, Head, LayerNorm, LayerSpec, ParallelNorm, QKNorm, Spec
from attnviz.model.families import both, grouped_attention

PREFIX = "model."

NAMES = {
    "embed_tokens.weight": "embed.tokens.weight",
    **both("layers.{}.self_attn.q_proj", "layers.{}.attention.query"),
    **both("layers.{}.self_attn.k_proj", "layers.{}.attention.key"),
    **both("layers.{}.self_attn.v_proj", "layers.{}.attention.value"),
    **both("layers.{}.self_attn.dense", "layers.{}.attention.output"),
    **both("layers.{}.self_attn.q_layernorm", "layers.{}.attention.query_norm"),
    **both("layers.{}.self_attn.k_layernorm", "layers.{}.attention.key_norm"),
    **both("layers.{}.input_layernorm", "layers.{}.attention.norm"),
    **both("layers.{}.mlp.fc1", "layers.{}.mlp.up"),
    **both("layers.{}.mlp.fc2", "layers.{}.mlp.down"),
    **both("final_layernorm", "norm"),
    **both("lm_head", "head"),
}


def spec(config: Config) -> Spec:
    """The facts of a Phi; absent attributes have the values of transformers' ``PhiConfig``."""
    config.decoder()
    config.ignore("embd_pdrop", "resid_pdrop")
    width = config.size("hidden_size", 2048)
    norm = LayerNorm(config.number("layer_norm_eps", 1e-5))
    layer = LayerSpec(
        attention=grouped_attention(
            config, width, 32, bias=True, qk_norm=QKNorm(norm) if config.flag("qk_layernorm") else None, partial=0.5
        ),
        mlp=MLP(config.size("intermediate_size", 8192), config.activation("hidden_act", "gelu_new")),
        norms=ParallelNorm(norm, shared=True),
    )
    return Spec(
        width=width,
        embedding=Embedding(config.size("vocab_size", 51200)),
        layers=(layer,) * config.size("num_hidden_layers", 24),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings"), bias=True),
    )

"""GLM-4 (GLM Team 2024): a Llama with fused gates, biases on queries, keys and values, and interleaved rotary positions
in half of each head.
"""

from __future__ import annotations

from attnviz.attention.window import CAUSAL
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import AttentionSpec, Embedding, GatedMLP, Head, LayerSpec, PreNorm, RMSNorm, Spec
from attnviz.model.families import DECODER_NAMES, names_without

PREFIX = "model."

NAMES = {
    **names_without(DECODER_NAMES, "o_proj.bias", "gate_proj", "up_proj"),
    "layers.{}.mlp.gate_up_proj.weight": "layers.{}.mlp.gate_up.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a GLM; absent attributes have the values of transformers' ``GlmConfig``."""
    config.decoder()
    heads, size = config.size("num_attention_heads", 32), config.size("head_dim", 128)
    norm = RMSNorm(config.number("rms_norm_eps", 1.5625e-7))
    layer = LayerSpec(
        attention=AttentionSpec(
            heads=heads,
            kv_heads=config.kv_heads(heads, 2),
            head_size=size,
            scale=size**-0.5,
            window=CAUSAL,
            position=rotary(config, size, partial=0.5, longest=131072, interleaved=True),
            bias=config.flag("attention_bias", default=True),
            output_bias=False,
        ),
        mlp=GatedMLP(config.size("intermediate_size", 13696), config.activation("hidden_act", "silu")),
        norms=PreNorm(norm),
    )
    return Spec(
        width=config.size("hidden_size", 4096),
        embedding=Embedding(config.size("vocab_size", 151552)),
        layers=(layer,) * config.size("num_hidden_layers", 40),
        final_norm=norm,
        head=Head(tied=config.flag("tie_word_embeddings")),
    )

"""BART (Lewis et al. 2020): an encoder–decoder with post-norms and learned positions that begin at row 2.

Its kin differ in where they norm and how they say positions; they read their configs with ``bart_spec``.
"""

from __future__ import annotations

from attnviz.attention.window import CAUSAL, EVERYTHING
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Embedding,
    Head,
    LayerNorm,
    LayerSpec,
    Learned,
    PostNorm,
    PreNorm,
    Spec,
)
from attnviz.model.families import Names, both

PREFIX = "model."

NAMES: Names = {
    # Configs do not say reliably whether the head is tied: it is where the checkpoint has no other.
    "lm_head.weight": "head.weight",
    "final_logits_bias": "head.bias",
    "encoder.embed_tokens.weight": "encoder.embed.tokens.weight",
    "decoder.embed_tokens.weight": ("embed.tokens.weight", "encoder.embed.tokens.weight", "head.weight"),
    "shared.weight": ("embed.tokens.weight", "encoder.embed.tokens.weight", "head.weight"),
    "encoder.embed_positions.weight": "encoder.embed.positions.weight",
    **both("encoder.layernorm_embedding", "encoder.embed.norm"),
    **both("encoder.layers.{}.self_attn.q_proj", "encoder.layers.{}.attention.query"),
    **both("encoder.layers.{}.self_attn.k_proj", "encoder.layers.{}.attention.key"),
    **both("encoder.layers.{}.self_attn.v_proj", "encoder.layers.{}.attention.value"),
    **both("encoder.layers.{}.self_attn.out_proj", "encoder.layers.{}.attention.output"),
    **both("encoder.layers.{}.self_attn_layer_norm", "encoder.layers.{}.attention.norm"),
    **both("encoder.layers.{}.fc1", "encoder.layers.{}.mlp.up"),
    **both("encoder.layers.{}.fc2", "encoder.layers.{}.mlp.down"),
    **both("encoder.layers.{}.final_layer_norm", "encoder.layers.{}.mlp.norm"),
    **both("encoder.layer_norm", "encoder.norm"),
    "decoder.embed_positions.weight": "embed.positions.weight",
    **both("decoder.layernorm_embedding", "embed.norm"),
    **both("decoder.layers.{}.self_attn.q_proj", "layers.{}.attention.query"),
    **both("decoder.layers.{}.self_attn.k_proj", "layers.{}.attention.key"),
    **both("decoder.layers.{}.self_attn.v_proj", "layers.{}.attention.value"),
    **both("decoder.layers.{}.self_attn.out_proj", "layers.{}.attention.output"),
    **both("decoder.layers.{}.self_attn_layer_norm", "layers.{}.attention.norm"),
    **both("decoder.layers.{}.encoder_attn.q_proj", "layers.{}.cross.query"),
    **both("decoder.layers.{}.encoder_attn.k_proj", "layers.{}.cross.key"),
    **both("decoder.layers.{}.encoder_attn.v_proj", "layers.{}.cross.value"),
    **both("decoder.layers.{}.encoder_attn.out_proj", "layers.{}.cross.output"),
    **both("decoder.layers.{}.encoder_attn_layer_norm", "layers.{}.cross.norm"),
    **both("decoder.layers.{}.fc1", "layers.{}.mlp.up"),
    **both("decoder.layers.{}.fc2", "layers.{}.mlp.down"),
    **both("decoder.layers.{}.final_layer_norm", "layers.{}.mlp.norm"),
    **both("decoder.layer_norm", "norm"),
}


def spec(config: Config) -> Spec:
    """The facts of a BART; absent attributes have the values of transformers' ``BartConfig``."""
    vocabulary = config.size("vocab_size", 50265)
    positions = Learned(config.size("max_position_embeddings", 1024), offset=2)
    embedding = Embedding(vocabulary, positions, norm=LayerNorm(1e-5))
    return bart_spec(config, embedding, PostNorm(LayerNorm(1e-5)), start=2)


def bart_spec(
    config: Config,
    embedding: Embedding,
    norms: PostNorm | PreNorm,
    *,
    vocabulary: int | None = None,
    start: int | None,
) -> Spec:
    """The facts of BART's kin: of ``embedding`` the config says the scale; ``vocabulary`` is the decoder's, where that
    is another; ``start`` is the start token of configs that do not say it, None where the last token of a text comes
    round to its start, whatever they say.
    """
    config.ignore(
        "dropout", "attention_dropout", "activation_dropout", "classifier_dropout", "classif_dropout", "init_std",
        "encoder_layerdrop", "decoder_layerdrop", "is_decoder", "save_step",
        # Switches of transformers 3, which each type of model has had its own way since.
        "normalize_before", "normalize_embedding", "add_final_layer_norm", "add_bias_logits", "extra_pos_embeddings",
        "static_position_embeddings", "force_bos_token_to_be_generated", "do_blenderbot_90_layernorm",
        "extra_layer_norm", "layernorm_variant", "variant",
    )  # fmt: skip
    width = config.either("d_model", "hidden_size", 1024)
    scale = width**0.5 if config.flag("scale_embedding") else 1.0

    def stack(part: str, vocabulary: int, count: int, *, cross: bool) -> Spec:
        words = Embedding(vocabulary, embedding.positions, norm=embedding.norm, scale=scale)
        layer = _layer(config, part, width, norms, cross=cross)
        return Spec(width, words, (layer,) * count, final_norm=norms.norm if isinstance(norms, PreNorm) else None)

    paired = config.flag("is_encoder_decoder", True)
    layers = config.either("encoder_layers", "num_hidden_layers", 12), config.size("decoder_layers", 12)
    config.expect("num_attention_heads", config.size("encoder_attention_heads", 16))
    encoder = stack("encoder", embedding.vocabulary, layers[0], cross=False)
    decoder = stack("decoder", vocabulary or embedding.vocabulary, layers[1], cross=paired)
    return Spec(
        width=width,
        embedding=decoder.embedding,
        layers=decoder.layers,
        final_norm=decoder.final_norm,
        head=Head(tied=False, bias="optional"),
        encoder=encoder if paired else None,
        start=config.get("decoder_start_token_id", start) if paired and start is not None else None,
        wraps=start is None,
    )


def _layer(config: Config, part: str, width: int, norms: PostNorm | PreNorm, *, cross: bool) -> LayerSpec:
    """A layer of the ``part``, "encoder" or "decoder"."""
    heads = config.size(f"{part}_attention_heads", 16)
    size = config.width("d_model", width, heads) // heads
    attention = AttentionSpec(heads, heads, size, size**-0.5, CAUSAL if part == "decoder" else EVERYTHING)
    mlp = MLP(config.size(f"{part}_ffn_dim", 4096), config.activation("activation_function", "gelu"))
    return LayerSpec(
        attention, mlp, norms, AttentionSpec(heads, heads, size, size**-0.5, EVERYTHING) if cross else None
    )

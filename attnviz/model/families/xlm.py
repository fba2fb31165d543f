"""XLM (Conneau & Lample 2019): BERT's layers without token types; a vector of the language is added if it is named."""

from __future__ import annotations

from collections.abc import Mapping

from attnviz.attention.window import CAUSAL, EVERYTHING
from attnviz.encoding import language_numbers
from attnviz.errors import ModelError, UnsupportedModel, short
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Classifier,
    Dense,
    Embedding,
    LayerNorm,
    LayerSpec,
    Learned,
    PostNorm,
    PreNorm,
    Spec,
)
from attnviz.model.architecture.spec.classifier import Reads
from attnviz.model.families import TOKEN_CLASSIFIER, Names, both

PREFIX = "transformer."
ATTRIBUTES = {
    "hidden_size": "emb_dim",
    "num_attention_heads": "n_heads",
    "num_hidden_layers": "n_layers",
    "n_words": "vocab_size",
    "pad_index": "pad_token_id",
}

NAMES: Names = {
    "embeddings.weight": "embed.tokens.weight",
    "position_embeddings.weight": "embed.positions.weight",
    "lang_embeddings.weight": "embed.kinds.weight",
    **both("layer_norm_emb", "embed.norm"),
    **both("attentions.{}.q_lin", "layers.{}.attention.query"),
    **both("attentions.{}.k_lin", "layers.{}.attention.key"),
    **both("attentions.{}.v_lin", "layers.{}.attention.value"),
    **both("attentions.{}.out_lin", "layers.{}.attention.output"),
    **both("layer_norm1.{}", "layers.{}.attention.norm"),
    **both("ffns.{}.lin1", "layers.{}.mlp.up"),
    **both("ffns.{}.lin2", "layers.{}.mlp.down"),
    **both("layer_norm2.{}", "layers.{}.mlp.norm"),
}

# Of the training, the head, and the special tokens.
_HARMLESS = (
    "dropout", "attention_dropout", "embed_init_std", "init_std", "sinusoidal_embeddings", "asm", "asm_cutoffs",
    "asm_div_value", "bos_index", "eos_index", "unk_index", "mask_index", "lang_id", "langs", "id2lang", "lgs",
    "start_n_top", "end_n_top", "share_inout_emb", "same_enc_dec", "encoder_only", "fp16", "amp", "bptt",
    "clip_grad_norm", "optimizer",
    "group_by_size", "lg_sampling_factor", "max_batch_size", "batch_size", "tokens_per_batch", "max_vocab", "min_count",
    "sample_alpha", "mlm_steps", "clm_steps", "word_blank", "word_dropout", "word_keep", "word_mask", "word_pred",
    "word_mask_keep_rand", "word_rand", "word_shuffle", "context_size", "attention_setting", "max_len",
)  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of an XLM; absent attributes have the values of transformers' ``XLMConfig``."""
    return xlm_spec(config, pre_norm=False)


def xlm_spec(config: Config, *, pre_norm: bool) -> Spec:
    """The facts of XLM's kin, with norms before the sublayers (``pre_norm``) or behind; there is no last norm."""
    heads = config.size("n_heads", 16)
    width = config.width("emb_dim", 2048, heads)
    config.expect("is_encoder", True)
    config.expect("is_encoder_decoder", False)
    config.expect("pruned_heads", {})
    config.ignore(*_HARMLESS)
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    window = CAUSAL if config.flag("causal") else EVERYTHING
    layer = LayerSpec(
        attention=AttentionSpec(heads, heads, width // heads, (width // heads) ** -0.5, window),
        mlp=MLP(4 * width, "gelu" if config.flag("gelu_activation", True) else "relu"),
        norms=PreNorm(norm) if pre_norm else PostNorm(norm),
    )
    code, kinds, kind = _language(config)
    return Spec(
        width=width,
        embedding=Embedding(
            vocabulary=config.size("vocab_size", 30145),
            positions=Learned(config.size("max_position_embeddings", 512)),
            norm=norm,
            kinds=kinds,
            kind=kind,
        ),
        layers=(layer,) * config.size("n_layers", 12),
        language=code,
    )


def _language(config: Config) -> tuple[str | None, int, int]:
    """The language that the user names, how many have vectors, and the number of its own; of no language none is added,
    as in transformers.
    """
    count, used = config.size("n_langs", 1), config.flag("use_lang_emb", True)
    numbers = language_numbers({"lang2id": config.get("lang2id", {}), "n_langs": count, "use_lang_emb": used})
    code = config.get("default_language", None)
    if code is None:
        return None, 0, 0
    number = numbers.get(code) if isinstance(code, str) else None
    if not isinstance(number, int) or not 0 <= number < count:
        raise ModelError(f"config.json: lang2id does not say the number of the language {short(code)} below {count}")
    return code, count, number


_PLACES: Mapping[str, Reads] = {"first": "first", "last": "last", "cls_index": "last", "mean": "mean"}


def classifier(config: Config, *, each: bool) -> Classifier:
    """A linear map of the first token's state, or of what ``summary_type`` names."""
    if each:
        return TOKEN_CLASSIFIER
    place, activation = config.get("summary_type", "first"), config.get("summary_activation", "linear")
    if place not in _PLACES or not config.flag("summary_use_proj", True) or activation not in ("linear", "tanh"):
        raise UnsupportedModel("config.json: the head is none of those that our forward pass knows")
    return Classifier((Dense("sequence_summary.summary", activation),), _PLACES[place])

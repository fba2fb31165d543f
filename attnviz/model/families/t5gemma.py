"""T5Gemma (Google 2025): an encoder–decoder of two Gemma 2, which may be of different sizes."""

from __future__ import annotations

from dataclasses import replace

from attnviz.attention.window import CAUSAL, EVERYTHING, KeyWindow
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import AttentionSpec, Classifier, Dense, Head, Spec
from attnviz.model.families import gemma2, names_with, names_without

PREFIX = "model."

_NORMS = {
    f"layers.{{}}.{place}_{theirs}_layernorm.weight": f"layers.{{}}.{ours}.{norm}.weight"
    for theirs, ours in (("self_attn", "attention"), ("feedforward", "mlp"))
    for place, norm in (("pre", "norm"), ("post", "norm_after"))
}
_STACK = {**names_without(gemma2.NAMES, "layernorm", "lm_head"), **_NORMS}
_CROSS = names_with(
    {theirs: ours for theirs, ours in _STACK.items() if "self_attn" in theirs},
    lambda theirs: theirs.replace("self_attn", "cross_attn"),
    lambda ours: ours.replace(".attention.", ".cross."),
)

NAMES = {
    **names_with(_STACK, "encoder.".__add__, "encoder.".__add__),
    **names_with({**_STACK, **_CROSS}, "decoder.".__add__, str),
    "lm_head.out_proj.weight": "head.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a T5Gemma; absent attributes have the values of transformers' ``T5GemmaConfig``."""
    config.ignore("dropout_rate", "classifier_dropout_rate", "attention_dropout", "vocab_size")
    read = _stack(config.part("encoder"))
    encoder = read.with_attentions(lambda attention: replace(attention, window=_both_ways(attention)))
    encoder = replace(encoder, head=None)
    decoder = _stack(config.part("decoder"))
    if not config.flag("is_encoder_decoder", True):
        return encoder
    cross = replace(decoder.first, window=EVERYTHING, position=None)
    crossing = decoder.with_layers(lambda layer: replace(layer, cross=cross))
    head = Head(config.flag("tie_word_embeddings", True), softcap=decoder.head.softcap if decoder.head else None)
    start = config.get("decoder_start_token_id", config.part("decoder").get("bos_token_id", 2))
    return replace(crossing, head=head, encoder=encoder, start=start, apart=True)


def _stack(config: Config) -> Spec:
    config.ignore("dropout_rate", "cross_attention_hidden_size")
    return gemma2.spec(config)


def _both_ways(attention: AttentionSpec) -> KeyWindow:
    """What a query of the encoder sees: also as many keys after it, one more than in the decoder."""
    if attention.window == CAUSAL:
        return EVERYTHING
    reach = (attention.window.left or 0) + 1
    return KeyWindow(reach, reach)


def classifier(config: Config, *, each: bool) -> Classifier:  # noqa: ARG001
    """The head of an encoder: scores of the last token, or of each."""
    return Classifier((Dense("score.out_proj"),), "each" if each else "last")

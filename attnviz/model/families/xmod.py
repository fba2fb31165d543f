"""X-MOD (Pfeiffer et al. 2022): a RoBERTa with adapters for each language, of which those of one language run."""

from __future__ import annotations

from dataclasses import replace

from attnviz.encoding import language_numbers, some_codes
from attnviz.errors import ModelError, short
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import MLP, Adapter, LayerNorm, PostNorm, PreNorm, Spec
from attnviz.model.families import both
from attnviz.model.families.bert import NAMES as BERT_NAMES
from attnviz.model.families.bert import bert_embedding, bert_spec
from attnviz.model.families.roberta import PREFIX, classifier, roberta_positions

__all__ = ["PREFIX", "classifier"]

_ADAPTER = "encoder.layer.{}.output.adapter_modules.{language}"

NAMES = {
    **BERT_NAMES,
    **both("encoder.LayerNorm", "norm"),
    **both(f"{_ADAPTER}.dense1", "layers.{}.adapter.up"),
    **both(f"{_ADAPTER}.dense2", "layers.{}.adapter.down"),
    **both("encoder.layer.{}.output.adapter_layer_norm", "layers.{}.adapter.norm"),
}


def spec(config: Config) -> Spec:
    """The facts of an X-MOD; absent attributes have the values of transformers' ``XmodConfig``."""
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    norms = PreNorm(norm) if config.flag("pre_norm") else PostNorm(norm)
    found = bert_spec(config, bert_embedding(config, roberta_positions(config), norm), norms)
    size = found.width // config.size("adapter_reduction_factor", 2)
    if not size:
        raise ModelError("config.json: adapter_reduction_factor leaves no units")
    own, shared = config.flag("adapter_layer_norm"), config.flag("adapter_reuse_layer_norm", True)
    adapter = Adapter(
        MLP(size, config.activation("hidden_act", "gelu")),
        "own" if own else "mlp" if shared else None,
        normed=config.flag("ln_before_adapter", True),
    )
    layers = tuple(replace(layer, adapter=adapter) for layer in found.layers)
    return replace(found, layers=layers, language=_language(config))


def _language(config: Config) -> str:
    """The language of all texts: the one that the config, or the user, names, or the only one there is."""
    codes = language_numbers({"languages": config.get("languages", ["en_XX"])})
    code = config.get("default_language", next(iter(codes)) if len(codes) == 1 else None)
    if code is None:
        raise ModelError(
            f"the model has adapters for {len(codes)} languages, and config.json names none as its default_language",
            hint=f"Give the text's as `source_lang`, such as {some_codes(codes)}",
        )
    if code not in codes:
        raise ModelError(f"config.json: default_language is {short(code)}, which is none of its languages")
    return str(code)

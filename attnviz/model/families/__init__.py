"""The families: one file each, named after Hugging Face's ``model_type`` (``-`` is ``_`` there).

A family file says two things: ``spec(config)``, the facts of a model, and ``NAMES``, the map of the checkpoint's
tensor names to ours. ``{}`` is the layer; where the value is a tuple the tensor has all these places.
``PREFIX`` is what heads put before the names, and ``SPELLINGS`` are older last parts of names. ``ATTRIBUTES`` are other
names of config attributes, which count where a config has both, as in transformers, and ``DEFAULTS`` is what configs
of a model type default to where that is not the family's own. ``classifier(config, each=…)`` is the head that
classifies a text, or each token, where it is not that of most decoders. Of our names, these say that a tensor is
several, cut by ``weights.take``:

- ``….qkv``: queries, keys and values of all heads, one after the other;
- ``….groups``: of each key-value head the queries of its query heads, its key and its value;
- ``….quarters``: of each quarter of the heads the queries, the values and the keys;
- ``….key_values``: of each key-value head its key and its value;
- ``….query_gate``: of each head its query and its gate;
- ``….query_key_value_gate``, ``….rate_decay``: of each key head of a gated delta rule what it says;
- ``….before_after_value``: of a short convolution these three;
- ``….gate_up``: the gate, then the rest; ``….up_gate``: the other way round;
- ``….gate_up_pairs``: of each unit its gate, then its rest;
- ``….experts.…``: of all experts, in the first axis;
- ``….T`` at the end: the matrix is stored transposed; ``….T?``: if its shape says so;
- ``….blocks`` at the end: blocks along its diagonal are stored, as a convolution of single tokens in groups.

Of their names, a second ``{}`` is the head or the expert: the tensors of all of them are one of ours. ``{language}``
is the language that the spec names.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from attnviz.errors import ModelError, UnsupportedModel, did_you_mean, short
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Classifier, Spec
from attnviz.model.families.shared.names import DECODER_NAMES as DECODER_NAMES
from attnviz.model.families.shared.names import LAYER_NORM_NAMES as LAYER_NORM_NAMES
from attnviz.model.families.shared.names import QK_NORM_NAMES as QK_NORM_NAMES
from attnviz.model.families.shared.names import Names as Names
from attnviz.model.families.shared.names import both as both
from attnviz.model.families.shared.names import expert_names as expert_names
from attnviz.model.families.shared.names import names_with as names_with
from attnviz.model.families.shared.names import names_without as names_without
from attnviz.model.families.shared.parts import TOKEN_CLASSIFIER as TOKEN_CLASSIFIER
from attnviz.model.families.shared.parts import TWO_STACKS_CLASSIFIER as TWO_STACKS_CLASSIFIER
from attnviz.model.families.shared.parts import decoder_spec as decoder_spec
from attnviz.model.families.shared.parts import grouped_attention as grouped_attention
from attnviz.model.families.shared.parts import last_token_classifier as last_token_classifier
from attnviz.model.towers import PREFIXES, TOWERS, text_config

FAMILIES = (
    "albert", "apertus", "arcee", "bart", "bert", "bert-generation", "bigbird_pegasus", "biogpt", "blenderbot",
    "blenderbot-small", "bloom", "clip_text_model", "codegen", "cohere", "cohere2", "ctrl", "cwm", "data2vec-text",
    "deberta", "deberta-v2", "deepseek_v2", "deepseek_v3", "distilbert", "electra", "ernie", "ernie4_5", "ernie4_5_moe",
    "esm", "eurobert", "exaone4", "exaone_moe", "falcon", "flaubert", "flex_olmo", "fsmt", "gemma", "gemma2",
    "gemma3_text", "gemma4_text", "glm", "glm4", "glm4_moe", "glm4_moe_lite", "glm4v_text", "gpt2", "gpt_bigcode",
    "gpt_neo", "gpt_neox", "gpt_neox_japanese", "gpt_oss", "gptj", "granite", "granitemoe", "granitemoehybrid",
    "granitemoeshared", "gte", "helium", "hunyuan_v1_dense", "hunyuan_v1_moe", "hyperclovax", "ibert", "jais2",
    "jina_embeddings_v3", "lfm2", "lfm2_moe", "llama", "llama4_text", "longt5", "luke", "m2m_100", "marian", "mbart",
    "megatron-bert", "minicpm3", "minimax_m2", "ministral3", "mistral4", "mixtral", "modernbert", "mpnet", "mpt", "mvp",
    "nanochat", "nemotron", "nomic_bert", "olmo", "olmo2", "olmo3", "olmoe", "openai-gpt", "opt", "pegasus",
    "persimmon", "phi", "phi3", "phimoe", "plbart", "prophetnet", "qwen2", "qwen2_moe", "qwen3", "qwen3_5_moe_text",
    "qwen3_5_text", "qwen3_moe", "qwen3_next", "rembert", "roberta", "roberta-prelayernorm", "roformer",
    "siglip_text_model", "solar_open", "splinter", "squeezebert", "stablelm", "starcoder2", "switch_transformers", "t5",
    "t5gemma", "umt5", "vaultgemma", "xglm", "xlm", "xlm-roberta-xl", "xmod", "youtu",
)  # fmt: skip

ALIASES: Mapping[str, str] = {
    "camembert": "roberta",
    "gemma4_unified_text": "gemma4_text",
    "glm4v_moe_text": "glm4_moe",
    "glm_ocr_text": "glm4v_text",
    "granite_docling_text": "granite",
    "internlm3": "llama",
    "iquestcoder": "llama",
    "ministral": "llama",
    "mistral": "llama",
    "mt5": "t5",
    "qwen2_5_vl_text": "qwen2",
    "qwen2_vl_text": "qwen2",
    "qwen3_vl_moe_text": "qwen3_moe",
    "qwen3_vl_text": "qwen3",
    "seed_oss": "llama",
    "smollm3": "llama",
    "xlm-roberta": "roberta",
}
"""Model types that differ from a family in their configuration only."""

UNSUPPORTED: Mapping[str, str] = {
    "xlnet": "two streams, and relative positions by projected sines with biases of their own, are not expressed",
}
"""Model types that are asked for and that a spec can't say: why not."""


@dataclass(frozen=True)
class Family:
    """One family file, read; ``name`` is the ``model_type`` of the model at hand, the family's or an alias.

    ``outer`` are the prefixes of names where the model is the text model in a larger one, whose config is then given.
    """

    name: str
    read: Callable[[Config], Spec]
    names: Names
    prefix: str = ""
    spellings: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    head: Callable[..., Classifier] = last_token_classifier
    outer: tuple[str, ...] = ()

    def classifier(self, config: Mapping[str, Any], *, each: bool) -> Classifier:
        """The head with which a model classifies a text, or ``each`` token.

        Raises:
            ModelError, UnsupportedModel: the config asks for a head that is not known.
        """
        return self.head(Config(self._renamed(config), self.defaults), each=each)

    def spec(self, config: Mapping[str, Any]) -> Spec:
        """The facts of the model that ``config`` describes.

        Raises:
            UnsupportedModel: the config asks for what the spec can't say; the message names it.
            ModelError: the config is damaged.
        """
        reading = Config(self._renamed(config), self.defaults)
        try:
            spec = self.read(reading)
        except (TypeError, AttributeError, ValueError, LookupError, ArithmeticError) as error:
            # Values of a sort that no published config has.
            raise ModelError(
                f"config.json can't be read as that of a model of type {self.name!r} ({error})",
                hint="It is damaged: download the model again.",
            ) from error
        reading.close()
        if spec.layers and not spec.attentions:
            raise ModelError(
                f"none of the {len(spec.layers)} layers of this {self.name} attends: there are no attention weights "
                "to show",
                hint="Its config.json says which layers attend, such as in layer_types.",
            )
        return spec

    def _renamed(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes under the names that ``read`` knows; if a config has both names, the other one counts."""
        config = text_config(config)
        plain = {name: value for name, value in config.items() if name not in self.attributes}
        other = {self.attributes[name]: value for name, value in config.items() if name in self.attributes}
        return plain | {name: value for name, value in other.items() if value is not None}

    def plain(self, name: str) -> str:
        """A tensor's name as in ``names``: without the prefix that a head adds, in today's spelling."""
        *path, last = name.removeprefix(self.prefix_of((name,))).split(".")
        return ".".join([*path, self.spellings.get(last, last)])

    def prefix_of(self, names: Iterable[str]) -> str:
        """The prefix that some of the ``names`` of tensors have; the one to look for first, where several have one."""
        known = (*self.outer, self.prefix)
        return next((prefix for prefix in known if any(name.startswith(prefix) for name in names)), "")


def module_name(family: str) -> str:
    """The name of a family's file."""
    return family.replace("-", "_")


def near_miss(config: Mapping[str, Any]) -> str:
    """``Did you mean bert? `` for a model type that no way knows, and is spelt like one of ours; else nothing."""
    return did_you_mean(str(config.get("model_type")), (*FAMILIES, *ALIASES), 0.75)


def find_family(config: Mapping[str, Any]) -> Family:
    """The family of the model that ``config`` describes.

    Raises:
        UnsupportedModel: there is none for its ``model_type``.
        ModelError: the config has no ``model_type``.
    """
    kind = config.get("model_type")
    if not isinstance(kind, str):
        raise ModelError(
            "config.json has no model_type", hint="Save the model with a current transformers: save_pretrained."
        )
    if kind in TOWERS:
        try:
            return replace(find_family(text_config(config)), outer=PREFIXES)
        except UnsupportedModel as error:
            error.message += f": that is the text model of a {kind}"
            raise
    name = ALIASES.get(kind, kind)
    if kind in UNSUPPORTED or name not in FAMILIES:
        known = sorted((*FAMILIES, *ALIASES))
        why = f": {UNSUPPORTED[kind]}" if kind in UNSUPPORTED else ""
        raise UnsupportedModel(
            f"attnviz has no forward pass of its own for models of type {short(kind)}{why}",
            hint=f"It has one for: {', '.join(known)}.",
        )
    module = importlib.import_module(f"{__name__}.{module_name(name)}")
    return Family(
        kind,
        module.spec,
        module.NAMES,
        getattr(module, "PREFIX", ""),
        getattr(module, "SPELLINGS", {}),
        getattr(module, "DEFAULTS", {}).get(kind, {}),
        getattr(module, "ATTRIBUTES", {}),
        getattr(module, "classifier", last_token_classifier),
    )

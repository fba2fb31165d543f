"""The families: one file each, named after Hugging Face's ``model_type`` (``-`` is ``_`` there).

A family file says two things: ``spec(config)``, the facts of a model, and ``NAMES``, the literal map of the
checkpoint's tensor names to ours. ``{}`` is the layer; where the value is a tuple the tensor has all these places.
``PREFIX`` is what heads put before the names, and ``SPELLINGS`` are older last parts of names. ``ATTRIBUTES`` are other
names of config attributes, which count where a config has both, as in transformers. Of our names, these say that a
tensor is several, cut by ``weights.take``:

- ``….qkv``: queries, keys and values of all heads, one after the other;
- ``….groups``: of each key-value head the queries of its query heads, its key and its value;
- ``….gate_up``: the gate, then the rest;
- ``….T`` at the end: the matrix is stored transposed.

Of their names, a second ``{}`` is the head: the tensors of all heads are one of ours.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.config import Config
from attnviz.model.spec import Spec

FAMILIES = (
    "albert",
    "bart",
    "bert",
    "blenderbot",
    "deberta-v2",
    "distilbert",
    "electra",
    "gemma",
    "gemma2",
    "gemma3_text",
    "llama",
    "marian",
    "mbart",
    "modernbert",
    "mpnet",
    "pegasus",
    "plbart",
    "qwen2",
    "qwen3",
    "roberta",
    "t5",
    "umt5",
)

_WINDOWED: Mapping[str, Any] = {
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "sliding_window": 4096,
    "use_sliding_window": True,
}

_MT5 = {
    "vocab_size": 250_112, "d_ff": 1024, "num_layers": 8, "num_heads": 6, "feed_forward_proj": "gated-gelu",
    "decoder_start_token_id": 0,
}  # fmt: skip

_BLENDERBOT = {
    "vocab_size": 8008, "max_position_embeddings": 128, "d_model": 2560, "encoder_layers": 2, "decoder_layers": 24,
    "encoder_attention_heads": 32, "decoder_attention_heads": 32, "encoder_ffn_dim": 10_240, "decoder_ffn_dim": 10_240,
}  # fmt: skip
_PLBART = {
    "vocab_size": 50_005, "d_model": 768, "encoder_layers": 6, "decoder_layers": 6, "encoder_attention_heads": 12,
    "decoder_attention_heads": 12, "encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072, "scale_embedding": True,
}  # fmt: skip

ALIASES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "camembert": ("roberta", {"vocab_size": 30522}),
    "ministral": ("llama", _WINDOWED),
    "mistral": ("llama", _WINDOWED),
    "seed_oss": (
        "llama",
        {
            "vocab_size": 155136,
            "intermediate_size": 27648,
            "num_hidden_layers": 64,
            "num_attention_heads": 80,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 524288,
            "attention_bias": True,
            "attention_out_bias": False,
        },
    ),
    "smollm3": (
        "llama",
        {
            "vocab_size": 128256,
            "hidden_size": 2048,
            "num_hidden_layers": 36,
            "num_attention_heads": 16,
            "num_key_value_heads": 4,
            "max_position_embeddings": 32768,
            "rope_theta": 2e6,
            "no_rope_layer_interval": 4,
            "tie_word_embeddings": True,
        },
    ),
    "xlm-roberta": ("roberta", {"vocab_size": 30522}),
    "blenderbot": ("blenderbot", _BLENDERBOT),
    "mt5": ("t5", _MT5),
    "plbart": ("plbart", _PLBART),
    "umt5": ("umt5", _MT5),
}
"""Model types that differ from a family in their configuration only: the family, and what their configs default to."""

UNSUPPORTED: Mapping[str, str] = {
    "xlnet": "two streams, and relative positions by projected sines with biases of their own, are not expressed",
}
"""Model types that are asked for and that a spec can't say: why not."""

_NULL_SAYS = frozenset({"head_dim", "num_key_value_heads", "sliding_window"})
"""Attributes of which null is a value: there is no window, and heads are as many or as wide as usual."""

Names = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True)
class Family:
    """One family file, read; ``kind`` is the ``model_type`` of the model at hand, the family's or an alias."""

    name: str
    read: Callable[[Config], Spec]
    names: Names
    prefix: str = ""
    spellings: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)

    def spec(self, config: Mapping[str, Any]) -> Spec:
        """The facts of the model that ``config`` describes.

        Raises:
            UnsupportedModel: the config asks for what the spec can't say; the message names it.
            ModelError: the config is damaged.
        """
        config = self._renamed(config)
        absent = {
            name: value
            for name, value in self.defaults.items()
            if name not in config or (config[name] is None and name not in _NULL_SAYS)
        }
        reading = Config({**config, **absent})
        try:
            spec = self.read(reading)
        except (
            TypeError,
            AttributeError,
            ValueError,
            LookupError,
            ArithmeticError,
        ) as error:  # values of a sort never seen
            raise ModelError(
                f"config.json can't be read as that of a model of type {self.name!r} ({error})",
                hint="It is damaged: download the model again.",
            ) from error
        reading.close()
        return spec

    def _renamed(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes under the names that ``read`` knows; where a config has both, the other name counts."""
        plain = {name: value for name, value in config.items() if name not in self.attributes}
        other = {self.attributes[name]: value for name, value in config.items() if name in self.attributes}
        return plain | {name: value for name, value in other.items() if value is not None}

    def plain(self, name: str) -> str:
        """A tensor's name as in ``names``: without the prefix that a head adds, in today's spelling."""
        *path, last = name.removeprefix(self.prefix).split(".")
        return ".".join([*path, self.spellings.get(last, last)])


def both(theirs: str, *ours: str) -> dict[str, tuple[str, ...]]:
    """The names of a weight and its bias."""
    return {f"{theirs}.{last}": tuple(f"{our}.{last}" for our in ours) for last in ("weight", "bias")}


def module_name(family: str) -> str:
    """The name of a family's file."""
    return family.replace("-", "_")


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
    name, defaults = ALIASES.get(kind, (kind, {}))
    if kind in UNSUPPORTED:
        raise UnsupportedModel(
            f"attnviz has no forward pass of its own for models of type {kind!r}: {UNSUPPORTED[kind]}",
            hint=f"It has one for: {', '.join(sorted((*FAMILIES, *ALIASES)))}.",
        )
    if name not in FAMILIES:
        known = (*FAMILIES, *ALIASES)
        near = difflib.get_close_matches(kind, known, 1)
        raise UnsupportedModel(
            f"attnviz has no forward pass of its own for models of type {kind!r}"
            + (f" (did you mean {near[0]!r}?)" if near else ""),
            hint=f"It has one for: {', '.join(sorted(known))}.",
        )
    module = importlib.import_module(f"{__name__}.{module_name(name)}")
    return Family(
        kind,
        module.spec,
        module.NAMES,
        getattr(module, "PREFIX", ""),
        getattr(module, "SPELLINGS", {}),
        defaults,
        getattr(module, "ATTRIBUTES", {}),
    )

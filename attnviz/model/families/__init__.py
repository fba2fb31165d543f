"""The families: one file each, named after Hugging Face's ``model_type``.

A family file says two things: ``spec(config)``, the facts of a model, and ``NAMES``, the literal map of the
checkpoint's tensor names to ours. ``{}`` is the layer; where the value is a tuple the tensor has all these places.
``PREFIX`` is what heads put before the names, and ``SPELLINGS`` are older last parts of names. Of our names, these say
that a tensor is several, cut by ``weights.take``:

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
    "bert", "cohere", "cohere2", "gemma", "gemma2", "gemma3_text", "glm", "granite", "helium", "llama", "olmo2",
    "olmo3", "phi", "phi3", "qwen2", "qwen3", "stablelm", "starcoder2",
)  # fmt: skip

_WINDOWED: Mapping[str, Any] = {
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "sliding_window": 4096,
    "use_sliding_window": True,
}

ALIASES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
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
}
"""Model types that differ from a family in their configuration only: the family, and what their configs default to."""

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

    def spec(self, config: Mapping[str, Any]) -> Spec:
        """The facts of the model that ``config`` describes.

        Raises:
            UnsupportedModel: the config asks for what the spec can't say; the message names it.
            ModelError: the config is damaged.
        """
        reading = Config({**self.defaults, **config})
        spec = self.read(reading)
        reading.close()
        return spec

    def plain(self, name: str) -> str:
        """A tensor's name as in ``names``: without the prefix that a head adds, in today's spelling."""
        *path, last = name.removeprefix(self.prefix).split(".")
        return ".".join([*path, self.spellings.get(last, last)])


def both(theirs: str, *ours: str) -> dict[str, tuple[str, ...]]:
    """The names of a weight and its bias."""
    return {f"{theirs}.{last}": tuple(f"{our}.{last}" for our in ours) for last in ("weight", "bias")}


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
    if name not in FAMILIES:
        known = (*FAMILIES, *ALIASES)
        near = difflib.get_close_matches(kind, known, 1)
        raise UnsupportedModel(
            f"attnviz has no forward pass of its own for models of type {kind!r}"
            + (f" (did you mean {near[0]!r}?)" if near else ""),
            hint=f"It has one for: {', '.join(sorted(known))}.",
        )
    module = importlib.import_module(f"{__name__}.{name}")
    return Family(
        kind,
        module.spec,
        module.NAMES,
        getattr(module, "PREFIX", ""),
        getattr(module, "SPELLINGS", {}),
        defaults,
    )

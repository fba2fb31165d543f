"""Find out what can be hosted without loading weights or importing models."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES, model_type_to_module_name

from attnviz.errors import short

_INTERFACE = "ALL_ATTENTION_FUNCTIONS"
_BLOCKS = re.compile(r"^class \w+LocalAttention\b", re.MULTILINE)
"""An attention in blocks, which does not go through the interface (LongT5, PEGASUS-X)."""

_NO_WEIGHTS: Mapping[str, str] = {
    "blt": "attends between bytes and patches that it makes of them, and hands in no weights of these",
    "falcon_mamba": "has a recurrent state in place of attention",
    "fnet": "mixes tokens by a Fourier transform in place of attention",
    "mamba": "has a recurrent state in place of attention",
    "mamba2": "has a recurrent state in place of attention",
    "mra": "estimates its attention at several resolutions, and hands in no weights",
    "rwkv": "has a recurrent state in place of attention",
    "xlstm": "has a recurrent state in place of attention",
    "yoso": "estimates its attention by hashes, and hands in no weights",
}
"""Model types that no attention weights can be had of: why not."""


def why_no_weights(config: Mapping[str, Any]) -> str | None:
    """Return why there are no attention weights in models of the type of ``config``; None as far as that is known."""
    kind = str(config.get("model_type"))
    return f"{kind} {_NO_WEIGHTS[kind]}: there are no attention weights to show" if kind in _NO_WEIGHTS else None


_INPUTS: Mapping[str, str] = {
    "pixel_values": "pictures",
    "pixel_values_videos": "videos",
    "input_features": "sound",
    "input_values": "sound",
    "past_values": "series of numbers",
}
"""What models read in the place of tokens, by the name of their main input."""


def why_no_text(config: Mapping[str, Any]) -> str | None:
    """Return why models of the type of ``config`` can't be shown a text; None if they can, or that is not known."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    kind = str(config.get("model_type"))
    names = MODEL_MAPPING_NAMES.get(kind, ())
    saved = [name for name in config.get("architectures") or () if isinstance(name, str)]
    for name in (*saved[:1], *((names,) if isinstance(names, str) else names)):
        model = getattr(transformers, name, None)
        if model is not None:
            reads = _INPUTS.get(getattr(model, "main_input_name", ""))
            return reads and f"{kind} reads {reads}, not text: there are no words that attention can be shown between"
    return None


def why_unknown(config: Mapping[str, Any]) -> str | None:
    """Return why transformers does not know the model of ``config`` (config.json); None if it does."""
    kind = config.get("model_type")
    if not isinstance(kind, str):
        return "config.json has no model_type"
    if kind in CONFIG_MAPPING_NAMES:
        return None
    if "auto_map" in config:
        return f"transformers does not know the type {short(kind)}; `trust_remote_code` runs the model's own code"
    return f"transformers does not know the type {short(kind)}"


def why_not_hostable(config: Mapping[str, Any]) -> str | None:
    """Return why the model of ``config`` (config.json) can't be hosted; None if it can, as far as its source shows.

    It searches the source of the model's module for transformers' ``AttentionInterface``; only a run knows for certain.
    """
    if unknown := why_unknown(config):
        return unknown
    parts = [part for part in config.values() if isinstance(part, Mapping) and "model_type" in part]
    if any(_attends(str(part["model_type"])) for part in (config, *parts)):
        return None
    return f"transformers' {config['model_type']} does not attend through its AttentionInterface"


def is_known_type(config: Mapping[str, Any]) -> bool:
    """Whether transformers knows the model's type, so that it is not misspelt."""
    return config.get("model_type") in CONFIG_MAPPING_NAMES


@cache
def _attends(kind: str) -> bool:
    """Whether a modelling file of the type ``kind`` uses the interface."""
    try:
        module = importlib.util.find_spec(f"transformers.models.{model_type_to_module_name(kind)}")
    except (ModuleNotFoundError, ValueError):
        return False
    folders = [] if module is None else module.submodule_search_locations or []
    sources = (path.read_text(encoding="utf-8") for folder in folders for path in Path(folder).glob("modeling_*.py"))
    return any(_INTERFACE in source and not _BLOCKS.search(source) for source in sources)

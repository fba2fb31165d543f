"""Find out what can be hosted without loading weights or importing models."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES, model_type_to_module_name

from attnviz.errors import short

_INTERFACE = "ALL_ATTENTION_FUNCTIONS"

# The auto classes that read text.
_TEXT = ("CAUSAL_LM", "MASKED_LM", "SEQ_TO_SEQ_CAUSAL_LM", "SEQUENCE_CLASSIFICATION", "TOKEN_CLASSIFICATION")


def why_not_hostable(config: Mapping[str, Any]) -> str | None:
    """Return why the model of ``config`` (config.json) can't be hosted; None if it can, as far as its source shows.

    It searches the source of the model's module for transformers' ``AttentionInterface``; only a run knows for certain.
    """
    kind = config.get("model_type")
    if not isinstance(kind, str):
        return "config.json has no model_type"
    if kind not in CONFIG_MAPPING_NAMES:
        if "auto_map" in config:
            return f"transformers does not know the type {short(kind)}; `trust_remote_code` runs the model's own code"
        return f"transformers does not know the type {short(kind)}"
    parts = [part for part in config.values() if isinstance(part, Mapping) and "model_type" in part]
    if _attends(kind) or any(_attends(str(part["model_type"])) for part in parts):
        return None
    return f"transformers' {kind} does not attend through its AttentionInterface"


def is_known_type(config: Mapping[str, Any]) -> bool:
    """Whether transformers knows the model's type, so that it is not misspelt."""
    return config.get("model_type") in CONFIG_MAPPING_NAMES


def hostable_types() -> tuple[str, ...]:
    """Return the types of language models of the installed transformers that can be hosted, sorted."""
    names = {kind for task in _TEXT for kind in getattr(modeling_auto, f"MODEL_FOR_{task}_MAPPING_NAMES")}
    return tuple(sorted(kind for kind in names if _attends(kind)))


@cache
def _attends(kind: str) -> bool:
    """Whether a modelling file of the type ``kind`` uses the interface."""
    try:
        module = importlib.util.find_spec(f"transformers.models.{model_type_to_module_name(kind)}")
    except (ModuleNotFoundError, ValueError):
        return False
    folders = [] if module is None else module.submodule_search_locations or []
    return any(
        _INTERFACE in path.read_text(encoding="utf-8")
        for folder in folders
        for path in Path(folder).glob("modeling_*.py")
    )

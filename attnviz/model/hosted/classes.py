"""Which class of transformers loads a checkpoint."""

from __future__ import annotations

import inspect
from typing import Any

import transformers

from attnviz.errors import ModelError
from attnviz.model.inputs import NO_HEAD
from attnviz.model.towers import is_alone


def model_class(config: Any, saved: dict[str, Any]) -> Any:
    """Return the class that loads the model without its head, or as it was saved if there is no such class.

    A model that was saved as one half of an encoder–decoder is loaded as that half.
    """
    remote = saved.get("auto_map", {}) if transformers.MODEL_MAPPING.get(type(config), None) is None else {}
    for auto in ("AutoModel", "AutoModelForCausalLM", "AutoModelForSeq2SeqLM", "AutoModelForMaskedLM"):
        if auto in remote:
            return getattr(transformers, auto)
    if is_alone(saved):
        return getattr(transformers, type(config).__name__.replace("Config", "Model"))
    names = saved.get("architectures") or config.architectures or [""]
    named = getattr(transformers, names[0], None)
    base = transformers.MODEL_MAPPING.get(type(config), None)
    if isinstance(base, tuple | list):
        base = base[0]
    if base is None and named is None:
        return transformers.AutoModel
    if base is None or (named is not None and _has_decoder(base) and not _has_decoder(named)):
        return named
    return base


def saved_class(config: Any, saved: dict[str, Any]) -> Any:
    """Return the transformers class that the model was saved as; None if the config names none."""
    del config
    names = saved.get("architectures") or [""]
    return getattr(transformers, str(names[0]), None)


def writer_class(config: Any, saved: dict[str, Any]) -> Any:
    """Return the class that loads the model with its head that predicts tokens.

    Raises:
        ModelError: models of its type have none.
    """
    two = getattr(config, "is_encoder_decoder", False) or saved.get("is_encoder_decoder", False)
    auto = transformers.AutoModelForSeq2SeqLM if two else transformers.AutoModelForCausalLM
    known = transformers.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING if two else transformers.MODEL_FOR_CAUSAL_LM_MAPPING
    if "auto_map" not in saved and type(config) not in known:
        raise headless(f"a model of type {config.model_type}")
    return auto


def headless(name: str) -> ModelError:
    """Return the error of a model of this ``name`` that has no head that predicts tokens."""
    hint = NO_HEAD.replace("instead", "if it is native or hosted")  # whether it is, is not known here
    return ModelError(f"{name} has no head that predicts the next token: it can't generate", hint=hint)


def _has_decoder(model: Any) -> bool:
    return "decoder_input_ids" in inspect.signature(model.forward).parameters

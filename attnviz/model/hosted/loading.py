"""Load a checkpoint as a transformers model."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import transformers
from torch import nn

from attnviz.checkpoint import Checkpoint
from attnviz.encoding import language_numbers
from attnviz.errors import ModelError
from attnviz.model.hosted.classes import headless, model_class, saved_class, writer_class
from attnviz.model.hosted.copies import cast, deep_copy
from attnviz.model.hosted.model import Hosted
from attnviz.model.hosted.modifications import is_published, may_change_inputs
from attnviz.model.hosted.pretrained import LacksTensors, load_pretrained
from attnviz.model.inputs import require_token
from attnviz.model.labels import Labels
from attnviz.model.lock import MODEL_LOCK
from attnviz.model.towers import is_alone


def open_hosted(
    checkpoint: Checkpoint,
    dtype: torch.dtype | None = None,
    device: str | torch.device | None = None,
    *,
    trust_remote_code: bool = False,
) -> Hosted:
    """Load ``checkpoint`` with transformers, without its head; that of a classifier is kept beside the model.

    A model in memory is used as it is, or copied if another ``dtype`` or ``device`` is asked for.

    Args:
        checkpoint: the checkpoint.
        dtype: the type; None for the type in which the checkpoint was saved.
        device: the device; None for the CPU, or for the device of a model in memory; ``"auto"`` spreads the model over
            all devices with accelerate.
        trust_remote_code: whether code that the checkpoint brings may run.

    Raises:
        UnsupportedModel: transformers does not know the architecture.
        ModelError: transformers can't load it; the message names a missing package.
    """
    start = _first(checkpoint, "decoder_start_token_id")
    unread: tuple[str, ...] = ()
    labels = Labels.of(checkpoint)
    classifier = _classifier(checkpoint, dtype, device, trust_remote_code) if labels else None
    if classifier is not None:
        model, unread = classifier[0].base_model, classifier[1]
    elif isinstance(checkpoint.reference, nn.Module):
        whole = checkpoint.reference
        model = _borrow(whole.text_model if is_alone(checkpoint.config) else whole, dtype, device)
    else:
        try:
            model, unread = load_pretrained(checkpoint, dtype, device, trust_remote_code, model_class)
        except LacksTensors:  # the checkpoint may be a part of the model that AutoModel builds (SeamlessM4T)
            if saved_class(None, checkpoint.config) is None:
                raise
            model, unread = load_pretrained(checkpoint, dtype, device, trust_remote_code, saved_class)
    if _wraps(type(model)):
        start = None
    elif start is None:
        start = _first(checkpoint, "bos_token_id")
    writer = partial(open_with_head, checkpoint, dtype, device, trust_remote_code=trust_remote_code)
    code = str(checkpoint.config.get("default_language"))
    language = language_numbers(checkpoint.config).get(code)
    found = Hosted(model, checkpoint.name, start, unread, classifier and classifier[0], labels, writer, language)
    found.read_as = "" if language is None else code
    return found


def _classifier(
    checkpoint: Checkpoint, dtype: torch.dtype | None, device: str | torch.device | None, trust: bool
) -> tuple[Any, tuple[str, ...]] | None:
    """Return the classifier, whose ``base_model`` is the model without a head, and the names of unread tensors.

    None where the checkpoint lacks the head, or where the model inside is not what is loaded without it.
    """
    model = checkpoint.reference
    if isinstance(model, nn.Module):
        own = isinstance(model, transformers.PreTrainedModel) and is_published(type(model))
        if not own or may_change_inputs(model) or model.base_model is model:
            return None
        return _borrow_whole(model, dtype, device), ()
    kind = saved_class(None, checkpoint.config)
    if kind is None or not is_published(kind) or checkpoint.gguf is not None:
        return None
    try:
        whole, unread = load_pretrained(checkpoint, dtype, device, trust, saved_class)
    except ModelError:  # the head alone may be damaged; what else is wrong is found when the body is loaded
        return None
    inside = whole.base_model
    return (whole, unread) if type(inside) is model_class(whole.config, checkpoint.config) else None


def require_start(checkpoint: Checkpoint, hosted: Hosted) -> None:
    """Raise if no config names the start token of a hosted decoder. Only reference models can do without it.

    Raises:
        ModelError: no config names the token.
    """
    known = hosted.start is not None or hosted.kinds == ("self",) or _wraps(type(hosted.model))
    if not known and not isinstance(checkpoint.reference, nn.Module):
        hint = "Say it as decoder_start_token_id in config.json."
        raise ModelError(f"{checkpoint.name}: no config says which token its decoder begins with", hint=hint)


def _first(checkpoint: Checkpoint, name: str) -> int | None:
    """Return the token ``name`` of the config; newer versions of transformers keep it in the generation config."""
    said = checkpoint.config.get(name)
    start = checkpoint.generation.get(name) if said is None else said
    return None if start is None else require_token(name, start, None)


def shift_function(model: type) -> Callable[..., Any] | None:
    """Return the function with which the file of the class ``model`` shifts a decoder's text, if it has one."""
    return getattr(sys.modules.get(model.__module__), "shift_tokens_right", None)


def _wraps(model: type) -> bool:
    """Whether a decoder's text begins with its own end token, whatever the config says."""
    shift = shift_function(model)
    return shift is not None and "decoder_start_token_id" not in inspect.signature(shift).parameters


def open_with_head(
    checkpoint: Checkpoint, dtype: torch.dtype | None, device: str | torch.device | None, *, trust_remote_code: bool
) -> Any:
    """Load ``checkpoint`` with transformers, with the head that predicts tokens.

    Raises:
        ModelError: it has none, or as ``open_hosted``.
    """
    model = checkpoint.reference
    if isinstance(model, nn.Module):
        model = _borrow_whole(model, dtype, device)
    else:
        model, _ = load_pretrained(checkpoint, dtype, device, trust_remote_code, writer_class)
    if not (hasattr(model, "can_generate") and model.can_generate()):
        raise headless(checkpoint.name)
    return model


def _borrow(model: Any, dtype: torch.dtype | None, device: str | torch.device | None) -> Any:
    """Return the user's model without its head, unless the head may change the inputs; copied if it must be changed."""
    own = isinstance(model, transformers.PreTrainedModel) and not may_change_inputs(model)
    return _borrow_whole(model.base_model if own else model, dtype, device)


def _borrow_whole(model: Any, dtype: torch.dtype | None, device: str | torch.device | None) -> Any:
    """Return the user's model, copied if its type or device must be changed."""
    before = next(model.parameters())
    place = before.device if device in (None, "auto") else torch.device(device)
    # In float64 the rotary angles must be exact too, but those of the user's model may be rounded.
    same = dtype in (None, before.dtype) and dtype is not torch.float64
    if same and place.type == before.device.type:
        return model
    with MODEL_LOCK:
        return cast(deep_copy(model), dtype).to(place)

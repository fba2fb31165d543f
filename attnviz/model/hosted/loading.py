"""Load a checkpoint as a transformers model."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from attnviz.checkpoint import Checkpoint, quiet_transformers
from attnviz.encoding import language_numbers
from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.hosted.copies import cast, deep_copy
from attnviz.model.hosted.model import Hosted
from attnviz.model.hosted.modifications import is_published, may_change_inputs
from attnviz.model.inputs import NO_HEAD, require_token
from attnviz.model.labels import Labels
from attnviz.model.lock import MODEL_LOCK
from attnviz.model.native.weights import without_needless
from attnviz.model.towers import is_alone

# Packages that some checkpoints need beside transformers, under the names that errors and pip use.
_PACKAGES = ("accelerate", "gguf", "bitsandbytes", "gptqmodel", "optimum", "compressed-tensors", "hqq", "sentencepiece")


class _Lacks(ModelError):
    """A checkpoint lacks tensors that its class needs."""


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
            model, unread = _load(checkpoint, dtype, device, trust_remote_code, model_class)
        except _Lacks:  # the checkpoint may be a part of the model that AutoModel builds (SeamlessM4T)
            if _saved_class(None, checkpoint.config) is None:
                raise
            model, unread = _load(checkpoint, dtype, device, trust_remote_code, _saved_class)
    if _wraps(type(model)):
        start = None
    elif start is None:
        start = _first(checkpoint, "bos_token_id")
    writer = partial(open_with_head, checkpoint, dtype, device, trust_remote_code=trust_remote_code)
    language = language_numbers(checkpoint.config).get(str(checkpoint.config.get("default_language")))
    return Hosted(model, checkpoint.name, start, unread, classifier and classifier[0], labels, writer, language)


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
    kind = _saved_class(None, checkpoint.config)
    if kind is None or not is_published(kind) or checkpoint.gguf is not None:
        return None
    try:
        whole, unread = _load(checkpoint, dtype, device, trust, _saved_class)
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
        model, _ = _load(checkpoint, dtype, device, trust_remote_code, _writer_class)
    if not (hasattr(model, "can_generate") and model.can_generate()):
        raise _headless(checkpoint.name)
    return model


def _headless(name: str) -> ModelError:
    hint = NO_HEAD.replace("instead", "if it is native or hosted")  # whether it is, is not known here
    return ModelError(f"{name} has no head that predicts the next token: it can't generate", hint=hint)


def _writer_class(config: Any, saved: dict[str, Any]) -> Any:
    two = getattr(config, "is_encoder_decoder", False) or saved.get("is_encoder_decoder", False)
    auto = transformers.AutoModelForSeq2SeqLM if two else transformers.AutoModelForCausalLM
    known = transformers.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING if two else transformers.MODEL_FOR_CAUSAL_LM_MAPPING
    if "auto_map" not in saved and type(config) not in known:
        raise _headless(f"a model of type {config.model_type}")
    return auto


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


def _load(
    checkpoint: Checkpoint,
    dtype: torch.dtype | None,
    device: str | torch.device | None,
    trust: bool,
    pick: Callable[[Any, dict[str, Any]], Any],
) -> tuple[Any, tuple[str, ...]]:
    """Return the model, and the names of the checkpoint's tensors that it does not use."""
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": trust}
    # The progress of GGUF files and of compressed tensors is shown in spite of transformers' settings.
    loud = checkpoint.gguf or checkpoint.quantised
    silence: Any = contextlib.redirect_stderr(io.StringIO()) if loud else contextlib.nullcontext()
    if checkpoint.quantised:
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of its own types at each product of a run
    try:
        with MODEL_LOCK, quiet_transformers(), silence:
            config = config_of(checkpoint, trust_remote_code=trust)
            source, weights = _weights(checkpoint)
            options |= weights
            if device == "auto":
                options["device_map"] = "auto"
            elif device == "meta":
                options["device_map"] = {"": "meta"}
            model, info = pick(config, checkpoint.config).from_pretrained(
                source,
                config=config,
                dtype="auto" if dtype in (None, torch.float64) else dtype,
                attn_implementation="eager",
                weights_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are reported below, by name
                **options,
            )
    except ModelError:
        raise
    except Exception as error:  # transformers raises many types on a checkpoint that it can't load
        raise _explained(checkpoint, error, trust) from error
    for tensor, stored, needed in sorted(info["mismatched_keys"], key=str):
        raise ModelError(
            f"{checkpoint.name}: {tensor} has the shape {tuple(stored)}, its config asks for {tuple(needed)}",
            hint="config.json and the weights do not belong together: download the model again.",
        )
    computed = _computed(model)
    missing = sorted(name for name in info["missing_keys"] if "pooler" not in name and name not in computed)
    if missing:
        raise _Lacks(f"{checkpoint.name} lacks {', '.join(missing[:3])}, which {type(model).__name__} needs")
    if dtype is torch.float64:
        model = cast(model, dtype)
    unread = without_needless(info["unexpected_keys"], checkpoint.tensors, f"{model.base_model_prefix}.")
    return (model if device in (None, "auto", "meta") else model.to(device)).eval(), unread


def config_of(checkpoint: Checkpoint, *, trust_remote_code: bool) -> Any:
    """Return transformers' config of a checkpoint from files.

    That of a GGUF file is attnviz's reading, where it reads it: transformers passes over settings, such as scaled
    rotary positions.
    """
    if checkpoint.gguf and not checkpoint.unread:
        return transformers.AutoConfig.for_model(**checkpoint.config)
    options = {"gguf_file": checkpoint.gguf} if checkpoint.gguf else {}
    config = transformers.AutoConfig.from_pretrained(
        checkpoint.reference, local_files_only=True, trust_remote_code=trust_remote_code, **options
    )
    return config.get_text_config() if is_alone(checkpoint.config) else config


def _weights(checkpoint: Checkpoint) -> tuple[Path | None, dict[str, Any]]:
    """Return from where transformers loads the weights, and what it is told beside.

    Of a GGUF file whose architecture it can't read, or reads otherwise, it gets the tensors that attnviz read.
    """
    folder = Path(checkpoint.reference)
    if checkpoint.gguf is None:
        return folder, {}
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES as READ

    kind = str(checkpoint.config.get("model_type")).removesuffix("_text")
    if checkpoint.unread or (kind in READ and not getattr(checkpoint.tensors, "misread", False)):
        return folder, {"gguf_file": checkpoint.gguf}
    return None, {"state_dict": dict(checkpoint.tensors)}


def _computed(model: Any) -> set[str]:
    """Return the names of tensors that the model computes if a checkpoint lacks them, such as tables of sines.

    transformers lists them under the names of a model with a head, and then misses them in one without; some tables of
    sines are not listed at all.
    """
    listed = model._keys_to_ignore_on_load_missing or ()
    made = {f"{name}.weight" for name, module in model.named_modules() if hasattr(module, "create_weight")}
    names = {name.removeprefix(f"{prefix}.") for name in listed for prefix in ("model", model.base_model_prefix)}
    return names | made


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


def _saved_class(config: Any, saved: dict[str, Any]) -> Any:
    """Return the transformers class that the model was saved as; None if the config names none."""
    del config
    names = saved.get("architectures") or [""]
    return getattr(transformers, str(names[0]), None)


def _has_decoder(model: Any) -> bool:
    return "decoder_input_ids" in inspect.signature(model.forward).parameters


def _explained(checkpoint: Checkpoint, error: Exception, trust: bool) -> ModelError:
    """Return the error to show for an exception of transformers."""
    text = str(error)
    if "trust_remote_code" in text or ("auto_map" in checkpoint.config and not trust):
        return UnsupportedModel(
            f"{checkpoint.name} is of a type that transformers does not know, and brings code of its own",
            hint="`trust_remote_code` runs that code: use it only if you trust where the model comes from.",
        )
    if isinstance(error, ImportError):
        package = next((name for name in _PACKAGES if name in text.lower()), "")
        hint = f"Install it: pip install {package}" if package else "Install what it names."
        return ModelError(f"{checkpoint.name}: transformers lacks a package for it ({text.strip()})", hint=hint)
    return ModelError(f"{checkpoint.name}: transformers can't load it ({text.strip()})")

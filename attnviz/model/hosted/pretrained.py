"""Load a transformers model from the files of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from attnviz.checkpoint import Checkpoint, quiet_transformers
from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.hosted.copies import cast
from attnviz.model.hosted.formats import config_of, lacking_package, silenced, weights_source
from attnviz.model.lock import MODEL_LOCK
from attnviz.model.native.weights import without_needless


class LacksTensors(ModelError):
    """A checkpoint lacks tensors that its class needs."""


def load_pretrained(
    checkpoint: Checkpoint,
    dtype: torch.dtype | None,
    device: str | torch.device | None,
    trust: bool,
    pick: Callable[[Any, dict[str, Any]], Any],
) -> tuple[Any, tuple[str, ...]]:
    """Load ``checkpoint`` as the class that ``pick`` returns for transformers' config and the saved one.

    Returns:
        The model, and the names of the checkpoint's tensors that it does not use.

    Raises:
        LacksTensors: the checkpoint lacks tensors that the class needs.
        UnsupportedModel, ModelError: transformers can't load it.
    """
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": trust}
    try:
        with MODEL_LOCK, quiet_transformers(), silenced(checkpoint):
            config = config_of(checkpoint, trust_remote_code=trust)
            source, weights = weights_source(checkpoint)
            options |= weights
            if device == "auto":
                options["device_map"] = "auto"
            elif device == "meta":
                options["device_map"] = {"": "meta"}
            kind = pick(config, checkpoint.config)
            if source is None and hasattr(kind, "_model_mapping"):  # an automatic class would look for files
                kind = kind._model_mapping[type(config)]
            model, info = kind.from_pretrained(
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
    _require_complete(checkpoint, model, info)
    if dtype is torch.float64:
        model = cast(model, dtype)
    unread = without_needless(info["unexpected_keys"], checkpoint.tensors, f"{model.base_model_prefix}.")
    return (model if device in (None, "auto", "meta") else model.to(device)).eval(), unread


def _require_complete(checkpoint: Checkpoint, model: Any, info: dict[str, Any]) -> None:
    """Raise a ``ModelError`` if ``model`` lacks tensors, or found others than its config asks for."""
    for tensor, stored, needed in sorted(info["mismatched_keys"], key=str):
        raise ModelError(
            f"{checkpoint.name}: {tensor} has the shape {tuple(stored)}, its config asks for {tuple(needed)}",
            hint="config.json and the weights do not belong together: download the model again.",
        )
    computed = _computed(model)
    missing = sorted(name for name in info["missing_keys"] if "pooler" not in name and name not in computed)
    if missing:
        raise LacksTensors(f"{checkpoint.name} lacks {', '.join(missing[:3])}, which {type(model).__name__} needs")


def _computed(model: Any) -> set[str]:
    """Return the names of tensors that the model computes if a checkpoint lacks them, such as tables of sines.

    transformers lists them under the names of a model with a head, and then misses them in one without; some tables of
    sines are not listed at all.
    """
    listed = model._keys_to_ignore_on_load_missing or ()
    made = {f"{name}.weight" for name, module in model.named_modules() if hasattr(module, "create_weight")}
    names = {name.removeprefix(f"{prefix}.") for name in listed for prefix in ("model", model.base_model_prefix)}
    return names | made


def _explained(checkpoint: Checkpoint, error: Exception, trust: bool) -> ModelError:
    """Return the error to show for an exception of transformers."""
    text = str(error)
    if "trust_remote_code" in text or ("auto_map" in checkpoint.config and not trust):
        return UnsupportedModel(
            f"{checkpoint.name} is of a type that transformers does not know, and brings code of its own",
            hint="`trust_remote_code` runs that code: use it only if you trust where the model comes from.",
        )
    if isinstance(error, ImportError):
        package = lacking_package(text)
        hint = f"Install it: pip install {package}" if package else "Install what it names."
        return ModelError(f"{checkpoint.name}: transformers lacks a package for it ({text.strip()})", hint=hint)
    return ModelError(f"{checkpoint.name}: transformers can't load it ({text.strip()})")

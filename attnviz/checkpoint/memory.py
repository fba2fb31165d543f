"""Open a transformers model that the user holds in memory, without changing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attnviz.checkpoint.folder import Checkpoint, copy_fast_tokenizer
from attnviz.encoding import read_languages
from attnviz.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

_LANGUAGE_SETTINGS = ("src_lang", "tgt_lang", "legacy_behaviour", "language_codes", "eos_token")
_PARALLEL = ("DataParallel", "DistributedDataParallel")


class TrackedTensors(dict[str, "Tensor"]):
    """The tensors of a model in memory; ``read`` has the names of those that were accessed."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(tensors)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return super().__getitem__(name)


def open_in_memory(model: Any, tokenizer: Any) -> Checkpoint:
    """Open a transformers model and its fast tokenizer as they are in memory; neither is changed.

    A compiled or parallel model, or one with peft adapters, is unwrapped first.

    Raises:
        ModelError: the model is not from transformers, its adapters are not part of it, or the tokenizer is not a fast
            one.
    """
    inner, wrapped = _unwrapped(model)
    if not (hasattr(inner, "named_modules") and hasattr(getattr(inner, "config", None), "model_type")):
        raise ModelError(
            f"a {type(inner).__module__}.{type(inner).__name__} is not a transformers model",
            hint="Give the PreTrainedModel that is inside: attnviz.load((model, tokenizer)).",
        )
    if any(tensor.is_meta for tensor in inner.parameters()):
        raise ModelError(f"the {type(inner).__name__} has no weights: some are on the device meta", hint="Load them.")
    name = getattr(inner.config, "name_or_path", "") or type(inner).__name__
    own = copy_fast_tokenizer(tokenizer)
    found = refresh(Checkpoint(name, {}, {}, own, reference=inner, chat=tokenizer, wrapped=wrapped))
    settings = {setting: getattr(tokenizer, setting, None) for setting in _LANGUAGE_SETTINGS}
    settings["tokenizer_class"] = type(tokenizer).__name__
    return replace(found, languages=read_languages(own, settings, found.config, found.generation))


def refresh(checkpoint: Checkpoint) -> Checkpoint:
    """Return ``checkpoint``, of a model in memory, with the model's current config and tensors."""
    model = checkpoint.reference
    generation = getattr(model, "generation_config", None)
    asked = {"default_language": checkpoint.language} if checkpoint.language else {}
    return replace(
        checkpoint,
        config=model.config.to_dict() | {"architectures": [type(model).__name__]} | asked,  # not what it was saved as
        tensors=TrackedTensors(stored_tensors(model)),
        generation=generation.to_dict() if generation else {},
    )


def stored_tensors(model: Any) -> dict[str, Tensor]:
    """Return the tensors with which ``model`` would be saved, by name, without changing it.

    Its ``state_dict`` would change the weights of four bits that bitsandbytes has packed for the CPU.
    """
    found: dict[str, Tensor] = {}
    for at, module in model.named_modules(remove_duplicate=False):
        own = {**module._parameters, **module._buffers}
        passing = module._non_persistent_buffers_set
        prefix = f"{at}." if at else ""
        found |= {
            f"{prefix}{name}": each.detach() for name, each in own.items() if each is not None and name not in passing
        }
    return found


def _unwrapped(model: Any) -> tuple[Any, str]:
    """Return the model inside all wrappers, and the wrappers' names; the names are empty if there are none."""
    names: list[str] = []
    while True:
        kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(model).__mro__}
        if ("torch", "OptimizedModule") in kinds:
            inner = model._orig_mod
        elif any(("torch", name) in kinds for name in _PARALLEL):
            inner = model.module
        elif ("peft", "PeftModel") in kinds or ("peft", "PeftMixedModel") in kinds:
            _require_inside(model)
            inner = model.get_base_model()
        else:
            return model, " in ".join(reversed(names))
        names.append(type(model).__name__)
        model = inner


def _require_inside(model: Any) -> None:
    """Raise for peft adapters that put vectors before the text: they are not part of the model inside."""
    for name, config in model.peft_config.items():
        if getattr(config, "is_prompt_learning", False):
            raise ModelError(
                f"the adapter {name!r} ({config.peft_type.value}) puts vectors before the text, which are no tokens: "
                "attnviz can't show what looks at them",
                hint="Give the model inside, which is shown without them: model.get_base_model().",
            )

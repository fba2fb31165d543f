"""Choose how a checkpoint runs: native if a family file expresses it exactly, otherwise hosted or observed."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnviz.attention.kernel import Kind
from attnviz.checkpoint import Checkpoint, TrackedTensors, stored_tensors
from attnviz.encoding import Encoding
from attnviz.errors import UnsupportedModel, UsageError, did_you_mean, not_one_of
from attnviz.model.architecture.description import silent_layers
from attnviz.model.cost.said import without_attention
from attnviz.model.families import near_miss
from attnviz.model.native.backend import Native
from attnviz.model.native.opening import open_native, read_spec
from attnviz.model.watch import ModelWatch

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}

WIDER = {torch.bfloat16: torch.float32, torch.float16: torch.float32, torch.float32: torch.float64}
"""The type in which to repeat a computation in another type, to see what rounding did."""

MAX_KEPT_BYTES = 1 << 28
"""The size in bytes above which the weights of a text are not kept all at once."""


_LISTED = "What attnviz runs is listed by: attnviz models"


@dataclass(frozen=True)
class Options:
    """How a checkpoint is run.

    Args:
        dtype: the type of the model's numbers.
        device: the device; None for the CPU, or for the device of a model in memory.
        trust_remote_code: whether code that the checkpoint brings may run.
    """

    dtype: torch.dtype = torch.float32
    device: str | None = None
    trust_remote_code: bool = False


def read_options(dtype: str, device: str | None, *, trust_remote_code: bool) -> Options:
    """Return the options by name; the device ``auto`` is the fastest one.

    Raises:
        UsageError: there is no such type, or this machine has no such device; the message lists those there are.
    """
    if dtype not in DTYPES:
        raise not_one_of("`dtype`", dtype, tuple(DTYPES))
    if device is not None and device not in (*available_devices(), "auto"):
        meant = did_you_mean(device, (*available_devices(), "auto"), 0.7).strip()
        raise UsageError(f"`device` is {device!r}; this machine has {', '.join(available_devices())}", hint=meant)
    return Options(DTYPES[dtype], device, trust_remote_code)


def available_devices() -> list[str]:
    """Return the devices of this machine, the fastest first."""
    found = ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))] if torch.cuda.is_available() else []
    return [*found, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def open_backend(checkpoint: Checkpoint, options: Options) -> tuple[Native | Hosted, str]:
    """Build the model of ``checkpoint``; also return why it is hosted, which is empty for a native model.

    Raises:
        UnsupportedModel: no backend can run it; the message has the reason for each.
        ModelError: the checkpoint is damaged, or a package that it needs is missing.
    """
    reason = hosted_reason(checkpoint)
    if not reason:
        return open_native(checkpoint, options.dtype, _place(checkpoint, options)), ""
    require_runnable(checkpoint, options, reason)
    from attnviz.model.hosted import choose_backend, require_start

    backend = open_by_transformers(checkpoint, options)
    require_start(checkpoint, backend)
    return choose_backend(backend, unmodified=not isinstance(checkpoint.reference, torch.nn.Module)), reason


def require_runnable(checkpoint: Checkpoint, options: Options, reason: str) -> None:
    """Raise if transformers can't run ``checkpoint``, or if models of its type have no attention weights.

    Args:
        reason: why the checkpoint is not native, for the message.

    Raises:
        UnsupportedModel: the message says why.
    """
    from attnviz.model.hosted import is_known_type, why_no_text, why_no_weights, why_unknown

    if without := why_no_weights(checkpoint.config) or why_no_text(checkpoint.config):
        raise UnsupportedModel(f"{checkpoint.name}: {without}", hint=_LISTED)
    unknown = None if isinstance(checkpoint.reference, torch.nn.Module) else why_unknown(checkpoint.config)
    if unknown and not options.trust_remote_code:
        near = "" if is_known_type(checkpoint.config) else near_miss(checkpoint.config)
        raise UnsupportedModel(f"{checkpoint.name}: {reason}; and {unknown}", hint=f"{near}{_LISTED}")


def weights_size(backend: Native | Hosted, encoding: Encoding, target: Encoding | None = None) -> int:
    """Return the bytes of all weights in float32; for a hosted model the most that its configs allow."""
    return 4 * sum(backend.heads[kind] * n * m for kind, (n, m) in map_shapes(backend, encoding, target).items())


def map_shapes(
    backend: Native | Hosted, encoding: Encoding, target: Encoding | None = None
) -> dict[Kind, tuple[int, int]]:
    """Return the shape (N, M) of each kind of map that the model has."""
    read, written = len(encoding), len(target or ())
    found: dict[Kind, tuple[int, int]] = {"self": (read, read), "encoder": (read, read)}
    found |= {"decoder": (written, written), "cross": (written, read)}
    return {kind: found[kind] for kind in backend.kinds}


def hosted_reason(checkpoint: Checkpoint) -> str:
    """Return why ``checkpoint`` can't run natively; empty if it can.

    The reason is what the forward pass does not know of the config, or a modification of a model in memory.

    Raises:
        ModelError: the config is damaged.
    """
    if checkpoint.unread:
        return f"transformers reads the GGUF file: {checkpoint.unread}"
    try:
        read_spec(checkpoint)
    except UnsupportedModel as error:
        if checkpoint.quantised:
            return f"its weights are quantised ({checkpoint.quantisation})"
        others = silent_layers(without_attention(checkpoint.config))
        return "; ".join(filter(None, (error.message.removeprefix(f"{checkpoint.name}: "), others)))
    if checkpoint.wrapped:
        return f"the model is wrapped ({checkpoint.wrapped})"
    if isinstance(checkpoint.reference, torch.nn.Module):
        from attnviz.model.hosted import find_modification

        return find_modification(checkpoint.reference)
    return ""


def watch_model(checkpoint: Checkpoint, backend: Native | Hosted) -> ModelWatch | None:
    """Return a watch that notices changes of a model in memory since ``backend`` was opened; None for a model from
    files.
    """
    if not isinstance(checkpoint.tensors, TrackedTensors):
        return None
    if isinstance(backend, Native):
        read = checkpoint.tensors.read
        copied = {name: tensor for name, tensor in dict.items(checkpoint.tensors) if name in read}
        return ModelWatch(checkpoint.reference, copied, backend.network.tensors.values())
    return ModelWatch(checkpoint.reference, dict(checkpoint.tensors), stored_tensors(backend.model).values())


def open_by_transformers(checkpoint: Checkpoint, options: Options) -> Hosted:
    """Open the checkpoint with transformers, whether or not it could run natively.

    Raises:
        ModelError: transformers can't load it.
    """
    from attnviz.model.hosted import open_hosted

    return open_hosted(checkpoint, *placement(checkpoint, options), trust_remote_code=options.trust_remote_code)


def placement(checkpoint: Checkpoint, options: Options) -> tuple[torch.dtype | None, str]:
    """Return the type and the device for transformers.

    Quantised weights keep their type. ``auto`` spreads a model over all devices if accelerate is installed.
    """
    spread = options.device == "auto" and importlib.util.find_spec("accelerate") is not None
    return None if checkpoint.quantised else options.dtype, "auto" if spread else _place(checkpoint, options)


def _place(checkpoint: Checkpoint, options: Options) -> str:
    if options.device == "auto":
        return available_devices()[0]
    if options.device is None and isinstance(checkpoint.reference, torch.nn.Module):
        return str(next(checkpoint.reference.parameters()).device)
    return options.device or "cpu"

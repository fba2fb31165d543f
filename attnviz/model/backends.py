"""Which way a checkpoint is run: native where a family file expresses it exactly, else hosted."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnviz.attention.kernel import Kind
from attnviz.checkpoint import Checkpoint, TrackedTensors
from attnviz.encoding import Encoding
from attnviz.errors import UnsupportedModel, UsageError
from attnviz.model.families import near_miss
from attnviz.model.native.backend import Native, open_native, read_spec
from attnviz.model.watch import ModelWatch

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}

WIDER = {torch.bfloat16: torch.float32, torch.float16: torch.float32, torch.float32: torch.float64}
"""The type that says what rounding does in another."""

LONG = 1 << 28
"""Where all weights of a text take more bytes than this, they are not made all at once."""


@dataclass(frozen=True)
class Options:
    """How a checkpoint is run: the type of its numbers, on which device, and whether code that it brings may run.

    A ``device`` of None is the CPU, or where the user's own model is.
    """

    dtype: torch.dtype = torch.float32
    device: str | None = None
    trust_remote_code: bool = False


def read_options(dtype: str, device: str | None, *, trust_remote_code: bool) -> Options:
    """The options by name; the device ``auto`` is the fastest.

    Raises:
        UsageError: there is no such type, or the device is not on this machine; the message says what is.
    """
    if dtype not in DTYPES:
        raise UsageError(f"--dtype is {dtype!r}, expected one of {', '.join(DTYPES)}")
    if device not in (*available_devices(), "auto", None):
        raise UsageError(f"--device is {device!r}; this machine has {', '.join(available_devices())}")
    return Options(DTYPES[dtype], device, trust_remote_code)


def available_devices() -> list[str]:
    """The devices of this machine, the fastest first."""
    found = ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))] if torch.cuda.is_available() else []
    return [*found, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def open_backend(checkpoint: Checkpoint, options: Options) -> tuple[Native | Hosted, str]:
    """The model, ready to run, and why it is hosted: empty where it is native.

    Raises:
        UnsupportedModel: neither way runs it; the message says what stands in the way of each.
        ModelError: the checkpoint is damaged, or a package that it needs is missing.
    """
    reason = hosted_reason(checkpoint)
    if not reason:
        return open_native(checkpoint, options.dtype, _place(checkpoint, options)), ""
    against = require_hostable(checkpoint, options, reason)
    from attnviz.model.hosted import choose_backend, require_start

    backend = open_by_transformers(checkpoint, options)
    require_start(checkpoint, backend)
    return choose_backend(backend) if against or isinstance(checkpoint.reference, torch.nn.Module) else backend, reason


def require_hostable(checkpoint: Checkpoint, options: Options, reason: str) -> str | None:
    """Raise where transformers can't run a checkpoint, which is not native for the ``reason``, so that ours attends.

    What stands against it is returned where the model's own code may run, which may do it all the same.

    Raises:
        UnsupportedModel: the message says what stands in the way.
    """
    from attnviz.model.hosted import is_known_type, why_not_hostable

    against = None if isinstance(checkpoint.reference, torch.nn.Module) else why_not_hostable(checkpoint.config)
    if against and not options.trust_remote_code:
        near = "" if is_known_type(checkpoint.config) else near_miss(checkpoint.config)
        hint = f"{near}What attnviz runs is listed by: attnviz models"
        raise UnsupportedModel(f"{checkpoint.name}: {reason}; and {against}", hint=hint)
    return against


def weights_size(backend: Native | Hosted, encoding: Encoding, target: Encoding | None = None) -> int:
    """The bytes that the weights of all heads take in float32; of a hosted model at most, as far as configs say."""
    return 4 * sum(backend.heads[kind] * n * m for kind, (n, m) in map_shapes(backend, encoding, target).items())


def map_shapes(
    backend: Native | Hosted, encoding: Encoding, target: Encoding | None = None
) -> dict[Kind, tuple[int, int]]:
    """The (N, M) of each kind of map that the model has."""
    read, written = len(encoding), len(target or ())
    found: dict[Kind, tuple[int, int]] = {"self": (read, read), "encoder": (read, read)}
    found |= {"decoder": (written, written), "cross": (written, read)}
    return {kind: found[kind] for kind in backend.kinds}


def hosted_reason(checkpoint: Checkpoint) -> str:
    """What our forward pass does not know of the checkpoint's config, or what was done to a model in memory since.

    It is empty where there is nothing of that.

    Raises:
        ModelError: the config is damaged.
    """
    if checkpoint.gguf:
        return "transformers reads GGUF files"
    try:
        read_spec(checkpoint)
    except UnsupportedModel as error:
        return error.message.removeprefix(f"{checkpoint.name}: ")
    if checkpoint.wrapped:
        return f"the model is wrapped ({checkpoint.wrapped})"
    if isinstance(checkpoint.reference, torch.nn.Module):
        from attnviz.model.hosted import find_modification

        return find_modification(checkpoint.reference)
    return ""


def watch_model(checkpoint: Checkpoint, backend: Native | Hosted) -> ModelWatch | None:
    """What tells whether a model in memory is still what ``backend`` was opened from; None for a model of files."""
    if not isinstance(checkpoint.tensors, TrackedTensors):
        return None
    if isinstance(backend, Native):
        read = checkpoint.tensors.read
        copied = {name: tensor for name, tensor in dict.items(checkpoint.tensors) if name in read}
        return ModelWatch(checkpoint.reference, copied, backend.network.tensors.values())
    running = [each for each in backend.model.state_dict().values() if isinstance(each, torch.Tensor)]
    return ModelWatch(checkpoint.reference, dict(checkpoint.tensors), running)


def open_by_transformers(checkpoint: Checkpoint, options: Options) -> Hosted:
    """The transformers model, whether or not our own forward pass could run it.

    Raises:
        ModelError: transformers can't load it.
    """
    from attnviz.model.hosted import open_hosted

    return open_hosted(checkpoint, *placement(checkpoint, options), trust_remote_code=options.trust_remote_code)


def placement(checkpoint: Checkpoint, options: Options) -> tuple[torch.dtype | None, str]:
    """The type and the device that transformers is asked for.

    Quantised weights keep their type. ``auto`` spreads a model over all devices where accelerate is installed.
    """
    spread = options.device == "auto" and importlib.util.find_spec("accelerate") is not None
    return None if checkpoint.quantised else options.dtype, "auto" if spread else _place(checkpoint, options)


def _place(checkpoint: Checkpoint, options: Options) -> str:
    if options.device == "auto":
        return available_devices()[0]
    if options.device is None and isinstance(checkpoint.reference, torch.nn.Module):
        return str(next(checkpoint.reference.parameters()).device)
    return options.device or "cpu"

"""Which way a checkpoint is run: native where a family file expresses it exactly, else hosted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnviz.checkpoint import Checkpoint
from attnviz.errors import UnsupportedModel, UsageError
from attnviz.model.native import Native, open_native

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Options:
    """How a checkpoint is run: the type of its numbers, on which device, and whether code that it brings may run."""

    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    trust_remote_code: bool = False


def open_way(checkpoint: Checkpoint, options: Options) -> tuple[Native | Hosted, str]:
    """The model, ready to run, and why it is hosted: empty where it is native.

    Raises:
        UnsupportedModel: neither way runs it; the message says what stands in the way of each.
        ModelError: the checkpoint is damaged, or a package that it needs is missing.
    """
    reason = why_hosted(checkpoint)
    if not reason:
        return open_native(checkpoint, options.dtype, options.device), ""
    from attnviz.model.hosted import hostable, open_hosted

    against = hostable(checkpoint.config)
    if against and not options.trust_remote_code:
        raise UnsupportedModel(
            f"{checkpoint.name}: {reason}; and {against}", hint="What attnviz runs is listed by: attnviz models"
        )
    trust = options.trust_remote_code
    hosted = open_hosted(checkpoint, options.dtype, options.device, trust_remote_code=trust, gguf=checkpoint.gguf)
    return hosted, reason


def why_hosted(checkpoint: Checkpoint) -> str:
    """What our forward pass does not know of the checkpoint's config; empty where it knows all."""
    from attnviz.model.families import find_family

    if checkpoint.gguf:
        return "transformers reads GGUF files"
    try:
        find_family(checkpoint.config).spec(checkpoint.config)
    except UnsupportedModel as error:
        return error.message
    return ""


def read_options(dtype: str, device: str, *, trust_remote_code: bool) -> Options:
    """The options by name; ``auto`` is the fastest device.

    Raises:
        UsageError: there is no such type, or the device is not on this machine; the message says what is.
    """
    if dtype not in DTYPES:
        raise UsageError(f"--dtype is {dtype!r}, expected one of {', '.join(DTYPES)}")
    present = ["cpu"]
    if torch.backends.mps.is_available():
        present.insert(0, "mps")
    if torch.cuda.is_available():
        present[:0] = ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if device not in (*present, "auto"):
        raise UsageError(f"--device is {device!r}; this machine has {', '.join(present)}")
    return Options(DTYPES[dtype], present[0] if device == "auto" else device, trust_remote_code)

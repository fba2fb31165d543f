"""What transformers is told of GGUF files and quantised checkpoints, which it loads in other ways than plain ones."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transformers

from attnviz.checkpoint import Checkpoint
from attnviz.model.towers import is_alone

_PACKAGES = ("accelerate", "gguf", "bitsandbytes", "gptqmodel", "optimum", "compressed-tensors", "hqq", "sentencepiece")
"""Packages that some checkpoints need beside transformers, under the names that errors and pip use."""


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


def weights_source(checkpoint: Checkpoint) -> tuple[Path | None, dict[str, Any]]:
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


@contextlib.contextmanager
def silenced(checkpoint: Checkpoint) -> Iterator[None]:
    """Silence what loading GGUF files and quantised checkpoints shows in spite of transformers' settings."""
    if checkpoint.quantised:
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of its own types at each product of a run
    loud = checkpoint.gguf or checkpoint.quantised
    with contextlib.redirect_stderr(io.StringIO()) if loud else contextlib.nullcontext():
        yield


def lacking_package(error: str) -> str:
    """Return the package that transformers' ``error`` says it lacks; empty if it is none of those known."""
    return next((name for name in _PACKAGES if name in error.lower()), "")

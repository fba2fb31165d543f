"""What tells one checkpoint from another: a digest of all that its results depend on, and its commit on the Hub."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnviz.checkpoint.folder import VOCABULARIES, Checkpoint, copy_fast_tokenizer
from attnviz.checkpoint.hub import PICKLES, SAFETENSORS
from attnviz.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    *VOCABULARIES,
    "*.py",
)
"""Beside the weights: how the model is built, how a text is cut, and code that is run with --trust-remote-code."""


def digest(checkpoint: Checkpoint) -> str:
    """SHA-256 over the names and contents of the checkpoint's config, tokenizer and weight files, in hexadecimal.

    Of a model that is in memory it is over its config, its tokenizer, and the names, types and values of its tensors.

    Raises:
        ModelError: a file can't be read.
    """
    of = hashlib.sha256()
    parts = _files(checkpoint) if isinstance(checkpoint.reference, Path) else _memory(checkpoint)
    for name, content in parts:
        of.update(f"{len(name.encode())} {name} {content}\n".encode())
    return of.hexdigest()


def revision(checkpoint: Checkpoint) -> str | None:
    """The commit of a model that lies in the Hub's cache; None for any other."""
    if not isinstance(checkpoint.reference, Path):
        return None
    folder = checkpoint.reference.absolute()
    return folder.name if folder.parent.name == "snapshots" and re.fullmatch("[0-9a-f]{40}", folder.name) else None


def _files(checkpoint: Checkpoint) -> Iterator[tuple[str, str]]:
    folder: Path = checkpoint.reference
    for path in _paths(folder, checkpoint.gguf):
        try:
            with path.open("rb") as file:
                yield path.name, hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"{path} can't be read ({error.strerror})", hint="Download the model again.") from None


def _paths(folder: Path, gguf: str | None) -> list[Path]:
    if gguf:
        return [folder / gguf]
    weights = sorted(folder.glob(SAFETENSORS)) or sorted(folder.glob(PICKLES))
    found = {path for pattern in _FILES for path in folder.glob(pattern)}
    return [*sorted(found), *weights]


def _memory(checkpoint: Checkpoint) -> Iterator[tuple[str, str]]:
    yield "config", _of(json.dumps(checkpoint.config, sort_keys=True, default=str).encode())
    tokenizer = copy_fast_tokenizer(checkpoint.tokenizer)
    tokenizer.no_padding()  # both are set anew for each text
    tokenizer.no_truncation()
    yield "tokenizer", _of(tokenizer.to_str().encode())
    for name, tensor in checkpoint.tensors.items():
        yield f"{name} {tensor.dtype} {tuple(tensor.shape)}", _of(raw_bytes(tensor))


def _of(content: Any) -> str:
    return hashlib.sha256(content).hexdigest()


def raw_bytes(tensor: Tensor) -> Any:
    """The numbers of the tensor as they lie in memory, of whatever type and device."""
    import torch

    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data

"""Identify a checkpoint: a digest of all that its results depend on, and its commit on the Hub."""

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
"""Files that count beside the weights: config, tokenizer, and code that runs with --trust-remote-code."""


def digest(checkpoint: Checkpoint) -> str:
    """Return a SHA-256, in hexadecimal, over the names and contents of the config, tokenizer and weight files.

    For a model in memory it covers the config, the tokenizer, and the tensors' names, types and values.

    Raises:
        ModelError: a file can't be read.
    """
    of = hashlib.sha256()
    parts = _files(checkpoint) if isinstance(checkpoint.reference, Path) else _memory(checkpoint)
    for name, content in parts:
        of.update(f"{len(name.encode())} {name} {content}\n".encode())
    return of.hexdigest()


def revision(checkpoint: Checkpoint) -> str | None:
    """Return the commit of a model in the Hub's cache; None for any other model."""
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
    tokenizer.no_padding()  # padding and truncation are set for each text, and must not count
    tokenizer.no_truncation()
    yield "tokenizer", _of(tokenizer.to_str().encode())
    for name, tensor in checkpoint.tensors.items():
        yield f"{name} {tensor.dtype} {tuple(tensor.shape)}", _of(raw_bytes(tensor))


def _of(content: Any) -> str:
    return hashlib.sha256(content).hexdigest()


def raw_bytes(tensor: Tensor) -> Any:
    """Return the tensor's numbers as bytes, whatever its type and device."""
    import torch

    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data

"""Open a model in a GGUF file: here where its architecture is known, otherwise by transformers.

Its numbers are dequantised to floating point. transformers reads all of them at once; here each is read when it is
needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnviz.checkpoint.config_limits import require_sizes
from attnviz.checkpoint.file_limits import is_file, is_folder, require_regular_files
from attnviz.checkpoint.files import load_by_transformers, shapes_of
from attnviz.checkpoint.folder import DEFAULT, Checkpoint, copy_fast_tokenizer, load_transformers_tokenizer
from attnviz.checkpoint.gguf.architectures import find_architecture, names_of
from attnviz.checkpoint.gguf.config import read_config
from attnviz.checkpoint.gguf.header import Header, read_header
from attnviz.checkpoint.gguf.tensors import GgufTensors, dequantise, find_places
from attnviz.checkpoint.gguf.tokenizer import build_tokenizer
from attnviz.checkpoint.hub import snapshot
from attnviz.errors import ModelError, UnsupportedModel, UsageError, few

if TYPE_CHECKING:
    from torch import Tensor

_CONSUMED = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
"""Tensors that belong to the config."""


def open_gguf(file: str, model: str | os.PathLike[str] = DEFAULT, revision: str | None = None) -> Checkpoint:
    """Open the GGUF ``file``: a path, or the name of a file in ``model``, a folder or a Hub repository.

    Raises:
        ModelError: the file is missing, damaged or of a kind that transformers can't read either, or a package is
            missing.
        UsageError: a revision is given for something that has none.
    """
    path = _find(file, model, revision)
    require_regular_files(path.parent)
    header = read_header(path)
    _require_whole(path, header)
    unread = ""
    try:
        config, tensors = _read(path, header)
    except UnsupportedModel as error:
        unread = error.message
        config, tensors = _by_transformers(path, unread), {}
    require_sizes(config, shapes_of(tensors) or None)
    try:
        tokenizer = build_tokenizer(header.settings)
    except UnsupportedModel:
        tokenizer = copy_fast_tokenizer(load_transformers_tokenizer(path))
    except ModelError as error:
        error.message = f"{path}: {error.message}"
        raise
    return Checkpoint(path.stem, config, tensors, tokenizer, path.parent, path, gguf=path.name, unread=unread)


def _find(file: str, model: str | os.PathLike[str], revision: str | None) -> Path:
    path, folder = Path(file).expanduser(), Path(model).expanduser()
    if model == DEFAULT:
        if revision:
            raise UsageError("`revision` is for models from the Hub: give one as `model`")
    elif is_folder(folder):
        path = folder / file
    else:
        path = snapshot(os.fspath(model), revision, file) / file
    if not is_file(path):
        raise ModelError(f"there is no file {path}", hint="Give the path of a GGUF file, or its name in `model`.")
    return path


def _require_whole(path: Path, header: Header) -> None:
    """Raise for a file that is not a whole model of text."""
    parts, kind = header.settings.get("split.count"), header.settings.get("general.type", "model")
    if isinstance(parts, int) and parts > 1:
        raise ModelError(f"{path} is one of {parts:,} parts", hint="Join them: llama-gguf-split --merge FIRST WHOLE")
    if kind != "model":
        raise ModelError(f"{path} holds no model of its own: its general.type is {str(kind)[:80]!r}")


def _read(path: Path, header: Header) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
    """Return the config and the tensors of a file whose architecture is known here.

    Raises:
        UnsupportedModel: it is not known, or says what is not; the message has the reason.
    """
    architecture = find_architecture(header)

    def vector(name: str) -> list[float]:
        data: np.ndarray[Any, Any] = np.memmap(path, mode="r")
        return [float(each) for each in dequantise(path, data, name, header.tensors[name])]

    try:
        config = read_config(header, architecture, vector)
        heads = config.get("num_attention_heads", config.get("n_head", 1))
        groups = config.get("num_key_value_heads", config.get("num_kv_heads", heads))
        names = names_of(architecture, header.tensors)
        places, others = find_places(header, names, architecture.stored, (heads, groups))
    except (KeyError, TypeError, IndexError, ZeroDivisionError) as error:
        raise ModelError(f"{path} lacks what its architecture needs ({error!r})", hint="Download it again.") from None
    unknown = [name for name in others if name not in _CONSUMED and not name.endswith(".attn_rot_embd")]
    if unknown:
        raise UnsupportedModel(f"it has tensors that are not known here: {few(unknown)}")
    return config, GgufTensors(path, places, misread=architecture.misread)


def _by_transformers(path: Path, reason: str) -> dict[str, Any]:
    """Return the config of a file that is not read here for a ``reason``."""
    from transformers import AutoConfig

    try:
        config: dict[str, Any] = load_by_transformers(
            path.parent, AutoConfig.from_pretrained, gguf_file=path.name
        ).to_dict()
    except ModelError as error:
        error.message = f"{path} is not read here ({reason}), and {error.message}"
        raise
    return config

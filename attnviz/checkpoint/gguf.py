"""Open a model in a GGUF file with transformers, which converts its quantised numbers to floating point."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from attnviz.checkpoint.config_limits import require_sizes
from attnviz.checkpoint.file_limits import is_file, is_folder, require_regular_files
from attnviz.checkpoint.files import load_by_transformers
from attnviz.checkpoint.folder import DEFAULT, Checkpoint, copy_fast_tokenizer
from attnviz.checkpoint.gguf_header import require_header
from attnviz.checkpoint.hub import snapshot
from attnviz.errors import ModelError, UsageError


def open_gguf(file: str, model: str | os.PathLike[str] = DEFAULT, revision: str | None = None) -> Checkpoint:
    """Open the GGUF ``file``: a path, or the name of a file in ``model``, a folder or a Hub repository.

    Raises:
        ModelError: the file is missing, damaged or of a kind that transformers can't read, or a package is missing.
        UsageError: a revision is given for something that has none.
    """
    path = _find(file, model, revision)
    require_regular_files(path.parent)
    require_header(path)
    from transformers import AutoConfig, AutoTokenizer

    config: dict[str, Any] = load_by_transformers(
        path.parent, AutoConfig.from_pretrained, gguf_file=path.name
    ).to_dict()
    require_sizes(config)
    tokenizer = load_by_transformers(path.parent, AutoTokenizer.from_pretrained, gguf_file=path.name)
    return Checkpoint(
        path.stem, config, {}, copy_fast_tokenizer(tokenizer), reference=path.parent, chat=tokenizer, gguf=path.name
    )


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

"""What may be read of a stranger's folder: regular files of a bounded size, before anything opens one."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from attnviz.errors import ModelError

DOWNLOAD_AGAIN = "Download the model again."

_MB = 1 << 20
_MOST: Mapping[str, int] = {
    **dict.fromkeys(("config.json", "generation_config.json", "adapter_config.json", "processor_config.json",
                     "preprocessor_config.json", "chat_template.json", "chat_template.jinja"), 16 * _MB),
    **dict.fromkeys(("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
                     "model.safetensors.index.json", "pytorch_model.bin.index.json"), 64 * _MB),
    **dict.fromkeys(("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt"), 256 * _MB),
}  # fmt: skip
"""The most bytes of what is read whole: several times what the largest model on the Hub has there."""
_OTHERS = ("*.safetensors", "*.bin", "*.gguf", "*.model", "*.tiktoken", "*.py", "*chat_templates/*.jinja")


def require_regular_files(folder: Path) -> None:
    """Raise where a file that a model is read from is none, or larger than any model's.

    A device, a pipe, or a link to one would be read for ever.

    Raises:
        ModelError: with the path, what it is, and how large.
    """
    if not _is_utf8(folder):
        raise ModelError(f"{folder} has a name that is no UTF-8, which what reads its files needs", hint="Rename it.")
    try:
        for path in _parts(folder):
            _require(path)
    except OSError as error:
        raise ModelError(f"{folder} can't be read ({error.strerror})") from None


def is_file(path: Path) -> bool:
    """Whether there is a file: none where the name is longer than any may be, or has a NUL in it."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder, as ``is_file``."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _is_utf8(path: Path) -> bool:
    try:
        return bool(str(path.absolute()).encode())
    except UnicodeEncodeError:
        return False


def _parts(folder: Path) -> Iterator[Path]:
    yield from (folder / name for name in _MOST)
    for pattern in _OTHERS:
        yield from folder.glob(pattern)


def _require(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:  # also a link to nothing: whoever needs the file misses it
        return
    except OSError as error:
        raise ModelError(f"{path} can't be read ({error.strerror})", hint=DOWNLOAD_AGAIN) from None
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        kind = "a pipe" if stat.S_ISFIFO(status.st_mode) else "a device or a socket"
        raise ModelError(f"{path} is {kind}, expected a file", hint=DOWNLOAD_AGAIN)
    most = _MOST.get(path.name)
    if most is not None and status.st_size > most:
        raise ModelError(
            f"{path} has {status.st_size:,} bytes; no model has more than {most:,} there", hint=DOWNLOAD_AGAIN
        )

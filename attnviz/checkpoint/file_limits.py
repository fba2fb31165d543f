"""Verify the files of a model's folder before they are opened: regular files of limited size."""

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
"""The size limit in bytes of each file that is read whole: several times the largest one on the Hub."""
_OTHERS = ("*.safetensors", "*.bin", "*.gguf", "*.model", "*.tiktoken", "*.py", "*chat_templates/*.jinja")


def require_regular_files(folder: Path) -> None:
    """Raise if a file of the model in ``folder`` is not a regular file, or is larger than in any model.

    Reading a device, a pipe, or a link to one would never end.

    Raises:
        ModelError: with the path, and the kind or size of the file.
    """
    if not _is_utf8(folder):
        raise ModelError(f"the name of {folder} is not UTF-8, which its files' readers need", hint="Rename it.")
    try:
        for path in _parts(folder):
            _require(path)
    except OSError as error:
        raise ModelError(f"{folder} can't be read ({error.strerror})") from None


def is_file(path: Path) -> bool:
    """Whether ``path`` is a file; False, not an error, if the name is too long or contains a NUL."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder; False, not an error, if the name is too long or contains a NUL."""
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
    except FileNotFoundError:  # also a broken link: whoever needs the file reports it
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

"""What is read from a checkpoint's files: JSON, safetensors, and by transformers what only that reads."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnviz.checkpoint.file_limits import DOWNLOAD_AGAIN
from attnviz.checkpoint.hub import has_weights
from attnviz.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

FOLDER_CONTENT = "A model folder holds config.json, model.safetensors and tokenizer.json, as save_pretrained writes."


def folder_hint(folder: Path) -> str:
    """What a model's folder holds, where ``folder`` is none; of a training's folder, which of those in it are."""
    inside = [path.parent for name in ("config.json", "adapter_config.json") for path in folder.glob(f"*/{name}")]
    if not inside:
        return FOLDER_CONTENT
    newest = sorted(set(inside), key=lambda path: [int(part) if part.isdigit() else 0 for part in path.name.split("-")])
    named = [path.name for path in newest[-8:]]
    more = f"{len(newest) - 8} more, " if len(newest) > 8 else ""
    return f"There are models inside: {more}{', '.join(named)}. Give one of them: {newest[-1]}"


def read_json(path: Path) -> Any:
    """The JSON in ``path``; a ``ModelError`` says what is wrong with it."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} can't be read as JSON ({error})", hint=DOWNLOAD_AGAIN) from None


class Safetensors(Mapping[str, "Tensor"]):
    """The tensors of one or many safetensors files, memory-mapped; a tensor is read when it is asked for."""

    def __init__(self, paths: list[Path]) -> None:
        from safetensors import SafetensorError, safe_open

        self._paths = paths
        self._files: dict[str, Any] = {}
        for path in paths:
            try:
                file = safe_open(path, framework="pt")
            except (SafetensorError, OSError) as error:
                raise ModelError(f"{path} is truncated or corrupt ({error})", hint=DOWNLOAD_AGAIN) from None
            self._files |= dict.fromkeys(list(file.keys()), file)  # type: ignore[no-untyped-call]

    def __reduce__(self) -> tuple[Any, ...]:
        return Safetensors, (self._paths,)

    def __getitem__(self, name: str) -> Tensor:
        tensor: Tensor = self._files[name].get_tensor(name)
        return tensor

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor, from the files' headers."""
        return {name: tuple(file.get_slice(name).get_shape()) for name, file in self._files.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def open_safetensors(folder: Path) -> Mapping[str, Tensor] | None:
    """The folder's safetensors, whole or in shards; None where it has none."""
    index, whole = folder / "model.safetensors.index.json", folder / "model.safetensors"
    if whole.is_file():
        return Safetensors([whole])
    if not index.is_file():
        return None
    try:
        shards = sorted({os.path.normpath(name) for name in read_json(index)["weight_map"].values()})
    except (KeyError, TypeError, AttributeError):
        raise ModelError(f"{index} has no weight_map", hint=DOWNLOAD_AGAIN) from None
    # Only names beside the index: a path in it would read a file that is not the model's.
    missing = [name for name in shards if Path(name).name != name or not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{folder} lacks {', '.join(missing)}, which its index names", hint=DOWNLOAD_AGAIN)
    return Safetensors([folder / name for name in shards])


class TransformersTensors(Mapping[str, "Tensor"]):
    """The tensors of an older checkpoint, loaded by transformers when the first is asked for.

    It reads the pickle with ``weights_only``: data, never code.
    """

    def __init__(self, folder: Path) -> None:
        if not has_weights(folder):
            raise ModelError(
                f"{folder} has no weights: neither model.safetensors nor its index nor pytorch_model.bin",
                hint=folder_hint(folder),
            )
        self._folder = folder

    @cached_property
    def _loaded(self) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        from transformers import AutoModel

        options = {"weights_only": True, "output_loading_info": True}
        model, info = load_by_transformers(self._folder, AutoModel.from_pretrained, **options)
        # What the file lacks transformers makes up at random: it is left out here, and missed by whoever needs it.
        missing = set(info["missing_keys"])
        tensors = {name: tensor for name, tensor in model.state_dict().items() if name not in missing}
        return tensors, tuple(info["unexpected_keys"])

    @property
    def _tensors(self) -> dict[str, Tensor]:
        return self._loaded[0]

    @property
    def unexpected(self) -> tuple[str, ...]:
        """The names of tensors that transformers found no use for."""
        return self._loaded[1]

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def load_by_transformers(folder: Path, loader: Callable[..., Any], **options: Any) -> Any:
    """What ``loader`` of transformers makes of ``folder``; a ``ModelError`` says what it can't read."""
    try:
        with quiet_transformers():
            return loader(folder, local_files_only=True, trust_remote_code=False, **options)
    except Exception as error:  # whatever transformers and torch raise on a damaged folder
        raise ModelError(f"transformers can't load {folder} ({error})", hint=DOWNLOAD_AGAIN) from error


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no warnings of transformers inside; its settings are as before after."""
    from transformers.utils import logging

    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()

"""Read a checkpoint's files: JSON and safetensors directly, older formats with transformers."""

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
    """Return a hint for a ``folder`` that is not a model's: what such a folder holds, or which folders inside it are
    models.
    """
    inside = [path.parent for name in ("config.json", "adapter_config.json") for path in folder.glob(f"*/{name}")]
    if not inside:
        return FOLDER_CONTENT
    newest = sorted(set(inside), key=lambda path: [int(part) if part.isdigit() else 0 for part in path.name.split("-")])
    named = [path.name for path in newest[-8:]]
    more = f"{len(newest) - 8} more, " if len(newest) > 8 else ""
    return f"There are models inside: {more}{', '.join(named)}. Give one of them: {newest[-1]}"


def read_json(path: Path) -> Any:
    """Parse the JSON file at ``path``; raise a ``ModelError`` if it is missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} can't be read as JSON ({error})", hint=DOWNLOAD_AGAIN) from None


class Safetensors(Mapping[str, "Tensor"]):
    """The tensors of one or more safetensors files, memory-mapped; each is read when it is accessed."""

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
        """Return the shape of each tensor, read from the files' headers."""
        return {name: tuple(file.get_slice(name).get_shape()) for name, file in self._files.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor, from the headers of files if possible."""
    own = getattr(tensors, "shapes", None)
    return own() if own else {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def open_safetensors(folder: Path) -> Mapping[str, Tensor] | None:
    """Open the folder's safetensors, one file or shards; return None if it has none."""
    index, whole = folder / "model.safetensors.index.json", folder / "model.safetensors"
    if whole.is_file():
        return Safetensors([whole])
    if not index.is_file():
        return None
    try:
        shards = sorted({os.path.normpath(name) for name in read_json(index)["weight_map"].values()})
    except (KeyError, TypeError, AttributeError):
        raise ModelError(f"{index} has no weight_map", hint=DOWNLOAD_AGAIN) from None
    # Only plain file names: a path in the index could read a file outside the model's folder.
    missing = [name for name in shards if Path(name).name != name or not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{folder} lacks {', '.join(missing)}, which its index names", hint=DOWNLOAD_AGAIN)
    return Safetensors([folder / name for name in shards])


class TransformersTensors(Mapping[str, "Tensor"]):
    """The tensors of an older checkpoint; transformers loads all of them at the first access.

    Pickles are read with ``weights_only``: data, never code.
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
        # transformers initialises missing tensors at random: they are left out, so that whoever needs one reports it.
        missing = set(info["missing_keys"])
        tensors = {name: tensor for name, tensor in model.state_dict().items() if name not in missing}
        return tensors, tuple(info["unexpected_keys"])

    @property
    def _tensors(self) -> dict[str, Tensor]:
        return self._loaded[0]

    @property
    def unexpected(self) -> tuple[str, ...]:
        """The names of the tensors that transformers did not use."""
        return self._loaded[1]

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def load_by_transformers(folder: Path, loader: Callable[..., Any], **options: Any) -> Any:
    """Call ``loader``, a ``from_pretrained`` of transformers, on ``folder``; its errors become ``ModelError``."""
    try:
        with quiet_transformers():
            return loader(folder, local_files_only=True, trust_remote_code=False, **options)
    except Exception as error:  # transformers and torch raise many types on a damaged folder
        path = folder / options.get("gguf_file", "")
        raise ModelError(f"transformers can't load {path} ({error})", hint=DOWNLOAD_AGAIN) from error


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence transformers' progress bars and warnings inside the block, and restore its settings afterwards."""
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

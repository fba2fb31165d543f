"""Open a checkpoint folder: its config, tensors and tokenizer.

The folder is the bundled default model's, one that the user names, or a snapshot in the Hugging Face cache, which is
downloaded if needed. Files are read here without transformers; only checkpoints that lack safetensors or tokenizer.json
go through transformers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnviz.checkpoint.bundle import find_bundle
from attnviz.checkpoint.config_limits import require_sizes
from attnviz.checkpoint.file_limits import is_file, require_regular_files
from attnviz.checkpoint.files import (
    Safetensors,
    TransformersTensors,
    folder_hint,
    load_by_transformers,
    open_safetensors,
    read_json,
    shapes_of,
)
from attnviz.checkpoint.gguf.header import is_gguf
from attnviz.checkpoint.hub import DEFAULT_ID, snapshot
from attnviz.checkpoint.sentencepiece import convert_sentencepiece
from attnviz.checkpoint.tokenizer import read_tokenizer
from attnviz.encoding import Languages, declare_mask, declare_unreadable, find_code, language_numbers, read_languages
from attnviz.errors import ModelError, UsageError, short

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

DEFAULT = "default"
ADAPTER = "adapter_config.json"
VOCABULARIES = ("vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
"""The vocabulary files from which a tokenizer is built if there is no tokenizer.json."""

_OTHERS = re.compile(r"(image|video|vision|audio)_token_(id|index)$")
"""Attributes of a config that name the token which stands for something else than text."""


@dataclass(frozen=True)
class Checkpoint:
    """A model that is opened but not yet built.

    Args:
        name: the name to show.
        config: the content of config.json.
        tensors: the tensors by the checkpoint's own names, each read when it is accessed; empty for a GGUF file that
            only transformers reads.
        tokenizer: the fast tokenizer.
        reference: what the check compares with: the folder that transformers loads, or the model object that the user
            gave.
        chat: what has the chat template: that folder or GGUF file, or the tokenizer object that the user gave.
        gguf: the name of the GGUF file that holds the weights, if there is one.
        unread: why only transformers reads that file; empty if attnviz does.
        generation: the content of generation_config.json; empty if there is none.
        wrapped: the names of the wrappers around a model in memory, such as ``PeftModel``.
        languages: the languages that the tokenizer marks; None if it marks none.
        language: the language of all texts, if it was asked for of a model that has parts for each.
    """

    name: str
    config: dict[str, Any]
    tensors: Mapping[str, Tensor] = field(repr=False)
    tokenizer: Tokenizer = field(repr=False)
    reference: Any = field(repr=False)
    chat: Any = field(repr=False, default=None)
    gguf: str | None = None
    unread: str = ""
    generation: Mapping[str, Any] = field(repr=False, default_factory=dict)
    wrapped: str = ""
    languages: Languages | None = field(repr=False, default=None)
    language: str | None = None

    def __post_init__(self) -> None:
        # Of a model that reads pictures or sound too: what stands for these in a text.
        numbers = [number for name, number in self.config.items() if _OTHERS.match(name) and isinstance(number, int)]
        own = self.tokenizer.get_added_tokens_decoder() if numbers else {}
        declare_unreadable(
            self.tokenizer,
            [own[number].content for number in numbers if number in own],
            "which stands for a picture, a video or sound: attnviz reads text alone",
            "Leave it out.",
        )

    @property
    def quantised(self) -> bool:
        """Whether the config says that the weights are quantised."""
        return bool(self.config.get("quantization_config"))

    @property
    def quantisation(self) -> str:
        """The name of the method by which the weights are quantised."""
        said = self.config.get("quantization_config")
        method = said.get("quant_method") if isinstance(said, Mapping) else None
        return short(method) if method else "by a method that its config does not name"

    def with_languages(self, source: str | None = None, target: str | None = None) -> Checkpoint:
        """Return this checkpoint with a tokenizer for texts in the language ``source`` and targets in ``target``.

        None keeps the language that the tokenizer's settings, or the model's, say. Of a model that has parts of its own
        for languages the ``source`` says which run.

        Raises:
            UsageError: the model does not have the language, or needs one that nothing names.
        """
        numbers = language_numbers(self.config)
        if source is not None and numbers and self.languages is None:
            spoken = find_code("`source_lang`", source, numbers)
            chosen = replace(self, language=spoken, config={**self.config, "default_language": spoken})
            return chosen.with_languages(None, target)
        if self.languages is None:
            for option, code in (("`source_lang`", source), ("`target_lang`", target)):
                if code is not None:
                    raise UsageError(f"{option} is {code!r}, and the tokenizer of {self.name} marks no languages")
            return self
        languages = self.languages.choose(source, target)
        self.tokenizer.post_processor = languages.around_source()
        return replace(self, languages=languages)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each tensor, without reading the tensors from files."""
        return shapes_of(self.tensors)


def open_checkpoint(model: str | os.PathLike[str] = DEFAULT, revision: str | None = None) -> Checkpoint:
    """Open ``model``: ``"default"``, a folder, a GGUF file, or a Hub id (at ``revision``).

    Raises:
        ModelError: nothing is found there, or a file is damaged; the hint says what to do.
        UsageError: a revision is given for something that has none.
    """
    name, folder = locate(os.fspath(model), revision)
    if is_file(folder):
        from attnviz.checkpoint.gguf.opening import open_gguf

        return open_gguf(os.fspath(folder))
    require_regular_files(folder)
    if (folder / ADAPTER).is_file():
        from attnviz.checkpoint.adapter import open_adapter

        return open_adapter(name, folder, _read_object(folder / ADAPTER))
    config = read_config(folder)
    tensors = open_safetensors(folder)
    require_sizes(config, tensors.shapes() if isinstance(tensors, Safetensors) else None)
    if tensors is None:
        tensors = TransformersTensors(folder)
    path = folder / "generation_config.json"
    generation = _read_object(path) if path.is_file() else {}
    tokenizer = open_tokenizer(folder, config)
    return Checkpoint(
        name,
        config,
        tensors,
        tokenizer,
        reference=folder,
        chat=folder,
        generation=generation,
        languages=read_languages(tokenizer, tokenizer_settings(folder), config, generation),
    )


def locate(model: str, revision: str | None) -> tuple[str, Path]:
    """Return the name to show and the folder that holds ``model``, or the GGUF file that it is."""
    folder = Path(os.path.expanduser(model))  # noqa: PTH111  (pathlib's raises for an unknown user)
    if model == DEFAULT:
        bundle = None if revision else find_bundle()
        return DEFAULT_ID, bundle or snapshot(DEFAULT_ID, revision)
    try:
        kind = "folder" if folder.is_dir() else "file" if folder.exists() else ""
        gguf = kind == "file" and folder.is_file() and is_gguf(folder)
    except (OSError, ValueError):  # too long for a path, or with a NUL in it
        kind, gguf = "", False
    if kind == "folder" or gguf:
        if revision:
            raise UsageError(f"{model} is a {kind}: `revision` is for models from the Hub")
        return (folder.stem if gguf else folder.resolve().name), folder
    if kind == "file":
        raise ModelError(f"{model} is a file, expected a GGUF file, or a folder with config.json")
    if model.lower().endswith(".gguf"):
        raise ModelError(f"there is no file {model}", hint="Of a model on the Hub: --model ID --gguf FILE")
    if model.startswith((".", "~", os.sep)) or (model.count("/") != 1 and "/" in model):
        raise ModelError(
            f"there is no folder {model}",
            hint="Give a folder with config.json and model.safetensors, or a Hub id such as " + DEFAULT_ID,
        )
    return model, snapshot(model, revision)


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json in ``folder``."""
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(f"{folder} has no config.json", hint=folder_hint(folder))
    return _read_object(path)


def _read_object(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds a {type(content).__name__}, expected an object")
    return content


def open_tokenizer(folder: Path, config: Mapping[str, Any]) -> Tokenizer:
    """Open the tokenizer in ``folder``, of a model with this ``config``."""
    path = folder / "tokenizer.json"
    if path.is_file():
        return read_tokenizer(path, tokenizer_settings(folder), config.get("model_type"))
    found = [folder / name for name in VOCABULARIES if (folder / name).is_file()]
    if not found:
        raise ModelError(
            f"{folder} has no tokenizer: neither tokenizer.json nor a vocabulary", hint=folder_hint(folder)
        )
    try:
        return copy_fast_tokenizer(load_transformers_tokenizer(folder))
    except ModelError as error:
        needed = {package: path for path in found for package in _readers(path)}
        missing = [package for package in needed if not _is_installed(package)]
        if not missing:
            raise
        raise ModelError(
            f"{needed[missing[0]]} can't be read without {' and '.join(missing)}",
            hint=f"Install what is missing: python -m pip install {' '.join(missing)}",
        ) from error


def _readers(vocabulary: Path) -> tuple[str, ...]:
    """Return the packages that transformers needs to read a ``*.model`` file: tiktoken's are lines of base64."""
    if vocabulary.suffix != ".model":
        return ()
    with vocabulary.open("rb") as file:
        return ("tiktoken",) if re.match(rb"[\w+/]+=* \d+\s", file.read(1000)) else ("sentencepiece", "protobuf")


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def tokenizer_settings(folder: Path) -> dict[str, Any]:
    """Return tokenizer_config.json, with special_tokens_map.json added if the first lists no added tokens."""
    names = ("tokenizer_config.json", "special_tokens_map.json")
    read = [_read_object(folder / name) if (folder / name).is_file() else {} for name in names]
    return read[0] if "added_tokens_decoder" in read[0] else read[0] | read[1]


def load_transformers_tokenizer(folder: Path) -> Any:
    """Load the tokenizer in ``folder``, or in a GGUF file, with transformers, from these files alone."""
    from transformers import AutoTokenizer

    if folder.is_file():
        return load_by_transformers(folder.parent, AutoTokenizer.from_pretrained, gguf_file=folder.name)
    return load_by_transformers(folder, AutoTokenizer.from_pretrained)


def copy_fast_tokenizer(tokenizer: Any) -> Tokenizer:
    """Return a copy of the fast tokenizer inside a transformers one; encoding changes its truncation and padding.

    Raises:
        ModelError: the tokenizer is not a fast one, and can't be converted.
    """
    from tokenizers import Tokenizer

    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    made = (
        None
        if isinstance(backend, Tokenizer) or not hasattr(tokenizer, "sp_model")
        else convert_sentencepiece(tokenizer)
    )
    if made is not None:
        return made
    if hasattr(tokenizer, "spm_target"):
        raise ModelError(
            f"the tokenizer is a {type(tokenizer).__name__}, which cuts a text and its target by two models of "
            "SentencePiece (source.spm, target.spm): attnviz can't show where their pieces stand",
            hint="Take one with a tokenizer.json, or a translation model of another family: NLLB, M2M-100, mBART.",
        )
    if not isinstance(backend, Tokenizer):
        raise ModelError(
            f"the tokenizer is a {type(tokenizer).__name__}, expected a fast one, which knows where its pieces stand",
            hint="Load it with AutoTokenizer.from_pretrained(…).",
        )
    copy = Tokenizer.from_str(backend.to_str())
    declare_mask(copy, getattr(tokenizer, "mask_token", None))
    return copy

"""A stranger's files are refused before they are opened, if they are not files or larger than any model's."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attnviz.checkpoint import open_checkpoint, open_gguf
from attnviz.checkpoint.config_limits import require_sizes
from attnviz.checkpoint.gguf.header import read_header
from attnviz.errors import ExitCode, ModelError
from attnviz.interface import load
from tests import tiny


@pytest.fixture
def folder(tiny_bert: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bert, tmp_path / "model"))


def failure(opening: Callable[..., Any], *given: Any) -> str:
    with pytest.raises(ModelError) as caught:
        opening(*given)
    assert caught.value.exit_code is ExitCode.MODEL
    return caught.value.message


READ = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
        "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_a_device_or_a_pipe_is_no_file(name: str, folder: Path) -> None:
    path = folder / name
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")
    assert failure(open_checkpoint, folder) == f"{path} is a device or a socket, expected a file"
    path.unlink()
    os.mkfifo(path)
    assert failure(open_checkpoint, folder) == f"{path} is a pipe, expected a file"


@pytest.mark.parametrize("name", [name for name in READ if name.endswith(("json", "jinja"))])
def test_a_file_that_is_larger_than_any_models_is_not_read(name: str, folder: Path) -> None:
    with (folder / name).open("ab") as file:
        file.truncate(10 << 30)  # sparse: it takes no room on the disk
    assert f"{name} has 10,737,418,240 bytes" in failure(open_checkpoint, folder)


def test_other_files_beside_a_model_may_be_of_any_size(folder: Path) -> None:
    with (folder / "train.json").open("wb") as file:
        file.truncate(10 << 30)
    (folder / "pipe.json").symlink_to("/dev/zero")
    assert load(folder).attend(tiny.SENTENCE)


def test_weights_that_are_zeros_are_refused(folder: Path) -> None:
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(10 << 30)
    assert "model.safetensors is truncated or corrupt" in failure(open_checkpoint, folder)


@pytest.mark.parametrize("name", ["x" * 300, "./" + "x" * 300, "a/" + "x" * 300, "a\0b", "a/\udcff"])
def test_a_name_that_none_can_have_is_not_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    failure(open_checkpoint, name)
    failure(open_gguf, name)


def test_a_revision_that_is_no_utf8_is_refused() -> None:
    assert "'\\udcff' can't be a name" in failure(open_checkpoint, "some/model", "\udcff")


# Sizes


def config(folder: Path, **said: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | said))
    return folder


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"num_hidden_layers": 10**12}, "num_hidden_layers is 1,000,000,000,000, and no model has more than 10,000"),
        ({"num_hidden_layers": 9999}, "is 9,999; the checkpoint has 55 tensors, of layers up to number 2"),
        ({"vocab_size": 10**9}, "vocab_size is 1,000,000,000, and no model has more"),
        ({"intermediate_size": 4000}, "intermediate_size is 4,000; the checkpoint has 55 tensors"),
        ({"text_config": {"num_attention_heads": 10**30}}, "num_attention_heads is 1,0"),
    ],
)  # fmt: skip
def test_sizes_that_no_model_has_are_refused_with_what_the_tensors_say(
    said: dict[str, Any], expected: str, folder: Path
) -> None:
    assert expected in failure(open_checkpoint, config(folder, **said))


def test_sizes_that_cost_nothing_are_not_bounded() -> None:
    require_sizes({"sliding_window": 10**12, "eos_token_id": 10**12, "vocab_size": True, "max_window_layers": 28})
    words = failure(require_sizes, {"sliding_window": 10**400})
    assert "sliding_window is 1000" in words
    assert len(words) < 200


@pytest.mark.parametrize("kind", ["albert", "gpt_neo"])
def test_a_product_of_sizes_is_bounded_too(kind: str) -> None:
    from attnviz.model.families import find_family

    said = {"inner_group_num": 5000, "num_hidden_layers": 5000, "attention_types": [[["global", "local"], 10**12]]}
    failure(find_family({"model_type": kind}).spec, {"model_type": kind, **said})


# GGUF


def gguf(path: Path, *, tensors: int = 1, settings: int = 1, blocks: int = 1, value: bytes | None = None) -> Path:
    """Return a GGUF file of one setting and a tensor of 8 numbers, which may claim more."""

    def string(text: bytes) -> bytes:
        return struct.pack("<Q", len(text)) + text

    said = string(b"llama.block_count") + (struct.pack("<II", 4, blocks) if value is None else value)
    tensor = string(b"a") + struct.pack("<IQIQ", 1, 8, 0, 0)
    header = b"GGUF" + struct.pack("<IQQ", 3, tensors, settings) + said + tensor
    path.write_bytes(header + bytes(-len(header) % 32) + bytes(32))
    return path


def test_a_gguf_header_that_fits_its_file_is_read(tmp_path: Path) -> None:
    header = read_header(gguf(tmp_path / "a.gguf"))
    assert header.settings == {"llama.block_count": 1}
    assert {name: tensor.shape for name, tensor in header.tensors.items()} == {"a": (8,)}


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [
        ({"tensors": 1 << 60}, "claims 1,152,921,504,606,846,976 tensors"),
        ({"settings": 1 << 60}, "claims 1,152,921,504,606,846,976 settings"),
        ({"blocks": 9}, "claims 9 layers and has 1 tensors"),
        ({"value": struct.pack("<IQ", 8, 1 << 60)}, "claims 1,152,921,504,606,846,976 bytes of a string"),
        ({"value": struct.pack("<IIQ", 9, 4, 1 << 60)}, "claims 1,152,921,504,606,846,976 items of a list"),
        ({"value": struct.pack("<I", 77)}, "a value of the unknown type 77"),
        ({"tensors": 2}, "truncated or corrupt"),
    ],
)
def test_a_gguf_header_that_claims_more_than_the_file_holds_is_refused(
    claimed: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    assert expected in failure(open_gguf, gguf(tmp_path / "a.gguf", **claimed))


@pytest.mark.parametrize("keep", [4, 10, 40, 60])
def test_a_truncated_gguf_file_is_refused(keep: int, tmp_path: Path) -> None:
    path = gguf(tmp_path / "a.gguf")
    path.write_bytes(path.read_bytes()[:keep])
    assert "truncated or corrupt" in failure(open_gguf, path)


def test_a_gguf_header_that_is_larger_than_any_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnviz.checkpoint.gguf.header._MOST_BYTES", 60)
    assert "no model's has" in failure(open_gguf, gguf(tmp_path / "a.gguf"))


# Tokenizers


def test_a_vocabulary_without_a_token_is_refused(folder: Path) -> None:
    path = folder / "tokenizer.json"
    said = json.loads(path.read_bytes())
    path.write_text(json.dumps(said | {"model": said["model"] | {"vocab": {}}}))
    assert "the tokenizer can't encode this text" in failure(load(folder).attend, tiny.SENTENCE)


def test_special_tokens_that_are_no_list_are_refused(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps({"extra_special_tokens": "x" * 1_000_000}))
    assert "the special tokens are 'xxx" in failure(open_checkpoint, folder)


def test_a_message_does_not_grow_with_what_a_stranger_wrote(folder: Path) -> None:
    assert len(failure(load(config(folder, num_attention_heads="x" * 10**6)).attend, "the bank")) < 3000

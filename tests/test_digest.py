"""A checkpoint's digest changes with everything that changes its results, and with nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, PreTrainedTokenizerFast

from attnviz.checkpoint import digest, open_checkpoint, open_in_memory, revision
from attnviz.checkpoint.folder import Checkpoint
from attnviz.encoding import encode
from attnviz.errors import ModelError
from tests import tiny


@pytest.fixture
def folder(tiny_bert: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bert, tmp_path / "bert"))


def _append(name: str) -> Callable[[Path], object]:
    return lambda folder: folder.joinpath(name).write_bytes(folder.joinpath(name).read_bytes() + b" ")


def test_it_is_of_the_files_and_not_of_where_they_lie(tiny_bert: Path, folder: Path) -> None:
    folder.joinpath("README.md").write_text("hello")
    before = digest(open_checkpoint(tiny_bert))
    assert digest(open_checkpoint(folder)) == before
    assert len(before) == 64


@pytest.mark.parametrize(
    "change",
    [
        _append("config.json"),
        _append("tokenizer.json"),
        lambda folder: folder.joinpath("tokenizer_config.json").write_text("{}"),
        lambda folder: folder.joinpath("modeling_own.py").write_text("pass"),
        lambda folder: tiny.bert(folder, seed=1),
    ],
    ids=["config", "tokenizer", "settings", "code", "weights"],
)
def test_whatever_changes_results_changes_it(folder: Path, change: Callable[[Path], object]) -> None:
    before = digest(open_checkpoint(folder))
    change(folder)
    assert digest(open_checkpoint(folder)) != before


def test_shards_and_pickles_are_weights_too(folder: Path, tmp_path: Path) -> None:
    shards = tiny.bert(tmp_path / "shards", save={"max_shard_size": "10KB"})
    assert len(list(shards.glob("*.safetensors"))) > 1
    before = digest(open_checkpoint(shards))
    last = sorted(shards.glob("*.safetensors"))[-1]
    last.write_bytes(last.read_bytes() + b" ")
    opened = replace(open_checkpoint(folder), reference=shards)
    assert digest(opened) != before

    pickle = tiny.to_pickle(folder)
    before = digest(open_checkpoint(folder))
    pickle.write_bytes(pickle.read_bytes() + b" ")
    assert digest(open_checkpoint(folder)) != before


def test_of_a_gguf_file_it_is_of_that_alone(folder: Path) -> None:
    folder.joinpath("a.gguf").write_bytes(b"GGUF1")
    checkpoint = replace(open_checkpoint(folder), gguf="a.gguf")
    before = digest(checkpoint)
    _append("config.json")(folder)
    assert digest(checkpoint) == before
    _append("a.gguf")(folder)
    assert digest(checkpoint) != before


def _in_memory(folder: Path) -> Checkpoint:
    return open_in_memory(AutoModel.from_pretrained(folder), PreTrainedTokenizerFast(tokenizer_object=tiny.wordpiece()))


def test_of_a_model_in_memory_it_is_of_its_tensors(tiny_bert: Path) -> None:
    one, other = _in_memory(tiny_bert), _in_memory(tiny_bert)
    before = digest(one)
    assert digest(other) == before
    # A text that was cut leaves its truncation in the tokenizer.
    encode(one.tokenizer, "the bank " * 20, limit=8, truncate=True)
    assert digest(one) == before
    with torch.no_grad():
        next(iter(other.reference.parameters()))[0, 0] += 1e-6
    assert digest(other) != before
    assert digest(open_in_memory(one.reference.to(torch.bfloat16), one.chat)) != before


def test_a_file_that_vanished_is_named(folder: Path) -> None:
    checkpoint = replace(open_checkpoint(folder), gguf="gone.gguf")
    with pytest.raises(ModelError, match=r"gone.gguf can't be read \(No such file"):
        digest(checkpoint)


def test_the_revision_is_the_commit_of_a_model_in_the_hubs_cache(tiny_bert: Path, tmp_path: Path) -> None:
    assert revision(open_checkpoint(tiny_bert)) is None
    assert revision(_in_memory(tiny_bert)) is None
    snapshot = tmp_path / "models--a--b" / "snapshots" / ("0123456789" * 4)
    shutil.copytree(tiny_bert, snapshot)
    assert revision(open_checkpoint(snapshot)) == "0123456789" * 4
    # A folder of the user's that is named snapshots holds no commits.
    other = shutil.copytree(tiny_bert, tmp_path / "snapshots" / "mine")
    assert revision(open_checkpoint(other)) is None

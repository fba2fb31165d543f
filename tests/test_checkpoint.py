"""Opening models, and what damaged or hostile ones cause: a clear error, and nothing executed."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, BertConfig, BertModel

from attnviz.checkpoint import open_checkpoint, open_in_memory
from attnviz.checkpoint.hub import DEFAULT_ID
from attnviz.errors import AttnvizError, ExitCode, ModelError, UsageError
from attnviz.interface import Model, load
from tests import tiny


@pytest.fixture
def folder(tiny_bert: Path, tmp_path: Path) -> Path:
    """A copy of the random BERT, to be damaged."""
    return Path(shutil.copytree(tiny_bert, tmp_path / "model"))


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub and its cache must not be asked."""

    def asked(*_: Any, **__: Any) -> str:
        raise AssertionError("asked the Hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", asked)


def failure(model: str | Path, kind: type[AttnvizError] = ModelError, **options: Any) -> AttnvizError:
    """The error of opening ``model`` and running a text through it."""
    with pytest.raises(kind) as caught:
        load(model, **options).attend(tiny.SENTENCE)
    return caught.value


def assert_works(model: Model, like: Model) -> None:
    assert (model.attend(tiny.SENTENCE).weights == like.attend(tiny.SENTENCE).weights).all()


# Where it comes from


def test_a_folder_is_a_model_of_its_name(folder: Path, tiny_model: Model) -> None:
    opened = open_checkpoint(folder)
    assert (opened.name, opened.reference) == ("model", folder)
    assert opened.config["model_type"] == "bert"
    assert_works(load(str(folder)), tiny_model)


def test_a_folder_may_be_given_from_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    assert open_checkpoint("~/model").name == "model"


@pytest.mark.usefixtures("no_hub")
def test_a_relative_folder_is_preferred_to_a_hub_id(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Model
) -> None:
    monkeypatch.chdir(folder.parent)
    Path("some").mkdir()
    folder.rename(folder.parent / "some" / "model")
    assert_works(load("some/model"), tiny_model)


@pytest.mark.real
@pytest.mark.usefixtures("no_hub", "real_model")
def test_the_default_model_is_the_bundled_one() -> None:
    opened = open_checkpoint()
    assert opened.name == DEFAULT_ID
    assert (opened.config["num_hidden_layers"], opened.config["num_attention_heads"]) == (6, 12)
    assert opened.reference.is_dir()


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("name", ["./nowhere", "../nowhere", "/no/where", "~/nowhere", "not/a/folder"])
def test_a_path_that_does_not_exist_is_no_hub_id(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = failure(name)
    assert "folder" in error.message
    assert name in error.message


def test_a_file_is_no_model(folder: Path) -> None:
    assert "is a file, expected a GGUF file, or a folder" in failure(folder / "model.safetensors").message


def test_a_folder_has_no_revisions(folder: Path) -> None:
    error = failure(folder, UsageError, revision="main")
    assert "is a folder" in error.message
    assert error.exit_code is ExitCode.USAGE


# What may be wrong with a folder


def test_a_folder_without_a_config(folder: Path) -> None:
    folder.joinpath("config.json").unlink()
    error = failure(folder)
    assert f"{folder} has no config.json" in error.message
    assert "save_pretrained" in error.hint


@pytest.mark.parametrize("content", [b"", b"{", b"{'a': 1}", b"\xff\xfe\x00", b'{"a": 1', b"[" * 100_000])
def test_a_config_that_is_no_json(folder: Path, content: bytes) -> None:
    folder.joinpath("config.json").write_bytes(content)
    assert "config.json can't be read as JSON" in failure(folder).message


@pytest.mark.parametrize("content", ["[]", "3", '"bert"', "true", "null"])
def test_a_config_that_is_no_object(folder: Path, content: str) -> None:
    folder.joinpath("config.json").write_text(content)
    assert "expected an object" in failure(folder).message


def test_a_config_that_is_a_folder(folder: Path) -> None:
    folder.joinpath("config.json").unlink()
    folder.joinpath("config.json").mkdir()
    assert "has no config.json" in failure(folder).message


def test_a_folder_without_weights(folder: Path) -> None:
    folder.joinpath("model.safetensors").unlink()
    assert f"{folder} has no weights" in failure(folder).message


@pytest.mark.parametrize("keep", [0, 4, 8, 100, 0.5, 0.999])
def test_truncated_weights(folder: Path, keep: float) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(len(content) * keep)])
    error = failure(folder)
    assert "model.safetensors is truncated or corrupt" in error.message
    assert "Download" in error.hint


@pytest.mark.parametrize("content", [b"garbage" * 100, b"\xff" * 64, b"\x02" + b"\0" * 7 + b"[]", b"<html>404</html>"])
def test_weights_that_are_something_else(folder: Path, content: bytes) -> None:
    folder.joinpath("model.safetensors").write_bytes(content)
    assert "model.safetensors is truncated or corrupt" in failure(folder).message


def test_weights_without_a_tensor(folder: Path) -> None:
    save_file({}, folder / "model.safetensors")
    assert failure(folder).exit_code is ExitCode.MODEL


def shard(folder: Path) -> Path:
    """Cut the weights in shards and return their index."""
    BertModel.from_pretrained(folder).save_pretrained(folder / "cut", max_shard_size="20KB")
    folder.joinpath("model.safetensors").unlink()
    for path in folder.joinpath("cut").glob("model*"):
        path.rename(folder / path.name)
    return folder / "model.safetensors.index.json"


def test_a_missing_shard_is_named(folder: Path) -> None:
    shard(folder)
    lost = sorted(folder.glob("model-*"))[1]
    lost.unlink()
    assert f"lacks {lost.name}, which its index names" in failure(folder).message


def test_a_truncated_shard_is_named(folder: Path) -> None:
    shard(folder)
    path = sorted(folder.glob("model-*"))[1]
    path.write_bytes(path.read_bytes()[:-5])
    assert f"{path.name} is truncated or corrupt" in failure(folder).message


def test_one_whole_file_is_used_and_not_an_index_beside_it(folder: Path, tiny_model: Model) -> None:
    folder.joinpath("model.safetensors.index.json").write_text('{"weight_map": {"a": "gone.safetensors"}}')
    assert_works(load(folder), tiny_model)


@pytest.mark.parametrize("absolute", [True, False])
def test_an_index_can_not_name_a_file_elsewhere(folder: Path, absolute: bool) -> None:
    index = shard(folder)
    outside = folder.parent / "outside.safetensors"
    save_file({"secret": torch.ones(1)}, outside)
    named = str(outside) if absolute else "../outside.safetensors"
    content = json.loads(index.read_text())
    content["weight_map"]["secret"] = named
    index.write_text(json.dumps(content))
    assert f"lacks {named}" in failure(folder).message


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "{}", '{"weight_map": null}', '{"weight_map": []}', '{"weight_map": {"a": 3}}',
                '{"weight_map": {"a": null}}', '{"weight_map": {"a": ["b"]}}', '{"weight_map": {}}'],
)  # fmt: skip
def test_an_index_that_is_none(folder: Path, content: str) -> None:
    shard(folder).write_text(content)
    assert failure(folder).exit_code is ExitCode.MODEL


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"garbage", b"\xff\xfe", b'{"model": {"type": "Nope"}}'])
def test_a_tokenizer_that_is_none(folder: Path, content: bytes) -> None:
    folder.joinpath("tokenizer.json").write_bytes(content)
    assert "tokenizer.json is not a tokenizer" in failure(folder).message


def test_a_folder_without_any_tokenizer(folder: Path) -> None:
    folder.joinpath("tokenizer.json").unlink()
    error = failure(folder)
    assert str(folder) in error.message
    assert "tokenizer" in error.message


def test_a_tokenizer_of_another_model(folder: Path) -> None:
    tokenizer = tiny.wordpiece()
    tokenizer.add_tokens(["unused", "financials"])
    tokenizer.save(str(folder / "tokenizer.json"))
    error = failure(folder)
    assert f"the id {len(tiny.VOCABULARY) + 1}" in error.message
    assert f"ends at {len(tiny.VOCABULARY) - 1}" in error.message


# What lacks safetensors or tokenizer.json goes through transformers, and never executes anything


def test_an_older_checkpoint_is_the_same_model(folder: Path, tiny_model: Model) -> None:
    tiny.to_pickle(folder)
    model = load(folder)
    assert_works(model, tiny_model)
    assert model.check(tiny.SENTENCE).passed


def test_an_older_checkpoint_of_older_spelling_is_the_same_model(folder: Path, tiny_model: Model) -> None:
    def respell(state: dict[str, Any]) -> None:
        for name in list(state):
            new = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            state[f"bert.{new}"] = state.pop(name)

    tiny.to_pickle(folder, respell)
    assert_works(load(folder), tiny_model)


def test_a_tensor_that_an_older_checkpoint_lacks_is_never_made_up(folder: Path) -> None:
    """transformers fills missing tensors with random numbers, and only warns."""
    lost = "encoder.layer.1.attention.self.query.weight"
    tiny.to_pickle(folder, lambda state: state.pop(lost))
    assert lost in failure(folder).message


def test_a_wrong_shape_in_an_older_checkpoint_is_refused(folder: Path) -> None:
    tiny.to_pickle(folder, lambda state: state.update({"embeddings.LayerNorm.bias": torch.zeros(31)}))
    assert failure(folder).exit_code is ExitCode.MODEL


def test_an_older_checkpoint_prints_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tiny.to_pickle(folder)
    load(folder)
    assert capfd.readouterr() == ("", "")


def test_the_hostile_pickle_of_these_tests_is_one(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(tiny.Hostile(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("plain", [False, True], ids=["torch.save", "pickle.dump"])
def test_a_hostile_pickle_is_refused_and_not_executed(folder: Path, plain: bool) -> None:
    mark = folder / "executed"
    path = tiny.to_pickle(folder, lambda state: state.update({"embeddings.extra": tiny.Hostile(mark)}))
    if plain:
        path.write_bytes(pickle.dumps({"embeddings.extra": tiny.Hostile(mark)}))
    error = failure(folder)
    assert not mark.exists()
    assert error.exit_code is ExitCode.MODEL
    assert str(folder) in error.message


@pytest.mark.parametrize("keep", [0, 100, 0.9])
def test_a_truncated_pickle_is_refused(folder: Path, keep: float) -> None:
    path = tiny.to_pickle(folder)
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(len(content) * keep)])
    assert failure(folder).exit_code is ExitCode.MODEL


def test_safetensors_are_read_and_not_the_pickle_beside_them(folder: Path, tiny_model: Model) -> None:
    folder.joinpath("pytorch_model.bin").write_bytes(pickle.dumps(tiny.Hostile(folder / "executed")))
    model = load(folder)
    assert_works(model, tiny_model)
    assert model.check(tiny.SENTENCE).passed
    assert not folder.joinpath("executed").exists()


def vocabulary_only(folder: Path) -> None:
    """Make a BERT with a vocabulary only, as before there was a tokenizer.json."""
    folder.joinpath("tokenizer.json").unlink()
    folder.joinpath("vocab.txt").write_text("\n".join(tiny.VOCABULARY) + "\n")
    folder.joinpath("tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": true}')


def with_code(folder: Path) -> Path:
    """Put a module in the folder that leaves a mark where it is imported; return the mark."""
    mark = folder / "executed"
    folder.joinpath("code.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Custom: pass\n")
    return mark


def test_the_code_of_a_tokenizer_is_not_executed(folder: Path) -> None:
    mark = with_code(folder)
    vocabulary_only(folder)
    settings = {"tokenizer_class": "Custom", "auto_map": {"AutoTokenizer": ["code.Custom", "code.Custom"]}}
    folder.joinpath("tokenizer_config.json").write_text(json.dumps(settings))
    failure(folder)
    assert not mark.exists()


@pytest.mark.parametrize("pickled", [False, True])
def test_the_code_of_a_model_is_not_executed(folder: Path, pickled: bool) -> None:
    mark = with_code(folder)
    config = json.loads(folder.joinpath("config.json").read_text())
    config |= {"model_type": "custom", "auto_map": {"AutoConfig": "code.Custom", "AutoModel": "code.Custom"}}
    folder.joinpath("config.json").write_text(json.dumps(config))
    if pickled:
        tiny.to_pickle(folder)
    failure(folder)
    assert not mark.exists()


def test_a_vocabulary_is_as_good_as_a_tokenizer(folder: Path, tiny_model: Model) -> None:
    vocabulary_only(folder)
    text, pair = "The bank's loan, approved!", "Had it?"
    assert load(folder).encode(text, pair) == tiny_model.encode(text, pair)
    assert_works(load(folder), tiny_model)


# A model in memory


def test_a_model_in_memory_brings_its_tensors_and_a_tokenizer_of_our_own(folder: Path) -> None:
    vocabulary_only(folder)
    model, tokenizer = BertModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    adopted = open_in_memory(model, tokenizer)
    assert adopted.reference is model
    assert adopted.name == str(folder)
    assert adopted.tokenizer is not tokenizer.backend_tokenizer
    assert adopted.tensors.keys() == model.state_dict().keys()


def test_a_tokenizers_tokenizer_serves_as_well(folder: Path, tiny_model: Model) -> None:
    assert_works(load((BertModel.from_pretrained(folder), tiny.wordpiece())), tiny_model)


def test_a_model_without_a_name_is_called_by_its_class() -> None:
    model = BertModel(BertConfig(hidden_size=12, num_hidden_layers=1, vocab_size=9))
    assert open_in_memory(model, tiny.wordpiece()).name == "BertModel"


@pytest.mark.parametrize("tokenizer", [None, object(), "bert", str.split])
def test_a_slow_tokenizer_is_refused(tokenizer: Any, tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match="expected a fast one"):
        open_in_memory(BertModel.from_pretrained(tiny_bert), tokenizer)


# Reading


def test_tensors_are_those_of_the_file_under_its_names(folder: Path) -> None:
    tensors = open_checkpoint(folder).tensors
    saved = load_file(folder / "model.safetensors")
    assert len(tensors) == len(saved)
    assert set(tensors) == saved.keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in saved.items())
    with pytest.raises(KeyError):
        tensors["no.such.tensor"]


def test_transformers_is_not_imported_for_a_model_that_has_all_files(tiny_bert: Path) -> None:
    code = """
import sys, attnviz
attnviz.load(sys.argv[1]).attend("the bank")
print([name for name in ("torch", "transformers") if name in sys.modules])
"""
    command = [sys.executable, "-c", code, str(tiny_bert)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['torch']"


def test_a_gguf_file_that_there_is_not_is_no_model_of_the_hub(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no file .*none\.gguf"):
        open_checkpoint(tmp_path / "none.gguf")

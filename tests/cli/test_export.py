from __future__ import annotations

import io
import json
import os
import re
import stat
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attnviz import record
from attnviz.interface import Attention
from attnviz.render import figure, palette
from attnviz.render.figure import fonts
from tests import tiny
from tests.cli.conftest import Run

S = tiny.SENTENCE
SMALL = ("--size", "4x3", "--dpi", "50")


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
@pytest.mark.parametrize("head", [[], ["--layer", "1", "--head", "2"]], ids=["all heads", "one head"])
def test_a_picture_is_written_and_said_to_be(run: Run, tmp_path: Path, suffix: str, head: list[str]) -> None:
    path = tmp_path / f"out{suffix}"
    result = run("export", S, path, *SMALL, *head)
    assert (result.code, result.err) == (0, "")
    assert result.out.replace("\n", "") == f"wrote {path}"
    content = path.read_bytes()
    if suffix == ".png":
        assert picture(path).shape == (150, 200, 3)
    elif suffix == ".svg":
        assert ElementTree.fromstring(content).tag.endswith("svg")
    else:
        assert content.startswith(b"%PDF-")
    assert list(tmp_path.iterdir()) == [path]


def test_one_head_and_all_heads_are_different_pictures(run: Run, tmp_path: Path) -> None:
    drawn = {}
    for name, options in {
        "all": [],
        "layer": ["--layer", "1"],
        "head": ["--layer", "1", "--head", "2"],
        "mean": ["--layer", "1", "--head", "mean"],
        "tokens": ["--layer", "1", "--head", "2", "--tokens"],
        "special": ["--layer", "1", "--head", "2", "--special"],
        "rows": ["--layer", "1", "--head", "2", "--rows", "2:6"],
        "columns": ["--layer", "1", "--head", "2", "--cols", "2:6"],
        "all heads, rows": ["--rows", "2:6"],
        "title": ["--title", "$ome title"],
        "dark": ["--theme", "dark"],
        "viridis": ["--cmap", "viridis"],
    }.items():
        assert run("export", S, tmp_path / f"{name}.png", *SMALL, *options).code == 0
        drawn[name] = picture(tmp_path / f"{name}.png").tobytes()
    assert len(set(drawn.values())) == len(drawn)


def test_the_dark_theme_is_dark(run: Run, tmp_path: Path) -> None:
    run("export", S, tmp_path / "light.png", *SMALL)
    run("export", S, tmp_path / "dark.png", *SMALL, "--theme", "dark")
    assert picture(tmp_path / "light.png").mean() > 180
    assert picture(tmp_path / "dark.png").mean() < 75
    assert (picture(tmp_path / "light.png") == palette.colour_table("ink")[-1]).all(-1).any()
    assert (picture(tmp_path / "dark.png") == palette.colour_table("ember")[-1]).all(-1).any()


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_record_is_written_and_can_be_shown(run: Run, tmp_path: Path, suffix: str, tiny_attention: Attention) -> None:
    path = tmp_path / f"out{suffix}"
    result = run("export", S, path)
    assert (result.code, result.err) == (0, "")
    read = record.read(path)
    assert read.encoding == tiny_attention.encoding
    np.testing.assert_array_equal(read.weights, tiny_attention.weights)
    assert run("show", "--from", path).lines[:-1] == run("show", S, "--no-check").lines[:-1]


def test_a_record_becomes_a_picture_and_another_record(run: Run, tmp_path: Path, saved: Path) -> None:
    assert run("export", "--from", saved, tmp_path / "a.png", *SMALL).code == 0
    assert run("export", S, tmp_path / "b.png", *SMALL).code == 0
    np.testing.assert_array_equal(picture(tmp_path / "a.png"), picture(tmp_path / "b.png"))
    assert run("export", "--from", saved, tmp_path / "a.json").code == 0
    assert json.loads((tmp_path / "a.json").read_bytes()) == json.loads(saved.read_bytes())


def test_a_record_beside_a_text_is_refused(run: Run, saved: Path) -> None:
    for command in (("show", S), ("show", "--file", saved), ("export", S, "out.png")):
        result = run(*command, "--from", saved)
        assert result.code == 2
        assert f"both a text and the record {saved} are given" in result.err.replace("\n", "")


def test_a_text_that_names_a_file_is_shown_with_a_remark(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bank loan").write_text(S)
    result = run("show", "bank loan", "--no-check")
    assert (result.code, result.lines[0].split(" · ")[-1]) == (0, "4 words")
    assert "the file of that name is read with --file 'bank loan'" in result.err.replace("\n", " ")


def test_the_text_may_come_from_a_file_or_standard_input(run: Run, tmp_path: Path, saved: Path) -> None:
    (tmp_path / "bank.txt").write_text(S)
    assert run("export", "--file", tmp_path / "bank.txt", tmp_path / "a.json").code == 0
    assert run("export", "-", tmp_path / "b.json", stdin=S.encode()).code == 0
    expected = json.loads(saved.read_bytes())
    assert json.loads((tmp_path / "a.json").read_bytes()) == expected
    assert json.loads((tmp_path / "b.json").read_bytes()) == expected


def test_a_pair_and_a_cut_text_can_be_exported(run: Run, tmp_path: Path) -> None:
    run("export", "the bank", tmp_path / "pair.json", "--pair", "the loan")
    run("export", "bank loan " * 60, tmp_path / "cut.json", "--truncate")
    assert json.loads((tmp_path / "pair.json").read_bytes())["pair"] == "the loan"
    assert json.loads((tmp_path / "cut.json").read_bytes())["dropped"] == 58


def test_the_name_is_said_on_one_line_however_long_it_is(run: Run, tmp_path: Path) -> None:
    path = tmp_path / ("long" * 30 + ".json")
    assert run("export", S, path).out == f"wrote {path}\n"


def test_a_name_with_escapes_is_said_harmlessly(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "\x1b[31mred.json"
    result = run("export", S, path)
    assert result.code == 0
    assert path.exists()
    assert "\x1b" not in result.out
    result = run("export", S, path)
    assert result.code == 2
    assert "\x1b" not in result.err


def test_characters_that_no_font_has_are_said(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_installed", lambda: ())
    for cached in (fonts._font_of, fonts.families, fonts.text_width):
        cached.cache_clear()
    result = run("export", "日 bank 本", tmp_path / "a.png", "--layer", "0", *SMALL)
    assert result.code == 0
    assert result.said.startswith("warning: no installed font has 日, 本: drawn as boxes")
    assert "fonts-noto-cjk" in result.said
    assert (tmp_path / "a.png").exists()
    for cached in (fonts._font_of, fonts.families, fonts.text_width):
        cached.cache_clear()


VIEWS = {
    "grid": ["--layer", "1-2"],
    "head": ["--layer", "1", "--head", "0-2"],
    "arcs": ["--layer", "1", "--head", "0,2", "--horizontal"],
    "token": ["--token", "bank"],
    "profile": [],
    "difference": ["--versus", "the river flooded the bank because the water had strong currents .", "--layer", "0"],
}


@pytest.mark.parametrize(("view", "options"), VIEWS.items(), ids=VIEWS)
def test_each_view_is_a_picture_of_the_width_asked_for_and_the_same_each_time(
    run: Run, tmp_path: Path, view: str, options: list[str]
) -> None:
    written = []
    for name in ("a.png", "b.png"):
        result = run(
            "export", S, tmp_path / name, "--view", view, "--width", "84mm", "--dpi", "60", "--vmax", "1", *options
        )
        assert (result.code, result.err) == (0, "")
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert picture(tmp_path / "a.png").shape[1] == round(84 / 25.4 * 60)


def test_a_record_gives_each_view_too(run: Run, tmp_path: Path, saved: Path) -> None:
    for view, options in VIEWS.items():
        if view != "difference":
            path = tmp_path / f"{view}.png"
            assert run("export", "--from", saved, path, "--view", view, *SMALL, *options).code == 0
            assert picture(path).std() > 0


def test_an_svg_of_too_many_cells_says_that_it_holds_an_image(run: Run, tmp_path: Path) -> None:
    assert run("export", S, tmp_path / "few.svg", "--layer", "1", *SMALL).err == ""
    result = run("export", "bank loan " * 20, tmp_path / "many.svg", "--size", "9x9", "--dpi", "90")
    assert result.code == 0
    assert "the map is an image inside the SVG" in result.said
    assert b"<image" in (tmp_path / "many.svg").read_bytes()


def test_a_picture_too_small_for_its_text_says_which_size_has_room(run: Run, tmp_path: Path) -> None:
    result = run("export", S, tmp_path / "a.png", "--size", "1x1", "--layer", "1")
    assert result.code == 0
    assert "the picture is too small for its text: 'looked at (words)'" in result.said
    (size,) = re.findall(r"All of it fits from --size (\S+) on", result.said)
    assert run("export", S, tmp_path / "b.png", "--size", size, "--layer", "1").err == ""


def test_a_picture_is_not_checked(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnviz.interface.Model.check_record", lambda *_, **__: pytest.fail("was checked"))
    assert run("export", S, tmp_path / "a.png", *SMALL).code == 0


# An encoder–decoder


def test_each_map_of_three_is_another_picture_and_cross_the_default(
    run: Run, tmp_path: Path, saved_three: Path
) -> None:
    drawn = {}
    for head in ([], ["--layer", "1", "--head", "0"]):
        for name in ("encoder", "decoder", "cross", None):
            path = tmp_path / f"{name}{len(head)}.png"
            which = [] if name is None else ["--map", name]
            assert run("export", "--from", saved_three, path, *SMALL, *which, *head).code == 0
            drawn[name, len(head)] = picture(path).tobytes()
        assert drawn[None, len(head)] == drawn["cross", len(head)]
    assert len(set(drawn.values())) == 6


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_record_of_three_maps_is_written_whole(run: Run, tmp_path: Path, saved_three: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    assert run("export", "--from", saved_three, path).code == 0
    assert run("export", "--from", path, tmp_path / "again.json").code == 0
    assert json.loads((tmp_path / "again.json").read_bytes()) == json.loads(saved_three.read_bytes())
    assert isinstance(record.read(path), record.EncoderDecoderRecord)


# Files that exist, and ends halfway


@pytest.mark.parametrize("suffix", [".png", ".json", ".safetensors"])
def test_an_existing_file_is_left_alone_without_force(run: Run, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    path.write_text("mine")
    result = run("export", S, path)
    assert (result.code, result.out) == (2, "")
    assert result.said == f"error: {path} exists Replace it with --force, or give another name."
    assert path.read_text() == "mine"
    assert run("export", S, path, "--force", *SMALL).code == 0
    assert path.read_bytes() != b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_an_output_that_can_not_be_is_found_before_the_model_is_loaded(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnviz.cli.source.attend_source", lambda *_, **__: pytest.fail("was computed"))
    (tmp_path / "out.png").write_text("mine")
    for name in ("out.png", "out.gif", "no/out.png"):
        assert run("export", S, tmp_path / name).code == 2


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize(("error", "code"), [(OSError(28, "No space left on device"), 2), (KeyboardInterrupt(), 130)])
@pytest.mark.parametrize("suffix", [".png", ".json"])
def test_nothing_half_written_is_left(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    error: BaseException,
    code: int,
    *,
    existing: bool,
) -> None:
    path = tmp_path / f"out{suffix}"
    if existing:
        path.write_text("mine")

    def picture_halfway(_: Any, stream: io.BufferedWriter, __: str) -> None:
        stream.write(b"half")
        raise error

    def record_halfway(_: Any, partial: Path, __: str) -> None:
        partial.write_text("half")
        raise error

    monkeypatch.setattr(figure, "save_figure", picture_halfway)
    monkeypatch.setattr(record, "write", record_halfway)
    result = run("export", S, path, "--force", *SMALL)
    assert (result.code, result.out) == (code, "")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == ({path.name: "mine"} if existing else {})
    assert "Traceback" not in result.err
    if code == 2:
        assert result.said == f"error: {path} can't be written (No space left on device)"


def test_a_folder_that_can_not_be_written_to_is_said_to_be(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)  # root may write everywhere
    result = run("export", S, tmp_path / "a.json")
    assert (result.code, result.out) == (2, "")
    assert result.said == f"error: {tmp_path / 'a.json'} can't be written (Permission denied)"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_the_file_has_the_permissions_of_any_new_file(run: Run, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        run("export", S, tmp_path / "a.png", *SMALL)
        run("export", S, tmp_path / "a.json")
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.png", "a.json")] == [0o640, 0o640]

from __future__ import annotations

import tempfile
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz.interface import Attention
from tests import tiny
from tests.cli.conftest import Run
from tests.render.browsers import unpacked

S = tiny.SENTENCE


def test_a_page_is_written_of_a_text_and_of_a_record(
    run: Run, tmp_path: Path, saved: Path, tiny_attention: Attention
) -> None:
    result = run("export", S, tmp_path / "a.html")
    assert (result.code, result.err) == (0, "")
    assert result.out == f"wrote {tmp_path / 'a.html'}\n"
    content, (weights,) = unpacked((tmp_path / "a.html").read_text("utf-8"))
    np.testing.assert_allclose(weights, tiny_attention.weights, atol=1e-3)
    assert content["command"].startswith(f'attnviz show "{S}" --model ')
    assert run("export", "--from", saved, tmp_path / "b.html").code == 0
    other, (again,) = unpacked((tmp_path / "b.html").read_text("utf-8"))
    np.testing.assert_array_equal(again, weights)
    assert other["command"].startswith("attnviz show --from ")
    assert run("export", S, tmp_path / "a.html").code == 2
    assert run("export", S, tmp_path / "a.html", "--force").code == 0


def test_the_command_of_a_page_has_the_options_of_its_text(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a b.txt").write_text(S)
    options = ("--file", tmp_path / "a b.txt", "--truncate", "--language", "de", "--layer", "1", "--head", "2,3")
    assert run("export", *options, tmp_path / "a.html").code == 0
    content, _ = unpacked((tmp_path / "a.html").read_text("utf-8"))
    assert content["command"].endswith(" --language de")
    assert f'--file "{tmp_path}/a b.txt" --truncate' in content["command"]
    assert content["maps"][0]["open"] == [6, 7]


def test_a_page_of_an_encoder_decoder_has_all_maps(run: Run, tmp_path: Path, saved_three: Path) -> None:
    assert run("export", "--from", saved_three, tmp_path / "a.html", "--map", "decoder").code == 0
    content, weights = unpacked((tmp_path / "a.html").read_text("utf-8"))
    assert [each["name"] for each in content["maps"]] == ["encoder", "cross", "decoder"]
    assert content["map"] == 2
    assert len(weights) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rows", "1:3"], "--rows and --cols are for pictures"),
        (["--title", "a title"], "--title is for pictures"),
        (["--theme", "dark", "--cmap", "ink"], "--theme and --cmap are for pictures"),
        (["--layer", "9"], "no layer 9"),
        (["--map", "cross"], "there is no cross map"),
        (["--from", "nobody said this"], "nobody said this"),
    ],
)
def test_what_a_page_does_not_have_is_refused(run: Run, tmp_path: Path, options: list[str], said: str) -> None:
    result = run("export", S, tmp_path / "a.html", *options)
    assert result.code == 2
    assert said in result.said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("there", [True, False])
def test_show_opens_a_page_or_says_where_it_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    opened: list[str] = []

    def get() -> Any:
        if not there:
            raise webbrowser.Error("none")
        return webbrowser.BackgroundBrowser("browser")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(webbrowser, "get", get)
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    result = run("show", S, "--open")
    assert result.code == 0
    (path,) = tmp_path.iterdir()
    assert result.said == f"{'the page is' if there else 'no browser opened; the page is'} {path}"
    assert opened == ([path.as_uri()] if there else [])
    assert "heads agree with transformers" in path.read_text("utf-8")
    assert path.stat().st_mode & 0o077 == 0


def test_a_browser_of_the_terminal_is_not_opened(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("lynx"))
    monkeypatch.setattr(webbrowser, "open", lambda _: pytest.fail("was opened"))
    assert "no browser opened" in run("show", S, "--open", "--no-check").said


def test_where_no_page_can_be_written_it_is_said(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    result = run("show", S, "--open", "--no-check")
    assert result.code == 2
    assert "no page can be written to" in result.said
    result = run("export", S, tmp_path / "missing" / "a.html")
    assert result.code == 2
    assert "there is no folder" in result.said


def formula_of(path: Path) -> dict[str, Any]:
    """What the page says of its formulas, and whether it has the packed numbers."""
    html = path.read_text("utf-8")
    found: dict[str, Any] = unpacked(html)[0]["maps"][0]["formula"]
    return found | {"scored": 'id="scores-0"' in html, "packed": 'id="vectors-0"' in html}


def test_neurons_are_kept_in_pages_and_records(run: Run, tmp_path: Path) -> None:
    assert run("export", S, tmp_path / "plain.html").code == 0
    plain = formula_of(tmp_path / "plain.html")
    assert (plain["scored"], plain["packed"], plain["vectors"]) == (True, False, [])
    assert run("export", S, tmp_path / "a.html", "--neurons", "--layer", "1").code == 0
    found = formula_of(tmp_path / "a.html")
    assert (found["packed"], found["vectors"], found["size"]) == (True, [4, 5, 6, 7], 8)
    assert run("export", S, tmp_path / "a.safetensors", "--neurons").code == 0
    assert run("export", "--from", tmp_path / "a.safetensors", tmp_path / "b.html", "--layer", "1").code == 0
    assert formula_of(tmp_path / "b.html") == found


def test_a_record_without_scores_says_what_keeps_them(run: Run, tmp_path: Path, saved: Path) -> None:
    assert run("export", "--from", saved, tmp_path / "a.html").code == 0
    found = formula_of(tmp_path / "a.html")
    assert not found["scored"]
    assert "RECORD.safetensors --neurons" in found["missing"]
    result = run("export", "--from", saved, tmp_path / "b.html", "--neurons")
    assert result.code == 2
    assert "RECORD.safetensors --neurons" in result.err


def test_neurons_of_what_has_none_are_refused(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("export", S, tmp_path / "a.png", "--neurons")
    assert (result.code, "--neurons are for pages and records" in result.err) == (2, True)
    result = run("show", S, "--neurons")
    assert (result.code, "give --open as well" in result.err) == (2, True)
    monkeypatch.setattr("attnviz.render.page.unfolded.VECTORS", 1000)
    result = run("export", S, tmp_path / "a.html", "--neurons")
    assert result.code == 2
    assert "a page has room for 1,000" in result.err
    assert "Choose heads with --layer and --head" in result.err
    assert not (tmp_path / "a.html").exists()
    monkeypatch.setattr("attnviz.render.page.unfolded.SCORED", 100)
    result = run("export", S, tmp_path / "a.html", "--neurons")
    said = " ".join(result.err.split())
    assert (result.code, "tokens are too many" in said, "Give a shorter text" in said) == (2, True, True)

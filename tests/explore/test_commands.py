"""The commands that the explorer says make the same again: each is parsed and run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

pytest.importorskip("textual")

from typer.testing import CliRunner

from attnviz.cli.app import app
from attnviz.cli.explore import _session
from attnviz.cli.map_options import MapOptions
from attnviz.cli.options import ModelOptions, TextOptions
from attnviz.cli.request import read_request
from tests.explore.driving import drive

pytestmark = pytest.mark.slow

TEXT = "the bank approved the loan because the company had strong financial reports"
VIEWS: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "another head": ("home", "right"),
    "threshold": ("plus plus",),
    "tokens": ("w",),
    "special": ("s",),
    "picked": ("tab tab", "home right", "enter"),
    "arcs": ("v", "plus"),
    "two heads": ("c", "0 full_stop 1 enter"),
    "two texts": ("c", "t h e space b a n k enter", "escape"),
    "tokens with a threshold": ("w", "plus", "home"),
}


def _opened(text: str, folder: Path | str, *steps: str) -> list[str]:
    """The commands that the explorer says, and, last, the one it copies."""
    model, maps = ModelOptions(str(folder)), MapOptions()
    begun = _session(text, TextOptions(), None, model, maps, read_request(maps, evidence=False), None)
    program = drive(begun, *steps, "y")
    return [*program.said, program.clipboard]


def _run(command: str) -> str:
    name, *words = shlex.split(command)
    assert name == "attnviz"
    found = CliRunner().invoke(app, words)
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_a_picture_is_made_again_byte_for_byte(
    view: str, suffix: str, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = " ".join({".": "full_stop"}.get(letter, letter) for letter in f"p{suffix}")
    said, _ = _opened(TEXT, tiny_llama, *VIEWS[view], "S", f"ctrl+u {name} enter")
    saved = Path(f"p{suffix}").rename(f"saved{suffix}").read_bytes()
    _run(said)
    assert Path(f"p{suffix}").read_bytes() == saved


def test_a_record_is_made_again(tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said, _ = _opened(TEXT, tiny_llama, "w", "S", "ctrl+u p full_stop j s o n enter")
    saved = json.loads(Path("p.json").rename("saved.json").read_bytes())
    _run(said)
    assert json.loads(Path("p.json").read_bytes()) == saved


def test_what_is_zoomed_into_is_made_again(tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = " ".join([TEXT] * 8)
    said, _ = _opened(text, tiny_llama, "tab", "end", "enter", "S", "ctrl+u p full_stop s v g enter")
    assert "--rows" in said
    saved = Path("p.svg").rename("saved.svg").read_bytes()
    _run(said)
    assert Path("p.svg").read_bytes() == saved


@pytest.mark.parametrize("view", VIEWS)
def test_what_is_copied_runs(view: str, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (copied,) = _opened(TEXT, tiny_llama, *VIEWS[view])
    shown = _run(copied if view.startswith("two") else f"{copied} --json --no-check")
    if view.startswith("two"):
        return
    map_ = json.loads(shown)["maps"][0]
    assert (map_["layer"], map_["head"]) == tuple(int(copied.split(f"--{name} ")[1].split()[0])
                                                  for name in ("layer", "head"))  # fmt: skip
    if "threshold" in view:
        least = json.loads(shown)["threshold"]
        assert least > 0
        assert all(weight == 0 or weight >= least for row in map_["weights"] for weight in row)


def test_heads_of_two_layers_are_compared_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said, _ = _opened("The bank approved the loan.", "default", "c", "0 full_stop 1 enter", "S",
                      "ctrl+u p full_stop s v g enter")  # fmt: skip
    assert "--versus-head" in said
    saved = Path("p.svg").rename("saved.svg").read_bytes()
    _run(said)
    assert Path("p.svg").read_bytes() == saved

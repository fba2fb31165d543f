"""Text beyond the edges of a picture or over other text is found, and the size that has room for it."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from matplotlib.figure import Figure

from attnviz.analysis.text.replaying import replay
from attnviz.record import Crop, Heads, Observation, Request, write
from attnviz.render.figure import Style, View, draw_two, draw_view, save_figure, smallest_fit
from tests.records import random_weights, record

WORDS = ("[CLS]", *"the bank approved a loan of the company".split(), "[SEP]")  # noqa: SIM905
VIEWS = get_args(View)


ONE = Heads((1,), (2,))


def observed(heads: Heads = ONE, view: View = "head") -> Observation:
    asked = {"token": Request(words=("bank",), crop=Crop(rows="bank")), "grid": Request(), "profile": Request()}
    return replay(record(WORDS, random_weights((2, 4, len(WORDS)))), asked.get(view, Request(heads=heads)))


def draw(view: View, style: Style) -> Figure:
    if view == "difference":
        return draw_two(observed(), observed, style)
    return draw_view(observed(view=view), view, style)


def unreadable(figure: Figure, suffix: str = ".png") -> tuple[str, ...]:
    return save_figure(figure, io.BytesIO(), suffix).unreadable


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("style", [Style(), Style(width=3.3), Style(size=(16, 9))], ids=["plain", "column", "slide"])
def test_the_usual_sizes_have_room_for_all_text(view: View, style: Style) -> None:
    assert unreadable(draw(view, replace(style, dpi=60))) == ()


@pytest.mark.parametrize("view", VIEWS)
def test_a_picture_too_small_for_its_text_is_found_and_which_size_has_room(view: View) -> None:
    small = Style(size=(1, 1), dpi=60)
    assert unreadable(draw(view, small))
    fits = smallest_fit(lambda style: draw(view, style), small)
    assert fits is not None
    assert fits.size is not None
    assert unreadable(draw(view, fits)) == ()
    less = replace(fits, size=(1.0, 1.0 + (fits.size[1] - 1) / 2))
    assert unreadable(draw(view, less))


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_text_beyond_the_edge_is_found_in_each_format(suffix: str) -> None:
    figure = draw("head", Style(dpi=60))
    assert unreadable(figure, suffix) == ()
    figure.text(0.95, 0.5, "too far to the right")
    assert unreadable(figure, suffix) == ("too far to the right",)


def test_notes_over_a_map_are_found() -> None:
    figure = draw("head", Style(size=(4, 4), dpi=60))
    figure.supxlabel("a note", y=0.5, size=7)
    assert "a note" in unreadable(figure)


def test_without_a_size_there_is_none_that_is_larger() -> None:
    assert smallest_fit(lambda style: draw("head", style), Style()) is None


def test_a_width_alone_grows_alone() -> None:
    fits = smallest_fit(lambda style: draw("arcs", style), Style(width=0.8))
    assert fits is not None
    assert fits.size is None
    assert 0.8 < (fits.width or 0) < 2.5
    assert np.isclose((fits.width or 0) * 10 % 1, 0) or np.isclose((fits.width or 0) * 10 % 1, 1)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
@pytest.mark.parametrize("view", VIEWS)
def test_the_same_input_gives_the_same_bytes(view: View, suffix: str) -> None:
    files = set()
    for _ in range(2):
        buffer = io.BytesIO()
        save_figure(draw(view, Style(width=3.3, dpi=60)), buffer, suffix)
        files.add(buffer.getvalue())
    assert len(files) == 1


@pytest.mark.slow
def test_pictures_of_records_load_no_torch(tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    write(record(WORDS, random_weights((2, 4, len(WORDS)))), path, ".json")
    more = {"token": ["--token", "bank"]}
    lines = ["import sys", "from attnviz.cli.app import app"]
    for view in VIEWS:
        if view != "difference":  # its other text needs a model
            asked = ["export", "--from", str(path), str(tmp_path / f"{view}.png"), "--view", view, *more.get(view, [])]
            lines.append(f"app({asked!r}, standalone_mode=False)")
    lines.append("assert not {'torch', 'transformers'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, capture_output=True)
    assert len(list(tmp_path.glob("*.png"))) == len(VIEWS) - 1

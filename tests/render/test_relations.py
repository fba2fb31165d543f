"""The table of relations as a terminal and a picture show it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from attnviz.render.figure import Style, draw_answer
from attnviz.render.terminal.answer import answer_parts
from tests.relations import table

AT_80 = """\
Which head knows which relation?  all-MiniLM-L6-v2
  head     relation  direction   accuracy  baseline  offset  count  margin
  L2 H0    obj       dep → head     74.6%     38.0%      −2    587   33.0%
  L2 H8    case      dep → head     67.2%     36.9%       1  1,032   27.4%
  L2 H8    nsubj     dep → head     58.3%     35.5%       1    976   19.7%
  No room for low, high: widen the window, or --json has all.
  3 of 40 rows; --top all lists them all.
"""
AT_120 = """\
Which head knows which relation?  all-MiniLM-L6-v2
  head     relation  direction   accuracy  baseline  offset  count    low   high  margin
  L2 H0    obj       dep → head     74.6%     38.0%      −2    587  70.9%  78.0%   33.0%  ████████████████
  L2 H8    case      dep → head     67.2%     36.9%       1  1,032  64.3%  70.0%   27.4%  █████████████
  L2 H8    nsubj     dep → head     58.3%     35.5%       1    976  55.2%  61.4%   19.7%  █████████▌
  3 of 40 rows; --top all lists them all.
"""


@pytest.mark.parametrize(("width", "expected"), [(80, AT_80), (120, AT_120)])
def test_a_terminal_shows_as_many_columns_as_it_has_room_for(width: int, expected: str) -> None:
    console = Console(width=width, file=io.StringIO(), color_system=None, highlight=False)
    with console.capture() as shown:
        for part in answer_parts(table(), 3):
            console.print(part)
    assert "\n".join(line.rstrip() for line in shown.get().split("\n")) == expected


def test_the_picture_has_a_bar_an_interval_and_a_mark_for_each_relation() -> None:
    found = table().top(5)
    figure = draw_answer(found)
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == found["accuracy"].tolist()
    intervals, marks = (each.get_segments() for each in axes.collections)
    assert [(line[0][0], line[1][0]) for line in intervals] == list(zip(found["low"], found["high"], strict=True))
    assert [line[0][0] for line in marks] == found["baseline"].tolist()
    said = [text.get_text() for text in figure.texts]
    assert {"obj", "L2 H0  dep → head", "587"} <= set(said)


def test_what_is_not_clearly_above_its_baseline_is_pale() -> None:
    (axes,) = draw_answer(table()).axes
    pale = [bar.get_alpha() is not None for bar in sorted(axes.patches, key=lambda bar: bar.get_y())]
    assert pale == (table()["margin"] <= 0).tolist()


def test_a_small_picture_has_arrows_and_says_what_it_leaves_out() -> None:
    narrow = draw_answer(table(), Style(width=3.3))
    assert "L2 H0  →" in [text.get_text() for text in narrow.texts]
    assert "The first" not in str(narrow.get_supxlabel())
    low = draw_answer(table(), Style(size=(6, 2)))
    drawn = len(low.axes[0].patches)
    assert 3 < drawn < 12
    assert f"The first {drawn} of 40 relations." in low.get_supxlabel()

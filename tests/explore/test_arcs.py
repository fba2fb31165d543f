"""Arcs: lines between two columns of words, drawn in braille."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("textual")

from rich.cells import cell_len

from attnviz.explore.arcs import DrawnArcs, draw_arcs
from attnviz.explore.drawing import Look
from attnviz.render.heatmap import Heatmap

WORDS = ("The", "bank", "lent")


def arcs(
    values: list[list[float]], cursor: tuple[int, int], room: tuple[int, int], look: Look | None = None
) -> DrawnArcs:
    shown = np.array(values)
    return draw_arcs(Heatmap(shown, WORDS, WORDS, 0.0, float(shown.max()), percent=True), cursor, room, look or Look())


def said(drawn: DrawnArcs) -> list[str]:
    return ["".join(segment.text for segment in line) for line in drawn.lines]


def test_a_line_goes_from_a_word_to_what_it_looks_at() -> None:
    drawn = arcs([[0.0, 0.0, 0.9], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], (0, 2), (23, 4))
    first, _, last = said(drawn)
    assert "⠤" in first
    assert last.rstrip().endswith("90")


def test_the_smallest_links_are_left_out_but_not_the_word_under_the_cursor() -> None:
    values = [[0.9, 0.0, 0.0], [0.0, 0.0, 0.05], [0.06, 0.0, 0.0]]
    drawn = arcs(values, (1, 2), (30, 3))
    first, second, third = ("".join(letter for letter in line if "⠀" < letter <= "⣿") for line in said(drawn))
    assert first
    assert second
    assert third  # the end of the line from the second word
    alone = said(arcs(values, (0, 0), (30, 3)))
    assert not any("⠀" < letter <= "⣿" for line in alone[1:] for letter in line)


@pytest.mark.parametrize("look", [Look(), Look(plain=True)])
@pytest.mark.parametrize("room", [(20, 3), (42, 15), (120, 40)])
def test_nothing_is_wider_than_the_room(look: Look, room: tuple[int, int]) -> None:
    drawn = arcs([[0.5, 0.2, 0.3]] * 3, (1, 1), room, look)
    assert all(cell_len(line) <= room[0] for line in said(drawn))
    assert len(drawn.lines) <= room[1]


def test_of_a_long_text_the_words_around_the_cursor_are_shown() -> None:
    names = tuple(f"w{i}" for i in range(50))
    heat = Heatmap(np.eye(50), names, names, 0.0, 1.0)
    drawn = draw_arcs(heat, (30, 30), (40, 9), Look())
    assert [line.split()[0] for line in said(drawn)] == [f"w{i}" for i in range(26, 35)]


def test_the_mouse_finds_the_words_of_both_sides() -> None:
    drawn = arcs([[0.5, 0.2, 0.3]] * 3, (1, 2), (30, 3))
    assert drawn.hit(0, 0) == (0, 2)
    assert drawn.hit(drawn.right, 1) == (1, 1)
    assert drawn.hit(drawn.label + 3, 1) is None
    assert drawn.hit(0, 3) is None

"""What the explorer draws into a rectangle, character by character."""

from __future__ import annotations

import numpy as np
import pytest

from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.units import reading_of
from attnviz.explore import listing
from attnviz.explore.drawing import Drawn, Line, Look, draw_cells
from attnviz.explore.material import Material
from attnviz.record import Request
from attnviz.render.heatmap import Heatmap
from tests.records import peaked, random_weights, record

HEAT = Heatmap(
    np.array([[0.02, 0.9], [0.5, 0.0], [0.0, 0.12]]), ("bank", "loan", "river"), ("bank", "loan"), 0.0, 0.9, blank=True
)


def plain(lines: list[Line]) -> list[str]:
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


def test_cells_have_numbers_where_there_is_room() -> None:
    drawn = draw_cells(HEAT, (0, 1), (30, 6), Look())
    assert plain(drawn.lines) == [
        "      bank loan",
        " bank    2   90",
        " loan   50",
        "river        12",
    ]


def test_without_colour_nothing_is_a_dot_and_small_cells_are_shades() -> None:
    assert plain(draw_cells(HEAT, None, (30, 6), Look(plain=True)).lines)[2] == " loan   50    ·"
    small = plain(draw_cells(HEAT, None, (9, 8), Look(plain=True)).lines)
    assert small == ["    b l", "    a o", "    n a", "    k n", "ba…   @@", "lo… ++", "ri…   ··"]


def test_two_rows_share_a_line_where_there_are_too_few() -> None:
    heat = Heatmap(np.eye(8), tuple("abcdefgh"), tuple("abcdefgh"), 0.0, 1.0)
    drawn = draw_cells(heat, (3, 3), (30, 6), Look())
    assert drawn.halved
    assert plain(drawn.lines) == [
        "  a b c d e f g h",
        "a ▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀",
        "d ▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀",  # the label of the row under the cursor
        "e ▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀",
        "g ▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀",
    ]
    colours = [segment.style.color.name for segment in drawn.lines[1][1:] if segment.style and segment.style.color]
    assert len(set(colours)) == 2  # one weight of 1 in the first row, and zeros


@pytest.mark.parametrize("room", [(20, 3), (30, 6), (60, 20), (120, 60)])
@pytest.mark.parametrize("look", [Look(), Look(plain=True)])
@pytest.mark.parametrize("shape", [(1, 1), (2, 40), (200, 200), (30, 9)])
def test_it_never_takes_more_than_its_room_and_every_cell_is_hit(
    room: tuple[int, int], look: Look, shape: tuple[int, int]
) -> None:
    rows, columns = shape
    heat = Heatmap(
        np.random.default_rng(0).random(shape), tuple(f"word{i}" for i in range(rows)),
        tuple(f"word{i}" for i in range(columns)), 0.0, 1.0, numbers=(np.arange(rows), np.arange(columns)),
    )  # fmt: skip
    drawn = draw_cells(heat, (rows - 1, columns - 1), room, look)
    assert len(drawn.lines) <= room[1]
    assert max(map(len, plain(drawn.lines))) <= room[0]
    assert _hits(drawn, room) == set(np.ndindex(drawn.heat.values.shape)) or drawn.halved


def _hits(drawn: Drawn, room: tuple[int, int]) -> set[tuple[int, ...]]:
    found = {drawn.hit(x, y) for x in range(room[0]) for y in range(room[1])}
    return {each for each in found if each is not None}


def test_differences_have_signs() -> None:
    heat = Heatmap(np.array([[-0.5, 0.25]]), ("a",), ("b", "c"), -0.5, 0.5)
    assert plain(draw_cells(heat, None, (20, 4), Look()).lines) == ["    b   c", "a −50  25"]


def test_the_list_says_link_weight_and_lift() -> None:
    words = ["[CLS]", "The", "bank", "approved", "loans", "[SEP]"]
    found = record(words, peaked((1, 2, 6), {(0, 1, 2, 4): 0.9}))
    material = Material(replay(found, Request(rank="lift")))
    lines = plain(listing.draw_list(material, material.ranked("link", None), "link", 0, (44, 5), Look()))
    assert lines[0] == "L0 H1   bank → loans             0.90   5.4×"
    assert [line[:5] for line in lines] == ["L0 H1", "L0 H0"]


def test_a_text_breaks_between_words_and_words_are_found_by_place() -> None:
    found = record(["The", "bank", "approved", "the", "loan"], random_weights((1, 1, 5)))
    units = reading_of(replay(found, Request()))
    wrapped = listing.wrap(units.keys, 10)
    lines = listing.draw_text(wrapped, np.ones(5), 1.0, {}, Look(), (0, 9))
    assert plain(lines) == ["The bank", "approved", "the loan"]
    assert wrapped.hit(4, 0) == 1
    assert wrapped.hit(3, 0) is None
    assert wrapped.hit(0, 2) == 3
    assert wrapped.beside(1, 1) == 2
    assert plain(listing.draw_text(wrapped, None, 1.0, {}, Look(), (4, 1))) == ["the loan"]


def test_a_legend_that_does_not_fit_says_so() -> None:
    names = tuple(f"word{i}" for i in range(40))
    heat = Heatmap(np.zeros((4, 40)), tuple("abcd"), names, 0.0, 1.0, numbers=(np.arange(4), np.arange(40)))
    whole, part = (plain(draw_cells(heat, None, (50, high), Look()).lines) for high in (60, 8))
    assert "word39" in whole[-1]
    assert "word39" not in part[-1]
    assert part[-1].endswith("…")

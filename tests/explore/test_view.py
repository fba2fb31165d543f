"""The state of the explorer: pure functions from keys to the next view."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attnviz.explore import view as views
from attnviz.explore.view import View


@pytest.mark.parametrize(("start", "by", "end"), [
    ((0, 0), (1, 1), (1, 1)), ((0, 0), (-1, -1), (0, 0)), ((1, 2), (5, 5), (1, 2)), ((1, 2), (-1, 0), (0, 2)),
])  # fmt: skip
def test_the_cursor_stops_at_the_edges_of_the_grid(
    start: tuple[int, int], by: tuple[int, int], end: tuple[int, int]
) -> None:
    assert views.moved_in_grid(View(head=start, key=1), (2, 3), *by).head == end


def test_another_head_forgets_the_key_and_the_same_one_does_not() -> None:
    view = View(head=(0, 0), key=3)
    assert views.at_head(view, (0, 1)).key is None
    assert views.at_head(view, (0, 0)) is view


def test_a_list_is_walked_in_its_order_even_from_a_head_that_is_not_in_it() -> None:
    places = [(1, 0), (0, 1), (0, 0)]
    assert views.moved_in_list(View(head=(0, 1)), places, 1).head == (0, 0)
    assert views.moved_in_list(View(head=(5, 5)), places, 1).head == (0, 1)
    assert views.moved_in_list(View(head=(0, 1)), places, 99).head == (0, 0)


def test_the_picked_word_follows_the_cursor_and_is_freed_by_picking_it_again() -> None:
    view = views.picked(View(query=2))
    assert view.picked == 2
    assert views.at_word(view, 4, 5).picked == 4
    assert views.at_word(View(query=2), 9, 5) == View(query=4)
    assert views.picked(view).picked is None


def test_orders_come_round() -> None:
    view = View()
    for _ in range(5):
        view = views.next_order(view)
    assert view == View()


def test_the_threshold_stays_between_its_ends() -> None:
    assert views.with_threshold(View(), -1).threshold == 0
    assert views.with_threshold(View(threshold=0.9), 5).threshold == 0.95
    assert views.with_threshold(View(threshold=0.1), 1).threshold == 0.15


def test_other_units_have_other_places() -> None:
    view = replace(View(unit="word"), picked=3, key=2, parts=(((0, 2), (0, 2)),), made=1)
    assert views.with_unit(view) == View(unit="token")


def test_a_step_back_leaves_one_thing_at_a_time() -> None:
    part = ((0, 4), (0, 4))
    view = View(parts=(part, part), other=(0, 0), picked=3, made=0)
    steps = [view := views.freed(view) for _ in range(4)]
    assert [len(each.parts) for each in steps] == [1, 0, 0, 0]
    assert [each.other for each in steps] == [(0, 0), (0, 0), None, None]
    assert (steps[-1].picked, steps[-1].made) == (None, None)


@pytest.mark.parametrize(("cell", "room", "part"), [
    (((4, 6), (0, 2)), (6, 6), ((2, 8), (0, 6))),  # in the middle, and at an edge
    (((98, 100), (98, 100)), (10, 4), ((90, 100), (96, 100))),
    (((0, 50), (50, 100)), (10, 10), ((0, 50), (50, 100))),  # a cell with more than there is room for
])  # fmt: skip
def test_a_part_has_the_cell_and_as_much_around_it_as_there_is_room(
    cell: tuple[tuple[int, int], tuple[int, int]],
    room: tuple[int, int],
    part: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    assert views.part_around(cell, (100, 100), room) == part

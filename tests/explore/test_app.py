"""The explorer, driven with keys and the mouse as a reader does."""

from __future__ import annotations

import pytest

pytest.importorskip("textual")

from attnviz.explore import keys
from attnviz.explore.app import SMALLEST, Explorer
from attnviz.explore.drawing import Look
from attnviz.record import Request
from tests.explore.driving import SAVED, drive, flat, long_record, saw, session
from tests.records import random_weights, record, three_maps

pytestmark = pytest.mark.slow  # each opens the program


def test_it_opens_on_the_strongest_link_and_says_it() -> None:
    seen: list[str] = []
    program = drive(session(), saw(seen))
    assert program.view.head == (1, 2)
    assert (program.view.query, program.view.key) == (2, 5)
    assert "bank → loans  91.2 %" in seen[0]
    assert "L1 H2" in seen[0]
    assert "2 layers × 3 heads" in seen[0]


@pytest.mark.parametrize(("pressed", "head"), [
    ("up", (0, 2)), ("k", (0, 2)), ("left", (1, 1)), ("h", (1, 1)), ("right", (1, 2)), ("l", (1, 2)), ("down", (1, 2)),
    ("j", (1, 2)), ("home", (0, 0)), ("pageup", (0, 2)), ("home end", (1, 2)),
])  # fmt: skip
def test_keys_move_over_the_grid_and_stop_at_its_edges(pressed: str, head: tuple[int, int]) -> None:
    assert drive(session(), pressed).view.head == head


def test_tab_goes_round_the_panes_and_the_footer_says_what_works_there() -> None:
    seen: list[str] = []
    drive(session(), saw(seen), "tab", saw(seen), "tab", saw(seen), "tab", saw(seen), "shift+tab", saw(seen))
    assert [
        "Enter map" in seen[0],
        "Enter zoom" in seen[1],
        "Enter pick" in seen[2],
        "Enter map" in seen[3],
        "Enter pick" in seen[4],
    ] == [True] * 5


def test_the_cursor_moves_over_the_cells_of_the_map() -> None:
    program = drive(session(), "tab", "down", "left")
    assert (program.view.query, program.view.key) == (3, 4)  # approved → the


def test_the_cursor_moves_over_the_words_and_the_text_is_coloured_by_the_row() -> None:
    seen: list[str] = []
    program = drive(session(), "tab tab", "right", "right", saw(seen))
    assert program.view.query == 4
    assert "What the:2 looks at" in seen[0]


def test_a_picked_word_ranks_the_heads_and_escape_frees_it() -> None:
    seen: list[str] = []
    steps = ("tab tab", "end left left", "enter", "o", saw(seen), "escape", saw(seen))
    program = drive(session(), *steps)
    assert "from loans" in seen[0]
    first = next(line for line in seen[0].splitlines() if "→" in line)
    assert "L0 H1" in first
    assert "loans → bank" in first
    assert "from loans" not in seen[1]
    assert program.view.picked is None


def test_o_goes_through_the_orders_and_back_to_the_grid() -> None:
    seen: list[str] = []
    program = drive(session(), *["o", saw(seen)] * 5)
    assert [line.split("─")[1].strip() for text in seen for line in text.splitlines()[1:2]] == [
        "Heads by strongest link", "Heads by entropy", "Heads by sink", "Heads by role", "Heads by layer",
    ]  # fmt: skip
    assert program.view.head == (1, 2)


def test_in_a_list_the_cursor_moves_in_its_order() -> None:
    program = drive(session(), "o", "home", "down")
    listed = program.scene.listed()
    assert program.view.head == listed[1]


def test_w_and_s_change_units_and_special_tokens_and_keep_the_place() -> None:
    seen: list[str] = []
    program = drive(session(), "tab tab", "end left left", "w", saw(seen), "s", saw(seen))
    assert program.view.unit == "token"
    assert program.view.special
    assert "What loan looks at" in seen[0]
    assert program.scene.there.units.queries.labels[program.view.query] == "loan"


def test_the_threshold_leaves_smaller_weights_out() -> None:
    seen: list[str] = []
    program = drive(session(), "plus plus", saw(seen), "minus")
    assert "from 10% on" in seen[0]
    assert program.view.threshold == 0.05
    heat = program.scene.heat()
    assert heat is not None
    assert not ((heat.values > 0) & (heat.values < 0.05)).any()


def test_v_shows_arcs_and_the_cursor_moves_over_their_words() -> None:
    seen: list[str] = []
    program = drive(session(), "tab", "v", saw(seen), "down", "left", "v", saw(seen))
    assert any("⠀" < letter <= "⣿" for letter in seen[0])
    assert not any("⠀" < letter <= "⣿" for letter in seen[1])
    assert (program.view.query, program.view.key) == (3, 4)  # approved → the


def test_layers_that_share_a_line_are_said() -> None:
    seen: list[str] = []
    found = record(["The", "bank", "lent"], random_weights((30, 2, 3)))
    drive(session(found), saw(seen), "o", saw(seen), size=(80, 24))
    assert ["each cell 2 layers × 1 head" in text for text in seen] == [True, False]


def test_slash_finds_the_next_place_of_a_word() -> None:
    program = drive(session(), "slash", "t h e enter")
    assert program.view.query == 4  # the second one: the cursor was behind the first
    program = drive(session(), "slash", "t h e enter", "slash", "t h e enter")
    assert program.view.query == 1


def test_a_word_that_is_not_there_is_said_and_nothing_moves() -> None:
    seen: list[str] = []
    program = drive(session(), "slash", "b a n c enter", saw(seen))
    assert "Did you mean bank?" in flat(seen[0])
    assert program.view.query == 2


def test_f_asks_which_heads_take_one_word_to_another_and_goes_to_the_chosen() -> None:
    seen: list[str] = []
    program = drive(session(), "home", "f", saw(seen), "ctrl+u b a n k enter", "ctrl+u l o a n s enter", saw(seen),
                    "enter")  # fmt: skip
    assert "Which heads take one word to another?" in seen[0]
    assert "Which heads take 'bank' to 'loans'?" in seen[1]
    assert "0.91" in seen[1]
    assert program.view.head == (1, 2)


def test_enter_on_a_cell_asks_which_heads_take_its_row_to_its_column() -> None:
    seen: list[str] = []
    drive(session(), "tab", "enter", saw(seen))
    assert "Which heads take 'bank' to 'loans'?" in seen[0]


def test_c_compares_two_heads_and_escape_ends_it() -> None:
    seen: list[str] = []
    program = drive(session(), "c", "0 full_stop 1 enter", saw(seen), "escape")
    assert "L1 H2 − L0 H1" in seen[0]
    assert "bits apart" in seen[0]
    assert program.view.other is None


def test_c_refuses_a_head_that_there_is_not() -> None:
    seen: list[str] = []
    program = drive(session(), "c", "7 full_stop 1 enter", saw(seen))
    assert "there is no head L7 H1 here" in flat(seen[0])
    assert program.view.other is None


@pytest.mark.parametrize(("pressed", "said"), [
    (("t", "x enter"), "another text needs one"),
    (("a",), "without a head it can't run"),
    (("c", "x y z enter"), "another text needs one"),
])  # fmt: skip
def test_a_record_says_that_it_has_no_model(pressed: tuple[str, ...], said: str) -> None:
    seen: list[str] = []
    program = drive(session(), *pressed, saw(seen))
    assert said in flat(seen[0])
    assert program.scene.there.units.queries.labels[2] == "bank"


def test_m_goes_through_the_maps_of_an_encoder_decoder() -> None:
    seen: list[str] = []
    found = three_maps(["The", "bank", "loans", "[</s>]"], ["[<s>]", "Die", "Bank", "gab"])
    program = drive(session(found), saw(seen), "m", saw(seen), "m", saw(seen), "m")
    assert [" · cross" in seen[0], " · encoder" in seen[1], " · decoder" in seen[2]] == [True] * 3
    assert program.view.map == "cross"
    assert "Die Bank gab" in seen[0]
    assert "The bank loans" in seen[0]  # both texts are shown


def test_m_does_nothing_where_there_is_one_map() -> None:
    assert drive(session(), "m").view.map is None


def test_n_and_p_step_through_what_the_model_wrote() -> None:
    seen: list[str] = []
    found = record(["The", "bank", "lent", "money"], random_weights((2, 2, 4), causal=True), causal=True, generated=2)
    program = drive(session(found), "n", saw(seen), "n", saw(seen), "n", "p")
    assert "What bank looks at, which made lent" in seen[0]
    assert "What lent looks at, which made money" in seen[1]
    assert program.view.query == 1


def test_a_long_text_is_pooled_enter_zooms_to_exact_weights_and_escape_goes_back() -> None:
    seen: list[str] = []
    record_ = long_record()
    program = drive(session(record_), "tab", "end", saw(seen), "enter", saw(seen))
    assert "each cell " in seen[0]
    assert "each cell " not in seen[1]
    (a, b), (c, d) = program.view.part or ((0, 0), (0, 0))
    heat = program.scene.heat()
    assert heat is not None
    layer, head = program.view.head
    assert heat.values == pytest.approx(record_.weights[layer, head, a:b, c:d], abs=1e-6)
    assert drive(session(record_), "tab", "enter", "escape").view.part is None


def test_s_saves_what_is_seen_and_says_the_command_that_makes_it_again() -> None:
    seen: list[str] = []
    program = drive(session(), "S", "enter", saw(seen))
    ((_, request, path),) = SAVED
    assert path.name == "L1-H2.svg"
    assert (request.heads.layers, request.heads.heads) == ((1,), (2,))
    assert program.said == ["attnviz export L1-H2.svg --layer 1 --head 2"]
    assert "wrote L1-H2.svg" in seen[0]


def test_the_command_has_what_was_switched() -> None:
    program = drive(session(), "tab tab", "enter", "s", "S", "enter")
    assert program.said == ["attnviz export L1-H2.svg --special --layer 1 --head 2 --token bank"]


def test_y_copies_the_command() -> None:
    program = drive(session(), "y")
    assert program.clipboard == "attnviz show --layer 1 --head 2"


def test_the_help_says_every_key() -> None:
    seen: list[str] = []
    drive(session(), "question_mark", saw(seen), size=(100, 60))
    for key in keys.KEYS:
        assert key.shown in seen[0]
        assert key.about[:40] in flat(seen[0])


def test_the_palette_has_what_the_keys_do() -> None:
    titles: set[str] = set()

    async def look(program: Explorer, _: object) -> None:
        titles.update(command.title for command in program.get_system_commands(program.main))

    drive(session(), look)
    assert {"order (o)", "ablate (a)", "save (S)", "text (t)"} <= titles


def test_keys_of_the_explorer_do_nothing_while_something_lies_over_it() -> None:
    program = drive(session(), "question_mark", "o", "s")
    assert program.view.order == "layer"
    assert not program.view.special


@pytest.mark.parametrize(("pressed", "code"), [("q", 0), ("ctrl+c", 130)])
def test_q_and_ctrl_c_end_it(pressed: str, code: int) -> None:
    assert drive(session(), pressed).return_value == code


def test_ctrl_c_ends_it_even_in_a_question() -> None:
    assert drive(session(), "slash", "ctrl+c").return_value == 130


def test_a_window_that_is_too_small_says_so_and_recovers() -> None:
    seen: list[str] = []

    async def resize(_: Explorer, pilot: object) -> None:
        await pilot.resize_terminal(*SMALLEST)  # type: ignore[attr-defined]

    drive(session(), saw(seen), resize, saw(seen), size=(59, 15))
    assert "Too small: the explorer takes 60 × 16" in seen[0]
    assert "bank → loans" in seen[1]


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (120, 40), (200, 60)])
@pytest.mark.parametrize("kind", ["short", "long"])
def test_every_size_shows_heads_map_text_and_keys(size: tuple[int, int], kind: str) -> None:
    seen: list[str] = []
    drive(session(long_record() if kind == "long" else None), saw(seen), "o", saw(seen), size=size)
    for text in seen:
        lines = text.splitlines()
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        assert "looks at" in text
        assert "? keys" in lines[-1]


def test_the_mouse_picks_heads_cells_and_words() -> None:
    seen: list[tuple[object, ...]] = []

    async def click(program: Explorer, pilot: object) -> None:
        grid = program.scene.grid
        assert grid is not None
        await pilot.click("#heads", offset=(2 + grid.label, 1 + grid.top))  # type: ignore[attr-defined]
        seen.append(program.view.head)
        drawn = program.scene.map
        assert drawn is not None
        await pilot.click("#map", offset=(2 + drawn.label, 1 + drawn.top))  # type: ignore[attr-defined]
        seen.append((program.view.query, program.view.key))
        await pilot.click("#text", offset=(2 + len("[CLS] The "), 1))  # type: ignore[attr-defined]
        seen.append((program.view.query,))

    drive(session(), click)
    assert seen == [(0, 0), (1, 1), (2,)]


def test_text_is_data() -> None:
    evil = "\x1b[31mred\x1b]0;title\x07[/bold][link=x]"
    seen: list[str] = []
    found = record(["The", evil, "bank", "lent"], random_weights((1, 2, 4)))
    program = drive(session(found), saw(seen), "o", saw(seen), "tab tab", "home right", "f", "enter enter", saw(seen))
    for text in seen:
        assert "\x1b" not in text
        assert "\x07" not in text
    assert "␛[31mred" in seen[1] + seen[0]
    assert isinstance(program, Explorer)


@pytest.mark.parametrize("look", [Look(), Look(plain=True), Look("ink", cursor="#e4572e")])
def test_every_look_shows_the_same_words(look: Look) -> None:
    seen: list[str] = []
    drive(session(look=look, dark=look.palette == "ember"), saw(seen), "o", saw(seen))
    assert "bank → loans  91.2 %" in seen[0]
    assert "L1 H2   bank → loans" in seen[1]


def test_what_the_command_line_names_is_shown_first() -> None:
    program = drive(session(start=(0, 0, "loans")))
    assert program.view.head == (0, 0)
    assert program.view.picked == program.view.query == 5


def test_an_error_at_the_beginning_ends_it_with_its_code() -> None:
    program = drive(session(request=Request(map="cross")))
    assert program.failed is not None
    assert program.return_value == 2


def test_asking_can_be_given_up() -> None:
    over: list[object] = []

    async def look(program: Explorer, _: object) -> None:
        over.append(program.over)

    steps = [step for key in ("f", "c", "S", "slash", "question_mark") for step in (key, look, "escape", look)]
    program = drive(session(), "tab", *steps)
    assert program.pane == "map"  # the focus is where it was
    assert all(over[::2])
    assert not any(over[1::2])
    assert not SAVED

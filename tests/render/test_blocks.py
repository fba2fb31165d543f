from __future__ import annotations

import re

import numpy as np
import pytest
from rich.cells import cell_len

from attnviz.render import palette
from attnviz.render.heatmap import Heatmap
from attnviz.render.labels import clean
from attnviz.render.terminal.blocks import Blocks
from tests.records import Array
from tests.render.screen import RGB, Cell, Colours, cells, lines, luminance, printed

WIDE = (
    "bank", "日本語", "👩\u200d👩\u200d👧", "financials" * 3, "क्षि", "\u1112\u1161\u11ab", "🇩🇪", "e\u0301",
    "the", "\x1b[31mred", "a\tb\nc", "\u202eabc", "กำ", "ﷺﷺ", "1️⃣",
)  # fmt: skip


def heatmap(values: Array, labels: tuple[str, ...] | None = None, *, high: float = 1, percent: bool = True) -> Heatmap:
    rows, columns = values.shape
    return Heatmap(
        values,
        labels or tuple(f"r{i}" for i in range(rows)),
        labels or tuple(f"c{i}" for i in range(columns)),
        0,
        high,
        percent,
    )


def weights(n: int, *, peak: tuple[int, int] | None = None, seed: int = 0) -> Array:
    """Random weights below 0.5, and 1 at the peak."""
    values = np.random.default_rng(seed).random((n, n)) / 2
    if peak:
        values[peak] = 1
    return values


def colour(value: float) -> RGB:
    red, green, blue = palette.value_colours(np.array(value), 0, 1)
    return int(red), int(green), int(blue)


# Small maps: numbers


def test_a_small_map_shows_numbers_under_its_words() -> None:
    values = np.array([[0.5, 0.004, 0.125], [0.0, 0.75, 0.25], [0.01, 0.99, 0.0]])
    assert lines(Blocks(heatmap(values, ("the", "bank", "loan"))), 40) == [
        "     the bank loan",
        " the  50    ·   12",
        "bank   ·   75   25",
        "loan   1   99    ·",
    ]


WORDS = ("the", "financials", "loan")


def of_units(words: tuple[str, ...], rows: tuple[str, ...] | None = None, first: int = 0) -> Heatmap:
    """A map of words with numbers; of these ``rows``, which are words of another text, from the ``first`` on."""
    rows = rows or words
    numbers = np.arange(len(rows)) + first, np.arange(len(words))
    return Heatmap(np.full((len(rows), len(words)), 0.5), rows, words, 0, 1, numbers=numbers)


def test_a_column_is_as_wide_as_its_word() -> None:
    assert lines(Blocks(of_units(WORDS)), 40) == [
        "           the financials loan",
        "       the  50         50   50",
        "financials  50         50   50",
        "      loan  50         50   50",
    ]


def test_the_longest_words_are_cut_where_there_is_no_room() -> None:
    assert lines(Blocks(of_units(WORDS)), 24) == [
        "       the financ… loan",
        "   the  50      50   50",
        "finan…  50      50   50",
        "  loan  50      50   50",
    ]


def test_columns_have_the_numbers_of_the_rows_where_too_little_would_be_left_of_their_words() -> None:
    assert lines(Blocks(of_units(("the", "old", "bank", "by", "the", "river"))), 30) == [
        "         0  1  2  3  4  5",
        "0 the   50 50 50 50 50 50",
        "1 old   50 50 50 50 50 50",
        "2 bank  50 50 50 50 50 50",
        "3 by    50 50 50 50 50 50",
        "4 the   50 50 50 50 50 50",
        "5 river 50 50 50 50 50 50",
    ]


@pytest.mark.parametrize("size", [19, 40])
def test_words_that_no_row_has_stand_below_the_numbers_of_their_columns(size: int) -> None:
    source = ("the", "old", "bank", "by", "the", "river", "approved", "the", "loan") * (size // 9 + 1)
    found = lines(Blocks(of_units(source[:size], ("Die", "alte", "Bank"))), 60)
    below = " ".join(found).split("columns: ")[1].split()
    assert below == [part for number, word in enumerate(source[:size]) for part in (str(number), word)]
    assert "columns:" not in printed(Blocks(of_units(source[:size])), 60)


def test_names_at_equal_steps_where_columns_have_no_numbers() -> None:
    heads = Heatmap(np.full((1, 12), 0.5), ("L0",), tuple(f"H{i}" for i in range(12)), 0, 1)
    assert lines(Blocks(heads), 40) == [
        "   ╷H0   ╷H2   ╷H4   ╷H6   ╷H8   ╷H10",
        "L0 50 50 50 50 50 50 50 50 50 50 50 50",
    ]


def test_wide_letters_keep_the_columns() -> None:
    values = np.array([[0.5, 0.25], [0.0, 0.75]])
    assert lines(Blocks(heatmap(values, ("日本", "the"))), 40) == [
        "     日本 the",
        "日本   50  25",
        " the    ·  75",
    ]


def test_other_numbers_have_a_decimal_while_it_fits() -> None:
    values = np.array([[0.0, 1.25, 9.94], [9.96, 45.4, np.nan]])
    found = Heatmap(values, ("L0", "L1"), ("H0", "H1", "H2"), 0, 45.4, percent=False)
    assert lines(Blocks(found), 40) == [
        "    H0  H1  H2",
        "L0 0.0 1.2 9.9",
        "L1  10  45   –",
    ]


@pytest.mark.parametrize("colours", [None, "truecolor"])
@pytest.mark.parametrize("width", [27, 33, 36])
@pytest.mark.parametrize("percent", [True, False])
def test_numbers_of_three_digits_keep_their_columns(width: int, *, percent: bool, colours: Colours) -> None:
    # A weight of 1 is 100 %, an entropy of 1.2 takes three columns as well.
    values = np.eye(8) * 0.75 + 0.25 if percent else np.eye(8) + 0.25
    found = lines(Blocks(heatmap(values, percent=percent, high=2)), width, colours, broken=False)
    assert max(map(cell_len, found)) <= width
    rows = [line for line in found if re.match(r"r\d", line)]
    ends = {tuple(match.end() for match in re.finditer(r"100|25|1\.2|0\.2", line)) for line in rows}
    assert len(ends) == 1
    assert len(ends.pop()) in (8, 0)  # or there is no room for numbers


def test_a_number_stands_on_its_colour_in_readable_ink() -> None:
    values = np.array([[0.0, 0.3], [0.7, 1.0]])
    screen = cells(Blocks(heatmap(values)), 40)
    for row in range(2):
        digits = [cell for cell in screen[row + 1] if cell.paper is not None]
        middle = len(digits) // 2
        for column, part in enumerate((digits[:middle], digits[middle:])):
            assert {cell.paper for cell in part} == {colour(values[row, column])}
            assert "".join(cell.text for cell in part).strip() == (
                "" if not values[row, column] else f"{100 * values[row, column]:.0f}"
            )
            for cell in part:
                assert abs(luminance(cell.ink) - luminance(cell.paper)) > 90


# Larger maps: half blocks


@pytest.mark.parametrize("peak", [(0, 0), (7, 30), (30, 7), (39, 39), (38, 0)])
def test_the_brightest_half_block_is_the_largest_weight(peak: tuple[int, int]) -> None:
    screen = cells(Blocks(heatmap(weights(40, peak=peak), tuple("w" * 40))), 80)
    (place,) = brightest(screen)
    assert place == peak


def halves(screen: list[list[Cell]]) -> list[tuple[list[RGB | None], list[RGB | None]]]:
    """Return the colours of the upper and of the lower rows, one line each."""
    blocks = [[cell for cell in line if cell.text == "▀"] for line in screen]
    return [([cell.ink for cell in line], [cell.paper for cell in line]) for line in blocks if line]


def brightest(screen: list[list[Cell]]) -> list[tuple[int, int]]:
    """Rows and columns of the brightest cells."""
    rows = [row for pair in halves(screen) for row in pair]
    bright = np.array([[luminance(colour) for colour in row] for row in rows])
    return [(int(row), int(column)) for row, column in np.argwhere(bright == bright.max())]


def test_every_half_block_has_the_colour_of_its_weight() -> None:
    values = weights(41)
    rows = [row for pair in halves(cells(Blocks(heatmap(values, tuple("w" * 41))), 80)) for row in pair]
    assert len(rows) == 42
    assert rows[:41] == [[colour(value) for value in row] for row in values]
    assert set(rows[41]) == {None}  # an odd number of rows: nothing below the last


def test_both_rows_of_a_line_have_their_labels_beside_them() -> None:
    labels = tuple(f"w{i}" for i in range(40))
    rows = [line for line in lines(Blocks(heatmap(weights(40), labels)), 80, "truecolor") if "▀" in line]
    assert [line.replace("▀", "").split() for line in rows] == [[f"w{i}", f"w{i + 1}"] for i in range(0, 40, 2)]


def test_the_lower_rows_lose_their_names_where_the_map_would_be_pooled_for_them() -> None:
    labels = tuple(f"word{i}" for i in range(10, 80))
    found = lines(Blocks(heatmap(weights(70), labels)), 80, "truecolor", broken=False)
    assert [line.split()[0] for line in found if "▀" in line] == list(labels[::2])
    assert max(map(len, found)) == 6 + 1 + 70
    assert found[-1] == "each line is two rows, named by the upper"
    assert "pooled" in " ".join(lines(Blocks(heatmap(weights(74), labels + labels[:4])), 80, "truecolor"))


def test_where_there_are_256_colours_the_nearest_are_taken() -> None:
    block = Blocks(heatmap(weights(40, peak=(30, 7)), tuple("w" * 40)))
    text = printed(block, 80, "256")
    assert "38;5;" in text
    assert "38;2;" not in text
    assert (30, 7) in brightest(cells(block, 80, "256"))
    assert len(brightest(cells(block, 80, "256"))) == 1


def test_true_colour_is_written_with_24_bits() -> None:
    text = printed(Blocks(heatmap(weights(40), tuple("w" * 40))), 80, "truecolor")
    assert "38;2;" in text
    assert "38;5;" not in text


# No colours: characters


@pytest.mark.parametrize(
    ("colours", "options"),
    [(None, {}), ("truecolor", {"no_color": True}), ("standard", {})],
    ids=["a pipe", "NO_COLOR", "sixteen colours"],
)
def test_without_colours_weights_are_characters(colours: Colours, options: dict[str, bool]) -> None:
    block = Blocks(heatmap(weights(40, peak=(30, 7)), tuple("w" * 40)))
    found = lines(block, 80, colours, **options)
    assert "▀" not in "".join(found)
    rows = [line.removeprefix("w ") for line in found if line.startswith("w ")]
    assert len(rows) == 40
    assert [(i, row.index("@")) for i, row in enumerate(rows) if "@" in row] == [(30, 7)]
    assert "38;" not in printed(block, 80, colours, **options)


def test_the_characters_are_ten_steps() -> None:
    values = np.tile(np.linspace(0, 1, 10), (40, 4))
    found = lines(Blocks(heatmap(values, tuple("w" * 40))), 80)
    assert found[1] == "w  ·:-=+*#%@ ·:-=+*#%@ ·:-=+*#%@ ·:-=+*#%@"


# Pooling


@pytest.mark.parametrize("colours", [None, "truecolor", "256"])
@pytest.mark.parametrize("width", [40, 80, 200])
def test_too_many_words_are_pooled_and_it_says_so(width: int, colours: Colours) -> None:
    n, peak = 250, (161, 77)
    block = Blocks(heatmap(weights(n, peak=peak), tuple("w" * n)))
    found = lines(block, width, colours)
    note = " ".join(found[next(i for i, line in enumerate(found) if "pooled" in line) :])
    (down, across) = map(
        int, re.findall(r"250 × 250 pooled: each cell is the largest of (\d+) × (\d+), named", note)[0]
    )
    assert down == across > 1
    expected = (peak[0] // down, peak[1] // across)
    if colours:
        assert expected in brightest(cells(block, width, colours))
    else:
        rows = [line.removeprefix("w ") for line in found if line.startswith("w ")]
        assert [(i, row.index("@")) for i, row in enumerate(rows) if "@" in row] == [expected]


def test_what_is_not_pooled_does_not_say_so() -> None:
    assert "pooled" not in printed(Blocks(heatmap(weights(40), tuple("w" * 40))), 80, "truecolor")


# The numbers of units


def numbered(n: int, step: int = 1, *, joins: int = 1) -> Heatmap:
    """Return a map of units called w0, w1 …, in which each cell was pooled from ``joins`` of them."""
    numbers = np.arange(0, n * step, step)
    labels = tuple(f"w{i}" for i in numbers)
    size = n * joins, n * joins
    return Heatmap(weights(n), labels, labels, 0, 1, numbers=(numbers, numbers), down=joins, across=joins, size=size)


@pytest.mark.parametrize("colours", [None, "truecolor"])
def test_the_rows_of_a_pooled_map_begin_with_their_numbers(colours: Colours) -> None:
    found = lines(Blocks(numbered(250, 4)), 80, colours)
    names = [match for line in found for match in re.findall(r"(\d+) w(\d+)(?: |$)", line)]
    joined = int(re.findall(r"largest of (\d+)", " ".join(found))[0])
    rows = [int(number) for number, _ in names]
    assert all(number == name for number, name in names)
    assert set(range(0, 1000, 4 * joined)) <= set(rows)


@pytest.mark.parametrize("colours", [None, "truecolor"])
@pytest.mark.parametrize(("n", "joined"), [(250, True), (40, False)])
def test_marks_above_narrow_columns_say_their_numbers(n: int, colours: Colours, *, joined: bool) -> None:
    found = lines(Blocks(numbered(n, 3)), 80, colours)
    first = next(line for line in found if re.search("▀|^ *0 w0", line))
    start = first.index("▀") if colours else 4 + len("0 w0") + 1
    step = int((re.findall(r"largest of (\d+)", " ".join(found)) or [1])[0])
    assert (step > 1) is joined
    marks = [(match.start(), int(match[1]), match[2]) for match in re.finditer(r"╷(\d+)(?: (w\d+))?", found[0])]
    assert len(marks) > 2
    left = marks[0][0]
    assert [number for _, number, _ in marks] == [3 * step * (place - left) for place, _, _ in marks]
    assert all(name == (f"w{number}" if joined else None) for _, number, name in marks)
    assert not colours or left == start


def test_what_was_pooled_before_is_said_even_where_numbers_stand_in_the_cells() -> None:
    found = lines(Blocks(numbered(6, 128, joins=128)), 80)
    assert found[0].split() == ["0", "w0", "128", "w128", "256", "w256", "384", "w384", "512", "w512", "640", "w640"]
    assert [line.split()[:2] for line in found[1:7]] == [[str(n), f"w{n}"] for n in range(0, 768, 128)]
    assert found[7] == "768 × 768 pooled: each cell is the largest of 128 × 128, named by the first"


def test_numbers_in_cells_leave_no_need_for_numbers_of_words() -> None:
    assert lines(Blocks(numbered(3)), 80)[0].split() == ["w0", "w1", "w2"]


# The scale


def test_the_scale_stands_under_a_map_between_its_values() -> None:
    values = weights(40, peak=(0, 0)) / 2
    block = Blocks(heatmap(values, tuple("w" * 40), high=0.5), scale=True)
    assert lines(block, 80)[-1] == "  0  ·:-=+*#%@ 50 %"
    scale = [cell.paper for cell in cells(block, 80)[-1] if cell.paper]
    assert (scale[0], scale[-1]) == (colour(0), colour(1))
    assert np.all(np.diff([luminance(tint) for tint in scale]) > 0)


@pytest.mark.parametrize("colours", [None, "truecolor"])
def test_the_scale_is_no_wider_than_a_narrow_console(colours: Colours) -> None:
    block = Blocks(heatmap(weights(40), ("financials",) * 40), scale=True)
    scale = next(line for line in lines(block, 40, colours, broken=False) if line.endswith("100 %"))
    assert cell_len(scale) <= 40


# Widths


@pytest.mark.parametrize("colours", [None, "truecolor", "256"])
@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("n", [2, 9, 15, 31, 90])
def test_no_line_is_wider_than_the_console(n: int, width: int, colours: Colours) -> None:
    block = Blocks(heatmap(weights(n), (WIDE * 9)[:n]))
    whole = lines(block, width, colours, broken=False)
    drawn = [line for line in whole if "pooled" not in line]
    assert max(map(cell_len, drawn)) <= width
    assert lines(block, width, colours)[: len(drawn)] == drawn
    assert not set("".join(whole)) & {"\x1b", "\t", "\u202e"}


@pytest.mark.parametrize("colours", [None, "truecolor"])
@pytest.mark.parametrize("width", [100, 120, 200])
def test_labels_stand_above_their_columns_whatever_is_in_them(width: int, colours: Colours) -> None:
    screen = cells(Blocks(heatmap(np.eye(15) * 0.5 + 0.1, WIDE)), width, colours)
    begin = 0
    for end, label in zip(_ends(screen[1]), WIDE, strict=True):
        found = "".join(cell.text for cell in screen[0][begin:end]).strip()
        assert found == clean(label) or (found.endswith("…") and clean(label).startswith(found[:-1]))
        begin = end


def _ends(row: list[Cell]) -> list[int]:
    """Return where the columns of a row end: after the last digit of a number."""
    return [match.end() for match in re.finditer(r"\d+", "".join(cell.text or " " for cell in row))]


# Maps that are not square


def test_numbers_of_a_map_that_is_not_square() -> None:
    values = np.array([[0.5, 0.004, 0.125], [0.0, 0.75, 0.25]])
    found = Heatmap(values, ("Die", "Bank"), ("the", "bank", "loan"), 0, 1)
    assert lines(Blocks(found), 40) == ["     the bank loan", " Die  50    ·   12", "Bank   ·   75   25"]
    found = Heatmap(values.T, ("the", "bank", "loan"), ("Die", "Bank"), 0, 1)
    assert lines(Blocks(found), 40) == ["     Die Bank", " the  50    ·", "bank   ·   75", "loan  12   25"]


@pytest.mark.parametrize(("rows", "columns"), [(3, 40), (4, 40), (40, 30), (31, 50)])
def test_half_blocks_of_a_map_that_is_not_square_have_the_colour_of_each_cell(rows: int, columns: int) -> None:
    values = np.random.default_rng(0).random((rows, columns))
    found = Heatmap(values, tuple(f"r{i}" for i in range(rows)), tuple(f"{i % 10}" for i in range(columns)), 0, 1)
    screen = cells(Blocks(found), 80)[1:]
    assert len(screen) == -(-rows // 2)
    for i, line in enumerate(screen):
        blocks = [cell for cell in line if cell.text == "▀"]
        assert [cell.ink for cell in blocks] == [colour(value) for value in values[2 * i]]
        lower = [colour(value) for value in values[2 * i + 1]] if 2 * i + 1 < rows else [None] * columns
        assert [cell.paper for cell in blocks] == lower
        text = "".join(cell.text for cell in line)
        assert text.split("▀")[0].strip() == f"r{2 * i}"
        assert text.rsplit("▀")[-1].strip() == (f"r{2 * i + 1}" if 2 * i + 1 < rows else "")


@pytest.mark.parametrize("colours", [None, "truecolor"])
@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize(("rows", "columns"), [(1, 300), (300, 100), (7, 500), (500, 90)])
def test_a_map_that_is_not_square_is_pooled_on_each_side_as_far_as_it_must(
    rows: int, columns: int, width: int, colours: Colours
) -> None:
    values = np.random.default_rng(0).random((rows, columns))
    found = Heatmap(values, tuple(f"r{i}" for i in range(rows)), tuple(f"c{i}" for i in range(columns)), 0, 1)
    shown = lines(Blocks(found), width, colours)
    assert max(map(cell_len, shown)) <= width
    said = " ".join(shown)
    note = re.search(rf"{rows} × {columns} pooled: each cell is the largest of (\d+) × (\d+)", said)
    if columns < width // 2 and rows < width // 2:
        assert note is None
    if rows == 7 and width >= 40:
        assert note
        assert note[1] == "1"


@pytest.mark.parametrize("width", [40, 80])
def test_a_map_of_few_columns_and_very_many_rows_does_not_fill_the_screen(width: int) -> None:
    values = np.random.default_rng(0).random((400, 5))
    found = Heatmap(values, tuple(f"r{i}" for i in range(400)), tuple("abcde"), 0, 1)
    assert len(lines(Blocks(found), width, "truecolor")) < width

from __future__ import annotations

import io
import re
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image

from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.shown_maps import Grid, HeadMap, grid
from attnviz.errors import UsageError
from attnviz.record import AttentionRecord, Observation, Request
from attnviz.render import palette
from attnviz.render.figure import Style, colormap, draw_grid, draw_heads, fonts, save_figure, to_png
from tests.analysis.whole import Units, in_words
from tests.records import Array, cross_record, peaked, random_weights, record
from tests.render.screen import luminance

NOUNS = ("bank", "loan", "company", "river", "water", "money", "house", "stone", "cloud", "paper")
Theme = Literal["light", "dark"]
SMALL = Style(size=(4, 4), dpi=60)


def noun_record(weights: Array, **facts: Any) -> AttentionRecord:
    n = weights.shape[-1]
    words = NOUNS[:n] if n <= len(NOUNS) else [f"w{i}" for i in range(n)]
    return record(words, weights, **facts)


def head_figure(attention: AttentionRecord, layer: int = 0, head: int = 0, style: Style | None = None) -> Figure:
    units = in_words(attention)
    shown = np.arange(len(units.queries)), np.arange(len(units.keys))
    return draw_heads(replay(attention), units, [HeadMap(layer, head, units.weights[layer, head], *shown)], style)


def pooled_map(weights: Array, joins: int) -> tuple[Observation, Units, HeadMap]:
    """The map of one head in which each cell stands for ``joins`` × ``joins`` words."""
    count = len(weights) * joins
    attention = noun_record(random_weights((1, 1, count)))
    begins = np.arange(0, count, joins)
    head = HeadMap(0, 0, weights, begins, begins, joins, joins, (count, count))
    return replay(attention), in_words(attention), head


def draw_pooled(weights: Array, joins: int, style: Style | None = None) -> Figure:
    observation, units, head = pooled_map(weights, joins)
    return draw_heads(observation, units, [head], style)


def note_of(figure: Figure) -> str:
    """The notes below a picture, on one line."""
    return figure.get_supxlabel().replace("\n", " ")


def grid_figure(attention: AttentionRecord, style: Style | None = None, **options: Any) -> Figure:
    observation = replay(attention, Request(**options))
    return draw_grid(observation, grid(observation), style)


def pixels(figure: Figure) -> Array:
    """The decoded PNG, (height, width, 3)."""
    with Image.open(io.BytesIO(to_png(figure))) as image:
        return np.asarray(image.convert("RGB"))


def place_of(colour: Array, figure: Figure) -> tuple[float, float]:
    """The middle, in the coordinates of the map, of the pixels inside it that have exactly this colour."""
    picture = pixels(figure)
    axes = figure.axes[0]
    box = axes.get_window_extent()
    rows, columns = np.nonzero((picture == colour).all(-1))
    heights = picture.shape[0] - rows - 0.5  # pixels count from the top, matplotlib from the bottom
    inside = (columns > box.x0) & (columns < box.x1) & (heights > box.y0) & (heights < box.y1)
    assert inside.any(), "the picture does not have the colour"
    x, y = axes.transData.inverted().transform((columns[inside].mean() + 0.5, heights[inside].mean()))
    return float(x), float(y)


def largest(theme: Theme) -> Array:
    """The colour of the largest weight: the darkest on paper, the brightest at night."""
    return palette.colour_table("ink" if theme == "light" else "ember")[-1]


# One head


@pytest.mark.parametrize(("theme", "peak"), [("light", (0, 3)), ("dark", (2, 1)), ("light", (5, 5))])
def test_the_strongest_colour_is_where_the_largest_weight_is(peak: tuple[int, int], theme: Theme) -> None:
    weights = peaked((2, 2, 6), {(1, 0, *peak): 0.75})
    x, y = place_of(largest(theme), head_figure(noun_record(weights), 1, 0, Style(theme, dpi=70)))
    assert (round(y), round(x)) == peak


def test_the_first_row_is_the_top_one_and_carries_its_word() -> None:
    figure = head_figure(noun_record(random_weights((1, 1, 5))))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == list(NOUNS[:5])
    tops = [label.get_window_extent().y0 for label in axes.get_yticklabels()]
    assert tops == sorted(tops, reverse=True)
    assert axes.xaxis.get_ticks_position() == "top"


def test_small_maps_have_their_weights_written_in_readable_ink() -> None:
    weights = peaked((1, 1, 4), {(0, 0, 0, 1): 1.0, (0, 0, 1, 2): 0.5})
    axes = head_figure(noun_record(weights)).axes[0]
    written = {(text.get_position()[1], text.get_position()[0]): text for text in axes.texts}
    assert written[0, 1].get_text() == "100"
    assert written[1, 2].get_text() == "50"
    assert written[1, 0].get_text() == "17"
    assert (0, 0) not in written  # no weight, no number
    (image,) = axes.images
    for (row, column), text in written.items():
        paper = image.to_rgba(weights[0, 0, row, column])[:3]
        assert abs(luminance(to_rgb(text.get_color())) - luminance(paper)) > 0.35
    assert not head_figure(noun_record(random_weights((1, 1, 20)))).axes[0].texts


def test_a_map_too_large_for_words_says_what_its_axes_are() -> None:
    axes = head_figure(noun_record(random_weights((1, 1, 90)))).axes[0]
    assert axes.get_xlabel() == "looked at (words)"
    assert axes.get_ylabel() == "looks (words)"
    assert "w1" not in [label.get_text() for label in axes.get_xticklabels()]


def test_a_huge_map_is_pooled_and_says_so() -> None:
    n = 900
    weights = peaked((1, 1, n), {(0, 0, 700, 100): 0.9})
    figure = head_figure(noun_record(weights), style=Style(dpi=80))
    assert figure.get_supxlabel() == "900 × 900 pooled: each cell is the largest of 2 × 2, named by the first"
    x, y = place_of(largest("light"), figure)
    assert (round(y), round(x)) == (700 // 2, 100 // 2)


def test_a_map_has_no_more_cells_than_pixels() -> None:
    figure = head_figure(noun_record(random_weights((1, 1, 300))), style=Style(size=(3, 3), dpi=50))
    figure.draw_without_rendering()
    assert max(figure.axes[0].images[0].get_array().shape) <= figure.axes[0].get_window_extent().width


@pytest.mark.parametrize("joins", [1, 4])
def test_the_axes_of_a_large_map_say_the_numbers_of_its_words(joins: int) -> None:
    figure = draw_pooled(random_weights((1, 1, 100))[0, 0], joins)
    axes = figure.axes[0]
    for axis in (axes.xaxis, axes.yaxis):
        numbers = [int(label.get_text().replace(",", "")) for label in axis.get_ticklabels()]
        assert numbers == list(range(0, 100 * joins, 10 * joins))
        assert [place * joins for place in axis.get_ticklocs()] == numbers


def test_numbers_stand_where_words_are_that_are_shown() -> None:
    attention = noun_record(random_weights((1, 1, 300)))
    units = in_words(attention)
    rows, columns = np.arange(100, 200), np.arange(0, 300, 2)
    shown = HeadMap(0, 0, units.weights[0, 0][np.ix_(rows, columns)], rows, columns)
    figure = draw_heads(replay(attention), units, [shown])
    across, down = figure.axes[0].xaxis, figure.axes[0].yaxis
    for axis, numbers in ((across, columns), (down, rows)):
        labels = [int(label.get_text()) for label in axis.get_ticklabels()]
        assert len(labels) > 4
        assert [numbers[int(place)] for place in axis.get_ticklocs()] == labels


def test_a_map_that_was_pooled_before_says_how_many_words_a_cell_joins() -> None:
    figure = draw_pooled(random_weights((1, 1, 100))[0, 0], 4, Style(size=(3, 3), dpi=40))
    assert note_of(figure) == "400 × 400 pooled: each cell is the largest of 8 × 8, named by the first"
    figure = draw_pooled(random_weights((1, 1, 10))[0, 0], 4)
    assert figure.get_supxlabel() == "40 × 40 pooled: each cell is the largest of 4 × 4, named by the first"
    assert not figure.axes[0].texts  # no number of one weight stands for sixteen


def test_the_scale_ends_at_the_largest_weight_that_is_shown() -> None:
    figure = head_figure(noun_record(peaked((1, 1, 4), {(0, 0, 0, 1): 0.625})))
    assert figure.axes[0].images[0].get_clim() == (0, 0.625)
    assert figure.axes[1].get_ylabel() == "attention weight (%)"


# All heads


@pytest.mark.parametrize(("theme", "peak"), [("light", (0, 0, 0, 7)), ("dark", (1, 2, 5, 1)), ("light", (2, 3, 9, 9))])
def test_the_strongest_colour_of_the_grid_is_in_the_head_and_cell_of_the_largest_weight(
    peak: tuple[int, int, int, int], theme: Theme
) -> None:
    n = 10
    figure = grid_figure(noun_record(peaked((3, 4, n), {peak: 0.75})), Style(theme, dpi=70))
    x, y = place_of(largest(theme), figure)
    axes = figure.axes[0]
    head = int(np.abs(axes.get_xticks() - x).argmin())
    layer = int(np.abs(axes.get_yticks() - y).argmin())
    key = x - axes.get_xticks()[head] + (n - 1) / 2
    query = y - axes.get_yticks()[layer] + (n - 1) / 2
    assert (layer, head, round(query), round(key)) == peak


def test_layers_go_down_and_heads_across() -> None:
    figure = grid_figure(noun_record(random_weights((3, 4, 6))))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["H0", "H1", "H2", "H3", "mean"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["L0", "L1", "L2", "mean"]
    assert np.all(np.diff(axes.get_xticks()) > 0)
    assert np.all(np.diff(axes.get_yticks()) > 0)
    assert axes.yaxis_inverted()


def test_all_heads_share_one_scale() -> None:
    figure = grid_figure(noun_record(peaked((2, 2, 4), {(1, 1, 0, 1): 0.5})))
    (image,) = figure.axes[0].images
    assert image.get_clim() == (0, 0.5)


def test_the_grid_is_one_image_however_many_heads() -> None:
    figure = grid_figure(noun_record(random_weights((30, 9, 64))), Style(dpi=60))
    assert len(figure.axes) == 2  # the map and its scale
    assert len(figure.axes[0].images) == 1
    height, width, _ = pixels(figure).shape
    assert height > width


@pytest.mark.parametrize("special", [False, True])
def test_special_tokens_are_in_the_grid_only_if_asked_for(*, special: bool) -> None:
    # The largest weight is on [CLS]; without it the scale ends at the next.
    weights = peaked((1, 1, 5), {(0, 0, 1, 0): 0.875, (0, 0, 2, 1): 0.5})
    attention = record(["[CLS]", "bank", "loan", "river", "[SEP]"], weights)
    (image,) = grid_figure(attention, special=special).axes[0].images
    assert image.get_clim() == (0, 0.875 if special else 0.5)


def test_a_grid_of_more_words_than_pixels_is_pooled_and_says_so() -> None:
    n = 300
    figure = grid_figure(noun_record(peaked((2, 2, n), {(1, 0, 250, 20): 0.9})), Style(size=(4, 4), dpi=60))
    note = re.match(r"each point is the largest of (\d+) × \1 weights", note_of(figure))
    assert note
    x, y = place_of(largest("light"), figure)
    axes, side = figure.axes[0], -(-n // int(note[1]))
    assert int(np.abs(axes.get_xticks() - x).argmin()) == 0
    assert int(np.abs(axes.get_yticks() - y).argmin()) == 1
    assert round(x - axes.get_xticks()[0] + (side - 1) / 2) == pytest.approx(20 // int(note[1]), abs=1)
    assert round(y - axes.get_yticks()[1] + (side - 1) / 2) == pytest.approx(250 // int(note[1]), abs=1)


def test_a_grid_that_was_pooled_before_says_how_many_weights_a_point_joins() -> None:
    attention = noun_record(random_weights((2, 2, 10)))
    maps = Grid(attention.weights, 128, 64, (1280, 640))
    figure = draw_grid(replay(attention), maps)
    assert figure.get_supxlabel() == "each point is the largest of 128 × 64 weights"
    figure = draw_grid(replay(attention), maps, Style(size=(2, 2), dpi=10))
    down, across = re.findall(r"\d+", figure.get_supxlabel())
    assert int(down) > 128
    assert int(across) > 64


def test_a_grid_that_is_not_pooled_does_not_say_so() -> None:
    assert grid_figure(noun_record(random_weights((2, 2, 10)))).get_supxlabel() == ""


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 12, 2), (12, 1, 3)])
def test_any_shape_can_be_drawn(shape: tuple[int, int, int]) -> None:
    attention = noun_record(random_weights(shape))
    assert pixels(grid_figure(attention, SMALL)).std() > 0
    assert pixels(head_figure(attention, style=SMALL)).std() > 0


def test_a_grid_of_no_weight_can_be_drawn() -> None:
    attention = record(["[CLS]", "bank", "loan"], np.array([[[[1, 0, 0]] * 3]], np.float32))
    (image,) = grid_figure(attention).axes[0].images
    assert image.get_clim() == (0, 1)


# Two texts


def cross(
    n: int, m: int, peaks: dict[tuple[int, int, int, int], float] | None = None, heads: int = 3
) -> AttentionRecord:
    weights = peaked((2, heads, n, m), peaks) if peaks else random_weights((2, heads, n, m))
    return cross_record([f"q{i}" for i in range(n)], [f"k{i}" for i in range(m)], weights, numbers=(2, 5))


@pytest.mark.parametrize(
    ("theme", "size", "peak"),
    [
        ("light", (3, 8), (2, 6)),
        ("dark", (9, 4), (7, 0)),
        ("light", (2, 40), (0, 31)),
        ("dark", (40, 2), (33, 1)),
    ],
)
def test_the_strongest_colour_of_a_cross_map_is_at_its_query_and_key(
    size: tuple[int, int], peak: tuple[int, int], theme: Theme
) -> None:
    attention = cross(*size, {(1, 0, *peak): 0.75})
    x, y = place_of(largest(theme), head_figure(attention, 1, 0, Style(theme, dpi=70)))
    assert (round(y), round(x)) == peak


def test_each_axis_of_a_cross_map_carries_its_own_words_and_says_what_they_are() -> None:
    figure = head_figure(cross(3, 5), 1, 2)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["q0", "q1", "q2"]
    assert [label.get_text() for label in axes.get_xticklabels()] == [f"k{i}" for i in range(5)]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("looks (target words)", "looked at (source words)")
    assert len(axes.texts) > 0  # the weights
    assert figure.get_suptitle().startswith("fixed  cross  L")
    assert len(head_figure(cross(3, 20)).axes[0].texts) == 0


@pytest.mark.parametrize(("n", "m"), [(4, 12), (12, 4), (30, 60)])
def test_a_cross_map_is_as_wide_and_high_as_its_words_and_its_cells_are_square(n: int, m: int) -> None:
    figure = head_figure(cross(n, m))
    figure.draw_without_rendering()
    box = figure.axes[0].get_window_extent()
    assert box.width / m == pytest.approx(box.height / n, rel=0.01)
    width, height = figure.get_size_inches()
    assert bool(width > height) is (m > n)


def test_long_words_on_either_side_leave_the_cells_their_room() -> None:
    short, long = ([f"{name}{i}" for i in range(6)] for name in ("w", "donaudampfschiff"))
    for rows, columns in ((short, long), (long, short), (long, long)):
        figure = head_figure(cross_record(rows, columns, random_weights((1, 1, 6, 6))))
        figure.draw_without_rendering()
        assert figure.axes[0].get_window_extent().width / figure.dpi / 6 > 0.419


@pytest.mark.parametrize(("n", "m"), [(1, 80), (80, 1), (2, 300), (300, 2)])
def test_no_map_is_a_sliver(n: int, m: int) -> None:
    for figure in (head_figure(cross(n, m)), grid_figure(cross(n, m))):
        figure.draw_without_rendering()
        box = figure.axes[0].get_window_extent()
        assert min(box.width, box.height) / figure.dpi > 0.5
        assert max(figure.get_size_inches()) < 40


@pytest.mark.parametrize(
    ("n", "m", "peak", "theme"),
    [
        (4, 10, (1, 2, 3, 7), "light"),
        (12, 5, (0, 1, 10, 4), "dark"),
        (2, 30, (1, 0, 1, 29), "light"),
        (30, 2, (0, 2, 17, 0), "dark"),
    ],
)
def test_the_strongest_colour_of_a_cross_grid_is_in_the_head_and_cell_of_the_largest_weight(
    n: int, m: int, peak: tuple[int, int, int, int], theme: Theme
) -> None:
    figure = grid_figure(cross(n, m, {peak: 0.75}), Style(theme, dpi=100))
    assert figure.get_supxlabel() == ""
    x, y = place_of(largest(theme), figure)
    axes = figure.axes[0]
    head = int(np.abs(axes.get_xticks() - x).argmin())
    layer = int(np.abs(axes.get_yticks() - y).argmin())
    key = x - axes.get_xticks()[head] + (m - 1) / 2
    query = y - axes.get_yticks()[layer] + (n - 1) / 2
    assert (layer, head, round(query), round(key)) == peak


def test_a_cross_grid_is_pooled_on_each_side_as_far_as_it_must() -> None:
    n, m = 7, 900
    figure = grid_figure(cross(n, m, {(1, 2, 5, 600): 0.9}, heads=4), Style(size=(8, 3), dpi=60))
    note = re.match(r"each point is the largest of 1 × (\d+) weights", note_of(figure))
    assert note
    across = -(-m // int(note[1]))
    x, y = place_of(largest("light"), figure)
    axes = figure.axes[0]
    assert int(np.abs(axes.get_xticks() - x).argmin()) == 2
    assert int(np.abs(axes.get_yticks() - y).argmin()) == 1
    assert round(y - axes.get_yticks()[1] + (n - 1) / 2) == 5
    assert round(x - axes.get_xticks()[2] + (across - 1) / 2) == pytest.approx(600 // int(note[1]), abs=1)


def test_the_grid_names_layers_by_their_own_numbers() -> None:
    figure = grid_figure(cross(3, 4))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["L2", "L5", "mean"]
    assert figure.get_suptitle() == "fixed  cross  2 layers × 3 heads"


@pytest.mark.parametrize("special", [False, True])
def test_each_text_is_shown_without_its_special_tokens_unless_asked_for(*, special: bool) -> None:
    weights = peaked((1, 1, 3, 4), {(0, 0, 0, 1): 0.875, (0, 0, 1, 3): 0.75, (0, 0, 2, 2): 0.5})
    attention = cross_record(["[<s>]", "Die", "Bank"], ["the", "bank", "river", "[</s>]"], weights)
    (image,) = grid_figure(attention, special=special).axes[0].images
    assert image.get_clim() == (0, 0.875 if special else 0.5)


# Style


@pytest.mark.parametrize("draw", [head_figure, grid_figure])
@pytest.mark.parametrize(("size", "dpi"), [((5, 4), 100), ((3.5, 7), 60), ((1, 1), 20)])
def test_size_and_dpi_are_honoured(draw: Any, size: tuple[float, float], dpi: int) -> None:
    picture = pixels(draw(noun_record(random_weights((2, 2, 6))), style=Style(size=size, dpi=dpi)))
    assert picture.shape[:2] == (round(size[1] * dpi), round(size[0] * dpi))


def test_dpi_alone_makes_the_same_picture_finer() -> None:
    attention = noun_record(random_weights((2, 2, 6)))
    coarse, fine = (pixels(grid_figure(attention, Style(dpi=dpi))).shape for dpi in (30, 60))
    assert fine[0] == pytest.approx(2 * coarse[0], abs=2)
    assert fine[1] == pytest.approx(2 * coarse[1], abs=2)


@pytest.mark.parametrize(("theme", "paper"), [("light", (255, 255, 255)), ("dark", (12, 12, 20))])
def test_the_theme_is_the_colour_of_the_paper(theme: Theme, paper: tuple[int, int, int]) -> None:
    picture = pixels(grid_figure(noun_record(random_weights((2, 2, 6))), Style(theme, size=(4, 4), dpi=60)))
    corners = picture[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert {tuple(corner) for corner in corners.tolist()} == {paper}


def test_a_colour_map_of_matplotlib_can_be_taken() -> None:
    figure = head_figure(noun_record(peaked((1, 1, 4), {(0, 0, 1, 3): 0.75})), style=Style(cmap="viridis"))
    red, green, blue, _ = mpl.colormaps["viridis"](1.0, bytes=True)
    x, y = place_of(np.array([red, green, blue]), figure)
    assert (round(y), round(x)) == (1, 3)


def test_each_theme_has_its_colour_map_and_either_may_be_asked_for() -> None:
    assert colormap(Style("light")).name == "ink"
    assert colormap(Style("dark")).name == "ember"
    assert colormap(Style("light", cmap="ember")).name == "ember"


@pytest.mark.parametrize(
    ("name", "near"), [("virdis", "viridis"), ("enber", "ember"), ("zzz", "viridis"), ("\x1b", "")]
)
def test_an_unknown_colour_map_is_an_error_that_names_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        colormap(Style(cmap=name))
    assert caught.value.message == f"no colour map {name!r}"
    assert near in caught.value.hint
    assert "Ours are ember, ink" in caught.value.hint


@pytest.mark.parametrize("draw", [head_figure, grid_figure])
def test_a_title_is_text_and_not_mathematics(draw: Any) -> None:
    figure = draw(noun_record(random_weights((1, 1, 3))), style=Style(title="$\\frac{$ _a_\x1b[31m\nb", dpi=50))
    assert figure.get_suptitle() == "$\\frac{$ _a_␛[31m⏎b"
    to_png(figure)  # as mathematics this is an error


@pytest.mark.parametrize("empty", ["", " \t"])
def test_an_empty_title_leaves_the_title_out(empty: str) -> None:
    assert figure_title(Style(title=empty)) == ""


def figure_title(style: Style | None = None) -> str:
    return str(head_figure(noun_record(random_weights((2, 3, 3))), 1, 2, style).get_suptitle())


def test_the_title_is_by_default_model_and_head() -> None:
    assert figure_title() == "fixed  L1 H2"
    grid = grid_figure(noun_record(random_weights((2, 3, 3))))
    assert grid.get_suptitle() == "fixed  2 layers × 3 heads"


def test_words_are_text_and_not_mathematics() -> None:
    words = ["$5", "$\\frac{$", "\x1b[31mred", "w" * 90, "a\nb"]
    figure = head_figure(record(words, random_weights((1, 1, 5))), style=SMALL)
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels[:3] == ["$5", "$\\frac{$", "␛[31mred"]
    assert re.fullmatch("w{5,40}…", labels[3])
    assert labels[4] == "a⏎b"
    to_png(figure)


# Files


@pytest.fixture
def both() -> list[Figure]:
    attention = noun_record(random_weights((2, 2, 6)))
    return [head_figure(attention, style=SMALL), grid_figure(attention, SMALL)]


def saved(figure: Figure, suffix: str) -> tuple[bytes, list[str]]:
    buffer = io.BytesIO()
    found = save_figure(figure, buffer, suffix)
    return buffer.getvalue(), found.missing


@pytest.fixture
def installed_are(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A function that lets only the usual font and some others be installed."""

    def forget() -> None:
        for cached in (fonts._font_of, fonts.families, fonts.text_width):
            cached.cache_clear()

    def only(*names: str) -> None:
        there = tuple((name, findfont(FontProperties(family=name))) for name in (fonts.FAMILY, *names))
        monkeypatch.setattr(fonts, "_installed", lambda: there)
        forget()

    yield only
    monkeypatch.undo()
    forget()


def test_svg_is_well_formed(both: list[Figure]) -> None:
    for figure in both:
        root = ElementTree.fromstring(saved(figure, ".svg")[0])
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.get("width") == "288pt"


def test_pdf_has_a_beginning_and_an_end(both: list[Figure]) -> None:
    content, _ = saved(both[1], ".pdf")
    assert content.startswith(b"%PDF-1.")
    assert content.rstrip().endswith(b"%%EOF")


def test_png_can_be_decoded(both: list[Figure]) -> None:
    for figure in both:
        for content in (saved(figure, ".png")[0], to_png(figure)):
            with Image.open(io.BytesIO(content)) as image:
                image.load()
                assert (image.format, image.size) == ("PNG", (240, 240))


def test_the_settings_of_matplotlib_are_as_before(both: list[Figure]) -> None:
    before = dict(mpl.rcParams)
    saved(both[0], ".svg")
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_characters_that_no_font_has_are_reported(suffix: str, installed_are: Callable[..., None]) -> None:
    installed_are()  # whatever is installed here
    attention = record(["日本", "bank", "日"], random_weights((1, 1, 3)))
    assert saved(head_figure(attention, style=SMALL), suffix)[1] == ["日", "本"]
    assert saved(head_figure(noun_record(random_weights((1, 1, 3))), style=SMALL), suffix)[1] == []


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_character_is_taken_from_the_next_font_that_has_it(suffix: str, installed_are: Callable[..., None]) -> None:
    # Both fonts come with matplotlib; only the second one has the letter.
    letter = "\U0001d4d0"
    attention = record([letter, "bank", "loan"], random_weights((1, 1, 3)))
    installed_are()
    assert saved(head_figure(attention, style=SMALL), suffix)[1] == [letter]
    installed_are("STIXGeneral")
    assert saved(head_figure(attention, style=SMALL), suffix)[1] == []


def test_no_font_is_looked_up_that_no_character_needs(installed_are: Callable[..., None]) -> None:
    installed_are("cmr10", "STIXGeneral", "DejaVu Serif")
    assert fonts.families("bank") == ("DejaVu Sans",)
    assert fonts.families("bank \U0001d4d0") == ("DejaVu Sans", "STIXGeneral")


def test_a_notebook_shows_the_grid(tiny_attention: Any) -> None:
    with Image.open(io.BytesIO(tiny_attention._repr_png_())) as image:
        assert image.format == "PNG"


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_drawn() -> None:
    observation = replay(record(["bank", "loan"], random_weights((1, 1, 2))))
    with pytest.raises(UsageError, match="14400 million pixels, at most 200 million"):
        draw_grid(observation, grid(observation), Style(size=(100, 100), dpi=1200))


@pytest.mark.parametrize("draw", [head_figure, grid_figure])
def test_a_users_settings_change_no_picture_and_stay_as_they_are(draw: Any, capfd: pytest.CaptureFixture[str]) -> None:
    attention = noun_record(random_weights((1, 2, 4)))
    before = to_png(draw(attention, style=SMALL))
    settings = {
        "text.usetex": True, "font.family": ["No Such Font"], "savefig.dpi": 31, "axes.grid": True, "font.size": 30,
        "image.origin": "lower", "savefig.facecolor": "red", "figure.autolayout": True, "axes.formatter.limits": [0, 0],
    }  # fmt: skip
    with mpl.rc_context(settings):
        theirs = {name: value for name, value in mpl.rcParams.copy().items() if name != "backend"}
        assert to_png(draw(attention, style=SMALL)) == before
        assert {name: value for name, value in mpl.rcParams.copy().items() if name != "backend"} == theirs
    assert capfd.readouterr().err == ""


def test_pictures_of_two_threads_leave_the_settings_alone() -> None:
    with mpl.rc_context({"font.size": 30}):
        attention = noun_record(random_weights((1, 2, 3)))
        threads = [threading.Thread(target=lambda: to_png(grid_figure(attention, SMALL))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert mpl.rcParams["font.size"] == 30

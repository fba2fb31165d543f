"""Pictures of every width and size: nothing outside, nothing over something else, nothing too small to read."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import BboxBase

from attnviz.analysis.text.aligned import align
from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.shown_maps import grid
from attnviz.analysis.text.summary import summarise
from attnviz.record import AttentionRecord, Heads, Request
from attnviz.render.figure import Style, View, draw_difference, draw_grid, draw_heads, draw_view
from attnviz.render.figure.fonts import FAMILY, text_width
from attnviz.render.figure.sheet import Scale, colours_of, draw_bar, frame, new_sheet
from attnviz.render.figure.style import own_settings
from tests.records import cross_record, random_weights, record

SENTENCE = ["[CLS]", *"The bank approved the loan because the company had strong financials".split(), "[SEP]"]  # noqa: SIM905
COLUMN, NARROW, SLIDE = Style(width=3.3, dpi=100), Style(width=2.0, dpi=100), Style(size=(8, 4), dpi=100)


def sentence(words: list[str] = SENTENCE, shape: tuple[int, int] = (6, 12)) -> AttentionRecord:
    return record(words, random_weights((*shape, len(words))))


def long_text(words: int) -> AttentionRecord:
    return sentence([f"word{number}" for number in range(words)], (1, 1))


def heads_of(attention: AttentionRecord, heads: Heads, style: Style) -> Figure:
    summary = summarise(replay(attention, Request(heads=heads)))
    return draw_heads(summary.observation, summary.units, summary.maps, style)


def difference(first: AttentionRecord, second: AttentionRecord, style: Style) -> Figure:
    one, other = summarise(replay(first)), summarise(replay(second))
    return draw_difference(align(one, other), one.units, style)


def boxes(figure: Figure) -> list[tuple[str, BboxBase, float]]:
    """The texts of a figure with the pixels that they take and their points."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text().strip()]
    found = [(text.get_text(), text.get_window_extent(canvas.get_renderer()), text.get_fontsize()) for text in texts]
    return [(text, box, float(points)) for text, box, points in found if box.width]


def assert_readable(figure: Figure) -> None:
    found = boxes(figure)
    width, height = figure.bbox.width, figure.bbox.height
    outside = [
        text for text, box, _ in found if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]
    assert outside == []
    over = [
        (one, other)
        for (one, a, _), (other, b, _) in itertools.combinations(found, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.35 * min(a.height, b.height)
    ]
    assert over == []
    assert [text for text, _, points in found if points < 6.5] == []


@pytest.mark.parametrize("style", [COLUMN, NARROW, SLIDE], ids=["column", "narrow", "slide"])
def test_a_grid_fits(style: Style) -> None:
    for words in (SENTENCE, ["Hello"]):
        observation = replay(sentence(words))
        assert_readable(draw_grid(observation, grid(observation), style))


@pytest.mark.parametrize("style", [COLUMN, NARROW, SLIDE], ids=["column", "narrow", "slide"])
def test_heads_side_by_side_fit(style: Style) -> None:
    assert_readable(heads_of(sentence(), Heads((0, 1), (0, 1, 2)), style))
    assert_readable(heads_of(sentence(["Hello"]), Heads((0,), (0,)), style))


@pytest.mark.parametrize("style", [COLUMN, NARROW], ids=["column", "narrow"])
@pytest.mark.parametrize("words", [45, 330])
def test_the_numbers_of_many_words_do_not_run_together(words: int, style: Style) -> None:
    assert_readable(heads_of(long_text(words), Heads((0,), (0,)), style))


@pytest.mark.parametrize("style", [Style(dpi=100), COLUMN, SLIDE], ids=["plain", "column", "slide"])
def test_a_difference_of_a_short_and_a_longer_text_fits(style: Style) -> None:
    short, longer = sentence(["[CLS]", "Hello", "[SEP]"]), sentence()
    for first, second in ((short, longer), (longer, short)):
        assert_readable(difference(first, second, style))


def test_heads_of_a_long_text_stand_side_by_side_where_the_width_has_room() -> None:
    attention = record([f"word{number}" for number in range(330)], random_weights((1, 6, 330)))
    width, height = heads_of(attention, Heads((0,), tuple(range(6))), Style(width=6, dpi=60)).get_size_inches()
    assert height < width


@pytest.mark.parametrize("log", [False, True])
def test_the_end_of_a_scale_just_below_a_round_number_is_written(*, log: bool) -> None:
    style = Style(dpi=60)
    colours = colours_of(style)
    norm = LogNorm(0.00099995, 0.99995) if log else Normalize(0, 0.99995)
    page = new_sheet(style, frame(style, "", [], 2.0), 4.0)
    draw_bar(page, Scale(norm, colours), "attention weight (%)", (0.1, 0.1, 0.1, 3.0), 0.5)
    ticks = page.figure.axes[0].get_yticks()
    assert np.isclose(ticks[-1], 0.99995, rtol=1e-7)


@pytest.mark.parametrize("horizontal", [False, True])
def test_lines_between_more_words_than_fit_are_those_of_the_strongest_links(*, horizontal: bool) -> None:
    observation = replay(long_text(50), Request(heads=Heads((0,), (0,))))
    for style in (COLUMN, SLIDE):
        figure = draw_view(observation, "arcs", style, horizontal=horizontal)
        assert_readable(figure)
    if horizontal:
        assert "are left out" in str(draw_view(observation, "arcs", COLUMN, horizontal=True).get_supxlabel())


@pytest.mark.parametrize("view", ["arcs", "token"])
def test_a_figure_has_the_fonts_of_its_words_before_it_is_saved(view: View) -> None:
    observation = replay(sentence(["[CLS]", "hello", "[SEP]"]), Request(words=("hello",)))
    figure = draw_view(observation, view, COLUMN)
    families = [text.get_fontfamily() for axes in figure.axes for text in axes.texts if text.get_text() == "hello"]
    assert families
    assert all(family[0] == FAMILY for family in families)


RIVER = ["[CLS]", *"The bank flooded the meadow because the river had strong currents".split(), "[SEP]"]  # noqa: SIM905
TEXTS = sentence(), sentence(RIVER)


@pytest.mark.parametrize("sources", [("river bank", "it"), ("it", "the river of loans")])
def test_a_difference_of_one_target_and_few_source_words_names_the_sources_and_its_axes(
    sources: tuple[str, str],
) -> None:
    first, second = (
        cross_record(["bank"], words.split(), random_weights((1, 1, 1, len(words.split())))) for words in sources
    )
    figure = difference(first, second, Style(dpi=100))
    assert_readable(figure)
    texts = {text for text, *_ in boxes(figure)}
    assert {*sources, "looked at (source words)"} <= texts


@pytest.mark.parametrize("style", [Style(dpi=100), NARROW, COLUMN], ids=["plain", "narrow", "column"])
def test_the_names_of_eight_heads_fit_over_arcs(style: Style) -> None:
    observation = replay(sentence(["the", "bank"]), Request(heads=Heads((3,), tuple(range(8)))))
    assert_readable(draw_view(observation, "arcs", style))


def test_a_difference_is_wide_and_names_each_word_in_a_column_of_a_paper() -> None:
    figure = difference(*TEXTS, COLUMN)
    assert_readable(figure)
    maps = [axes for axes in figure.axes if axes.images]
    assert len(maps) == 3
    for axes in maps:
        assert axes.get_window_extent().width > 0.37 * figure.bbox.width
        assert len(axes.get_xticklabels()) == len(axes.get_yticklabels()) == 11
    assert figure.get_size_inches()[1] < 10


def test_a_difference_on_a_slide_is_one_line_of_maps_on_one_level() -> None:
    for style in (Style(dpi=60), Style(size=(16, 9), dpi=60)):
        figure = difference(*TEXTS, style)
        assert_readable(figure)
        maps = [axes.get_window_extent() for axes in figure.axes if axes.images]
        assert len({round(box.y0) for box in maps}) == 1
        assert sum(box.width for box in maps) > 0.55 * figure.bbox.width
        headings = [text for text in figure.texts if text.get_text().startswith("The bank")]
        assert len({text.get_position()[1] for text in headings}) == 1


@pytest.mark.parametrize("annotate", [None, True, False])
def test_the_unit_of_numbers_is_said_only_where_there_are_numbers(*, annotate: bool | None) -> None:
    observation = replay(sentence(), Request(heads=Heads((0,), (0,)), per_token=True))
    small = replace(observation, maps=replace(observation.maps, values=observation.maps.values / 1000))
    for style in (COLUMN, Style(width=1.5, dpi=100)):
        figure = draw_view(small, "head", replace(style, annotate=annotate))
        numbers = any(text.get_text().isdigit() for axes in figure.axes for text in axes.texts)
        assert ("numbers in" in str(figure.get_supxlabel())) == numbers
        assert annotate is None or numbers == annotate


@pytest.mark.parametrize("dpi", [60, 110, 150, 200])
def test_a_profile_fits_at_any_resolution_and_its_letters_are_those_of_other_views(dpi: int) -> None:
    for style in (Style(), Style(width=3.3), Style(size=(8, 4.5)), Style(width=2.0)):
        figure = draw_view(replay(sentence()), "profile", replace(style, dpi=dpi))
        with own_settings():
            assert_readable(figure)
        assert max(points for _, _, points in boxes(figure)) == 9.0
        images = [image.get_extent() for axes in figure.axes for image in axes.images]
        width, height = figure.get_size_inches()
        assert all(0 <= left < right <= width and 0 <= low < high <= height for left, right, low, high in images)


@pytest.mark.parametrize("dpi", [60, 110, 150])
def test_text_is_as_wide_as_it_was_measured_at_any_resolution(dpi: int) -> None:
    text = "one cell a head, each map on its own scale"
    with own_settings():
        page = new_sheet(Style(dpi=dpi), frame(Style(dpi=dpi), text, [text], 6.0), 2.0)
        widths = {said: box.width / dpi for said, box, points in boxes(page.figure) if points == 7.0}
    assert widths == {text: pytest.approx(text_width(text, 7.0), abs=0.02)}


def test_a_logarithmic_scale_thins_the_lines_of_small_weights() -> None:
    weights = np.full((1, 1, 13, 13), 0.001, np.float32)
    weights[..., 5, 2], weights[..., 2, 5], weights[..., 3, 4] = 0.5, 0.05, 0.01
    observation = replay(record(SENTENCE, weights), Request(heads=Heads((0,), (0,))))
    figure = draw_view(observation, "arcs", Style(dpi=60, log=True))
    (lines,) = figure.axes[0].collections
    widths, opacity = lines.get_linewidths(), lines.get_edgecolor()[:, 3]
    assert list(opacity) == pytest.approx([np.log10(2) / 2, 0.5, 1], abs=0.01)
    assert list(widths / widths[-1]) == pytest.approx(list(opacity))
    assert "width and opacity: weight, from 0.5 to 50 % on a logarithmic scale" in str(figure.get_supxlabel())

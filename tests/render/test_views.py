from __future__ import annotations

import io
import itertools
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PatchCollection, PathCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attnviz.analysis.text.aligned import Aligned, NamedMap, align
from attnviz.analysis.text.arcs import MOST_WORDS, find_arcs
from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.shading import find_shading
from attnviz.analysis.text.shown_maps import grid
from attnviz.analysis.text.summary import summarise
from attnviz.errors import UsageError
from attnviz.record import AttentionRecord, Crop, Heads, Request
from attnviz.render.figure import (
    Style,
    View,
    draw_arcs,
    draw_difference,
    draw_grid,
    draw_heads,
    draw_profile,
    draw_shading,
    draw_view,
    save_figure,
)
from tests.records import Array, Spelled, peaked, random_weights, record

WORDS = ("[CLS]", "bank", "loan", "river", "water", "[SEP]")
SMALL = Style(size=(4, 4), dpi=60)


def sentence(weights: Array | None = None) -> AttentionRecord:
    return record(WORDS, random_weights((2, 3, 6)) if weights is None else weights)


def heads_figure(attention: AttentionRecord, style: Style = SMALL, **asked: Any) -> Figure:
    summary = summarise(replay(attention, Request(**asked)))
    marked = summary.observation.asked if summary.observation.named else ()
    return draw_heads(summary.observation, summary.units, summary.maps, style, marked)


def notes(figure: Figure) -> str:
    return str(figure.get_supxlabel()).replace("\n", " ")


def written(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts] + [text.get_text() for text in figure.texts]


def saved(figure: Figure, suffix: str) -> bytes:
    buffer = io.BytesIO()
    save_figure(figure, buffer, suffix)
    return buffer.getvalue()


# What is hidden


def test_the_share_of_what_is_not_drawn_is_said_and_of_each_row_where_it_is_large() -> None:
    weights = np.zeros((1, 1, 6, 6), np.float32)
    weights[..., 0], weights[..., 2] = 0.75, 0.25
    weights[0, 0, 2] = 0
    weights[0, 0, 2, 0], weights[0, 0, 2, 3] = 0.1, 0.9
    figure = heads_figure(sentence(weights), heads=Heads((0,), (0,)))
    assert "hidden: 59 % of these rows’ weight, on special tokens and punctuation" in notes(figure)
    assert "hidden %" in written(figure)
    strip = next(axes for axes in figure.axes if axes.patches and not axes.images)
    assert [bar.get_width() for bar in strip.patches] == pytest.approx([0.75, 0.1, 0.75, 0.75])
    shown = heads_figure(sentence(weights), heads=Heads((0,), (0,)), special=True)
    assert "hidden" not in notes(shown) + " ".join(written(shown))


def test_columns_that_are_cut_off_are_hidden_too() -> None:
    figure = heads_figure(sentence(), special=True, crop=Crop(columns=(0, 3)), heads=Heads((0,), (0,)))
    assert re.search(r"hidden: \d+ % of these rows’ weight, on columns left out", notes(figure))


def test_pooled_maps_do_not_say_what_they_do_not_know() -> None:
    attention = record([f"w{i}" for i in range(90)], random_weights((1, 1, 90)))
    figure = heads_figure(attention, Style(size=(3, 3), dpi=40), size=20)
    assert "pooled" in notes(figure)
    assert "hidden" not in notes(figure)


SPELLED: tuple[Spelled, ...] = ("[CLS]", "the", "bank", ("loans", ["loan", "##s"]), ",", "river", ".", "[SEP]")
SHOWN = {"the": [1], "bank": [2], "loans": [3, 4], "river": [6]}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("view", ["head", "arcs", "grid", "token"])
def test_the_share_that_is_said_to_be_hidden_is_that_of_the_weights(view: View, *, causal: bool) -> None:
    """Computed anew from the weights of tokens: what words give to tokens that no shown word has."""
    attention = record(SPELLED, random_weights((2, 3, 9), causal=causal), causal=causal)
    rest = np.setdiff1d(np.arange(9), np.concatenate(list(SHOWN.values())))
    hidden = np.stack([attention.weights[:, :, tokens][..., rest].sum(-1).mean(-1) for tokens in SHOWN.values()], -1)
    asked: dict[str, tuple[Request, Array]] = {
        "head": (Request(heads=Heads((1,), (2,))), hidden[1, 2]),
        "arcs": (Request(heads=Heads((1,), (0, 2))), hidden[1, [0, 2]]),
        "grid": (Request(), hidden),
        "token": (Request(words=("loans",), crop=Crop(rows="loans")), hidden[:, :, 2]),
    }
    request, expected = asked[view]
    figure = draw_view(replay(attention, request), view, Style(dpi=60))
    assert f"hidden: {100 * expected.mean():.0f} % of" in notes(figure)
    if view == "head" and expected.max() >= 0.5:
        strip = next(axes for axes in figure.axes if axes.patches and not axes.images)
        assert [bar.get_width() for bar in strip.patches] == pytest.approx(expected, abs=1e-6)


# Scales


def test_several_heads_share_one_scale_unless_each_has_its_own() -> None:
    weights = peaked((1, 2, 6), {(0, 0, 1, 2): 0.9, (0, 1, 3, 4): 0.45})
    asked: dict[str, Any] = {"heads": Heads((0,), (0, 1))}
    shared = heads_figure(sentence(weights), **asked)
    images = [axes.images[0] for axes in shared.axes if axes.images]
    assert [image.get_clim() for image in images] == [(0, pytest.approx(0.9))] * 2
    assert "one scale for all heads" in notes(shared)
    own = heads_figure(sentence(weights), Style(size=(6, 4), dpi=60, own_scale=True), **asked)
    images = [axes.images[0] for axes in own.axes if axes.images]
    assert [image.get_clim()[1] for image in images] == pytest.approx([0.9, 0.45])
    assert "each head has a scale of its own" in notes(own)
    assert {"L0 H0  to 90 %", "L0 H1  to 45 %"} <= set(written(own))


def test_numbers_of_several_heads_are_in_one_unit() -> None:
    weights = peaked((1, 2, 6), {(0, 0, 1, 2): 1.5, (0, 1, 3, 4): 0.25})
    measured = replace(sentence(weights), measure="norm")
    figure = heads_figure(measured, Style(dpi=60), heads=Heads((0,), (0, 1)))
    assert {"1.5", "0.2"} <= set(written(figure))
    assert "2.5" not in written(figure)


def test_a_scale_ends_where_it_is_told_to_and_says_what_lies_above() -> None:
    weights = peaked((1, 1, 6), {(0, 0, 1, 2): 0.9})
    figure = heads_figure(sentence(weights), Style(size=(4, 4), vmax=0.5))
    assert figure.axes[0].images[0].get_clim() == (0, 0.5)
    figure.draw_without_rendering()
    assert "≥50" in [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]
    whole = heads_figure(sentence(weights), Style(size=(4, 4), vmax=1.0))
    whole.draw_without_rendering()
    assert not any("≥" in label.get_text() for axes in whole.axes for label in axes.get_yticklabels())


def test_a_logarithmic_scale_says_so_and_tells_small_weights_apart() -> None:
    weights = peaked((1, 1, 6), {(0, 0, 1, 2): 0.9, (0, 0, 1, 3): 0.01, (0, 0, 1, 4): 0.002})
    figure = heads_figure(sentence(weights), Style(size=(4, 4), log=True))
    image = figure.axes[0].images[0]
    light = [image.to_rgba(np.array([value]))[0, :3].sum() for value in (0.9, 0.01, 0.002)]
    assert light[0] + 0.3 < light[1] < light[2] - 0.3
    assert "logarithmic" in notes(figure)


# The grid


def test_the_margins_are_the_means_of_layers_and_heads() -> None:
    attention = sentence()
    observation = replay(attention, Request(special=True))
    figure = draw_grid(observation, grid(observation), Style(size=(6, 5), dpi=80))
    mosaic = np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)
    mean = attention.weights.mean(1)
    np.testing.assert_allclose(mosaic[:6, 21:27], mean[0], rtol=1e-6)
    np.testing.assert_allclose(mosaic[14:20, 7:13], attention.weights[:, 1].mean(0), rtol=1e-6)
    np.testing.assert_allclose(mosaic[14:20, 21:27], attention.weights.mean((0, 1)), rtol=1e-6)


def test_the_heads_that_matter_are_framed_where_they_stand() -> None:
    observation = replay(sentence())
    figure = draw_grid(observation, grid(observation), Style(size=(6, 5), dpi=80), [(1, 2)])
    (frame,) = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    axes = figure.axes[0]
    across, down = frame.get_x() + frame.get_width() / 2, frame.get_y() + frame.get_height() / 2
    assert axes.get_xticklabels()[int(np.abs(axes.get_xticks() - across).argmin())].get_text() == "H2"
    assert axes.get_yticklabels()[int(np.abs(axes.get_yticks() - down).argmin())].get_text() == "L1"
    assert "framed: the heads of the strongest links" in notes(figure)


def test_a_grid_of_some_layers_and_heads_names_them() -> None:
    observation = replay(sentence(), Request(heads=Heads((1,), (0, 2))))
    figure = draw_grid(observation, grid(observation), SMALL)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["H0", "H2", "mean"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["L1"]


def test_names_of_heads_never_run_together() -> None:
    attention = record(WORDS, random_weights((4, 24, 6)))
    observation = replay(attention)
    figure = draw_grid(observation, grid(observation), Style(width=3.3, dpi=100))
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert len(boxes) > 4
    assert all(first.x1 < second.x0 for first, second in itertools.pairwise(boxes))


# Sizes


@pytest.mark.parametrize("width", [3.3, 6.5])
def test_a_width_is_honoured_and_letters_keep_their_size(width: float) -> None:
    observation = replay(sentence())
    summary = summarise(observation)
    arcs = find_arcs(observation, summary.units, summary.maps)
    for figure in (
        heads_figure(sentence(), Style(width=width)), draw_grid(observation, grid(observation), Style(width=width)),
        draw_arcs(observation, arcs, Style(width=width)), draw_profile(observation, Style(width=width)),
        draw_shading(observation, find_shading(observation, summary.units, "bank"), Style(width=width)),
    ):  # fmt: skip
        assert figure.get_size_inches()[0] == pytest.approx(width)
        figure.draw_without_rendering()
        shown = [axes for axes in figure.axes if axes.axison]
        sizes = {label.get_fontsize() for axes in shown for label in axes.get_xticklabels() if label.get_text()}
        assert all(6.5 <= size <= 9 for size in sizes)


@pytest.mark.parametrize("word", ["w", "donaudampfschifffahrtsgesellschaft" * 3])
@pytest.mark.parametrize("width", [1.5, 3.3, None])
def test_nothing_is_clipped_at_any_length_of_word(word: str, width: float | None) -> None:
    attention = record([f"{word}{i}" for i in range(6)], random_weights((2, 2, 6)))
    style = Style(width=width, dpi=100)
    observation = replay(attention)
    summary = summarise(observation)
    shading = find_shading(observation, summary.units, f"{word}2")
    arcs = find_arcs(observation, summary.units, summary.maps)
    for figure in (
        draw_heads(observation, summary.units, summary.maps, style),
        draw_arcs(observation, arcs, style),
        draw_arcs(observation, arcs, style, horizontal=True),
        draw_shading(observation, shading, style) if width != 1.5 else None,
    ):
        if figure is None:
            continue
        figure.draw_without_rendering()
        page = figure.bbox
        shown = [axes for axes in figure.axes if axes.images]
        ticks = [label for axes in shown for label in [*axes.get_xticklabels(), *axes.get_yticklabels()]]
        texts = [*ticks, *(text for axes in figure.axes for text in axes.texts), *figure.texts]
        for text in texts:
            if not text.get_text() or not text.get_visible():
                continue
            box = text.get_window_extent()
            assert box.x0 >= page.x0 - 1 and box.y0 >= page.y0 - 1, text.get_text()  # noqa: PT018
            assert box.y1 <= page.y1 + 1, text.get_text()
            if width != 1.5:
                assert box.x1 <= page.x1 + 1, text.get_text()


# Rows by word


def test_a_word_picks_the_head_in_which_its_row_is_strongest_and_is_pointed_out() -> None:
    weights = peaked((2, 2, 6), {(0, 1, 1, 2): 0.9, (1, 0, 3, 4): 0.6})
    strongest = summarise(replay(sentence(weights)))
    assert (strongest.maps[0].layer, strongest.maps[0].head) == (0, 1)
    asked = summarise(replay(sentence(weights), Request(words=("river",))))
    assert (asked.maps[0].layer, asked.maps[0].head) == (1, 0)
    figure = heads_figure(sentence(weights), words=("river",))
    (box,) = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert box.get_y() == 2 - 0.5  # [CLS] is not drawn


def test_one_row_by_its_word() -> None:
    figure = heads_figure(sentence(), crop=Crop(rows="river"), heads=Heads((0,), (1,)))
    assert figure.axes[0].images[0].get_array().shape == (1, 4)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["river"]


# Arcs


def test_arcs_are_the_weights_and_their_opacity_is_shared_by_the_heads() -> None:
    weights = np.zeros((1, 2, 6, 6), np.float32)
    weights[0, 0, 1, 2], weights[0, 1, 3, 4] = 0.8, 0.4
    observation = replay(sentence(weights), Request(heads=Heads((0,), (0, 1))))
    summary = summarise(observation)
    arcs = find_arcs(observation, summary.units, summary.maps)
    assert arcs.links == ((0, 0, 1, pytest.approx(0.8)), (1, 2, 3, pytest.approx(0.4)))
    figure = draw_arcs(observation, arcs, SMALL)
    (lines,) = [each for each in figure.axes[0].collections if isinstance(each, PathCollection)]
    assert sorted(lines.get_edgecolor()[:, 3]) == pytest.approx([0.25, 0.5])
    assert "divided by 2 heads" in notes(figure)
    assert {"L0 H0", "L0 H1"} <= set(written(figure))


def test_of_more_than_eight_heads_the_mean_is_drawn() -> None:
    attention = record(WORDS, random_weights((1, 9, 6)))
    observation = replay(attention, Request(heads=Heads((0,), tuple(range(9)))))
    summary = summarise(observation)
    arcs = find_arcs(observation, summary.units, summary.maps)
    assert (len(arcs.heads), arcs.averaged) == (1, 9)
    largest = attention.weights[0, :, 1:5, 1:5].mean(0).max()
    assert arcs.links[0][-1] == pytest.approx(largest)
    assert "the mean of 9 heads" in notes(draw_arcs(observation, arcs, SMALL))


def test_arcs_of_many_words_are_the_strongest_and_say_how_many_are_left_out() -> None:
    n = 200
    attention = record([f"w{i}" for i in range(n)], peaked((1, 1, n), {(0, 0, 150, 20): 0.9}))
    observation = replay(attention, Request(heads=Heads((0,), (0,))))
    summary = summarise(observation)
    arcs = find_arcs(observation, summary.units, summary.maps)
    assert len(arcs.queries) <= MOST_WORDS
    strongest = max(arcs.links, key=lambda link: link[-1])
    assert (arcs.queries[strongest[1]], arcs.keys[strongest[2]]) == ("w150", "w20")
    assert arcs.left_out > 0
    assert all(arcs.queries[query] != arcs.keys[key] for _, query, key, _ in arcs.links)
    assert f"{arcs.left_out:,} others are left out" in notes(draw_arcs(observation, arcs, SMALL))


def test_a_word_that_is_asked_for_is_the_only_one_that_looks() -> None:
    observation = replay(sentence(), Request(words=("loan",)))
    summary = summarise(observation)
    arcs = find_arcs(observation, summary.units, summary.maps)
    assert {arcs.queries[query] for _, query, _, _ in arcs.links} == {"loan"}


def test_words_side_by_side_stand_on_two_lines() -> None:
    observation = replay(sentence())
    summary = summarise(observation)
    arcs = find_arcs(observation, summary.units, summary.maps)
    figure = draw_arcs(observation, arcs, Style(dpi=60), horizontal=True)
    places = {text.get_position()[1] for text in figure.axes[0].texts}
    assert len(places) == 2
    across = [text.get_position()[0] for text in figure.axes[0].texts[:4]]
    assert across == sorted(across)


@pytest.mark.parametrize(("words", "leftwards"), [(["שלום", "bank", "עולם"], True), (["bank", "שלום", "עולם"], False)])
def test_words_side_by_side_go_the_way_of_their_script(words: list[str], *, leftwards: bool) -> None:
    observation = replay(record(words, random_weights((1, 1, 3))))
    summary = summarise(observation)
    arcs = find_arcs(observation, summary.units, summary.maps)
    shading = find_shading(observation, summary.units, words[0])
    for figure in (draw_arcs(observation, arcs, horizontal=True), draw_shading(observation, shading)):
        across = [text.get_position()[0] for text in figure.axes[0].texts if text.get_text() in words][:3]
        assert across == sorted(across, reverse=leftwards)


# One word


def test_shading_is_the_row_of_the_word_in_each_layer() -> None:
    attention = sentence()
    observation = replay(attention)
    units = summarise(observation).units
    shading = find_shading(observation, units, "loan")
    np.testing.assert_allclose(shading.weights, attention.weights[:, :, 2, 1:5].mean(1), rtol=1e-6)
    assert (shading.lines, shading.words[shading.query or 0]) == (((0, None), (1, None)), "loan")
    figure = draw_shading(observation, shading, SMALL)
    boxes = [each for each in figure.axes[0].collections if isinstance(each, PatchCollection)]
    assert [len(each.get_facecolor()) for each in boxes] == [4, 4]
    assert [each for each in written(figure) if each in WORDS] == list(WORDS[1:5]) * 2


def test_shading_of_one_layer_is_a_line_a_head() -> None:
    attention = sentence()
    observation = replay(attention, Request(heads=Heads((1,))))
    shading = find_shading(observation, summarise(observation).units, "loan")
    assert shading.lines == ((1, 0), (1, 1), (1, 2))
    np.testing.assert_allclose(shading.weights, attention.weights[1, :, 2, 1:5], rtol=1e-6)


def test_too_many_words_to_shade_are_refused() -> None:
    attention = record([f"w{i}" for i in range(150)], random_weights((30, 1, 150)))
    observation = replay(attention)
    with pytest.raises(UsageError, match="30 lines of 150 words are too many"):
        find_shading(observation, summarise(observation).units, "w3")


def test_a_text_too_long_to_shade_says_so() -> None:
    attention = record([f"w{i}" for i in range(90)], random_weights((1, 1, 90)))
    observation = replay(attention, Request(size=20))
    with pytest.raises(UsageError, match="too many weights to shade"):
        find_shading(observation, summarise(observation).units, "w3")


# Two maps


def test_a_difference_is_the_second_minus_the_first_on_a_scale_with_zero_in_the_middle() -> None:
    first, second = (
        NamedMap(name, np.array(weights, np.float32), rows, ("a", "b"))
        for name, weights, rows in (
            ("one", [[0.9, 0.1], [0.5, 0.5]], ("a", "b")),
            ("two", [[0.2, 0.8], [0.5, 0.5]], ("a", "c")),
        )
    )
    aligned = Aligned((first, second), "fixed", (0, 1))
    units = summarise(replay(sentence())).units
    figure = draw_difference(aligned, units, Style(dpi=60))
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert [image.get_clim() for image in images[:2]] == [(0, pytest.approx(0.9))] * 2
    np.testing.assert_allclose(images[2].get_array(), [[-0.7, 0.7], [0, 0]], atol=1e-6)
    assert images[2].get_clim() == (pytest.approx(-0.7), pytest.approx(0.7))
    assert {"+70", "−70"} <= set(written(figure))
    assert [label.get_text() for label in figure.axes[3].get_yticklabels()] == ["a", "b / c"]


def test_the_difference_of_texts_of_other_lengths_has_the_words_of_both() -> None:
    first = summarise(replay(sentence()))
    second = summarise(replay(record(WORDS[:4], random_weights((2, 3, 4)))))
    aligned = align(first, second)
    figure = draw_difference(aligned, first.units, Style(dpi=60))
    assert len([axes for axes in figure.axes if axes.images]) == 3
    assert "the difference has the words that correspond" in notes(figure)
    rows, columns = ([i for i, _ in pairs] for pairs in (aligned.rows, aligned.columns))
    others = [[j for _, j in pairs] for pairs in (aligned.rows, aligned.columns)]
    expected = aligned.maps[1].weights[np.ix_(*others)] - aligned.maps[0].weights[np.ix_(rows, columns)]
    np.testing.assert_array_equal(aligned.difference, expected)


def test_texts_without_a_word_in_common_have_no_difference() -> None:
    first = summarise(replay(sentence()))
    second = summarise(replay(record(["zebra", "gnu"], random_weights((2, 3, 2)))))
    figure = draw_difference(align(first, second), first.units, Style(dpi=60))
    assert len([axes for axes in figure.axes if axes.images]) == 2
    assert "no difference is drawn" in notes(figure)


# Files


def test_cells_are_paths_and_letters_text_in_vector_files() -> None:
    figure = heads_figure(sentence(), heads=Heads((0,), (0,)))
    svg = saved(figure, ".svg").decode()
    assert "<image" not in svg
    assert re.search(r"<text[^>]*>bank</text>", svg)
    assert not any(isinstance(each, QuadMesh) for each in figure.axes[0].collections)  # as it was
    assert figure.axes[0].images[0].get_visible()
    pdf = saved(figure, ".pdf")
    assert b"/Type3" not in pdf
    assert b"/TrueType" in pdf or b"/CIDFontType2" in pdf
    assert b"/Subtype /Image" not in pdf


def test_the_cells_of_a_profile_are_paths_in_vector_files() -> None:
    assert "<image" not in saved(draw_profile(replay(sentence()), SMALL), ".svg").decode()

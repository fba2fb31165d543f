from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from attnviz.analysis.corpus.accumulation import Collector
from attnviz.analysis.corpus.metrics import Metric
from attnviz.render import palette
from attnviz.render.figure import Style, draw_maps, to_png
from attnviz.render.maps import MetricMap, corpus_maps, format_number, scale_ends, tick_numbers
from tests.analysis.corpora import HEADS, LAYERS, corpus, documents, figures, links
from tests.render.screen import luminance

SHARE = Metric("sink", "share", "weight")


def picture(shown: list[MetricMap], layers: tuple[int, ...] = LAYERS, style: Style | None = None) -> Figure:
    return draw_maps(shown, layers, "mini over 3 documents", "Means.", style or Style(dpi=60))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in [*figure.axes[0].texts, *figure.texts]]


def test_maps_are_the_means_of_all_amounts_that_there_are() -> None:
    collector = Collector(LAYERS, HEADS)
    collector.add(documents(range(3)), figures(3, cls=np.nan, entropy=2.0), links())
    found = {shown.metric.name: shown for shown in corpus_maps(collector.corpus())}
    assert "cls" not in found
    assert "offset" not in found
    assert found["entropy"].most == 2.0
    assert len(found) == 16


def test_a_map_with_values_below_zero_is_two_sided() -> None:
    shown = {each.metric.name: each for each in corpus_maps(corpus(3, signed_distance=-4.0))}["signed_distance"]
    assert shown.two_sided
    assert (shown.shares() == 0).all()
    assert scale_ends(shown) == ("−4.00", "4.00")


def test_a_map_of_zeros_has_a_scale() -> None:
    shown = {each.metric.name: each for each in corpus_maps(corpus(3, duplicate=0.0))}["duplicate"]
    assert (shown.shares() == 0).all()
    assert scale_ends(shown) == ("0.0 %", "100 %")


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(0.431, "share", "43.1 %"), (1, "share", "100 %"), (0.0004, "share", "0.0 %"), (1.934, "nats", "1.93"),
     (-12.44, "tokens", "−12.4"), (12345.6, "tokens", "12,346"), (np.nan, "share", "none")],
)  # fmt: skip
def test_numbers_are_written_in_three_figures(value: float, unit: str, shown: str) -> None:
    assert format_number(value, unit) == shown


@pytest.mark.parametrize(("count", "found"), [(1, [0]), (6, list(range(6))), (12, [0, 2, 4, 6, 8, 10])])
def test_few_numbers_are_all_shown(count: int, found: list[int]) -> None:
    assert list(tick_numbers(count)) == found


def test_the_picture_names_figures_layers_heads_and_scales() -> None:
    found = texts(picture(corpus_maps(corpus(3, entropy=2.5, sink=0.4))))
    assert {"mini over 3 documents", "Means.", "normalised entropy", "L3", "H3", "2.50", "nats", "40.0 %"} <= set(found)


@pytest.mark.parametrize(("layers", "heads"), [(6, 12), (80, 64), (1, 1), (100, 2)])
def test_pictures_of_any_model_fit_a_page(layers: int, heads: int) -> None:
    shown = [MetricMap(SHARE, np.random.default_rng(i).random((layers, heads)), 1.0) for i in range(18)]
    wide, high = picture(shown, tuple(range(layers))).get_size_inches()
    assert 0.7 < wide / high < 2.5
    assert 8 < wide < 26


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_larger_the_value_the_farther_from_the_paper(theme: str) -> None:
    values = np.array([[0.0, 0.5, 1.0]])
    style = Style(theme="light" if theme == "light" else "dark", dpi=100)
    figure = picture([MetricMap(SHARE, values, 1.0)], (0,), style)
    with Image.open(io.BytesIO(to_png(figure))) as image:
        pixels = np.asarray(image.convert("RGB")).astype(float)
    *sides, low, high = figure.axes[0].images[0].get_extent()
    left, right = sorted(sides)
    row = len(pixels) - int((low + high) / 2 * 100)
    columns = [int((left + share * (right - left)) * 100) for share in (1 / 6, 1 / 2, 5 / 6)]
    light = [luminance(pixels[row, column]) for column in columns]
    assert light == sorted(light, reverse=theme == "light")
    assert abs(light[0] - light[2]) > 100


def test_two_sided_colours_meet_in_the_middle() -> None:
    for name in palette.PALETTES:
        table = palette.two_sided_table(name)
        np.testing.assert_array_equal(table[127], table[128])
        np.testing.assert_array_equal(table[128], palette.colour_table(name)[0])
        assert np.abs(table[0].astype(int) - table[-1]).max() > 50


def test_no_maps_are_a_picture_too() -> None:
    assert to_png(picture([])).startswith(b"\x89PNG")

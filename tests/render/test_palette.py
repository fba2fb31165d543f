from __future__ import annotations

import numpy as np
import pytest

from attnviz.render import palette
from attnviz.render.palette import PALETTES, colour_table, is_light, value_colours


def lightness(rgb: palette.Colours) -> np.ndarray:
    """CIE L*, 0 is black and 100 white."""
    display = rgb.astype(float) / 255
    linear = np.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(luminance > 216 / 24389, 116 * np.cbrt(luminance) - 16, luminance * 24389 / 27)


@pytest.mark.parametrize("name", PALETTES)
def test_lightness_runs_one_way(name: str) -> None:
    steps = np.diff(lightness(colour_table(name)))
    steps *= np.sign(steps.sum())
    assert steps.min() > -0.15  # what rounding to whole colours can do
    assert steps.sum() > 70


def test_the_dark_palette_begins_dark_and_the_light_one_light() -> None:
    assert lightness(colour_table("ember"))[0] < 10
    assert lightness(colour_table("ink"))[0] == pytest.approx(100, abs=0.1)


@pytest.mark.parametrize("name", PALETTES)
def test_the_anchors_are_met_exactly(name: str) -> None:
    found = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colour_table(name)[::51]]
    assert found == list(PALETTES[name])


@pytest.mark.parametrize("name", PALETTES)
def test_neighbours_look_alike(name: str) -> None:
    assert np.abs(np.diff(colour_table(name).astype(int), axis=0)).max() <= 6


def test_values_take_their_place_between_low_and_high() -> None:
    np.testing.assert_array_equal(value_colours(np.array([2.0, 3.0, 4.0]), 2, 4), colour_table("ember")[[0, 128, 255]])


def test_values_beyond_are_clipped() -> None:
    np.testing.assert_array_equal(value_colours(np.array([-9.0, 9.0]), 0, 1), colour_table("ember")[[0, 255]])


def test_nan_is_the_lowest_colour() -> None:
    np.testing.assert_array_equal(value_colours(np.array([np.nan]), 0, 1, "ink"), colour_table("ink")[[0]])


def test_one_value_alone_has_a_colour() -> None:
    np.testing.assert_array_equal(value_colours(np.array([3.0]), 3, 3), colour_table("ember")[[0]])


def test_the_shape_is_kept() -> None:
    assert value_colours(np.zeros((2, 3, 4)), 0, 1).shape == (2, 3, 4, 3)


@pytest.mark.parametrize(
    ("colour", "light"), [((255, 255, 255), True), ((0, 0, 0), False), ((0, 255, 0), True), ((0, 0, 255), False)]
)
def test_black_reads_better_on_light_colours(colour: tuple[int, int, int], *, light: bool) -> None:
    assert is_light(np.array(colour, np.uint8)) is light

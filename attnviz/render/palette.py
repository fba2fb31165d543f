"""Colours of values: two sequential palettes whose lightness is monotonic, so that they also work in grey."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.uint8]

PALETTES = {
    "ember": ("#12121f", "#3a1657", "#8b2468", "#d6454f", "#f7913d", "#fdeaa5"),
    "ink": ("#ffffff", "#d9e7f5", "#95bde1", "#4c87c6", "#204f98", "#0b1e48"),
}
"""The colours from low to high, by name: ``ember`` for dark backgrounds, ``ink`` for paper."""
_BELOW = {
    "ember": ("#12121f", "#14304f", "#1d5f86", "#3b98ad", "#8acbc4", "#e2f5ea"),
    "ink": ("#ffffff", "#f9dfcb", "#eea974", "#cf6a2b", "#8f3a10", "#471806"),
}
"""The colours of negative values, from 0 down."""

BAR, HEAD = PALETTES["ember"][4], _BELOW["ember"][3]
"""The colours of bars and of the names of heads on a console, be it dark or light."""

# The Oklab space (Ottosson 2020), in which equal steps look equal: linear RGB → cone responses → Lab.
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


@cache
def colour_table(name: str) -> Colours:
    """Return the 256 colours of a palette, (256, 3)."""
    return _between(PALETTES[name], 256)


@cache
def two_sided_table(name: str) -> Colours:
    """Return the 256 colours of a palette for values of both signs, (256, 3), with 0 in the middle."""
    return np.concatenate((_between(_BELOW[name], 128)[::-1], _between(PALETTES[name], 128)))


def _between(colours: tuple[str, ...], count: int) -> Colours:
    """Return ``count`` colours from the first to the last, in equal steps of Oklab."""
    anchors = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours]) / 255
    linear = np.where(anchors <= 0.04045, anchors / 12.92, ((anchors + 0.055) / 1.055) ** 2.4)
    lab = np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T
    places = np.linspace(0, len(lab) - 1, count)
    steps = np.stack([np.interp(places, np.arange(len(lab)), axis) for axis in lab.T], axis=-1)
    linear = (steps @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_CONES).T
    linear = np.clip(linear, 0, 1)
    display = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(display * 255).astype(np.uint8)


def value_colours(values: NDArray[np.floating], low: float, high: float, name: str = "ember") -> Colours:
    """Return the colour of each value between ``low`` and ``high``, (…, 3); values outside are clipped."""
    return np.asarray(colour_table(name)[value_steps(values, low, high)])


def value_steps(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.intp]:
    """Return which of a palette's 256 colours each value between ``low`` and ``high`` has, (…)."""
    span = high - low if high > low else 1.0
    steps = np.clip((values - low) / span, 0, 1) * 255
    return np.asarray(np.nan_to_num(steps).round(), np.intp)


def is_light(colour: NDArray[Any]) -> bool:
    """Whether black text reads better on ``colour`` than white (relative luminance with the weights of ITU-R
    BT.709).
    """
    return float(colour @ np.array([0.2126, 0.7152, 0.0722])) > 128

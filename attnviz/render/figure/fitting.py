"""Whether all text of a picture can be read: none beyond its edges, none over other text; and how large it must be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from attnviz.errors import UsageError
from attnviz.render.figure.style import Style, own_settings

_SLACK = 1.5
"""Pixels that a letter may stand out."""
_OVERLAP = 0.4
"""The share of a line's height from which on two texts are one over the other."""
_COMPARED = 5_000
"""The most texts that are compared with each other."""
_STEP = 0.1
"""Inches to which the size that is needed is rounded up."""
_TRIES, _HALVINGS, _LONGEST = 16, 5, 60.0

Size = tuple[float, float]


@dataclass(frozen=True)
class Misfits:
    """What can't be read in a picture.

    Args:
        texts: the texts beyond the edges, and those over others.
        beyond: the inches by which texts stand out, across and down.
    """

    texts: tuple[str, ...]
    beyond: Size


def find_misfits(figure: Figure) -> Misfits:
    """Return the texts of a figure that is laid out (drawn once) which can't be read."""
    renderer: Any = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    texts = [text for text in _texts(figure) if text.get_text().strip()]
    boxes = np.array([text.get_window_extent(renderer).extents for text in texts]).reshape(-1, 4)
    kept = boxes[:, 2] > boxes[:, 0]
    texts, boxes = list(itertools.compress(texts, kept)), boxes[kept]
    low, high = -boxes[:, :2], boxes[:, 2:] - (figure.bbox.width, figure.bbox.height)
    out = np.maximum(low, high)  # (n, 2) pixels
    lost = (out > _SLACK).any(1)
    beyond = np.where(out > _SLACK, out, 0).max(0, initial=0) / figure.dpi
    if len(boxes) <= _COMPARED:
        lost |= _overlapping(boxes, boxes, own=True)
    around = [text in (figure._suptitle, figure._supxlabel) for text in texts]  # type: ignore[attr-defined]
    maps = [axes.get_window_extent(renderer).extents for axes in figure.axes if axes.axison and axes.get_visible()]
    if maps and any(around):
        lost[around] |= _overlapping(boxes[around], np.array(maps), own=False)
    return Misfits(
        tuple(dict.fromkeys(text.get_text() for text in itertools.compress(texts, lost))),
        (float(beyond[0]), float(beyond[1])),
    )


def _texts(figure: Figure) -> Iterator[Text]:
    """Yield the texts that are drawn."""
    hidden = {
        label
        for axes in figure.axes
        if isinstance(axes, Axes) and not axes.axison
        for axis in (axes.xaxis, axes.yaxis)
        for label in axis.findobj(Text)
    }
    for text in figure.findobj(Text):
        if isinstance(text, Text) and text.get_visible() and text not in hidden:
            yield text


def _overlapping(boxes: NDArray[np.floating], others: NDArray[np.floating], *, own: bool) -> NDArray[np.bool_]:
    """Return which of ``boxes`` (n, 4: left, low, right, high) lie over one of ``others`` (m, 4), (n,).

    Two boxes overlap if they share more than a pixel and a share of the smaller one's height; ``own`` says that both
    are the same boxes.
    """
    left, low, right, high = (side[:, None] for side in boxes.T)
    across = np.minimum(right, others[:, 2]) - np.maximum(left, others[:, 0])
    down = np.minimum(high, others[:, 3]) - np.maximum(low, others[:, 1])
    found = (across > 1) & (down > _OVERLAP * np.minimum(high - low, others[:, 3] - others[:, 1]))
    if own:
        np.fill_diagonal(found, val=False)
    return np.asarray(found.any(1))


def smallest_fit(draw: Callable[[Style], Figure], style: Style) -> Style | None:
    """Return the ``style`` with the smallest width or size in which all text fits; None if none is found.

    Args:
        draw: draws the picture.
        style: with a width or a size that is too small.
    """
    given = style.size or (style.given_width or 0.0, 0.0)
    if not given[0]:
        return None
    fits = _growing(draw, style, given)
    if fits is None:
        return None
    for side in (0, 1) if style.size else (0,):  # one after the other: often one of them was large enough
        low, high = given[side], fits[side]
        for halving in range(_HALVINGS):
            tried = _round_up((low + high) / 2) if halving else low
            if tried >= high:
                break
            size = (tried, fits[1]) if side == 0 else (fits[0], tried)
            if _misfits(draw, _sized(style, size)).texts:
                low = tried
            else:
                fits, high = size, tried
    return _sized(style, fits)


def _growing(draw: Callable[[Style], Figure], style: Style, size: Size) -> Size | None:
    """Return a size from ``size`` on in which all text fits."""
    for _ in range(_TRIES):
        found = _misfits(draw, _sized(style, size))
        if not found.texts:
            return size
        more = 1.05 if any(found.beyond) else 1.2  # where texts overlap no side says by how much
        size = _round_up(size[0] * more + found.beyond[0]), _round_up(size[1] * more + found.beyond[1])
        if max(size) > _LONGEST:
            break
    return None


def _round_up(inches: float) -> float:
    return math.ceil(inches / _STEP - 1e-6) * _STEP


def _sized(style: Style, size: Size) -> Style:
    return replace(style, size=size) if style.size else replace(style, width=size[0])


@own_settings()
def _misfits(draw: Callable[[Style], Figure], style: Style) -> Misfits:
    try:
        figure = draw(replace(style, dpi=100))
    except UsageError:  # too many pixels
        return Misfits(("",), (0.0, 0.0))
    figure.draw_without_rendering()
    return find_misfits(figure)

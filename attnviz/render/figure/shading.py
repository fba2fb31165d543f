"""Draw one word's attention as shading behind the words of its text, a line for each layer or head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from numpy.typing import NDArray

from attnviz.analysis.text.shading import Shading
from attnviz.record import Observation
from attnviz.render import palette
from attnviz.render.figure import sheet
from attnviz.render.figure.captions import bar_label, hidden_note, log_note, measure_note, picture_name
from attnviz.render.figure.fonts import families, shorten_to, text_width
from attnviz.render.figure.sheet import BAR, EDGE, LABEL, Scale
from attnviz.render.figure.style import Style, own_settings
from attnviz.render.labels import clean, head_name, reads_right_to_left

_WIDE = 7.0
"""Inches of a picture, unless a width is given."""
_LINE = 0.2
"""Inches from one line of words to the next."""
_PAD = 0.035
"""Inches of shading to the left and the right of a word."""
_SPACE = 0.05
"""Inches between the shadings of two words."""


@own_settings()
def draw_shading(observation: Observation, shading: Shading, style: Style | None = None) -> Figure:
    """Draw the text once for each layer, or head of a layer, with each word shaded by what the word asked for gives it.

    Raises:
        UsageError: the picture would have too many pixels.
    """
    style = style or Style()
    names = [
        f"L{layer}" if head is None else head_name(layer, head, observation.measure) for layer, head in shading.lines
    ]
    left = EDGE + max(text_width(name, LABEL) for name in names) + 0.12
    room = sheet.bar_room()
    words = [shorten_to(clean(label), LABEL, 2.5) for label in shading.words]
    sizes = np.array([text_width(word, LABEL) for word in words])
    natural = float(sizes.sum()) + len(words) * (2 * _PAD + _SPACE)
    width = style.given_width or min(_WIDE, max(3.0, left + natural + room + EDGE))
    places, rows = _flow(sizes, max(0.5, width - left - room - EDGE))
    if reads_right_to_left(words):  # from the right end of the longest line on
        ends = places[:, 0] + sizes
        places[:, 0] = ends.max() - ends
    block = rows * _LINE + (0.06 if rows == 1 else 0.12)
    by_layer = observation.measure.by_layer or shading.lines[0][1] is None
    means = ", mean of its heads" * (by_layer and not observation.measure.by_layer)
    verb = "looks at" if observation.measure.plain else "takes from"
    title = f"{picture_name(observation)}  “{clean(shading.word)}” {verb}, by {'layer' if by_layer else 'head'}{means}"
    around = sheet.frame(style, title, _notes(observation, shading, style), width)
    high = len(names) * block
    page = sheet.new_sheet(style, around, around.above + high + around.below)
    high = max(0.2, page.height - around.above - around.below)
    axes = page.axes(0, around.above, page.width, high)
    axes.set(xlim=(0, page.width), ylim=(len(names) * block, 0))
    axes.set_axis_off()
    others = shading.weights
    if observation.measure.residual and shading.query is not None:  # its own part would make all others pale
        others = np.delete(shading.weights, shading.query, -1)
    norm = sheet.norm_of(style, float(others.max(initial=0.0)))
    scale = Scale(norm, sheet.colours_of(style), observation.measure.share)
    for line, name in enumerate(names):
        top = line * block
        axes.text(EDGE, top + _LINE / 2, name, size=LABEL, color=style.soft, va="center_baseline")
        boxes = _Boxes(places + np.array([left, top]), sizes, words, shading.query)
        _draw_line(axes, boxes, np.asarray(scale.to_rgba(shading.weights[line])), style)
    bar = min(high, 2.2)
    largest = float(shading.weights.max(initial=0.0))
    box = (page.width - EDGE - room + 0.12, around.above + 0.02, BAR, bar - 0.04)
    label = bar_label(observation.measure)
    sheet.draw_bar(page, scale, label if bar > 1.2 else label.removeprefix("attention "), box, largest)
    return page.figure


def _flow(sizes: NDArray[np.floating], width: float) -> tuple[NDArray[np.floating], int]:
    """Return the left and the top of each word, (n, 2), in lines of this width, and how many lines there are."""
    places = np.zeros((len(sizes), 2))
    x, row = 0.0, 0
    for i, size in enumerate(sizes):
        if x and x + size + 2 * _PAD > width:
            x, row = 0.0, row + 1
        places[i] = x, row * _LINE
        x += size + 2 * _PAD + _SPACE
    return places, row + 1


@dataclass(frozen=True, eq=False)
class _Boxes:
    """The words of a line: their left and top (n, 2), widths (n,), texts, and which looks; None if not shown."""

    places: NDArray[np.floating]
    sizes: NDArray[np.floating]
    words: list[str]
    query: int | None


def _draw_line(axes: Axes, boxes: _Boxes, colours: NDArray[np.floating], style: Style) -> None:
    """Draw the words of one line, each on its shading."""
    patches = [
        FancyBboxPatch((x, y + 0.015), size + 2 * _PAD, _LINE - 0.03, boxstyle="round,pad=0,rounding_size=0.025")
        for (x, y), size in zip(boxes.places, boxes.sizes, strict=True)
    ]
    axes.add_collection(PatchCollection(patches, facecolors=colours, edgecolors="none"), autolim=False)
    for i, ((x, y), size, word) in enumerate(zip(boxes.places, boxes.sizes, boxes.words, strict=True)):
        ink = "#000000" if palette.is_light(np.asarray(colours[i, :3] * 255)) else "#ffffff"
        axes.text(
            x + _PAD, y + _LINE / 2, word, size=LABEL, color=ink, va="center_baseline", parse_math=False,
            fontfamily=list(families(word)),
        )  # fmt: skip
        if i == boxes.query:
            axes.plot([x + _PAD, x + _PAD + size], [y + _LINE - 0.02] * 2, color=style.accent, linewidth=1.2)


def _notes(observation: Observation, shading: Shading, style: Style) -> list[str]:
    """Return what must be said of the picture, a note each."""
    hidden = "" if shading.hidden is None else hidden_note(observation, shading.hidden)
    said = measure_note(observation.measure, observation.note, own=not style.vmax)
    return [note for note in (said, log_note(style), hidden) if note]

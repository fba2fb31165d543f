"""A picture laid out in inches, so that its text has the same size however wide it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from attnviz.record import Measure
from attnviz.render import palette
from attnviz.render.figure.fonts import families, shorten_to, text_width, wrap
from attnviz.render.figure.style import Style, colormap, new_figure

TITLE, LABEL, SMALL = 9.0, 8.0, 7.0
"""Points of the title, of labels, and of numbers and notes: a journal asks for 7 to 9 at the width of a column."""
EDGE = 0.08
"""Inches around everything."""
LINE = 0.135
"""Inches of a line of a note."""
BAR = 0.1
"""Inches across the scale's bar."""
BOLD = 1.2
"""How much wider bold letters are."""
LEAST = 0.2
"""The fewest inches of what is drawn, however small a picture is asked for."""
DECADES = 3
"""How far below its end a logarithmic scale begins, in powers of ten."""


@dataclass(frozen=True)
class Frame:
    """The inches that a title and notes take of a picture, above and below the rest.

    Args:
        title: the title; empty for none.
        notes: the lines below.
        width: the inches of the whole picture.
    """

    title: str
    notes: tuple[str, ...]
    width: float

    @property
    def above(self) -> float:
        """The inches above the rest."""
        return EDGE + (0.09 + 0.15 * (1 + self.title.count("\n")) if self.title else 0.0)

    @property
    def below(self) -> float:
        """The inches below the rest."""
        return EDGE + LINE * len(self.notes) + (0.05 if self.notes else 0.0)


def frame(style: Style, title: str, notes: list[str], width: float) -> Frame:
    """Return a frame with ``notes`` broken into lines that fit ``width`` inches."""
    room = width - 2 * EDGE
    lines = [line for note in notes if note for line in wrap(note, SMALL, room)]
    title = style.titled(title)
    if text_width(title, TITLE) * BOLD > room:
        title = "\n".join(shorten_to(line, TITLE * BOLD, room) for line in wrap(title, TITLE * BOLD, room))
    return Frame(title, tuple(lines), width)


@dataclass(frozen=True, eq=False)
class Sheet:
    """A figure whose parts are placed in inches from its left and its top.

    Args:
        figure: the figure.
        style: how it looks.
        width: its width in inches.
        height: its height in inches.
    """

    figure: Figure
    style: Style
    width: float
    height: float

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Return new axes of this size, with quiet frames and ticks."""
        box = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(box)
        axes.set_facecolor("none")
        axes.tick_params(which="both", colors=self.style.ink, length=0, labelsize=LABEL, pad=2)
        for spine in axes.spines.values():
            spine.set(color=self.style.frame, linewidth=0.6)
        return axes

    def write(self, left: float, top: float, text: str, points: float = LABEL, **options: Any) -> None:
        """Write ``text``, which is no mathematics, with its top left corner here unless ``options`` say otherwise."""
        facts: dict[str, Any] = {"ha": "left", "va": "top", "color": self.style.ink, "parse_math": False} | options
        x, y = left / self.width, 1 - top / self.height
        self.figure.text(x, y, text, fontsize=points, fontfamily=list(families(text)), **facts)


def new_sheet(style: Style, around: Frame, height: float) -> Sheet:
    """Return a sheet with the title and notes of ``around``, and ``height`` inches in all unless a height is given."""
    height = style.given_height or height
    sheet = Sheet(new_figure(style, (around.width, height)), style, around.width, height)
    if around.title:
        sheet.figure.suptitle(
            around.title, x=EDGE / sheet.width, y=1 - EDGE / height, ha="left", va="top", size=TITLE, weight="bold",
            color=style.ink, parse_math=False,
        )  # fmt: skip
    if around.notes:
        sheet.figure.supxlabel(
            "\n".join(around.notes), x=EDGE / sheet.width, y=EDGE / height, ha="left", va="bottom", size=SMALL,
            color=style.soft, linespacing=LINE * 72 / SMALL / 1.17, parse_math=False,
        )  # fmt: skip
    return sheet


@dataclass(frozen=True, eq=False)
class Scale:
    """What turns values into colours: where they lie between the ends of the ``norm``, and the ``colours``.

    ``share`` says that values are shares, written in percent.
    """

    norm: Normalize
    colours: Colormap
    share: bool = True

    @property
    def high(self) -> float:
        """The upper end."""
        return cast("float", self.norm.vmax)

    def to_rgba(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the colours of ``values`` (…), (…, 4)."""
        return np.asarray(self.colours(self.norm(values)))


def norm_of(style: Style, largest: float) -> Normalize:
    """Return the scale of weights of which the ``largest`` is shown."""
    high = style.vmax or largest or 1.0
    return LogNorm(high / 10**DECADES, high) if style.log else Normalize(0.0, high)


def colours_of(style: Style) -> Colormap:
    """Return the style's colours; what has no value, or too little for a logarithmic scale, has the lowest."""
    colours = colormap(style)
    lowest = colours(0.0)
    return colours.with_extremes(bad=(0, 0, 0, 0), under=lowest)


def two_sided(style: Style, most: float) -> tuple[Normalize, Colormap]:
    """Return the scale from −``most`` to ``most`` and its colours, for values of both signs."""
    table = palette.two_sided_table("ink" if style.theme == "light" else "ember")
    return Normalize(-most, most), ListedColormap(table / 255, "difference").with_extremes(bad=(0, 0, 0, 0))


def draw_bar(sheet: Sheet, scale: Scale, label: str, box: tuple[float, float, float, float], largest: float) -> None:
    """Draw the scale of weights as a bar, in percent if they are shares.

    Args:
        sheet: where.
        scale: what has the norm and the colours.
        label: what the values are.
        box: the inches of the bar's left, top, width and height; it stands if it is higher than wide.
        largest: the largest weight shown; if the scale ends below it, the last number says so.
    """
    upright = box[3] > box[2]
    axes = sheet.axes(*box)
    bar = sheet.figure.colorbar(
        ScalarMappable(scale.norm, scale.colours), cax=axes, orientation="vertical" if upright else "horizontal"
    )
    high = scale.high
    most = ["≥" if largest > high * (1 + 1e-6) else ""]
    bar.locator = FixedLocator(_bar_ticks(scale.norm, max(box[2:])))
    bar.formatter = FuncFormatter(
        lambda value, _: (most[0] if value >= high * 0.9999 else "") + number(value, scale.share)
    )
    bar.minorlocator = FixedLocator([])
    bar.update_ticks()
    bar.set_label(_bar_label(label, max(box[2:])), color=sheet.style.ink, size=SMALL, labelpad=3)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set(rasterized=False, edgecolor="face", linewidth=0.1)  # a vector file has no image for it
    axes.tick_params(which="both", colors=sheet.style.ink, length=2, width=0.5, labelsize=SMALL, pad=1.5)


def _bar_label(label: str, inches: float) -> str:
    """Return the label of a bar of this length: of a short one less of it, down to the unit in brackets."""
    unit = "%" if label.endswith("(%)") else label.partition(" ")[0]
    choices = (label, label.removeprefix("attention "), unit)
    return next((each for each in choices if text_width(each, SMALL) <= inches), unit)


def _bar_ticks(norm: Normalize, inches: float) -> list[float]:
    """Return round values for a bar of this length, with the end of the scale among them where there is room."""
    low, high = cast("float", norm.vmin), cast("float", norm.vmax)
    if isinstance(norm, LogNorm):
        powers = [10.0**power for power in range(-9, 1) if low * 0.999 <= 10.0**power <= high * 1.001]
        ticks = [min(max(power, low), high) for power in powers]
        return [*ticks, high] if not ticks or high / ticks[-1] > 2 else ticks
    found = MaxNLocator(nbins=max(1, min(5, int(inches / 0.3)))).tick_values(low, high)
    ticks = [min(float(tick), high) for tick in found if low - 1e-12 <= tick <= high * 1.0001]
    step = ticks[1] - ticks[0] if len(ticks) > 1 else high
    return [*ticks, high] if high - ticks[-1] > 0.6 * step else ticks


def number(value: float, share: bool = True) -> str:
    """Format a weight, in percent if it is a ``share``: ``0``, ``20``, ``0.5``, ``0.02`` or ``−20``."""
    return f"{100 * value if share else value:.3g}".replace("-", "−")


def amount(value: float, measure: Measure) -> str:
    """Format a weight with its unit: ``20 %``, or ``1.5`` of a measure that is no share."""
    return number(value, measure.share) + " %" * measure.share


def bar_room() -> float:
    """Return the inches that an upright bar takes with its numbers and label."""
    return 0.12 + BAR + text_width("≥100", SMALL) + 0.24

"""Maps side by side, each with its words, on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attnviz.render.figure import cells, sheet
from attnviz.render.figure.fonts import shorten_to
from attnviz.render.figure.layout import AXIS, Around, Panel, Plan, plan_panels
from attnviz.render.figure.sheet import BAR, BOLD, EDGE, LABEL, SMALL, Sheet
from attnviz.render.figure.style import Style


def draw_panels(panels: Sequence[Panel], around: Around, style: Style) -> Figure:
    """Draw maps of one size side by side, in as many lines as the width asks for.

    Raises:
        UsageError: the picture would have too many pixels.
    """
    plan = plan_panels(panels, around, style)
    page = sheet.new_sheet(style, plan.frame, plan.height)
    for place, panel in enumerate(panels):
        _draw_panel(page, plan, place, panel, around.axes)
    if around.bar:
        _draw_bar(page, plan, panels, around.bar)
    return page.figure


def _draw_panel(page: Sheet, plan: Plan, place: int, panel: Panel, names: tuple[str, str]) -> None:
    """Draw one map with its labels."""
    left, top = plan.corner(place)
    rows, columns = panel.heatmap.values.shape
    axes = page.axes(left, top, plan.across, plan.down)
    cells.draw_cells(axes, panel.heatmap, panel.scale, lines=page.style.paper if plan.separated else None)
    down, across = panel.heatmap.numbers or (None, None)
    down_side, across_side = plan.sides[place]
    cells.label_side(axes.xaxis, across_side, across, plan.across / columns, upright=plan.stands)
    if plan.own or place % plan.per_line == 0:
        cells.label_side(axes.yaxis, down_side, down, plan.down / rows)
    else:
        axes.set_yticks([])
    if place % plan.per_line == 0:
        axes.set_ylabel(names[0], color=page.style.soft, size=SMALL, labelpad=2)
    if place < plan.per_line:
        axes.set_xlabel(names[1], color=page.style.soft, size=SMALL, labelpad=3)
    if plan.numbers:
        room = cells.has_room_for_numbers(panel.heatmap, plan.across / columns, plan.down / rows)
        points = SMALL if room else max(4.0, min(SMALL, min(plan.across / columns, plan.down / rows) * 72 * 0.55))
        cells.write_weights(axes, panel.scale, panel.heatmap, points, signed=panel.signed)
    for row in panel.marked:
        box = Rectangle((-0.5, row - 0.5), columns, 1, fill=False, edgecolor=page.style.accent, lw=1.3, clip_on=False)
        axes.add_patch(box)
    for row, column in panel.points:
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=page.style.accent, lw=1.3))
    column = place % plan.per_line
    strip = plan.strips[column]
    if strip and panel.hidden is not None:
        cells.draw_hidden(page, axes, panel.hidden, (left + plan.across + 0.05, top, strip - 0.07, plan.down))
    if panel.bar:
        box_ = _bar_box(plan, left, left + plan.across + strip, top, plan.down)
        sheet.draw_bar(page, panel.scale, panel.bar, box_, panel.largest)
    if panel.heading:
        above = 0.07 + plan.words(place) + AXIS * (place < plan.per_line)
        following = plan.corner(place + 1)[0] - 0.1 if column < plan.per_line - 1 else page.width - EDGE
        beside = max(plan.across, following - left - (0.0 if plan.own else plan.lefts[0]))
        heading = shorten_to(panel.heading, LABEL * BOLD, beside)
        page.write(left, top - above, heading, LABEL, weight="bold", va="bottom")


def _bar_box(plan: Plan, left: float, right: float, top: float, height: float) -> tuple[float, float, float, float]:
    """Return where a scale stands beside maps, or lies below them."""
    if plan.upright:
        return right + 0.12, top, BAR, height
    return left, top + height + 0.1, min(2.5, right - left), BAR


def _draw_bar(page: Sheet, plan: Plan, panels: Sequence[Panel], label: str) -> None:
    """Draw the scale that the maps share."""
    left, top = plan.corner(0)
    right = max(plan.corner(place)[0] for place in range(len(panels))) + plan.across + max(plan.strips)
    height = plan.tops[-1] - plan.tops[0] + plan.down
    largest = max(panel.largest for panel in panels)
    sheet.draw_bar(page, panels[0].scale, label, _bar_box(plan, left, right, top, height), largest)

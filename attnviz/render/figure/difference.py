"""Draw two maps side by side on one scale, and their difference on a diverging one."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from attnviz.analysis.text.aligned import Aligned
from attnviz.analysis.text.units import Reading
from attnviz.render.figure import sheet
from attnviz.render.figure.captions import axis_names, bar_label, measure_note
from attnviz.render.figure.fonts import shorten_to
from attnviz.render.figure.layout import NAMED, Around, Panel
from attnviz.render.figure.panels import draw_panels
from attnviz.render.figure.sheet import LABEL, Scale
from attnviz.render.figure.style import Style, own_settings
from attnviz.render.heatmap import Heatmap
from attnviz.render.labels import clean, head_name

_HEADING = 2.6
"""The most inches of the beginning of a text over its map."""


@own_settings()
def draw_difference(aligned: Aligned, units: Reading, style: Style | None = None) -> Figure:
    """Draw both maps on one scale and, where their rows and columns correspond, the second minus the first.

    Args:
        aligned: the maps.
        units: what the rows and columns of the first are.
        style: how the picture looks.

    Raises:
        UsageError: the picture would have too many pixels.
    """
    style = style or Style()
    largest = max(float(each.weights.max(initial=0.0)) for each in aligned.maps)
    share = units.measure.share
    scale = Scale(sheet.norm_of(style, largest), sheet.colours_of(style), share)
    heads = [head_name(*each, units.measure) for each in (aligned.head, aligned.other) if each]
    panels = []
    for place, each in enumerate(aligned.maps):
        heatmap = Heatmap(each.weights, each.rows, each.columns, 0.0, largest, percent=share)
        bar = bar_label(units.measure) if place else None
        heading = shorten_to(heads[place] if aligned.other else clean(each.name), LABEL, _HEADING)
        panels.append(Panel(heading, heatmap, each.columns, scale, each.hidden, bar=bar))
    notes = ["both on one scale"]
    if (change := aligned.difference) is None:
        notes.append("no difference is drawn: no rows or no columns of the two correspond")
    else:
        panels.append(_difference(aligned, change, style, share=share))
        notes[0] += f"; the difference is the second minus the first{', in percentage points' * share}"
        if aligned.alone:
            notes.append("the difference has the words that correspond in both")
    named = max(max(each.weights.shape) for each in aligned.maps) <= NAMED
    measure = "" if units.measure.plain else f"  {units.measure.name}"
    notes.insert(0, measure_note(units.measure))
    title = f"{clean(aligned.title)}{measure}  {' and '.join(heads)}"
    around = Around(title, [note for note in notes if note], axis_names(units), "", named)
    return draw_panels(panels, around, style)


def _difference(aligned: Aligned, change: np.ndarray, style: Style, *, share: bool) -> Panel:
    """Return the map of the difference."""
    most = float(np.abs(change).max(initial=0.0)) or 1.0
    scale = Scale(*sheet.two_sided(style, most), share)
    rows, columns = aligned.labels
    return Panel(
        "difference",
        Heatmap(change, rows, columns, -most, most, percent=share),
        columns,
        scale,
        bar="difference (points)" if share else "difference",
        signed=True,
    )

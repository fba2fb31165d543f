"""Draw one head, or several side by side on one scale, with the words that look and those looked at."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from attnviz.analysis.text.shown_maps import HeadMap, hidden_shares
from attnviz.analysis.text.units import Reading
from attnviz.record import Observation
from attnviz.render.figure import sheet
from attnviz.render.figure.captions import axis_names, bar_label, hidden_note, measure_note, picture_name, scale_note
from attnviz.render.figure.layout import BIG, NAMED, Around, Panel
from attnviz.render.figure.panels import draw_panels
from attnviz.render.figure.sheet import Scale
from attnviz.render.figure.style import Style, own_settings
from attnviz.render.heatmap import Heatmap, head_heatmap, pool
from attnviz.render.labels import head_name

_CELLS = 1000
"""The most cells of a map across or down, if there are enough pixels."""
_MARGIN = 1.5
"""Inches that words, title and scale may take of the picture's shorter side."""


@own_settings()
def draw_heads(
    observation: Observation,
    units: Reading,
    heads: Sequence[HeadMap],
    style: Style | None = None,
    marked: Collection[int] = (),
) -> Figure:
    """Draw the maps of ``heads`` side by side: rows are queries, columns keys, labelled with their words.

    They share one scale unless the style gives each its own. The sides of a map of many words show numbers. If a map
    has more words than visible cells, each cell is the largest weight of several. Beside the rows stands which share
    of their weight lies on tokens that are not drawn, where it is large.

    Args:
        observation: what was observed.
        units: the words of its text, or other units.
        heads: the maps.
        style: how the picture looks.
        marked: the queries whose rows are pointed out.

    Raises:
        UsageError: the picture would have too many pixels.
    """
    style = style or Style()
    maps, named = _heatmaps(units, heads, style)
    across = columns_of(units, heads[0], maps[0])
    largest = [_largest(units, *pair) for pair in zip(heads, maps, strict=True)]
    own = style.own_scale and len(heads) > 1
    colours = sheet.colours_of(style)
    panels = []
    for head, heatmap, most in zip(heads, maps, largest, strict=True):
        name = head_name(head.layer, head.head, units.measure) if len(heads) > 1 else ""
        panels.append(
            Panel(
                f"{name}  to {sheet.amount(style.vmax or most, units.measure)}" if own else name,
                heatmap,
                across,
                Scale(sheet.norm_of(style, most if own else max(largest)), colours, units.measure.share),
                hidden_shares(head.weights, observation, pooled=head.size is not None),
                [row for row, query in enumerate(head.rows) if query in marked and not heatmap.pooled],
            )
        )
    one = f"  {head_name(heads[0].layer, heads[0].head, units.measure)}" if len(heads) == 1 else ""
    title = picture_name(observation) + one
    bar = "" if own else bar_label(units.measure, per_token=heads[0].per_token)
    notes = _notes(observation, panels, style)
    written = f"numbers in {maps[0].unit}" if maps[0].exponent else ""
    return draw_panels(panels, Around(title, notes, axis_names(units), bar, named, written), style)


def _heatmaps(units: Reading, heads: Sequence[HeadMap], style: Style) -> tuple[list[Heatmap], bool]:
    """Return the maps, pooled to what can be seen, and whether words can name their rows and columns."""
    whole = [head_heatmap(units, head) for head in heads]
    named = max(whole[0].values.shape) <= NAMED and not whole[0].pooled
    side = min(style.size) if style.size else style.width or BIG + _MARGIN
    room = max(0.5, side - _MARGIN) / math.ceil(math.sqrt(len(heads)))
    most = NAMED if named else min(_CELLS, int(room * style.dpi))
    exponent = min(heatmap.exponent for heatmap in whole)  # one unit for the numbers in all
    return [replace(pool(heatmap, most, most), exponent=exponent) for heatmap in whole], named


def _largest(units: Reading, head: HeadMap, heatmap: Heatmap) -> float:
    """Return where the scale of a map ends: at what a token keeps of itself all others would be pale."""
    own = heatmap.values.shape == head.weights.shape and head.rows[:, None] == head.columns
    if units.measure.residual and units.one_text and np.any(own):
        return float(np.where(own, 0, head.weights).max()) or 1.0
    return float(np.nanmax(heatmap.values))


def columns_of(units: Reading, head: HeadMap, heatmap: Heatmap) -> tuple[str, ...]:
    """Return the labels of columns: in units larger than words numbers, unless the rows do not say what these are."""
    if heatmap.named and not set(head.columns.tolist()) <= set(head.rows.tolist()):
        return tuple(units.keys.names[i] for i in head.columns)
    return heatmap.columns


def _notes(observation: Observation, panels: Sequence[Panel], style: Style) -> list[str]:
    """Return what must be said of the picture, a note each."""
    heatmap = panels[0].heatmap
    known = [panel.hidden for panel in panels if panel.hidden is not None]
    hidden = hidden_note(observation, float(np.mean([share.mean() for share in known]))) if known else ""
    measure = observation.measure
    said = measure_note(
        measure, observation.note, own=observation.keys is None and not heatmap.pooled and not style.vmax
    )
    return [note for note in (said, heatmap.pooled, scale_note(style, len(panels), measure), hidden) if note]

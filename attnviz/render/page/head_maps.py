"""The layer × head maps of the report as tables, which the script draws: colours, values, and how documents differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from attnviz.render.maps import MetricMap, format_number, scale_ends
from attnviz.render.page.environment import render

_SPREAD = 1000
"""The most heads of which is also said how far documents differ; with more the page would be too large."""


def maps_html(shown: Sequence[MetricMap], layers: Sequence[int]) -> str:
    """Return all maps; ``layers`` are the numbers of the layers."""
    return render("maps.html", maps=[_map(each, layers) for each in shown])


def _map(shown: MetricMap, layers: Sequence[int]) -> dict[str, Any]:
    low, high = scale_ends(shown)
    steps = np.clip(np.nan_to_num(shown.shares()) * 255, 0, 255).round().astype(int)
    return {
        "title": shown.title,
        "meaning": shown.metric.meaning,
        "unit": "" if shown.metric.unit == "share" else shown.metric.unit,
        "signed": shown.two_sided,
        "low": low,
        "high": high,
        "heads": range(shown.values.shape[1]),
        "rows": [
            (layer, [_cell(shown, row, column, int(step)) for column, step in enumerate(steps[row])])
            for row, layer in enumerate(layers)
        ],
    }


def _cell(shown: MetricMap, row: int, column: int, step: int) -> dict[str, Any]:
    """A head: its value as text, and the number of its colour, which one without a value has not."""
    value, unit = shown.values[row, column], shown.metric.unit
    found = {"value": format_number(value, unit), "step": None if np.isnan(value) else step, "spread": ""}
    if shown.deviation is None or shown.low is None or shown.high is None:
        return found
    if np.isnan(value) or shown.values.size > _SPREAD:
        return found
    spread, low, high = (format_number(each[row, column], unit) for each in (shown.deviation, shown.low, shown.high))
    return found | {"spread": f"± {spread}; 5–95 % of the documents: {low} to {high}"}

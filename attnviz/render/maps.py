"""The layer × head maps of a corpus, before they are drawn: one per figure, each with its own scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.accumulation import AMOUNTS, Corpus
from attnviz.analysis.corpus.metrics import INDUCTION, METRICS, Metric
from attnviz.analysis.corpus.roles import ROLES
from attnviz.record import Observation

Values = NDArray[np.floating]

_INDUCES = next(role.threshold for role in ROLES if role.name == "induction")
"""The smallest end of that map's scale, so that the largest of many small scores does not look like a find."""


@dataclass(frozen=True, eq=False)
class MetricMap:
    """The means of a figure over the corpus, by layer and head.

    Args:
        metric: the figure.
        values: the means, (L, H); NaN where a head has none.
        most: the end of the scale.
        two_sided: whether the scale begins at −``most`` instead of 0.
        deviation: the standard deviations; None if there is only one value.
        low: the 0.05 quantiles; likewise.
        high: the 0.95 quantiles; likewise.
    """

    metric: Metric
    values: Values
    most: float
    two_sided: bool = False
    deviation: Values | None = None
    low: Values | None = None
    high: Values | None = None

    @property
    def title(self) -> str:
        """The figure's name in words."""
        return self.metric.name.replace("_", " ")

    def shares(self) -> Values:
        """Return the place of each value on the scale, from 0 to 1."""
        part = self.values / self.most
        return (part + 1) / 2 if self.two_sided else part


def corpus_maps(corpus: Corpus) -> list[MetricMap]:
    """Return the maps of all figures that have values."""
    found = []
    for metric in AMOUNTS:
        kept = corpus.figures[metric.name]
        if kept.count.any():
            found.append(_map(metric, kept.mean, kept.deviation, kept.quantile(0.05), kept.quantile(0.95)))
    if corpus.induction is not None:
        found.append(_map(INDUCTION, corpus.induction.mean, least=_INDUCES))
    return found


PROFILE = ("entropy", "distance", "special", "sink")
"""The figures of one text's heads that a picture of its profile shows."""


def profile_maps(observation: Observation) -> list[MetricMap]:
    """Return the maps of the figures of one text's heads that have values."""
    metrics = {metric.name: metric for metric in METRICS}
    figures = {name: np.asarray(observation.figures[name]) for name in PROFILE}
    return [_map(metrics[name], values) for name, values in figures.items() if np.nan_to_num(values).any()]


def _map(metric: Metric, values: Values, *spread: Values, least: float = 0.0) -> MetricMap:
    """Return the map of ``values``, with a scale up to at least ``least``."""
    most = max(float(np.nanmax(np.abs(values))), least) or 1.0
    return MetricMap(metric, values, most, bool(np.nanmin(values) < 0), *spread)


def tick_numbers(count: int, most: int = 10) -> range:
    """Return at most ``most`` of ``count`` numbers from 0 on: all, or every second, fifth, tenth and so on."""
    steps = (1, 2, 3, 4, 5, 8, 10, 16, 20, 32, 50, 100)
    return range(0, count, next((step for step in steps if count <= step * most), max(1, -(-count // most))))


def format_number(value: float, unit: str) -> str:
    """Format a value: ``43 %``, ``3.1 %``, ``1.93`` or ``−12.4``; shares in percent, others with three digits."""
    if np.isnan(value):
        return "none"
    if unit == "share":
        value *= 100
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 or unit == "share" else 2
    text = f"{value:,.{digits}f}".replace("-", "−")
    return f"{text} %" if unit == "share" else text


def scale_ends(shown: MetricMap) -> tuple[str, str]:
    """Return the numbers at the low and the high end of the scale."""
    unit = shown.metric.unit
    return format_number(-shown.most if shown.two_sided else 0.0, unit), format_number(shown.most, unit)

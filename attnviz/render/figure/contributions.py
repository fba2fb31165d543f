"""Draw what adds to a logit, word by word: the strongest heads down, the words behind them across."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from attnviz.analysis.table import Table
from attnviz.render.figure import sheet
from attnviz.render.figure.layout import NAMED, Around, Panel
from attnviz.render.figure.panels import draw_panels
from attnviz.render.figure.sheet import Scale
from attnviz.render.figure.style import Style
from attnviz.render.heatmap import Heatmap
from attnviz.render.labels import clean

_HEADS = 15
"""The most heads that have a row of their own."""
_ALL = "all heads"


def draw_words(table: Table, style: Style) -> Figure:
    """Draw a ``table`` of words behind heads on a scale of both signs; the first row is the sum over all heads.

    Words are in the order of the text; of many those that add or take most.
    """
    words: dict[int, str] = dict(zip(table["word_index"].tolist(), map(str, table["word"]), strict=True))
    heads = list(dict.fromkeys(map(str, table["component"])))
    rows_of = {name: i for i, name in enumerate(heads)}
    columns_of = {number: i for i, number in enumerate(sorted(words))}
    numbers = sorted(words)
    values = np.zeros((len(heads), len(words)))
    for name, number, adds in zip(table["component"], table["word_index"], table["contribution"], strict=True):
        values[rows_of[name], columns_of[number]] += adds
    columns = _largest(abs(values).sum(0), NAMED)
    rows = np.argsort(-abs(values.sum(1)), kind="stable")[:_HEADS]
    shown = np.vstack((values.sum(0), values[rows]))[:, columns]
    most = float(abs(shown).max()) or 1.0
    names = tuple(clean(words[numbers[column]]) for column in columns)
    labels = (_ALL, *(heads[row] for row in rows))
    heatmap = Heatmap(shown, labels, names, -most, most, percent=False, blank=True)
    notes = [f"the {len(rows)} heads that add or take most, and the sum over all {len(heads):,}"]
    if len(columns) < len(numbers):
        notes.append(f"the {len(columns)} of {len(numbers):,} words that add or take most")
    model = clean(str(table.about.get("model") or "")).rpartition("/")[2]
    notes += [f"Model: {model}"] if model else []
    panel = Panel("", heatmap, names, Scale(*sheet.two_sided(style, most), False), bar="contribution", signed=True)
    return draw_panels([panel], Around(clean(table.title), notes, ("head", "word"), "", True), style)


def _largest(sizes: NDArray[np.float64], most: int) -> NDArray[np.intp]:
    """The places of the ``most`` largest, in order of their places."""
    return np.sort(np.argsort(-sizes, kind="stable")[:most])

"""The layer × head maps as SVG, in the colours of the reader's theme; each cell has its value as a tooltip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attnviz.render import palette
from attnviz.render.maps import MetricMap, format_number, scale_ends, tick_numbers
from attnviz.render.page.html import escape_text

_STEPS = 32
"""The number of colours of a scale."""
_WIDTH, _LEFT, _FOOT = 300, 24, 14
"""The width of a map, of the layers' numbers in it, and the height of the heads' numbers."""
_FLAT, _TALL = 0.4, 1.25
"""The smallest and the largest ratio of a map's height to its width."""
_SPREAD = 1000
"""The most heads whose tooltips also show how far documents differ; with more the page would be too large."""
_LINES = 40
"""The most layers or heads with lines between the cells."""
_THEMES = (("ink", ""), ("ember", "@media screen and (prefers-color-scheme: dark)"))


def map_style(layers: int, heads: int) -> str:
    """Return the style sheet of the maps: the cells' size and colours.

    The classes are ``c0`` to ``c31`` for a scale from 0, and ``d0`` to ``d31`` for a two-sided one.
    """
    wide, high = _size(layers, heads)
    line = 1 if max(layers, heads) <= _LINES else 0
    cells = f".map rect{{width:{wide:.2f}px;height:{high:.2f}px;stroke-width:{line}}}\n"
    return cells + "\n".join(f"{media} {{ {_theme(name)} }}" if media else _theme(name) for name, media in _THEMES)


def _theme(name: str) -> str:
    rules = []
    for letter, table in (("c", palette.colour_table(name)), ("d", palette.two_sided_table(name))):
        steps = [
            "#{:02x}{:02x}{:02x}".format(*colour) for colour in table[np.linspace(0, 255, _STEPS).round().astype(int)]
        ]
        rules += [f".{letter}{i}{{fill:{colour}}}" for i, colour in enumerate(steps)]
        rules.append(f".scale.{letter}::before{{background:linear-gradient(90deg,{','.join(steps)})}}")
    return "".join(rules)


def map_figure(shown: MetricMap, layers: Sequence[int]) -> str:
    """Return a map with its title, description and scale."""
    low, high = scale_ends(shown)
    unit = "" if shown.metric.unit == "share" else shown.metric.unit
    kind = "d" if shown.two_sided else "c"
    about = f"<h3>{escape_text(shown.title)}</h3><p>{escape_text(shown.metric.meaning)}</p>"
    scale = f"<span>{low}</span><span>{escape_text(unit)}</span><span>{high}</span>"
    return f'<figure class=map>{about}\n{_svg(shown, layers, kind)}\n<div class="scale {kind}">{scale}</div></figure>'


def _size(rows: int, columns: int) -> tuple[float, float]:
    """Return the width and height of a cell."""
    across = _WIDTH - _LEFT
    return across / columns, across * min(max(rows / columns, _FLAT), _TALL) / rows


def _svg(shown: MetricMap, layers: Sequence[int], kind: str) -> str:
    rows, columns = shown.values.shape
    wide, high = _size(rows, columns)
    names = [
        f'<text x="{_LEFT - 4}" y="{(i + 0.5) * high + 3:.1f}" text-anchor="end">L{layers[i]}</text>'
        for i in tick_numbers(rows)
    ] + [
        f'<text x="{_LEFT + (i + 0.5) * wide:.1f}" y="{rows * high + 11:.1f}" text-anchor="middle">H{i}</text>'
        for i in tick_numbers(columns)
    ]
    lines = "".join(
        f'<g transform="translate({_LEFT} {row * high:.2f})">{_cells(shown, layers[row], row, kind)}</g>'
        for row in range(rows)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {rows * high + _FOOT:.1f}" role="img" '
        f'aria-label="{escape_text(shown.title)}: layer by head">{"".join(names)}{lines}</svg>'
    )


def _cells(shown: MetricMap, layer: int, row: int, kind: str) -> str:
    values = shown.values[row]
    wide = _size(*shown.values.shape)[0]
    steps = np.clip(np.nan_to_num(shown.shares()[row]) * (_STEPS - 1), 0, _STEPS - 1).round().astype(int)
    names = ["none" if np.isnan(value) else f"{kind}{step}" for value, step in zip(values, steps, strict=True)]
    return "".join(
        f"<rect class={name} x={column * wide:.2f}>"
        f"<title>L{layer} H{column}: {_said(shown, row, column)}</title></rect>"
        for column, name in enumerate(names)
    )


def _said(shown: MetricMap, row: int, column: int) -> str:
    unit = shown.metric.unit
    said = format_number(shown.values[row, column], unit) + ("" if unit == "share" else f" {unit}")
    if shown.deviation is None or shown.low is None or shown.high is None or np.isnan(shown.values[row, column]):
        return said
    if shown.values.size > _SPREAD:
        return said
    spread, low, high = (format_number(each[row, column], unit) for each in (shown.deviation, shown.low, shown.high))
    return f"{said} ± {spread}; 5–95 % of the documents: {low} to {high}"

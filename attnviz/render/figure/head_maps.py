"""Maps of layers and heads beside the rows of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from attnviz.analysis.table import Table
from attnviz.render.figure import sheet
from attnviz.render.figure.fonts import text_width
from attnviz.render.figure.sheet import SMALL, Sheet
from attnviz.render.figure.style import Style

_GAP = 0.12
"""Inches between two maps."""
_KINDS = ("", "self", "encoder", "decoder", "cross")
_PARTS = ("query", "key", "value")


@dataclass(frozen=True, eq=False)
class HeadMap:
    """The names of layers and heads, and the largest value of each head (L, H), NaN where it has none; with a title."""

    layers: list[str]
    heads: list[str]
    values: NDArray[np.float64]
    signed: bool
    title: str = ""

    @property
    def tall(self) -> float:
        """The height by the width."""
        return len(self.layers) / max(len(self.heads), 1)


def maps_of(table: Table) -> list[HeadMap]:
    """The maps of the ranked column of a ``table``: one of its heads; three of ways into heads; none of other rows."""
    if "to_layer" in table.values:
        return _by_part(table)
    heads = table.heads
    return [_by_head(heads)] if heads.of_heads and len(heads) else []


def draw_maps(page: Sheet, maps: Sequence[HeadMap], box: tuple[float, float, float, float], style: Style) -> float:
    """Draw maps side by side on one scale; return the inches that the names of layers take on the left of the box.

    Args:
        page: the sheet.
        maps: the maps.
        box: left, top, and the inches across and down of all maps, without the names of their layers.
        style: how they look.
    """
    left, top, across, down = box
    indent = max(0.3, *(text_width(f"{name}  ", SMALL) for each in maps for name in each.layers))
    wide = (across - _GAP * (len(maps) - 1)) / len(maps)
    values = np.concatenate([each.values.ravel() for each in maps])
    low, high = float(min(np.nanmin(values), 0)), float(np.nanmax(values))
    norm, colours = Normalize(low, high or 1), sheet.colours_of(style)
    if maps[0].signed:
        norm, colours = sheet.two_sided(style, max(-low, high) or 1.0)
    for number, each in enumerate(maps):
        at = left + indent + number * (wide + _GAP)
        axes = page.axes(at, top, wide, down)
        axes.imshow(each.values, cmap=colours, norm=norm, interpolation="nearest", aspect="auto")
        axes.xaxis.tick_top()
        for axis, names, inches in ((axes.xaxis, each.heads, wide), (axes.yaxis, each.layers, down)):
            room = text_width("H00 ", SMALL) if axis is axes.xaxis else 0.12
            step = max(1, int(np.ceil(room * len(names) / max(inches, 0.01))))
            axis.set_ticks(list(range(0, len(names), step)), names[::step], size=SMALL)
        if number:
            axes.tick_params(labelleft=False)
        if each.title:
            page.write(at + wide / 2, top + down + 0.11, each.title, ha="center", va="center")
    return indent


def _by_head(table: Table) -> HeadMap:
    """The heads of a ``table``; where they are of several maps, those of each map below each other."""
    kinds = table["map"].tolist() if "map" in table.values else [""] * len(table)
    places = list(zip(map(str, kinds), table["layer"].tolist(), strict=True))
    layers, heads = sorted(set(places), key=lambda place: (_KINDS.index(place[0]), place)), sorted(set(table["head"]))
    found = np.full((len(layers), len(heads)), np.nan)
    cells = [layers.index(place) for place in places], [heads.index(head) for head in table["head"].tolist()]
    signed, values = table.column(table.ranked).signed, np.asarray(table[table.ranked], float)
    if signed:  # the rows that come first are the largest
        found[cells[0][::-1], cells[1][::-1]] = values[::-1]
    else:
        np.fmax.at(found, cells, values)
    plain = "" if "encoder" in kinds else "decoder"  # where the decoder's are beside its cross-attention alone
    names = [f"L{layer}" if kind in ("", plain) else f"L{layer} {kind}" for kind, layer in layers]
    return HeadMap(names, [f"H{head}" for head in heads], found, signed)


def _by_part(table: Table) -> list[HeadMap]:
    """Ways from one head into others, by query, key and value; none where ways are of several heads or kinds."""
    rows = [row for row in table.rows() if row["to_head"] is not None]
    senders = {(row["from_layer"], row["from_head"]) for row in rows}
    if len(senders) != 1 or any(not row["to"].startswith("L") for row in rows):
        return []
    layers = sorted({row["to_layer"] for row in rows})
    heads = max(row["to_head"] + row["to_heads"] for row in rows)
    found = {part: np.full((len(layers), heads), np.nan) for part in _PARTS}
    for row in rows:
        first, value = row["to_head"], row[table.ranked]
        found[row["by"]][layers.index(row["to_layer"]), first : first + row["to_heads"]] = value
    names = [f"L{layer}" for layer in layers], [f"H{head}" for head in range(heads)]
    return [HeadMap(*names, values, signed=True, title=f"by {part}") for part, values in found.items()]

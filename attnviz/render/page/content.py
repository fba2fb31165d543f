"""What the page of a text says, as values of JSON, and its packed weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.links import Link
from attnviz.analysis.text.replaying import pick_map
from attnviz.analysis.text.roles import roles_in_text
from attnviz.analysis.text.summary import summarise
from attnviz.analysis.text.units import Axis, Reading, read_in
from attnviz.encoding import Encoding, WordSpans
from attnviz.record import Observation, Request
from attnviz.render.labels import clean
from attnviz.render.page.packing import EXACT, Packed, pack_links, pack_weights
from attnviz.render.page.unfolded import Unfolded, unfold

FIGURES = ("entropy", "sink", "distance", "special", "punctuation", "previous", "next", "self")
"""The figures of heads that the page shows."""
LISTED = 8
"""How many of the strongest links open the page."""
_LARGEST = 120_000_000
"""No more weights than these are tried to be packed one by one."""
_LINKS = 13_000_000
"""The most bytes that the strongest links of a long text may take."""


@dataclass(frozen=True, eq=False)
class MapContent:
    """One map of the page: what is said of it as JSON, its weights, and its strongest links between ``units``.

    What unfolds a weight is packed, where it was kept.
    """

    facts: dict[str, Any]
    packed: Packed
    links: list[Link]
    units: Reading
    unfolded: Unfolded


@dataclass(frozen=True, eq=False)
class _Answer:
    """What a map opens with: strongest links, the strength of each head (L, H), and heads (place of layer, head)."""

    units: Reading
    links: list[Link]
    strength: NDArray[np.float64]
    heads: list[tuple[int, int]]


def shows_all(request: Request) -> bool:
    """Whether a page can show what is asked for from all weights: all rows, in words or tokens."""
    limited = request.per_token or request.passage is not None or request.generated
    return request.unit in ("word", "token") and not limited


def map_content(found: Observation, texts: list[Encoding], *, neurons: bool = False) -> MapContent:
    """What the page says of what was ``found``; ``texts`` are those of the page, to which its own are added.

    Raises:
        UsageError: ``neurons`` are asked for, and there are none, or too many.
    """
    answer, long = _answer(found), dict[str, Any]()
    most = _largest(found)
    packed = _whole(found, most)
    if packed is None:
        packed, long = _long(found, answer.units, most)
    facts: dict[str, Any] = {
        "name": found.kind,
        "causal": found.causal,
        "windows": [found.layer_windows[layer] for layer in found.layer_numbers],
        "layers": list(found.layer_numbers),
        "heads": found.heads,
        "queries": _number(texts, found.encoding),
        "keys": _number(texts, found.key_encoding),
        "unit": found.request.unit,
        "special": found.request.special,
        "figures": {name: _numbers(found.figures[name]) for name in FIGURES if _is_told(found, name)},
        "roles": {name: [layer * found.heads + head for layer, head in heads]
                  for name, heads in roles_in_text(found).items()},
        "strength": _numbers(answer.strength / most),
        "open": [layer * found.heads + head for layer, head in answer.heads],
        "links": [_link(found, link, most) for link in answer.links[:LISTED]],
    }  # fmt: skip
    facts |= {} if found.measure.plain else {"measure": _measure(found, most)}
    facts |= {"long": long} if long else {}
    facts |= {"steps": packed.steps, "exact": EXACT, "error": packed.error, "exact_error": packed.exact_error}
    unfolded = unfold(found, whole=not long, neurons=neurons)
    return MapContent(facts | {"formula": unfolded.facts}, packed, answer.links, answer.units, unfolded)


def _answer(found: Observation) -> _Answer:
    summary = summarise(found, cell="link")
    heads = [  # of the mean of a layer all its heads
        (found.layer_numbers.index(shown.layer), head)
        for shown in summary.maps
        for head in (range(found.heads) if shown.head is None else [shown.head])
    ]
    return _Answer(summary.units, summary.links, summary.overview, heads)


def _largest(found: Observation) -> float:
    """What the page divides all weights by: 1 where they are shares, else their largest, so that they fit a byte."""
    if found.measure.share:
        return 1.0
    if found.whole is not None:
        return float(pick_map(found.whole, found.request.map).weights.max()) or 1.0
    return max(float(found.maps.values.max(initial=0)), float(found.links.weights.max(initial=0))) or 1.0


def _measure(found: Observation, most: float) -> dict[str, Any]:
    """What the weights are, where they are not attention. The page has them divided by ``most``."""
    measure = found.measure
    return {
        "name": measure.name, "title": measure.title, "source": measure.source, "noun": measure.noun,
        "share": measure.share, "byLayer": measure.by_layer, "most": most,
    }  # fmt: skip


def _whole(found: Observation, most: float) -> Packed | None:
    """All weights, where they were kept, the page may hold them, and all of them are asked for."""
    if found.whole is None or not shows_all(found.request):
        return None
    weights = pick_map(found.whole, found.request.map).weights
    weights = weights if most == 1 else weights / most
    return pack_weights(weights, causal=found.causal) if weights.size <= _LARGEST else None


def _long(found: Observation, units: Reading, most: float) -> tuple[Packed, dict[str, Any]]:
    """The strongest links, the cells and what is not pooled of them, and how they are stored."""
    maps, links = found.maps, found.links
    regions = found.regions if max(maps.down, maps.across) > 1 else ()
    if most != 1:
        maps, links = replace(maps, values=maps.values / most), replace(links, weights=links.weights / most)
        regions = tuple(replace(each, weights=each.weights / most) for each in regions)
    packed = pack_links(links, maps, regions, _LINKS)
    return packed, {
        "links": packed.links,
        "axes": [_axis(units.queries), _axis(units.keys)],
        "rows": maps.values.shape[2],
        "columns": maps.values.shape[3],
        "down": maps.down,
        "across": maps.across,
        "row": maps.query,
        "column": maps.key,
        "regions": [
            [each.layer * found.heads + each.head, each.query, each.key, *each.weights.shape] for each in regions
        ],
    }


def _is_told(found: Observation, figure: str) -> bool:
    return found.keys is None or figure not in ("distance", "previous", "next", "self")


def _link(found: Observation, link: Link, most: float) -> list[int | float]:
    """A link as (head, query, key, weight)."""
    place = found.layer_numbers.index(link.layer) * found.heads + link.head
    return [place, link.query_index, link.key_index, _short(link.weight / most)]


def _number(texts: list[Encoding], encoding: Encoding) -> int:
    """The number of a text on the page, which gets it if it is new there."""
    for number, other in enumerate(texts):
        if other is encoding or other == encoding:
            return number
    texts.append(encoding)
    return len(texts) - 1


def text_content(encoding: Encoding, language: str) -> dict[str, Any]:
    """A text in words and in tokens; ``generated`` is how many tokens at its end the model wrote.

    Of a pair ``second`` is the first unit of the second text.
    """
    words, tokens = (read_in(unit, encoding, None, (), language).queries for unit in ("word", "token"))
    found: dict[str, Any] = {"word": _axis(words), "token": _axis(tokens), "generated": encoding.generated}
    if encoding.pair is not None:
        second = next((i for i, place in enumerate(WordSpans(encoding).words) if place and place[0] == 1), None)
        if second is not None:
            found["word"]["second"], found["token"]["second"] = second, encoding.words[second].start
    return found


def _axis(axis: Axis) -> dict[str, Any]:
    """Units: labels, first tokens, the numbers of those that carry nothing, and names of labels that come again."""
    labels = [clean(label) for label in axis.labels]
    return {
        "labels": labels,
        "starts": axis.starts.tolist(),
        "special": np.flatnonzero(axis.special).tolist(),
        "punctuation": np.flatnonzero(axis.punctuation).tolist(),
        "function": np.flatnonzero(axis.function).tolist(),
        "names": {
            number: clean(name)
            for number, (name, label) in enumerate(zip(axis.names, axis.labels, strict=True))
            if name != label
        },
    }


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else _short(value) for value in values.ravel().tolist()]


def _short(value: float) -> float:
    """Four digits, which are more than are shown."""
    return float(f"{value:.4g}")

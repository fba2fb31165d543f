"""What the page of a text says, as values of JSON, and its packed weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.links import Link
from attnviz.analysis.text.observing import pick_map
from attnviz.analysis.text.roles import roles_in_text
from attnviz.analysis.text.summary import Summary, summarise
from attnviz.analysis.text.units import Axis, read_in
from attnviz.encoding import Encoding, WordSpans
from attnviz.record import Observation
from attnviz.render.labels import clean
from attnviz.render.page.packing import EXACT, Packed, pack_links, pack_weights

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
    """One map of the page: what is said of it as JSON, and its weights."""

    facts: dict[str, Any]
    packed: Packed
    summary: Summary


def map_content(found: Observation, texts: list[Encoding]) -> MapContent:
    """What the page says of what was ``found``; ``texts`` are those of the page, to which its own are added."""
    summary = summarise(found)
    units = summary.units
    packed = _whole(found)
    facts: dict[str, Any] = {
        "name": found.kind,
        "causal": found.causal,
        "layers": list(found.layer_numbers),
        "heads": found.heads,
        "queries": _number(texts, found.encoding),
        "keys": _number(texts, found.key_encoding),
        "unit": found.unit,
        "special": found.special,
        "figures": {name: _numbers(found.figures[name]) for name in FIGURES if _is_told(found, name)},
        "roles": {name: [layer * found.heads + head for layer, head in heads]
                  for name, heads in roles_in_text(found).items()},
        "strength": _numbers(summary.overview if summary.cell == "link" else summarise(found, cell="link").overview),
        "open": [_place(found, head.layer, head.head) for head in summary.maps if head.head is not None][:8],
        "links": [_link(found, link) for link in summary.links[:LISTED]],
    }  # fmt: skip
    if packed is None:
        packed = pack_links(found.links, found.maps, _LINKS)
        maps = found.maps
        facts["long"] = {
            "links": packed.links,
            "axes": [_axis(units.queries), _axis(units.keys)],
            "rows": maps.values.shape[2],
            "columns": maps.values.shape[3],
            "down": maps.down,
            "across": maps.across,
            "row": maps.query,
            "column": maps.key,
        }
    facts |= {"steps": packed.steps, "exact": EXACT, "error": packed.error, "exact_error": packed.exact_error}
    return MapContent(facts, packed, summary)


def _whole(found: Observation) -> Packed | None:
    """All weights, where they were kept, the page may hold them, and rows are words or tokens."""
    if found.whole is None or found.large or found.request.per_token:
        return None
    weights = pick_map(found.whole, found.request.map).weights
    return pack_weights(weights, causal=found.causal) if weights.size <= _LARGEST else None


def _is_told(found: Observation, figure: str) -> bool:
    return found.keys is None or figure not in ("distance", "previous", "next", "self")


def _place(found: Observation, layer: int, head: int) -> int:
    return found.layer_numbers.index(layer) * found.heads + head


def _link(found: Observation, link: Link) -> list[int | float]:
    """A link as (head, query, key, weight)."""
    return [_place(found, link.layer, link.head), link.query_index, link.key_index, _short(link.weight)]


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


def headline(maps: Sequence[MapContent], first: int) -> Link | None:
    """The strongest link of the map that the page opens with."""
    links = maps[first].summary.links
    return links[0] if links else None

"""The heads of one text in an order: by their strongest links, their figures or their roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.attended import apart_in
from attnviz.analysis.text.kept import link_of, without
from attnviz.analysis.text.links import Link
from attnviz.analysis.text.roles import roles_in_text
from attnviz.analysis.text.units import Mask, Reading
from attnviz.analysis.text.unusual import lifted
from attnviz.record import Observation, Top

Order = Literal["layer", "link", "entropy", "sink", "role"]
ORDERS: tuple[Order, ...] = ("layer", "link", "entropy", "sink", "role")
"""What heads can be ordered by: their place in the model, their strongest link, their entropy (the lowest first), what
their sink takes, and their roles."""


@dataclass(frozen=True, eq=False)
class HeadLinks:
    """The links that count of each unit and head, (L, H, n, k), and their lifts where links are ranked by these.

    ``first`` is the unit of row 0.
    """

    kept: Top
    lifts: Top | None
    first: int = 0

    @property
    def worth(self) -> NDArray[np.floating]:
        """What the links are ranked by, (L, H, n, k)."""
        return (self.lifts or self.kept).weights


@dataclass(frozen=True)
class RankedHead:
    """A head: the place of its layer, its number, its strongest link if it has one, and its roles in the text."""

    layer: int
    head: int
    link: Link | None
    roles: tuple[str, ...]


def links_that_count(observation: Observation, units: Reading, query: int | None = None) -> HeadLinks:
    """The links of all heads between units that count; of one ``query``, whether it counts or not."""
    links, mask, first = observation.links, observation.query_mask, query or 0
    if query is not None:
        links = replace(links, weights=links.weights[:, :, [query]], keys=links.keys[:, :, [query]])
        mask = np.ones(1, bool)
    kept = without(links, mask, apart_in(observation, units), first)
    lifts = lifted(observation, units, kept, first) if observation.request.rank == "lift" else None
    return HeadLinks(kept, lifts, first)


def strongest_links(links: HeadLinks, units: Reading) -> list[list[Link | None]]:
    """The strongest link of each head, [L][H]; None where it has none."""
    worth = links.worth
    layers, heads, _, k = worth.shape
    at = worth.reshape(layers, heads, -1).argmax(-1)
    return [[_link(links, units, (layer, head), *divmod(int(at[layer, head]), k)) for head in range(heads)]
            for layer in range(layers)]  # fmt: skip


def _link(links: HeadLinks, units: Reading, place: tuple[int, int], query: int, rank: int) -> Link | None:
    weight = float(links.kept.weights[(*place, query, rank)])
    if not weight > 0:
        return None
    found = link_of(units, place, query + links.first, int(links.kept.keys[(*place, query, rank)]), weight)
    return found if links.lifts is None else replace(found, lift=float(links.lifts.weights[(*place, query, rank)]))


def rank_heads(
    observation: Observation, counted: Mask, strongest: Sequence[Sequence[Link | None]], order: Order
) -> list[RankedHead]:
    """All heads in an ``order``; those that do not count (L, H) come last where links decide.

    Heads with a role stand together, in the order of ``ROLES``; those without one come last. Equals stay in the order
    of the model.
    """
    roles: dict[tuple[int, int], list[str]] = {}
    for name, places in roles_in_text(observation).items():
        for place in places:
            roles.setdefault(place, []).append(name)
    heads = [
        RankedHead(layer, head, link, tuple(roles.get((layer, head), ())))
        for layer, row in enumerate(strongest) for head, link in enumerate(row)
    ]  # fmt: skip
    if order == "link":
        return sorted(heads, key=lambda each: (not counted[each.layer, each.head], -_worth(each.link)))
    if order == "role":
        names = list(dict.fromkeys(name for found in roles.values() for name in found))
        return sorted(heads, key=lambda each: min(map(names.index, each.roles), default=len(names)))
    if order in ("entropy", "sink"):
        sign, figures = (1 if order == "entropy" else -1), np.nan_to_num(observation.figures[order])
        return sorted(heads, key=lambda each: sign * float(figures[each.layer, each.head]))
    return heads


def _worth(link: Link | None) -> float:
    if link is None:
        return -1.0
    return link.weight if link.lift is None else link.lift

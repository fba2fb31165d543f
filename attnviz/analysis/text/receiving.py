"""What looks at each unit most."""

from __future__ import annotations

import numpy as np

from attnviz.analysis.text.kept import link_of
from attnviz.analysis.text.links import Attended, top_keys
from attnviz.analysis.text.units import Mask, Reading
from attnviz.record import Observation


def received(observation: Observation, units: Reading, heads: Mask, top: int) -> list[Attended]:
    """The units of which it was asked what looks at them, each with the queries that give it most.

    ``best`` has each query in the head in which it gives the unit most, among the ``heads`` that count (L, H);
    ``average`` the numbers of the queries, and what they give it on average over all heads.
    """
    usual, queries = observation.usual, observation.query_mask
    if usual is None or not observation.request.received:
        return []
    found = []
    for place, key in enumerate(usual.to.tolist()):
        weights = usual.columns[..., place]  # (L, H, n)
        counted = queries.copy()
        if units.one_text and not observation.itself:
            counted[key] = False
        seen = np.where(heads[..., None], weights, 0).reshape(-1, weights.shape[-1])
        best = seen.argmax(0)
        links = (
            link_of(units, divmod(int(best[query]), heads.shape[1]), query, key, weight)
            for query, weight in top_keys(seen.max(0), counted, top)
        )
        average = top_keys(weights.mean((0, 1)), counted, top)
        found.append(Attended(units.keys.labels[key], key, tuple(links), average))
    return found

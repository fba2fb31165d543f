"""Draw what a check compares: queries, units and heads, always the same of a text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attnviz.attention.kernel import Kind
from attnviz.encoding import Encoding
from attnviz.model.backends import map_shapes
from attnviz.model.native.backend import Native

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted


ROWS = 64
"""How many queries are drawn, the first and the last among them."""
FEWEST = 8
"""The fewest queries to draw if the weights of ``ROWS`` take more bytes than ``ROOM``."""
ROOM = 1 << 31
ALL_WINDOWS = 256
"""The most windows that transformers reads completely; of more, some are read, and only their links are checked."""
FULL_WEIGHTS = 1 << 27
"""The most weights of heads that are compared in all rows, drawn from the layers in turn; there is at least one
head."""


def draw_queries(backend: Native | Hosted, encoding: Encoding, target: Encoding | None = None) -> dict[Kind, Tensor]:
    """Return the queries whose weights are compared, (Q,) of each kind, ascending; always the same."""
    maps = map_shapes(backend, encoding, target)
    size = 4 * sum(backend.heads[kind] * keys for kind, (_, keys) in maps.items())
    count = min(ROWS, max(FEWEST, ROOM // size))
    return {kind: _draw(count, queries) for kind, (queries, _) in maps.items()}


def _draw(count: int, total: int) -> Tensor:
    """Return ``count`` of ``total`` rows, or all if there are no more."""
    if total <= count:
        return torch.arange(total)
    between = torch.randperm(total - 2, generator=torch.Generator().manual_seed(0))[: count - 2] + 1
    return torch.cat((torch.tensor([0, total - 1]), between)).sort().values


def draw_words(starts: Sequence[int], stop: int, count: int, wanted: Iterable[int] = ()) -> list[int]:
    """Return units with at most ``count`` tokens in all, ascending: the first, the last, the ``wanted``, and random
    ones.

    There is at least one unit. ``starts`` are the first tokens of all units, which end at ``stop``.
    """
    ends = [*starts[1:], stop]
    order = torch.randperm(len(starts), generator=torch.Generator().manual_seed(0)).tolist()
    found: dict[int, int] = {}
    for unit in (0, len(starts) - 1, *wanted, *order):
        size = ends[unit] - starts[unit]
        if unit not in found and (not found or sum(found.values()) + size <= count):
            found[unit] = size
        if sum(found.values()) >= count:
            break
    return sorted(found)


def sample_heads(layers: Sequence[int], heads: int, weights: int) -> dict[int, list[int]]:
    """Return the heads of each layer that are compared in all rows, always the same; each head has ``weights``
    weights.
    """
    generator = torch.Generator().manual_seed(0)
    count = max(1, min(len(layers) * heads, FULL_WEIGHTS // max(1, weights)))
    turns = [(layer, torch.randperm(heads, generator=generator).tolist()) for layer in layers]
    order = [turns[i] for i in torch.randperm(len(turns), generator=generator).tolist()]
    chosen = [(layer, mixed[turn]) for turn in range(heads) for layer, mixed in order][:count]
    return {layer: sorted(head for own, head in chosen if own == layer) for layer in layers}

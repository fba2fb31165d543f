"""The figures of the queries of a tile, of which ``HeadStats`` makes those of heads."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from types import ModuleType

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from attnviz.attention.tile import BLOCK, Tile, compiled
from attnviz.attention.window import KeyWindow

FIGURES = (
    "entropy", "normalised_entropy", "distance", "signed_distance", "self", "previous", "next", "largest", "first",
)  # fmt: skip
EDGES = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
"""Where the bands of distances begin; before them there is only the query itself."""


def measure(tile: Tile) -> tuple[Tensor, Tensor]:
    """The figures of each query, (h, n, FIGURES), and the weight at each distance, (h, n, 1 + EDGES).

    The bands of distances are those of ``profile`` in ``HeadStats``: without the first key.
    """
    loops = compiled(tile.weights)
    figures, bands = _compiled(loops, tile) if loops else _by_torch(tile)
    figures[..., 0] = tile.entropy
    share = surprises(*tile.shape[1:], tile.window, figures.device)[tile.query : tile.query + figures.shape[1]]
    torch.mul(tile.entropy, share, out=figures[..., 1])
    figures[..., 2:4] = tile.distance.flip(-1)
    return figures, bands


def _compiled(loops: ModuleType, tile: Tile) -> tuple[Tensor, Tensor]:
    h, n, _ = tile.weights.shape
    figures = torch.empty(h, n, len(FIGURES), dtype=torch.float64)
    bands = torch.empty(h, n, 1 + len(EDGES), dtype=torch.float64)
    given = (tile.weights, tile.peaks, tile.sums)
    edges = np.array(EDGES)
    loops.figures(*(part.numpy() for part in given), tile.own, tile.key == 0, edges, figures.numpy(), bands.numpy())
    return figures, bands


def _by_torch(tile: Tile) -> tuple[Tensor, Tensor]:
    weights, own = tile.weights, tile.own
    h, n, _ = weights.shape
    first = weights[..., 0] if tile.key == 0 else torch.zeros_like(tile.entropy)
    neighbours = [_diagonal(weights, own + at) for at in (0, -1, 1)]
    figures = torch.zeros(h, n, len(FIGURES), dtype=wide(weights), device=weights.device)
    for place, column in zip(range(4, len(FIGURES)), (*neighbours, tile.peaks.amax(-1), first), strict=True):
        figures[..., place] = column
    further = [_outside(tile, edge) for edge in EDGES]
    further.append(torch.zeros_like(further[0]))
    inside = [near - far for near, far in pairwise(further)]
    bands = torch.stack([figures[..., 4], *inside], dim=-1)
    if tile.key == 0:
        edges = torch.tensor(EDGES, device=weights.device)
        band = torch.bucketize((torch.arange(n, device=weights.device) + own).abs(), edges, right=True)
        bands.scatter_add_(-1, band.expand(h, n)[..., None], -first[..., None].to(bands))
    return figures, bands.clamp_(min=0)


def _outside(tile: Tile, distance: int) -> Tensor:
    """The weight at ``distance`` from each query and beyond, on both sides, (h, n)."""
    weights, own = tile.weights, tile.own
    n, m = weights.shape[1:]
    before = functional.pad(tile.sums.to(wide(weights)).cumsum(-1), (1, 0))  # (h, n, b + 1): in front of each block
    total = torch.zeros_like(before[..., 0])
    end = min(m, own + n - distance)
    if end > 0:
        first = min(max(0, own - distance + 1), end) // BLOCK * BLOCK
        seen = _triangle(n, end - first, own - distance - first, weights.dtype, weights.device)
        total = before[..., first // BLOCK] + (weights[..., first:end] * seen).sum(-1)
    start = max(0, own + distance)
    if start < m and tile.window.right != 0:
        block = min(-(-max(0, own + n - 1 + distance) // BLOCK), tile.sums.shape[-1])
        stop = min(m, block * BLOCK)
        seen = 1 - _triangle(n, stop - start, own + distance - 1 - start, weights.dtype, weights.device)
        total = total + before[..., -1] - before[..., block] + (weights[..., start:stop] * seen).sum(-1)
    return total


@lru_cache(maxsize=64)
def _triangle(rows: int, columns: int, last: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """1 up to the column ``last`` + row, 0 beyond, (rows, columns); shared by the tiles of all layers."""
    return torch.ones(rows, columns, dtype=dtype, device=device).tril_(last)


@lru_cache(maxsize=4)
def surprises(queries: int, keys: int, window: KeyWindow, device: torch.device) -> Tensor:
    """1 / ln n of each query, (N,), where n is how many keys it may see; 0 where that is one."""
    at = torch.arange(queries, device=device)
    last = torch.full_like(at, keys - 1)
    high = last if window.right is None else torch.minimum(at + window.right, last)
    seen = high - (0 if window.left is None else (at - window.left).clamp(min=0)) + 1
    return torch.where(seen > 1, 1 / seen.to(wide(seen)).log(), 0)


def _diagonal(weights: Tensor, offset: int) -> Tensor:
    """The weight in the column of each row's number + ``offset``, (h, n); zero where there is none."""
    h, n, m = weights.shape
    found = weights.new_zeros(h, n)
    first, last = max(0, -offset), min(n, m - offset)
    if first < last:
        found[:, first:last] = weights.diagonal(offset, 1, 2)
    return found


def wide(like: Tensor) -> torch.dtype:
    """The type in which sums of many weights are kept: float64, where the device has it."""
    return torch.float32 if like.device.type == "mps" else torch.float64

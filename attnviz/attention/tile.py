"""A tile of weights, as the kernel shows it to observers, and what they share of it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType

import torch
from torch import Tensor

from attnviz.attention.window import EVERYTHING, KeyWindow
from attnviz.errors import UnsupportedModel
from attnviz.record import Kind as Kind

BLOCK = 64
"""How many keys a block has: what observers share of a tile (``Tile.peaks``, ``Tile.sums``) is kept by the block."""


@dataclass(frozen=True, eq=False)
class Tile:
    """Weights as observers see them: of the heads, queries and keys from ``head``, ``query`` and ``key`` on.

    ``weights`` is (h, n, m); keys outside the tile have weight zero. ``shape`` is the (H, N, M) of the layer's map
    of that ``kind``. ``scores`` are what the weights are the softmax of, where they were kept for ``entropy``; both
    belong to the kernel, which writes them over when all observers have seen them. ``first`` is the position of query
    0.
    """

    layer: int
    query: int
    key: int
    weights: Tensor
    shape: tuple[int, int, int]
    kind: Kind = "self"
    head: int = 0
    window: KeyWindow = EVERYTHING
    scores: Tensor | None = None
    first: int = 0

    @property
    def own(self) -> int:
        """The column of the key at the place of the tile's first query."""
        return self.first + self.query - self.key

    @cached_property
    def peaks(self) -> Tensor:
        """The largest weight of each ``BLOCK`` keys from ``key`` on, (h, n, b); the last block may have fewer keys."""
        return torch.cat([part.amax(-1) for part in self._blocks], dim=-1)

    @cached_property
    def sums(self) -> Tensor:
        """The sum of the weights of each block, (h, n, b)."""
        return torch.cat([part.sum(-1) for part in self._blocks], dim=-1)

    @cached_property
    def entropy(self) -> Tensor:
        """−Σ A ln A of each query in nats, (h, n). Where there are ``scores`` it uses them up: no logarithm is taken.

        With s* the largest score and A* its weight, ln A = ln A* + s − s*, so the entropy is −ln A*·ΣA − ΣA·(s − s*).
        """
        if self.scores is None:
            entropy: Tensor = torch.special.entr(self.weights).sum(-1)
            return entropy
        mass = self.sums.sum(-1)
        below = self.scores.sub_(self.scores.amax(-1, keepdim=True))
        # A sink may leave no weight at all, which then has no logarithm.
        most: Tensor = self.peaks.amax(-1).clamp(min=torch.finfo(self.weights.dtype).tiny)
        return -most.log() * mass - torch.mul(self.weights, below, out=below).sum(-1)

    @cached_property
    def distance(self) -> Tensor:
        """Σ A · (q − k) and Σ A · |q − k| of each query, (h, n, 2)."""
        n, m = self.weights.shape[1:]
        # Places are counted from the first query, so that what is near is not lost among large numbers.
        places = torch.arange(-self.own, m - self.own, dtype=self.weights.dtype, device=self.weights.device)
        rows = torch.arange(n, device=places.device)
        signed = rows * self.sums.sum(-1) - self.weights @ places
        left = min(max(0, self.own + 1), m)
        if self.window.right == 0 or left == m:
            return torch.stack((signed, signed), dim=-1)
        # Keys behind the query count as negative there, and so twice back. All rows see those behind the last query.
        edge = min(max(left, self.own + n), m)
        near, far = self.weights[..., left:edge], self.weights[..., edge:]
        ahead = (near * (places[left:edge] - rows[:, None]).clamp(min=0)).sum(-1)
        ahead = ahead + far @ places[edge:] - rows * far.sum(-1)
        return torch.stack((signed, signed + 2 * ahead), dim=-1)

    @cached_property
    def received(self) -> Tensor:
        """The sum of the weights that the tile's queries give to each key, (h, m)."""
        return self.weights.sum(1)

    @property
    def _blocks(self) -> list[Tensor]:
        """The weights in whole blocks, (h, n, b, BLOCK), and those that are left over, (h, n, 1, m % BLOCK)."""
        whole = self.weights.shape[-1] // BLOCK * BLOCK
        parts = [self.weights[..., :whole].view(*self.weights.shape[:-1], -1, BLOCK)] if whole else []
        return parts if whole == self.weights.shape[-1] else [*parts, self.weights[..., None, whole:]]


class Observer:
    """Sees the weights and hidden states that pass by; a subclass keeps what it wants of them.

    Tiles come one at a time, those of a head in the order of their queries. ``shares`` says whether it reads what
    observers share of a tile (``peaks``, ``sums``, ``entropy``, ``distance``): then the softmax brings that along.
    ``whole`` says whether one that sees hidden states needs those that leave the last layer too.
    """

    shares = False
    whole = True

    def wants(self, layer: int, kind: Kind) -> bool:  # noqa: ARG002
        """Whether it needs the weights of a layer."""
        return True

    def tile(self, tile: Tile) -> None:
        """See one tile of weights."""

    def hidden(self, layer: int, states: Tensor, kind: Kind = "self") -> None:
        """See the hidden states (T, C) that enter ``layer``, or leave the last one (``layer`` = L)."""


def compiled(like: Tensor) -> ModuleType | None:
    """The compiled loops (``loops``), where they can work on ``like``: on the CPU, in float32, with numba."""
    return _loops() if like.device.type == "cpu" and like.dtype is torch.float32 and like.is_contiguous() else None


@cache
def _loops() -> ModuleType | None:
    return find_loops("attnviz.attention.compiled.tiles")


def find_loops(module: str) -> ModuleType | None:
    """A ``module`` of compiled loops; None where it can't be compiled here."""
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError):  # no numba for a new version of Python, or no folder for what it compiles
        return None


def require_equal_heads(layers: Iterable[int]) -> None:
    """Raise where the ``layers``, each with so many heads, have not the same number of them.

    Raises:
        UnsupportedModel: with the numbers.
    """
    heads = sorted({*layers})
    if len(heads) > 1:
        raise UnsupportedModel(f"its layers have {', '.join(map(str, heads))} heads, attnviz shows equal numbers only")

"""The observer that keeps what weights are made of: the scores q·k, what is added to them, and the vectors."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from attnviz.attention.observers.kept import Weights
from attnviz.attention.tile import Kind, Observer, Terms, Tile, require_equal_heads

if TYPE_CHECKING:
    from torch import Tensor


class Scores(Observer):
    """Keeps q·k of all queries and keys, and the terms after them, within the room of the ``weights``.

    Layers with more than ``most`` queries times keys are left out. With ``vectors`` the queries and keys are kept too.
    """

    def __init__(self, weights: Weights, most: float = math.inf, *, vectors: bool = False) -> None:
        self.most_scores = most
        weights.what = f"the weights{', scores and vectors' if vectors else ' and scores'} of all its heads"
        self._room = weights
        self._products, self._biases = Weights(weights.count, beside=weights), Weights(beside=weights)
        self._terms: dict[tuple[Kind, int], Terms] = {}
        self._vectors: dict[tuple[Kind, int], tuple[Tensor, Tensor]] | None = {} if vectors else None

    def see_vectors(self, layer: int, kind: Kind, q: Tensor, k: Tensor) -> None:
        """Keep the queries (H, N, D), and the keys as each head reads them, (H, M, D)."""
        if self._vectors is None:
            return
        for each in (q, k):
            self._room.take((len(q), each.shape[2], each.shape[1]), each, whole=False)
        self._vectors[kind, layer] = q.clone(), k.repeat_interleave(len(q) // len(k), 0)

    def see_scores(self, tile: Tile, terms: Terms) -> None:
        """Copy the products of a tile, and its bias, to their places."""
        self._products.tile(tile)
        if terms.bias is not None:
            self._biases.tile(replace(tile, weights=terms.bias.expand(tile.weights.shape)))
        self._terms.setdefault((tile.kind, tile.layer), replace(terms, bias=None))

    def layers(self, kind: Kind = "self") -> tuple[int, ...]:
        """The numbers of the layers of ``kind`` whose scores were kept."""
        return self._products.layers(kind)

    def products(self, kind: Kind = "self") -> Tensor:
        """The products q·k, (L, H, N, M)."""
        return self._products.stacked(kind)

    def scales(self, kind: Kind = "self") -> tuple[float, ...]:
        """What the products of each layer are multiplied by."""
        return tuple(self._terms[kind, layer].scale for layer in self.layers(kind))

    def softcaps(self, kind: Kind = "self") -> tuple[float | None, ...]:
        """The soft cap of each layer; empty where none has one."""
        found = tuple(self._terms[kind, layer].softcap for layer in self.layers(kind))
        return found if any(found) else ()

    def biases(self, kind: Kind = "self") -> Tensor | None:
        """What positions add, (L, H, N, M); None where they add nothing in any layer."""
        some = self._biases.layers(kind)
        if not some:
            return None
        import torch

        one = self._biases.layer(some[0], kind)
        layers = (self._biases.layer(n, kind) if n in some else torch.zeros_like(one) for n in self.layers(kind))
        return torch.stack([*layers])

    def vectors(self, kind: Kind = "self") -> tuple[Tensor, Tensor] | None:
        """The query vectors (L, H, N, D) and the key vectors (L, H, M, D), where they are kept.

        Raises:
            UnsupportedModel: the layers' vectors differ in size.
        """
        if self._vectors is None:
            return None
        import torch

        kept = [self._vectors[kind, layer] for layer in self.layers(kind)]
        require_equal_heads((q.shape[-1] for q, _ in kept), "numbers in a head's vectors")
        return torch.stack([q for q, _ in kept]), torch.stack([k for _, k in kept])

"""What is kept of a forward pass: small objects to whom the kernel shows each tile of weights.

What nobody observes is never stored.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attnviz.model.kernel import Observer, Tile


class Weights(Observer):
    """Keeps every weight. Memory: L·H·N·M numbers."""

    def __init__(self) -> None:
        self._layers: dict[int, Tensor] = {}

    def tile(self, tile: Tile) -> None:
        """Copy the tile to its place; what no tile covers is zero."""
        if tile.layer not in self._layers:
            self._layers[tile.layer] = tile.weights.new_zeros(tile.shape)
        (_, n, m), q, k = tile.weights.shape, tile.query, tile.key
        self._layers[tile.layer][:, q : q + n, k : k + m] = tile.weights

    def stacked(self) -> Tensor:
        """All weights, (L, H, N, M)."""
        return torch.stack([self._layers[layer] for layer in sorted(self._layers)])


class HiddenStates(Observer):
    """Keeps the hidden states: what enters the first layer and what leaves each one, (L + 1, T, C)."""

    def __init__(self) -> None:
        self._states: list[Tensor] = []

    def hidden(self, layer: int, states: Tensor) -> None:  # noqa: ARG002  (they come in order)
        """Keep the states; the forward pass makes new ones for each layer and never writes to old ones."""
        self._states.append(states)

    def stacked(self) -> Tensor:
        """All states, (L + 1, T, C)."""
        return torch.stack(self._states)

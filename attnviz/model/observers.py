"""What is kept of a forward pass: small objects to whom the kernel shows each tile of weights.

What nobody observes is never stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from attnviz.model.kernel import Kind, Observer, Tile


class Weights(Observer):
    """Keeps every weight. Memory: L·H·N·M numbers of each kind."""

    def __init__(self) -> None:
        self._maps: dict[Kind, dict[int, Tensor]] = {}

    def tile(self, tile: Tile) -> None:
        """Copy the tile to its place; what no tile covers is zero. A tile that is the whole map is kept as it is."""
        layers = self._maps.setdefault(tile.kind, {})
        if tile.weights.shape == tile.shape:
            layers[tile.layer] = tile.weights
            return
        if tile.layer not in layers:
            layers[tile.layer] = tile.weights.new_zeros(tile.shape)
        (_, n, m), q, k = tile.weights.shape, tile.query, tile.key
        layers[tile.layer][:, q : q + n, k : k + m] = tile.weights

    def layers(self, kind: Kind = "self") -> tuple[int, ...]:
        """The numbers of the layers that have attention of ``kind``."""
        return tuple(sorted(self._maps.get(kind, ())))

    def layer(self, number: int, kind: Kind = "self") -> Tensor:
        """The weights of one layer, (H, N, M)."""
        return self._maps[kind][number]

    def stacked(self, kind: Kind = "self") -> Tensor:
        """All weights of ``kind``, (L, H, N, M)."""
        return torch.stack([self.layer(number, kind) for number in self.layers(kind)])


class HiddenStates(Observer):
    """Keeps the hidden states: what enters the first layer and what leaves each one, (L + 1, T, C)."""

    def __init__(self) -> None:
        self._states: dict[Kind, list[Tensor]] = {}

    def hidden(self, layer: int, states: Tensor, kind: Kind = "self") -> None:  # noqa: ARG002  (they come in order)
        """Keep the states; the forward pass makes new ones for each layer and never writes to old ones."""
        self._states.setdefault(kind, []).append(states)

    def stacked(self, kind: Kind = "self") -> Tensor:
        """All states, (L + 1, T, C)."""
        return stack(self._states[kind])


def stack(states: Sequence[Tensor]) -> Tensor:
    """States (…, T, C) one above the other; where a model's last are narrower than the rest, zeros fill them up."""
    widest = max(state.shape[-1] for state in states)
    return torch.stack([functional.pad(state, (0, widest - state.shape[-1])) for state in states])

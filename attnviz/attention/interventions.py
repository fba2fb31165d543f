"""Interventions: what is put in the place of a head's weights or of its output while a model runs.

Each is a small frozen value. The kernel applies those of a layer: first to the weights of each tile, after the softmax
and before anybody sees them, then to the context, the heads' outputs. The model itself is never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnviz.attention.tile import Kind, Tile
from attnviz.errors import InputError, UsageError, layers_there

if TYPE_CHECKING:
    from torch import Tensor


_ROUNDING = 1e-4
"""What is missing from the sum of a row is by rounding up to here; above, a sink score has taken it."""


@dataclass(frozen=True, eq=False)
class Intervention:
    """What is put in the place of something of one head, of all heads of a layer, or of all layers.

    Attributes:
        layer: the layer; None for all.
        head: the head; None for all of the layer.
        kind: which attention of the model; None for all.
    """

    layer: int | None = None
    head: int | None = None
    kind: Kind | None = None

    touches_weights = False
    """Whether it changes weights; otherwise it changes the context."""

    def __post_init__(self) -> None:
        """Take arrays and lists for tensors."""
        for name, shapes in self._tensors.items():
            import torch

            value = getattr(self, name)
            if value is None:
                if None not in shapes:
                    raise UsageError(
                        f"{type(self).__name__} has no `{name}`", hint="Give what is put in a head's place."
                    )
                continue
            tensor = torch.as_tensor(value)
            if tensor.dim() not in shapes:
                raise UsageError(f"`{name}` of {type(self).__name__} has the shape {tuple(tensor.shape)}")
            object.__setattr__(self, name, tensor)

    @property
    def _tensors(self) -> Mapping[str, tuple[int | None, ...]]:
        """The fields that are tensors, and how many axes these may have; None where there may be none at all."""
        return {}

    @property
    def sized(self) -> bool:
        """Whether it has a value for each query, so that it goes with texts of one length only."""
        return False

    def concerns(self, layer: int, kind: Kind) -> bool:
        """Whether it changes anything in this attention."""
        return self.layer in (None, layer) and self.kind in (None, kind)

    def weights(self, tile: Tile) -> None:
        """Change the weights of a tile in their place."""

    def context(self, context: Tensor) -> None:
        """Change the outputs (H, N, D) of the heads of a layer in their place."""

    def _heads(self, tile: Tile) -> slice:
        """The heads of the ``tile`` that it changes."""
        h = len(tile.weights)
        if self.head is None:
            return slice(0, h)
        require_head(tile.shape[0], self.layer, self.head)
        at = self.head - tile.head
        return slice(at, at + 1) if 0 <= at < h else slice(0, 0)


@dataclass(frozen=True, eq=False)
class Zero(Intervention):
    """The head writes nothing: its context is zero. The bias of the output matrix belongs to the layer and stays."""

    def context(self, context: Tensor) -> None:
        """Fill the heads' context with zeros."""
        _put(self, context, 0)


@dataclass(frozen=True, eq=False)
class Mean(Intervention):
    """The head's context is the same vector for all queries, as a rule its mean over a corpus.

    Attributes:
        values: the vector (D,), or (H, D) where ``head`` is None.
    """

    values: Any = None

    @property
    def _tensors(self) -> Mapping[str, tuple[int | None, ...]]:
        return {"values": (1,) if self.head is not None else (2,)}

    def context(self, context: Tensor) -> None:
        """Put the mean in the place of the context of each query.

        Raises:
            UsageError: heads write vectors of another size.
        """
        _put(self, context, self.values[..., None, :])


@dataclass(frozen=True, eq=False)
class Patch(Intervention):
    """The head's context is that of another run.

    Attributes:
        values: the context of each query (N, D), or (H, N, D) where ``head`` is None.
    """

    values: Any = None

    @property
    def _tensors(self) -> Mapping[str, tuple[int | None, ...]]:
        return {"values": (2,) if self.head is not None else (3,)}

    @property
    def sized(self) -> bool:
        """It is."""
        return True

    def context(self, context: Tensor) -> None:
        """Put the other run's context in the place of this one's.

        Raises:
            InputError: the other run has another number of queries.
            UsageError: heads write vectors of another size.
        """
        if self.values.shape[-2] != context.shape[1]:
            raise _other_length("The outputs", self.values.shape[-2], context.shape[1])
        _put(self, context, self.values)


@dataclass(frozen=True, eq=False)
class Freeze(Intervention):
    """The head's weights are given, whatever the text.

    Attributes:
        pattern: the weights (N, M), or (H, N, M) where ``head`` is None; None for the same weight for each key that a
            query may see.
    """

    pattern: Any = None

    touches_weights = True

    @property
    def _tensors(self) -> Mapping[str, tuple[int | None, ...]]:
        return {"pattern": (2, None) if self.head is not None else (2, 3, None)}

    @property
    def sized(self) -> bool:
        """Whether a pattern is given."""
        return self.pattern is not None

    def weights(self, tile: Tile) -> None:
        """Put the pattern in the place of the weights.

        Raises:
            InputError: the pattern has another number of queries or keys.
        """
        heads = self._heads(tile)
        if heads.start == heads.stop:
            return
        _, n, m = tile.weights.shape
        if self.pattern is None:
            tile.weights[heads] = even_weights(tile)
            return
        if tuple(self.pattern.shape[-2:]) != tile.shape[1:]:
            raise _other_length("The weights", self.pattern.shape[-2], tile.shape[1])
        some = self.pattern[..., tile.query : tile.query + n, tile.key : tile.key + m]
        if self.head is None and self.pattern.dim() > 2:
            some = some[tile.head : tile.head + len(tile.weights)]
        tile.weights[heads] = some.to(tile.weights)


@dataclass(frozen=True, eq=False)
class Cut(Intervention):
    """Links from some queries to some keys have no weight.

    Attributes:
        queries: the positions of the queries; None for all.
        keys: the positions of the keys.
        renormalise: whether what is left of each row grows to what the row had in all, as if the query did not see the
            key. The share that a sink score takes (gpt-oss) grows alike; a query that sees nothing else keeps zeros.
    """

    queries: tuple[int, ...] | None = None
    keys: tuple[int, ...] = ()
    renormalise: bool = True

    touches_weights = True

    def weights(self, tile: Tile) -> None:
        """Set the weights of the links to zero."""
        heads = self._heads(tile)
        _, n, m = tile.weights.shape
        first = tile.first + tile.query
        keys = [key - tile.key for key in self.keys if 0 <= key - tile.key < m]
        rows = [*range(n)] if self.queries is None else [q - first for q in self.queries if 0 <= q - first < n]
        if heads.start == heads.stop or not keys or not rows:
            return
        part = tile.weights[heads]
        left = part[:, rows]
        sink = 1 - left.sum(-1, keepdim=True)
        left[:, :, keys] = 0
        if self.renormalise:
            total = left.sum(-1, keepdim=True)
            total = total + sink * (sink > _ROUNDING)
            left /= total + (total == 0)
        part[:, rows] = left


def no_kind(kind: str, kinds: Mapping[Kind, Any]) -> UsageError:
    """There is no such attention."""
    return UsageError(f"the model has no {kind} attention", hint=f"It has {' and '.join(kinds)}.")


def no_layer(layer: int, layers: Iterable[int]) -> UsageError:
    """There is no such layer among those that attend."""
    return UsageError(f"there is no layer {layer}: {layers_there(sorted(layers))}")


def require_head(heads: int, layer: int | None, head: int) -> None:
    """Raise a ``UsageError`` where a layer with so many ``heads`` does not have this one."""
    if not 0 <= head < heads:
        where = "a layer" if layer is None else f"layer {layer}"
        raise UsageError(f"{where} has no head {head}: it has heads 0 to {heads - 1}")


def _put(intervention: Intervention, context: Tensor, values: Any) -> None:
    """Put ``values`` in the place of the outputs of the heads that are changed."""
    head = intervention.head
    if head is not None:
        require_head(len(context), intervention.layer, head)
    place = context if head is None else context[head]
    if isinstance(values, int):
        place.fill_(values)
        return
    if values.shape[-1] != context.shape[-1] or (head is None and len(values) != len(context)):
        raise UsageError(
            f"a head is to write {values.shape[-1]} numbers for each token, and it writes {context.shape[-1]}"
            if values.shape[-1] != context.shape[-1]
            else f"values of {len(values)} heads are put in, and the layer has {len(context)}"
        )
    place[:] = values.to(context)


def at_layer(interventions: Sequence[Intervention], layer: int, kind: Kind) -> list[Intervention]:
    """Those of the ``interventions`` that change something in this attention."""
    return [each for each in interventions if each.concerns(layer, kind)]


def even_weights(tile: Tile) -> Tensor:
    """1 / n for each of the n keys that a query of the ``tile`` may see, (n, m).

    A key that no head gives any weight is hidden from the query by a mask.
    """
    weights: Any = tile.weights
    seen: Tensor = weights.amax(0) > 0
    return seen.to(weights) / seen.sum(-1, keepdim=True).clamp(min=1)


def _other_length(what: str, theirs: int, ours: int) -> InputError:
    return InputError(
        f"{what} that are put in come from a text of {theirs:,} tokens, and this one has {ours:,}",
        hint="Give texts of as many tokens.",
    )

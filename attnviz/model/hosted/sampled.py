"""transformers' own attention, seen in some of its rows: nothing of ours has a part in it.

The model runs by its own SDPA, which keeps no weights. From the queries and keys that it hands over, its own eager
function says what the weights of the chosen queries are: so its soft caps, sinks, scales, shared keys and biases are
what the model makes of them. No array of N·M is made, unless the model makes one (T5's position biases).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from attnviz.errors import UnsupportedModel
from attnviz.model.hosted import masks
from attnviz.model.hosted.attention import Calls, choose, refuse, sinks_of
from attnviz.model.hosted.masks import RowMask
from attnviz.model.kernel import Kind

See = Callable[[Kind, int, Tensor | None], None]
"""Is shown the rows (H, Q, M) of each layer of each kind; None where the model's eager function gives no weights."""

# The largest array that is made of a few queries has this many entries.
_TILE = 1 << 24


class Sampler:
    """The attention function of one run: the model's own, whose weights of the queries ``rows`` are shown to ``see``.

    ``contradicts`` says whether the eager function's context differs by more than rounding from what the model went
    on with, in any of the rows.
    """

    mask = staticmethod(masks.mask_by_rows)

    def __init__(
        self,
        model: nn.Module,
        shapes: Mapping[Kind, tuple[int, int]],
        rows: Mapping[Kind, Tensor],
        see: See,
    ) -> None:
        """``shapes`` are the (N, M) of each kind's maps."""
        self.contradicts = False
        self._calls = Calls(model, shapes)
        self._rows, self._see = rows, see
        self._has_sdpa = bool(getattr(model, "_supports_sdpa", False))

    @property
    def layers(self) -> dict[Kind, list[int]]:
        """The layers of each kind that have attended so far."""
        return self._calls.layers

    def __call__(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None = None,
        scaling: float | None = None,
        **facts: Any,
    ) -> tuple[Tensor, None]:
        """Attend from ``query`` (1, H, N, D) to ``key`` and ``value`` (1, G, M, D); the context is (1, N, H, D)."""
        refuse(module, query, facts)
        kind, layer, again = self._calls.place(module, query, key)
        given = facts if scaling is None else facts | {"scaling": scaling}
        call = _Call(module, query, key, value, attention_mask, given)
        context = call.sdpa() if self._has_sdpa and call.plain else call.eagerly()
        if not again:
            rows = self._rows[kind].to(query.device)
            some, weights = call.eager(rows)
            self.contradicts |= _differ(some, context[:, rows])
            if weights is not None and call.sinks is not None and float((weights.sum(-1) - 1).abs().max()) < 0.01:
                weights = None  # they are those before the sinks have taken their share (Granite)
            self._see(kind, layer, None if weights is None else weights[0])
        return context, None


@dataclass(frozen=True)
class _Call:
    """What a module hands to its attention function."""

    module: nn.Module
    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    facts: dict[str, Any]

    @property
    def sinks(self) -> Tensor | None:
        return sinks_of(self.module, self.facts)

    @property
    def plain(self) -> bool:
        """Whether SDPA can do it: it knows no soft caps and no sinks."""
        return not self.facts.get("softcap") and self.sinks is None

    def eager(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """The context (1, n, H, D) and the weights (1, H, n, M) of the queries ``rows`` by the model's own function."""
        mask = self._mask(rows)
        if mask is not None and mask.dtype is torch.bool:
            added = torch.zeros(mask.shape, dtype=self.query.dtype, device=mask.device)
            mask = added.masked_fill_(~mask, torch.finfo(added.dtype).min)
        own = _eager_function(self.module)
        context, weights = own(self.module, self.query[:, :, rows], self.key, self.value, mask, **self._facts(rows))
        return context, weights

    def eagerly(self) -> Tensor:
        """The context of all queries by the model's own eager function, some at a time."""
        return torch.cat([self.eager(rows)[0] for rows in self._pieces(self.query.shape[1])], dim=1)

    def sdpa(self) -> Tensor:
        """The context of all queries by transformers' SDPA: at once where no mask must be made for that."""
        if self.mask is None and self.facts.get("indices") is None:
            return self._sdpa(self.query, self.key, self.value, None, self.facts)
        plain = self.facts.get("position_bias") is None and self.facts.get("indices") is None
        if isinstance(self.mask, RowMask) and self.mask.causal and plain:
            return self._sdpa(self.query, self.key, self.value, None, self.facts | {"is_causal": True})
        return torch.cat([self._some(rows) for rows in self._pieces(1)], dim=1)

    def _some(self, rows: Tensor) -> Tensor:
        """The context of the queries ``rows`` by transformers' SDPA. Keys that none of them sees are left out."""
        mask, facts = self._mask(rows), self._facts(rows)
        low, high = 0, self.key.shape[2]
        if mask is not None and mask.dtype is torch.bool:
            seen = torch.nonzero(mask.flatten(0, 2).any(0))
            low, high = (int(seen[0]), int(seen[-1]) + 1) if len(seen) else (low, high)
            mask = mask[..., low:high]
        if facts.get("position_bias") is not None:
            facts = facts | {"position_bias": facts["position_bias"][..., low:high]}
        return self._sdpa(self.query[:, :, rows], self.key[:, :, low:high], self.value[:, :, low:high], mask, facts)

    def _sdpa(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, facts: dict[str, Any]) -> Tensor:
        context: Tensor = ALL_ATTENTION_FUNCTIONS["sdpa"](self.module, query, key, value, mask, **facts)[0]
        return context

    def _pieces(self, heads: int) -> tuple[Tensor, ...]:
        """The queries, some at a time: as many as fit ``_TILE`` for so many ``heads``."""
        step = max(1, _TILE // (heads * self.key.shape[2]))
        return torch.split(torch.arange(self.query.shape[2], device=self.query.device), step)

    def _mask(self, rows: Tensor) -> Tensor | None:
        """The mask of the queries ``rows``, (1, h, n, M): booleans or numbers to add."""
        mask = self.mask
        if isinstance(mask, RowMask):
            mask = mask.rows(rows)
        elif mask is not None and mask.shape[-2] > 1:
            mask = mask[:, :, rows]
        indices = self.facts.get("indices")
        if indices is not None:
            mask = choose(mask, indices[:, rows], (len(rows), self.key.shape[2]))
        return mask

    def _facts(self, rows: Tensor) -> dict[str, Any]:
        """What else was handed over, of the queries ``rows`` only; which keys they have chosen is in the mask."""
        bias = self.facts.get("position_bias")
        if bias is not None and bias.shape[-2] > 1:
            bias = bias[:, :, rows]
        return self.facts if bias is None else self.facts | {"position_bias": bias}


def _eager_function(module: nn.Module) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """The eager attention function of the file that ``module`` is defined in."""
    file = sys.modules.get(type(module).__module__)
    own: Callable[..., tuple[Tensor, Tensor | None]] | None = getattr(file, "eager_attention_forward", None)
    if own is None:
        raise UnsupportedModel(f"{type(module).__name__} has no eager attention function to compare rows with")
    return own


def _differ(one: Tensor, other: Tensor) -> bool:
    """Whether two contexts differ by more than rounding."""
    return bool(float((one - other).abs().max()) > 1e-3 * max(1.0, float(other.abs().max())))

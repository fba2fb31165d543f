"""One call of a model's attention function, run again for some queries and heads, by eager attention or SDPA."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from attnviz.errors import UnsupportedModel
from attnviz.model.check.report import Against
from attnviz.model.hosted.attention import hide_unchosen, sinks_of
from attnviz.model.hosted.masks import RowMask

# The most entries of an array for some of the queries.
_TILE = 1 << 24
CHUNK = 1 << 18
"""The most weights of whole heads that are passed at once, so that what is computed from them fits a core's cache."""


@dataclass(frozen=True)
class AttentionCall:
    """The arguments of one call of an attention function; ``asked`` is the attention to probe for weights, if any."""

    module: nn.Module | SomeHeads
    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    facts: dict[str, Any]
    asked: Against | None = None

    @property
    def sinks(self) -> Tensor | None:
        """The sinks of the heads, if the module has some."""
        return sinks_of(self.module, self.facts)  # type: ignore[arg-type]  # ``SomeHeads`` has a module's attributes

    @property
    def plain(self) -> bool:
        """Whether SDPA can compute it: it supports neither soft caps nor sinks."""
        return not self.facts.get("softcap") and self.sinks is None

    def eager(self, rows: Tensor, keys: slice = slice(None)) -> tuple[Tensor, Tensor | None]:
        """Return the context (1, n, H, D) and weights (1, H, n, M) of ``rows`` by the model's own eager function.

        ``keys`` is the slice of the mask's keys that ``key`` holds.
        """
        mask = self._mask(rows)
        mask = None if mask is None else mask[..., keys]
        if mask is not None and mask.dtype is torch.bool:
            added = torch.zeros(mask.shape, dtype=self.query.dtype, device=mask.device)
            mask = added.masked_fill_(~mask, torch.finfo(added.dtype).min)
        own = eager_function(self.module)
        context, weights = own(self.module, self.query[:, :, rows], self.key, self.value, mask, **self._facts(rows))
        return context, weights

    def weights(self, rows: Tensor, keys: slice = slice(None)) -> Tensor | None:
        """Return the weights (1, H, n, M) of ``rows``; ``keys`` is as for ``eager``."""
        if self.asked is None:
            return self.eager(rows, keys)[1]
        count, size = self.value.shape[2:]
        mask, found = self._mask(rows), []
        mask = None if mask is None else mask[..., keys]
        facts = self._facts(rows) | {"is_causal": False}  # the mask contains the causality too
        for first in range(0, count, size):
            units = torch.eye(count, device=self.value.device, dtype=self.value.dtype)[:, first : first + size]
            units = functional.pad(units, (0, size - units.shape[1])).expand(*self.value.shape[:2], -1, -1)
            if self.asked == "sdpa":
                found.append(self._sdpa(self.query[:, :, rows], self.key, units, mask, facts))
            else:
                found.append(replace(self, value=units).eager(rows, keys)[0])
        return torch.cat(found, dim=-1)[..., :count].transpose(1, 2)  # (1, n, H, M) → (1, H, n, M)

    def whole(self, heads: Sequence[int], rows: Tensor, weights: Tensor) -> Iterator[tuple[int, int, Tensor]]:
        """Yield all weights of ``heads``, some queries at a time: the first query, the first key, and (h, n, m).

        The heads run by themselves if the model's own function then gives the queries ``rows`` the same weights (1, H,
        Q, M) as with all heads; otherwise all heads run.
        """
        narrow: AttentionCall | None = self._narrow(heads)
        try:
            alone = narrow.weights(rows) if narrow else None
            if alone is None or contexts_differ(alone, weights[:, list(heads)]):
                narrow = None
        except (RuntimeError, ValueError, LookupError, AttributeError, TypeError):
            narrow = None
        call, chosen = (narrow, slice(None)) if narrow else (self, list(heads))
        for some in call._pieces(call.query.shape[1], CHUNK):
            low, part = call._seen(some)
            yield int(some[0]), low, part[0, chosen]

    def _seen(self, rows: Tensor) -> tuple[int, Tensor]:
        """Return the first key that any of the queries ``rows`` sees, and their weights from that to the last
        such key.
        """
        facts = self.facts
        low, high = self._sees(self._mask(rows)) if facts.get("indices") is None else (0, self.key.shape[2])
        if facts.get("position_bias") is not None:
            facts = facts | {"position_bias": facts["position_bias"][..., low:high]}
        part = replace(self, key=self.key[:, :, low:high], value=self.value[:, :, low:high], facts=facts)
        weights = part.weights(rows, slice(low, high))
        if weights is None:
            raise UnsupportedModel(f"{type(self.module).__name__}'s eager attention returns weights now and then")
        return low, weights

    def _narrow(self, heads: Sequence[int]) -> AttentionCall:
        """Return the same call with some of the heads."""
        some, count = list(heads), self.query.shape[1]
        shared = [head * self.key.shape[1] // count for head in some]

        def cut(given: Tensor | None) -> Tensor | None:
            return given[:, some] if given is not None and given.dim() == 4 and given.shape[1] == count else given

        facts = dict(self.facts)
        facts["position_bias"] = cut(facts.get("position_bias"))
        sinks = self.sinks
        if facts.get("s_aux") is not None and sinks is not None:
            facts["s_aux"] = sinks[some]
        facts = {name: given for name, given in facts.items() if given is not None or name in self.facts}
        module = SomeHeads(self.module, None if sinks is None else sinks[some])
        mask = self.mask if isinstance(self.mask, RowMask) else cut(self.mask)
        return AttentionCall(
            module, self.query[:, some], self.key[:, shared], self.value[:, shared], mask, facts, self.asked
        )

    def eagerly(self) -> Tensor:
        """Return the context of all queries by the model's own eager function, some queries at a time."""
        return torch.cat([self.eager(rows)[0] for rows in self._pieces(self.query.shape[1])], dim=1)

    def sdpa(self) -> Tensor:
        """Return the context of all queries by transformers' SDPA, at once if this needs no mask."""
        if self.mask is None and self.facts.get("indices") is None:
            return self._sdpa(self.query, self.key, self.value, None, self.facts)
        plain = self.facts.get("position_bias") is None and self.facts.get("indices") is None
        if isinstance(self.mask, RowMask) and self.mask.causal and plain:
            return self._sdpa(self.query, self.key, self.value, None, self.facts | {"is_causal": True})
        return torch.cat([self._some(rows) for rows in self._pieces(1)], dim=1)

    def _some(self, rows: Tensor) -> Tensor:
        """Return the context of the queries ``rows`` by transformers' SDPA; keys that none of them sees are
        left out.
        """
        mask, facts = self._mask(rows), self._facts(rows)
        low, high = self._sees(mask)
        mask = None if mask is None else mask[..., low:high]
        if facts.get("position_bias") is not None:
            facts = facts | {"position_bias": facts["position_bias"][..., low:high]}
        return self._sdpa(self.query[:, :, rows], self.key[:, :, low:high], self.value[:, :, low:high], mask, facts)

    def _sees(self, mask: Tensor | None) -> tuple[int, int]:
        """Return the first and the last key (exclusive) that a boolean ``mask`` shows; all keys for other masks."""
        if mask is not None and mask.dtype is torch.bool:
            seen = torch.nonzero(mask.flatten(0, 2).any(0))
            if len(seen):
                return int(seen[0]), int(seen[-1]) + 1
        return 0, self.key.shape[2]

    def _sdpa(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, facts: dict[str, Any]) -> Tensor:
        context: Tensor = ALL_ATTENTION_FUNCTIONS["sdpa"](self.module, query, key, value, mask, **facts)[0]
        return context

    def _pieces(self, heads: int, most: int | None = None) -> tuple[Tensor, ...]:
        """Split the queries so that ``heads`` heads of them fit ``most`` weights, by default ``_TILE``."""
        step = max(1, (most or _TILE) // (heads * self.key.shape[2]))
        return torch.split(torch.arange(self.query.shape[2], device=self.query.device), step)

    def _mask(self, rows: Tensor) -> Tensor | None:
        """Return the mask of the queries ``rows``, (1, h, n, M): booleans, or numbers to add."""
        mask = self.mask
        if isinstance(mask, RowMask):
            mask = mask.rows(rows)
        elif mask is not None and mask.shape[-2] > 1:
            mask = mask[:, :, rows]
        indices = self.facts.get("indices")
        if indices is not None:
            mask = hide_unchosen(mask, indices[:, rows], (len(rows), self.key.shape[2]))
        return mask

    def _facts(self, rows: Tensor) -> dict[str, Any]:
        """Return the other arguments for the queries ``rows``; which keys these chose is in the mask."""
        bias = self.facts.get("position_bias")
        if bias is not None and bias.shape[-2] > 1:
            bias = bias[:, :, rows]
        return self.facts if bias is None else self.facts | {"position_bias": bias}


class SomeHeads:
    """An attention module reduced to some of its heads, each with its own key head."""

    def __init__(self, module: nn.Module | SomeHeads, sinks: Tensor | None) -> None:
        self.module = module
        self.num_key_value_groups = 1
        if sinks is not None:
            self.sinks = sinks

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)


def eager_function(module: nn.Module | SomeHeads) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """Return the eager attention function of the file that defines ``module``."""
    module = module.module if isinstance(module, SomeHeads) else module
    file = sys.modules.get(type(module).__module__)
    own: Callable[..., tuple[Tensor, Tensor | None]] | None = getattr(file, "eager_attention_forward", None)
    if own is None:
        raise UnsupportedModel(f"{type(module).__name__} has no eager attention function to compare rows with")
    return own


def contexts_differ(one: Tensor, other: Tensor) -> bool:
    """Whether two contexts differ by more than rounding."""
    rounding = max(1e-3, 16 * torch.finfo(other.dtype).eps)  # for sums of dozens of terms in half precision
    return bool(float((one - other).abs().max()) > rounding * max(1.0, float(other.abs().max())))

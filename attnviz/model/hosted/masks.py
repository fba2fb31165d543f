"""What a query sees, read from the masks of transformers exactly, without an array of N·M where it is a band.

Nearly every mask is a band: all keys, no later keys, or a window. Such a mask is a ``KeyWindow`` to our kernel, and to
the model a tensor that is made only if the model computes with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from transformers.masking_utils import bidirectional_mask_function, causal_mask_function, eager_mask, sdpa_mask

from attnviz.attention.window import EVERYTHING, KeyWindow

# A mask is read in tiles of this many entries.
_TILE = 1 << 22

# Leave to transformers no mask to skip.
_WHOLE = {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}


@dataclass(frozen=True)
class Visibility:
    """What the queries see. ``window`` is None where it is no band; ``causal``: no query sees a later key."""

    window: KeyWindow | None
    causal: bool


FULL_VISIBILITY = Visibility(EVERYTHING, causal=False)
CAUSAL_VISIBILITY = Visibility(KeyWindow(right=0), causal=True)


class LazyMask(Tensor):
    """An additive mask (1, 1, N, M) that ``make`` makes only when something is computed with it."""

    make: Callable[[], Tensor]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Compute with the real masks."""
        del types

        def real(value: Any) -> Any:
            return value.make() if isinstance(value, LazyMask) else value

        return func(*tree_map(real, args), **tree_map(real, kwargs or {}))


class BandMask(LazyMask):
    """A lazy mask that is a band."""

    sight: Visibility

    @staticmethod
    def __new__(cls, sight: Visibility, make: Callable[[], Tensor], shape: tuple[int, ...], **kind: Any) -> BandMask:
        """Make one of ``shape``; ``kind`` is the dtype and the device."""
        mask: BandMask = Tensor._make_wrapper_subclass(cls, shape, **kind)
        mask.sight, mask.make = sight, make
        return mask


class RowMask(LazyMask):
    """A lazy mask that transformers makes of some rows at a time; ``causal``: it hides later keys and nothing else."""

    causal: bool
    _facts: dict[str, Any]

    @staticmethod
    def __new__(cls, facts: dict[str, Any]) -> RowMask:
        """Make one of the arguments of ``transformers.masking_utils.eager_mask``."""
        shape = (1, 1, facts["q_length"], facts["kv_length"])
        mask: RowMask = Tensor._make_wrapper_subclass(cls, shape, dtype=facts.get("dtype"), device=facts.get("device"))
        mask.causal = _plain(facts) == CAUSAL_VISIBILITY
        mask._facts, mask.make = facts, partial(eager_mask, **(facts | _WHOLE))
        return mask

    def rows(self, chosen: Tensor) -> Tensor:
        """Which keys the queries ``chosen`` (n,) see, (1, h, n, M) booleans."""
        breaks = torch.nonzero(chosen.diff() != 1).flatten() + 1
        runs = torch.tensor_split(chosen, breaks.cpu())
        return torch.cat([_rows(self._facts, int(run[0]), int(run[-1]) + 1) for run in runs], dim=2)


def mask(**facts: Any) -> Tensor | None:
    """The mask that transformers asks for: what eager attention gets, but lazily where it is a band.

    It takes the arguments of ``transformers.masking_utils.eager_mask``.
    """
    queries, keys = facts.get("q_length"), facts.get("kv_length")
    if not isinstance(queries, int) or not isinstance(keys, int) or facts.get("batch_size") != 1:
        return eager_mask(**facts)  # type: ignore[no-any-return]

    def rows(start: int, stop: int) -> Tensor:
        return _rows(facts, start, stop)[0].all(0)

    sight = _plain(facts) or visibility_of_rows(rows, queries, keys)
    if sight.window is None:
        return eager_mask(**facts)  # type: ignore[no-any-return]
    if sight.window == EVERYTHING and facts.get("allow_is_bidirectional_skip"):
        return None
    make = partial(eager_mask, **(facts | _WHOLE))
    return BandMask(sight, make, (1, 1, queries, keys), dtype=facts.get("dtype"), device=facts.get("device"))


def mask_by_rows(**facts: Any) -> Tensor | None:
    """The mask that transformers asks for, as ``mask``, but never read: transformers makes the rows that are wanted."""
    lengths = facts.get("q_length"), facts.get("kv_length")
    if not all(isinstance(length, int) for length in lengths) or facts.get("batch_size") != 1:
        return eager_mask(**facts)  # type: ignore[no-any-return]
    if _plain(facts) == FULL_VISIBILITY and facts.get("allow_is_bidirectional_skip"):
        return None
    return RowMask(facts)


def _rows(facts: dict[str, Any], start: int, stop: int) -> Tensor:
    """What some of the queries see by the mask of these ``facts``, (1, h, n, M) booleans."""
    first = facts.get("q_offset", 0)
    part: Tensor = sdpa_mask(**(facts | _WHOLE | {"q_length": stop - start, "q_offset": first + start}))
    return part


def _plain(facts: dict[str, Any]) -> Visibility | None:
    """The sight of the two commonest masks, which need no reading, where nothing is padded or moved."""
    padding = facts.get("attention_mask")
    if facts.get("q_offset") or facts.get("kv_offset") or not (padding is None or bool(padding.all())):
        return None
    return {causal_mask_function: CAUSAL_VISIBILITY, bidirectional_mask_function: FULL_VISIBILITY}.get(
        facts.get("mask_function")
    )


def visibility_of_rows(rows: Callable[[int, int], Tensor], queries: int, keys: int) -> Visibility:
    """What ``queries`` see of ``keys``, where ``rows(start, stop)`` says it of some of them, (n, M) booleans.

    All that is seen lies within the band of the farthest that is seen; if both have the same size, they are the same.
    """
    ahead, behind, seen, blind = -keys, -queries, 0, False
    step = max(1, _TILE // keys)
    for start in range(0, queries, step):
        visible = rows(start, min(start + step, queries))  # (n, M)
        at = torch.arange(start, start + len(visible), device=visible.device)
        ones = visible.contiguous().view(torch.uint8)
        first, last = ones.argmax(-1), keys - 1 - ones.flip(-1).argmax(-1)
        sees = visible.any(-1)
        blind |= not bool(sees.all())
        if bool(sees.any()):
            ahead = max(ahead, int((last - at)[sees].max()))
            behind = max(behind, int((at - first)[sees].max()))
        seen += int(visible.count_nonzero())
    at = torch.arange(queries)
    band = ((at + ahead).clamp(max=keys - 1) - (at - behind).clamp(min=0) + 1).clamp(min=0)
    window = None
    if not blind and int(band.sum()) == seen:
        window = KeyWindow(None if behind >= queries - 1 else behind, None if ahead >= keys - 1 else ahead)
    return Visibility(window, causal=ahead <= 0)


def visibility_of_mask(mask: Tensor) -> Visibility:
    """What a real mask (h, N, M) lets its queries see; no band where it also adds numbers, or differs by head."""
    if mask.dtype is torch.bool:
        shown, plain = mask, True
    else:
        shown = mask > torch.finfo(mask.dtype).min / 2
        plain = bool((shown.logical_not() | (mask == 0)).all())
    alike = bool((shown == shown[:1]).all())
    union = shown.any(0)
    sight = visibility_of_rows(lambda start, stop: union[start:stop], *union.shape)
    return sight if plain and alike else Visibility(None, sight.causal)

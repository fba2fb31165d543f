"""From scores to weights, by definition: what is added to them, which keys are hidden, and the softmax of the rest."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from attnviz.attention.window import KeyWindow

Bias = Callable[[Tensor, Tensor], Tensor]
"""Takes query positions (n,) and key positions (m,); returns what is added to the scores, as wide as (H, n, m) or 1."""


def to_weights(scores: Tensor, sinks: Tensor | None) -> None:
    """Replace ``scores`` (…, h, n, m) by their softmax over the keys, which includes the score of the sink, if any."""
    if sinks is None:
        torch.softmax(scores, dim=-1, out=scores)
        return
    scores.copy_(_with_sinks(scores, sinks))


def _with_sinks(scores: Tensor, sinks: Tensor) -> Tensor:
    """The softmax of ``scores`` (…, h, n, m) over the keys and the ``sinks`` (h,), without the shares of these."""
    column = sinks.to(scores)[:, None, None].expand(*scores.shape[:-1], 1)
    return torch.softmax(torch.cat((scores, column), dim=-1), dim=-1)[..., :-1]


def weights_of(
    scores: Tensor,
    at: Tensor,
    bias: Bias | None,
    softcap: float | None,
    window: KeyWindow,
    sinks: Tensor | None = None,
) -> Tensor:
    """The weights (…, H, n, m) of scaled ``scores`` of a whole text, whose queries stand at the positions ``at`` (n,).

    That is the definition, for few tokens and for autograd; the scores may be overwritten.
    """
    to = torch.arange(scores.shape[-1], device=scores.device)
    if softcap is not None:
        scores = (scores / softcap).tanh() * softcap
    if bias is not None:
        scores = scores + bias(at, to)
    hide(scores, at, to, window, 0, 0)
    return torch.softmax(scores, dim=-1) if sinks is None else _with_sinks(scores, sinks)


def hide(scores: Tensor, at: Tensor, to: Tensor, window: KeyWindow, query: int, key: int) -> None:
    """Hide from the ``scores`` (h, n, m) the keys outside of the window; ``query`` and ``key`` are the first positions.

    Only the keys at the edges of the tile are touched: its queries all see the others.
    """
    count = len(at)
    if window.right is not None:
        edge = min(max(0, query + window.right + 1 - key), len(to))
        scores[..., edge:] += _beyond(count, len(to) - edge, key + edge - query - window.right, scores.dtype, at.device)
    if window.left is not None:
        edge = max(0, query + count - 1 - window.left - key)
        scores[..., :edge].masked_fill_(to[:edge] < at[:, None] - window.left, _least(scores.dtype))


@lru_cache(maxsize=8)
def _beyond(queries: int, keys: int, first: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The least number where key + ``first`` > query, else 0, (queries, keys); adding is faster than filling in."""
    return torch.full((queries, keys), _least(dtype), dtype=dtype, device=device).triu_(1 - first)


def _least(dtype: torch.dtype) -> float:
    """The number that stands for −∞: its weight is exactly 0, and unlike −∞ it is not NaN times 0."""
    return torch.finfo(dtype).min

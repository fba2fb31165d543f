"""The weights of an attention that sorts tokens by hashes, several times (Reformer: Kitaev et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

_ITSELF = {torch.float16: -1e3}
"""The score of a token with itself, in transformers; −10⁵ in other types."""


def hashed_weights(chunks: Tensor, buckets: Tensor, vectors: Tensor, *, before: int, after: int) -> Tensor:
    """Return the weights (H, N, N) between the tokens, of those within chunks of tokens that were sorted.

    A token has a row in each of the R rounds of hashes. They are added up by their shares, the softmax over the rounds
    of the logarithms of what the exponentials of their scores sum to (appendix A).

    Args:
        chunks: the weights (H, R·N/K, K, (before + 1 + after)·K) of the rounds one after another, each of which sorts
            its tokens into chunks of K; chunks look at those before and after them, the first at the last.
        buckets: the bucket of each token in each round, (H, R, N).
        vectors: what queries and keys are made of, (H, N, D).
        before: how many chunks are looked at before the own.
        after: how many behind it.
    """
    heads, count, size, _ = chunks.shape
    rounds, tokens = buckets.shape[1:]
    order = buckets.flatten(1).argsort(stable=True)  # (H, R·N): where each row was before
    query = (order % tokens).view(heads, count, size)
    key = torch.cat([query.roll(-i, 1) for i in range(-before, after + 1)], -1)  # (H, B, W)
    shares = _shares(chunks, query, key, vectors, order, rounds) if rounds > 1 else 1.0
    # A token that sees itself alone does so by a score of −10⁵, of which float32 leaves two digits behind the point.
    chunks = chunks / chunks.sum(-1, keepdim=True) * shares
    found = chunks.new_zeros(heads, tokens * tokens)
    place = query[..., None] * tokens + key[:, :, None]
    found.scatter_add_(1, place.flatten(1), chunks.flatten(1))
    return found.view(heads, tokens, tokens)


def _shares(chunks: Tensor, query: Tensor, key: Tensor, vectors: Tensor, order: Tensor, rounds: int) -> Tensor:
    """The share of each row in what its token's rows of all rounds add up to, (H, B, K, 1)."""
    heads, count, size, _ = chunks.shape
    peak, best = chunks.max(-1)  # (H, B, K)
    looked = key[:, :, None].expand_as(chunks).gather(3, best[..., None])[..., 0]
    each = torch.arange(heads, device=chunks.device)[:, None, None]
    keys = vectors * (vectors.square().mean(-1, keepdim=True) + 1e-6).rsqrt() / vectors.shape[-1] ** 0.5
    scores = (vectors[each, query] * keys[each, looked]).sum(-1)
    scores = torch.where(query == looked, _ITSELF.get(vectors.dtype, -1e5), scores)
    # What the exponentials of a row's scores sum to, by the weight of any of its keys: log Σ = score − log weight.
    sums = (scores - peak.log()).flatten(1)  # (H, R·N)
    back = order.argsort()
    shares = sums.gather(1, back).view(heads, rounds, -1).softmax(1)  # by token
    return shares.flatten(1).gather(1, order).view(heads, count, size, 1)

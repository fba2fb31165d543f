"""The compiled products of packed documents are those of torch, wherever queries, keys and values lie."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from attnviz.attention.block_sizes import LANES

products = pytest.importorskip("attnviz.attention.compiled.products")

COUNT, FIRST = 3, 5


def part(heads: int, tokens: int, size: int, *, apart: bool) -> Tensor:
    """Queries, keys or values (heads, T, D): as a linear layer gives them, or each head's ``apart``."""
    made = torch.randn(tokens, heads, size).transpose(0, 1)
    return made.contiguous() if apart else made


@pytest.mark.parametrize("length", [1, 2, 4, 15, 16, 17, 33])
@pytest.mark.parametrize(("heads", "kv_heads", "size"), [(3, 3, 16), (4, 2, 32), (6, 1, 80)])
@pytest.mark.parametrize("apart", [False, True])
def test_they_are_those_of_torch(length: int, heads: int, kv_heads: int, size: int, apart: bool) -> None:
    torch.manual_seed(length)
    tokens = FIRST + COUNT * length + 2
    q = part(heads, tokens, size, apart=apart)
    k, v = (part(kv_heads, tokens, size, apart=apart) for _ in range(2))
    width = -(-length // LANES) * LANES
    scores = torch.full((COUNT, heads, length, width), torch.nan)
    products.make_scores(q.numpy(), k.numpy(), FIRST, 0.3, scores.numpy())

    def documents(each: Tensor) -> Tensor:  # (B, heads, n, D)
        each = each.repeat_interleave(heads // len(each), dim=0)[:, FIRST : FIRST + COUNT * length]
        return each.double().reshape(heads, COUNT, length, size).transpose(0, 1)

    expected = documents(q) @ documents(k).mT * 0.3
    torch.testing.assert_close(scores[..., :length].double(), expected, rtol=1e-5, atol=2e-6)

    weights = torch.full((COUNT, heads, length, width), torch.nan)
    weights[..., :length] = softmax = torch.softmax(expected, dim=-1)
    taken = torch.full((tokens, heads, size), 7.0)
    products.take(weights.numpy(), v.numpy(), FIRST, taken.numpy())
    context = (softmax @ documents(v)).transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(taken[FIRST:-2].double(), context, rtol=1e-5, atol=2e-6)
    assert (taken[:FIRST] == 7).all()
    assert (taken[-2:] == 7).all()  # nothing of others is touched

"""What carries something from token to token without attention: a convolution over a few, and a state of each head.

Both go on from what they kept of the tokens before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

CHUNK = 64
"""How many tokens of a text are computed at once, as a triangular system; from one chunk to the next goes a state."""
_TOGETHER = 32
"""Of how many chunks the systems are made at once: those of a long text would take more memory than all else."""


def causal_convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, before: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the sums of each number's last K values by its own weights, (B, n, C), and the last K − 1 values.

    Args:
        x: the values (B, n, C).
        weight: (C, 1, K).
        bias: (C,).
        before: the K − 1 values before them (B, K − 1, C); None is zeros.
    """
    count, size = x.shape[1], weight.shape[-1]
    before = x.new_zeros(len(x), size - 1, x.shape[-1]) if before is None else before
    whole = torch.cat((before, x), 1)
    # A sum is rounded once, as by torch's convolution, not at each of its terms.
    exact, weight = (each.to(torch.promote_types(x.dtype, torch.float32)) for each in (whole, weight))
    found = exact[:, size - 1 :] * weight[:, 0, -1]
    for i in range(size - 1):
        found = torch.addcmul(found, exact[:, i : i + count], weight[:, 0, i])
    return (found if bias is None else found + bias).to(x.dtype), whole[:, count:]


def delta_rule(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor, rate: Tensor, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return S_tᵀ q of each token, (B, n, H, E), and the last state S (B, H, D, E), in the type of ``decay``.

    S_t = α S_{t−1} + k (β (v − α S_{t−1}ᵀ k))ᵀ, as ``GatedDelta`` says. With b_t the sum of log α up to t in a chunk
    of n tokens, and u_t = β (v − α S_{t−1}ᵀ k) what a token adds, S_t = exp(b_t) S_0 + Σ exp(b_t − b_j) k_j u_jᵀ over
    j ≤ t, so that the u of a chunk are the solution of a triangular system: (I + L) U = β V − β exp(b) K S_0, where L
    has β_t exp(b_t − b_j) k_t·k_j below its diagonal (Yang et al. 2024, "Gated Delta Networks", section 3.3).

    Args:
        q, k: queries and keys (B, n, G, D), of which H/G heads share each.
        v: values (B, n, H, E).
        decay: log α (B, n, H).
        rate: β (B, n, H).
        state: the state before the first token; None is zeros.
    """
    exact, heads = decay.dtype, v.shape[2]
    if state is None:
        state = v.new_zeros(len(v), heads, k.shape[-1], v.shape[-1], dtype=exact)
    found = []
    for part, size in _parts(v.shape[1]):
        queries, keys = (
            x[:, part].repeat_interleave(heads // x.shape[2], 2).to(exact).transpose(1, 2) for x in (q, k)
        )  # (B, H, n, D)
        values, log, rates = (x[:, part].to(exact).transpose(1, 2) for x in (v, decay, rate))
        chunks = [torch.unflatten(x, 2, (-1, size)) for x in (queries, keys, values, log, rates)]
        given, state = _chunks(chunks, state)
        found.append(given.flatten(2, 3).transpose(1, 2))  # (B, H, c, n, E) → (B, n, H, E)
    return torch.cat(found, 1), state


def _parts(count: int) -> Iterator[tuple[slice, int]]:
    """The parts of a text of ``count`` tokens, each of whole chunks of a size; what is left at the end is a chunk."""
    whole = count // CHUNK * CHUNK
    for start in range(0, whole, CHUNK * _TOGETHER):
        yield slice(start, min(start + CHUNK * _TOGETHER, whole)), CHUNK
    if whole < count:
        yield slice(whole, count), count - whole


def _chunks(chunks: Sequence[Tensor], state: Tensor) -> tuple[Tensor, Tensor]:
    """As ``delta_rule``, of the queries, keys, values, log α and β of some chunks, (B, H, c, n, …) each."""
    q, k, v, log, rate = chunks
    total = log.cumsum(-1)  # b
    apart = total[..., :, None] - total[..., None, :]
    later = torch.ones(apart.shape[-2:], dtype=torch.bool, device=apart.device).triu(1)
    decays = apart.masked_fill(later, -torch.inf).exp()  # of what token j wrote, at token t
    grown, weighed = total.exp()[..., None], rate[..., None]
    system = weighed * (k @ k.mT) * decays  # its diagonal counts as ones
    right = torch.cat((weighed * v, weighed * grown * k), -1)
    solved = torch.linalg.solve_triangular(system, right, upper=False, unitriangular=True)
    own, of_state = torch.split(solved, [v.shape[-1], k.shape[-1]], -1)  # U = own − of_state S_0
    looks, asked = (q @ k.mT) * decays, q * grown
    kept, end = k * (total[..., -1:] - total).exp()[..., None], total[..., -1].exp()[..., None, None]
    found = []
    for i in range(q.shape[2]):
        added = own[:, :, i] - of_state[:, :, i] @ state
        found.append(asked[:, :, i] @ state + looks[:, :, i] @ added)
        state = end[:, :, i] * state + kept[:, :, i].mT @ added
    return torch.stack(found, 2), state

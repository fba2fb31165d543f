"""The values of an attention, and what its heads make of them: f(x) of Kobayashi et al. (2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_TOGETHER = 1 << 22
"""About how many numbers of f(x) are made at once."""


@dataclass(frozen=True, eq=False)
class Values:
    """The values of one attention, and the matrix with which its heads write.

    f_h(x_j) = (x_j W_V + b_V) W_O of head h, without the bias of W_O, so that Σ_h Σ_j A[h, i, j] f_h(x_j) + b_O is what
    the attention adds to token i (Kobayashi et al. 2020).

    Attributes:
        values: x W_V + b_V of all keys, (G, M, D).
        output: W_O as torch's linear layers have it, (C, H·D).
        bias: b_O (C,), if there is one.
    """

    values: Tensor
    output: Tensor
    bias: Tensor | None = None

    @property
    def heads(self) -> int:
        """H; head h reads the values of group h·G // H."""
        return int(self.output.shape[1]) // int(self.values.shape[-1])

    def made(self, head: int, start: int = 0, stop: int | None = None) -> Tensor:
        """f(x) of some keys in one head, (M, C), in float32 at least."""
        import torch

        exact, size = torch.promote_types(self.values.dtype, torch.float32), self.values.shape[-1]
        values = self.values[head * len(self.values) // self.heads, start:stop].to(exact)
        return values @ self.output[:, head * size : (head + 1) * size].to(exact).T

    def norms(self) -> Tensor:
        """‖f(x)‖₂ of each head and key, (H, M)."""
        import torch

        count, step = self.values.shape[1], max(1, _TOGETHER // len(self.output))
        return torch.stack([
            torch.cat([self.made(head, at, at + step).norm(dim=-1) for at in range(0, count, step)])
            for head in range(self.heads)
        ])  # fmt: skip

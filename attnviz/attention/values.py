"""The values of an attention, and what its heads make of them: f(x) of Kobayashi et al. (2020)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnviz.errors import UnsupportedModel

if TYPE_CHECKING:
    from torch import Tensor

Change = Callable[["Tensor"], "Tensor"]

_TOGETHER = 1 << 22
"""About how many numbers of f(x) are made at once."""
_LONG = 2
"""How many times as many keys as D make it worth while to decompose W_O."""


def _same(x: Tensor) -> Tensor:
    return x


@dataclass(frozen=True, eq=False)
class Values:
    """The values of one attention, and the matrix with which its heads write.

    f_h(x_j) = (x_j W_V + b_V) W_O of head h, without the bias of W_O, so that Σ_h Σ_j A[h, i, j] f_h(x_j) + b_O is what
    the attention adds to token i (Kobayashi et al. 2020).

    Attributes:
        values: x W_V + b_V of all keys, (G, M, D).
        output: W_O as torch's linear layers have it, (C, H·D).
        bias: b_O (C,), if there is one.
        gate: by what the output of each head is multiplied for each query, (H, N, D), if it is; then f(x) depends on
            who looks, and there is none of a key alone.
    """

    values: Tensor
    output: Tensor
    bias: Tensor | None = None
    gate: Tensor | None = None

    @property
    def heads(self) -> int:
        """H; head h reads the values of group h·G // H."""
        return int(self.output.shape[1]) // int(self.values.shape[-1])

    def made(self, head: int, start: int = 0, stop: int | None = None) -> Tensor:
        """f(x) of some keys in one head, (M, C), in float32 at least.

        Raises:
            UnsupportedModel: what a head gives is gated.
        """
        import torch

        self._require_own()
        exact = torch.promote_types(self.values.dtype, torch.float32)
        return self._of(head)[start:stop].to(exact) @ self._output(head).to(exact).T

    def _of(self, head: int) -> Tensor:
        """The values that a head reads (M, D)."""
        return self.values[head * len(self.values) // self.heads]

    def _output(self, head: int) -> Tensor:
        """The part of W_O that a head writes with (C, D)."""
        size = self.values.shape[-1]
        return self.output[:, head * size : (head + 1) * size]

    def _require_own(self) -> None:
        if self.gate is not None:
            raise UnsupportedModel(
                "what the heads of this model give is multiplied by a gate that depends on the token that looks: what "
                "comes of a token alone has no norm",
                hint="Ask for contribution or gradient, which count the gate.",
            )

    def norms(self) -> Tensor:
        """‖f(x)‖₂ of each head and key, (H, M).

        Raises:
            UnsupportedModel: as ``made``.
        """
        import torch

        self._require_own()
        groups, count, size = self.values.shape
        if count > _LONG * size and len(self.output) > size:
            # W_O = QR in each head, and Q leaves norms as they are: D numbers of a token are made, not C.
            exact = torch.promote_types(self.values.dtype, torch.float32)
            output = self.output.cpu().to(exact).view(-1, self.heads, size).transpose(0, 1)
            small = torch.linalg.qr(output, "r").R.to(self.values.device)  # (H, D, D)
            made = self.values.to(exact) @ small.reshape(groups, -1, size).transpose(1, 2)  # (G, M, H/G·D)
            found: Tensor = made.view(groups, count, -1, size).norm(dim=-1).transpose(1, 2).reshape(-1, count)
            return found
        step = max(1, _TOGETHER // len(self.output))
        return torch.stack([
            torch.cat([self.made(head, at, at + step).norm(dim=-1) for at in range(0, count, step)])
            for head in range(self.heads)
        ])  # fmt: skip

    def contexts(self, weights: Tensor) -> Tensor:
        """Σ_j A[h, i, j] v_j of each head and query (H, N, D), by ``weights`` (H, N, M), times the gate."""
        import torch

        found = torch.stack([each @ self._of(head).to(each.dtype) for head, each in enumerate(weights)])
        return found if self.gate is None else found * self.gate.to(found.dtype)

    def mixed(self, weights: Tensor) -> Tensor:
        """Σ_h Σ_j A[h, i, j] f_h(x_j) + b_O of each query (N, C): what the attention adds, by ``weights`` (H, N, M)."""
        context = self.contexts(weights).transpose(0, 1).flatten(1)  # (H, N, D) → (N, H·D)
        found = context @ self.output.to(context.dtype).T
        return found if self.bias is None else found + self.bias.to(found.dtype)

    def summed_norms(self, weights: Tensor, change: Change = _same) -> Tensor:
        """‖Σ_h A[h, i, j] · f_h(x_j)‖₂ of each query and key (N, M), by ``weights`` (H, N, M), in float64.

        ``change`` is a linear map of vectors (…, C) that is applied to f(x) before the norm. No sum is ever made:
        ‖Σ a_h f_h‖² = Σ_h Σ_g a_h a_g ⟨f_h, f_g⟩, where the products do not depend on the query.
        """
        import torch

        a = weights.double()
        heads, queries, keys = a.shape
        found = a.new_zeros((queries, keys))
        step = max(1, _TOGETHER // (heads * max(len(self.output), queries)))
        for at in range(0, keys, step):
            f = change(torch.stack([self.made(head, at, at + step).double() for head in range(heads)]))  # (H, m, C)
            products = torch.einsum("hmc,gmc->mhg", f, f)
            some = a[:, :, at : at + step].permute(2, 1, 0)  # (m, N, H)
            found[:, at : at + step] = ((some @ products) * some).sum(-1).clamp(min=0).sqrt().T
        return found

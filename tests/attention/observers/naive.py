"""What observers are compared with: full weights, computed plainly in float64, and strategies that choose their shapes.

A case draws queries, keys and values, runs the kernel on them in the tiles that it says, and gives back all weights,
which it has compared with the plain ones. Numbers of observers are then computed from these anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from attnviz.attention import kernel
from attnviz.attention.figures import EDGES
from attnviz.attention.kernel import Observer, attend
from attnviz.attention.observers import Weights
from attnviz.attention.scores import Bias
from attnviz.attention.window import CAUSAL, EVERYTHING, KeyWindow

Biased = Literal["none", "slopes", "one for all heads", "hiding"]
SPREADS = (0.0, 0.01, 3.0, 3.0, 3.0, 150.0)
"""How much the scores vary: not at all, hardly (near uniform), as in a model, and so much that weights are 0 and 1."""


@dataclass(frozen=True)
class Case:
    """One layer's inputs, and the ``rows`` and the bound of its tiles."""

    heads: int
    groups: int
    queries: int
    keys: int
    window: KeyWindow = EVERYTHING
    rows: int | None = None
    bound: int = 1 << 22
    spread: float = 3.0
    biased: Biased = "none"
    softcap: float | None = None
    sinks: bool = False
    dtype: torch.dtype = torch.float32
    seed: int = 0
    by_torch: bool = False
    """Whether torch computes all, as where the compiled loops can't."""

    def watch(self, *observers: Observer) -> Tensor:
        """Show ``observers`` the layer, and return its weights (H, N, M) in float64."""
        weights = Weights()
        q, k, v, bias, sinks = self._inputs()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernel, "TILE", self.bound)
            patch.setattr(kernel, "PARALLEL", 0)  # in tasks of several threads, compiled
            if self.by_torch:
                patch.setattr(kernel, "find_loops", lambda _: None)
            options = {"scale": 0.5, "window": self.window, "softcap": self.softcap, "rows": self.rows}
            context = attend(
                q, k, v, bias=_lookup(bias), sinks=sinks, layer=5, observers=[*observers, weights], **options
            )
        scores, expected = self._plain(q, k, bias, sinks)
        # Weights are as exact as their scores, which are rounded: a few steps at their size.
        finite = scores[scores > -1e30].abs()
        step = torch.finfo(weights.layer(5).dtype).eps
        torch.testing.assert_close(
            weights.layer(5).double(), expected, rtol=0, atol=step * (8 + 4 * float(finite.max()))
        )
        mixed = weights.layer(5).to(v.dtype) @ v.repeat_interleave(self.heads // self.groups, 0)
        # What an observer does to a tile would show here: the context is made of it afterwards.
        torch.testing.assert_close(context, mixed, rtol=0, atol=64 * torch.finfo(v.dtype).eps)
        return weights.layer(5).double()

    def _inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
        """Queries, keys and values in ``dtype``; the bias (H or 1, N, M) in float64; the sinks (H,)."""
        size = 4
        generator = torch.Generator().manual_seed(self.seed)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        q = self.spread * draw(self.heads, self.queries, size)
        k, v = (draw(self.groups, self.keys, size) for _ in range(2))
        bias = None
        if self.biased == "slopes":
            bias = -torch.rand(self.heads, 1, 1, generator=generator, dtype=torch.float64) * self.apart.abs()
        elif self.biased == "one for all heads":
            bias = draw(1, self.queries, self.keys)
        elif self.biased == "hiding":  # as masks of transformers do, by either number, but never all keys of a query
            least = torch.tensor([-torch.inf, torch.finfo(torch.float32).min], dtype=torch.float64)
            bias = least[torch.randint(2, (1, self.queries, self.keys), generator=generator)]
            bias = torch.where(draw(1, self.queries, self.keys) > 0, 0, bias)
            bias.diagonal(0, 1, 2).zero_()
            bias[..., 0] = 0
        sinks = 3 * draw(self.heads) if self.sinks else None
        return q.to(self.dtype), k.to(self.dtype), v.to(self.dtype), bias, sinks

    def _plain(self, q: Tensor, k: Tensor, bias: Tensor | None, sinks: Tensor | None) -> tuple[Tensor, Tensor]:
        """Scores and weights (H, N, M) in float64, all at once."""
        scores = q.double() @ k.double().repeat_interleave(self.heads // self.groups, 0).transpose(1, 2) * 0.5
        if self.softcap is not None:
            scores = self.softcap * torch.tanh(scores / self.softcap)
        if bias is not None:
            scores = scores + bias
        scores = scores.masked_fill(~self.visible, -torch.inf)
        if sinks is None:
            return scores, scores.softmax(-1)
        column = sinks[:, None, None].expand(-1, self.queries, 1)
        return scores, torch.cat((scores, column), dim=-1).softmax(-1)[..., :-1]

    @property
    def apart(self) -> Tensor:
        """Query − key, (N, M)."""
        return places_apart(self.queries, self.keys)

    @property
    def visible(self) -> Tensor:
        """What each query sees, (N, M)."""
        return visible(self.window, self.queries, self.keys)


def places_apart(queries: int, keys: int) -> Tensor:
    """Query − key, (N, M)."""
    return torch.arange(queries)[:, None] - torch.arange(keys)


def visible(window: KeyWindow, queries: int, keys: int) -> Tensor:
    """Which of M keys each of N queries sees, (N, M)."""
    apart = places_apart(queries, keys)
    behind, ahead = (1 << 40 if end is None else end for end in (window.left, window.right))
    return (apart <= behind) & (-apart <= ahead)


def entropy_of(weights: Tensor) -> Tensor:
    return torch.special.entr(weights).sum(-1)


def means(weights: Tensor, visible: Tensor) -> dict[str, Tensor]:
    """The figure of each query (H, N), NaN where it has none."""
    seen, apart, found = visible.sum(-1).double(), places_apart(*weights.shape[1:]), {}
    n, m = weights.shape[1:]
    for name, offset in {"previous": -1, "next": 1, "self": 0}.items():
        at = torch.arange(n) + offset
        there = (at >= 0) & (at < m)
        taken = weights.gather(-1, at.clamp(0, m - 1).expand(len(weights), n)[..., None])[..., 0]
        found[name] = torch.where(there, taken, torch.nan)
    entropy = entropy_of(weights)
    return found | {
        "entropy": entropy,
        "normalised_entropy": torch.where(seen > 1, entropy / seen.log(), 0),
        "distance": (weights * apart.abs()).sum(-1),
        "signed_distance": (weights * apart).sum(-1),
        "largest": weights.amax(-1),
        "first": weights[..., 0],
    }


def sink_of(weights: Tensor, counting: Tensor, *, causal: bool) -> Tensor:
    """The largest mean weight that a key takes of the queries that count, in a causal map of those from it on, (H,)."""
    n, m = weights.shape[1:]
    may = counting[:, None] & ((places_apart(n, m) >= 0) | (not causal))
    after = may.sum(0)
    taken = (weights * counting[:, None]).sum(1) / after.clamp(min=1)
    return torch.where(after * 2 >= counting.sum(), taken, -1).amax(-1)


def profile_of(weights: Tensor) -> Tensor:
    """Of each query the share of itself and of each band, without the first key, (H, N, 1 + bands)."""
    counted, apart = weights.clone(), places_apart(*weights.shape[1:]).abs()
    counted[..., 0] = 0
    bounds = [0, *EDGES, 1 << 40]
    bands = [(apart >= near) & (apart < far) for near, far in pairwise(bounds)]
    return torch.stack([(counted * band).sum(-1) for band in bands], dim=-1)


def _lookup(table: Tensor | None) -> Bias | None:
    return None if table is None else lambda at, to: table[:, at][..., to]


def lengths(most: int) -> st.SearchStrategy[int]:
    """Lengths around which something changes: one, a few, about a block, about two, many."""
    return st.one_of(
        st.integers(1, 12), st.integers(62, 67), st.integers(126, 131), st.integers(190, most), st.integers(1, most)
    )


KEY_WINDOWS = st.one_of(
    st.sampled_from(
        [EVERYTHING, CAUSAL, CAUSAL, KeyWindow(0, 0), KeyWindow(left=70, right=0), KeyWindow(left=130, right=130)]
    ),
    st.builds(KeyWindow, st.integers(0, 200) | st.none(), st.integers(0, 200) | st.just(0) | st.none()),
)
"""Of decoders, encoders and windows."""


@st.composite
def cases(draw: st.DrawFn, *, most: int = 330, dtypes: Sequence[torch.dtype] = (torch.float32,)) -> Case:
    """Cases of up to ``most`` queries and keys."""
    groups, share = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    queries, window = draw(lengths(most)), draw(KEY_WINDOWS)
    keys = draw(lengths(most)) if window == EVERYTHING and draw(st.booleans()) else queries
    # Tiles of some queries and of one head, some or all, but not thousands of tiles.
    rows = draw(st.one_of(st.integers(1, 10), st.integers(50, 80), st.integers(1, queries)))
    rows = max(rows, queries // 12)
    together = draw(st.integers(1, groups))
    return Case(
        heads=groups * share,
        groups=groups,
        queries=queries,
        keys=keys,
        window=window,
        rows=draw(st.sampled_from([None, rows])),
        bound=draw(st.sampled_from([1 << 22, together * share * keys * rows, max(1, share * keys * rows - 1)])),
        spread=draw(st.sampled_from(SPREADS)),
        biased=draw(st.sampled_from(["none", "none", "none", "slopes", "one for all heads", "hiding"])),
        softcap=draw(st.sampled_from([None, None, 5.0])),
        sinks=draw(st.integers(0, 3)) == 0,
        dtype=draw(st.sampled_from(dtypes)),
        seed=draw(st.integers(0, 10_000)),
        by_torch=draw(st.booleans()),
    )

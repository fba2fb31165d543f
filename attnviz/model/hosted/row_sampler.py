"""Get the weights of some rows by transformers' own attention, without attnviz's kernel.

The model runs with its own SDPA, which returns no weights. From the queries and keys that it passes, its own eager
function computes the weights of the chosen queries, with the model's own soft caps, sinks, scales, shared keys and
biases. There is no N × M array, unless the model makes one (T5's position biases).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from attnviz.attention.kernel import Kind
from attnviz.model.hosted import masks
from attnviz.model.hosted.attention import AttentionCalls, require_supported
from attnviz.model.hosted.attention_call import AttentionCall, contexts_differ

OnRows = Callable[[Kind, int, Tensor | None], None]
"""Called with (kind, layer, rows (H, Q, M)) for each layer; None if the model's eager function returns no weights."""
OnHeads = Callable[[Kind, int, Sequence[int], int, int, Tensor], None]
"""Called with (kind, layer, heads, first query, first key, weights (h, n, m)): all rows in order, some at a time."""


class Sampler:
    """The attention function of one run: the model's own, which also passes the weights of some queries to a callback.

    ``contradicts`` says whether the context of the eager function differs by more than rounding from the one with which
    the model continues, in any of the rows.
    """

    mask = staticmethod(masks.mask_by_rows)

    def __init__(
        self,
        model: nn.Module,
        shapes: Mapping[Kind, tuple[int, int]],
        rows: Mapping[Kind, Tensor],
        see: OnRows,
        whole: Mapping[tuple[Kind, int], Sequence[int]] | None = None,
        see_whole: OnHeads | None = None,
        *,
        asked: bool = False,
    ) -> None:
        """Prepare for one run.

        Args:
            model: the model.
            shapes: the shape (N, M) of each kind of map.
            rows: the queries (Q,) of each kind.
            see: called with the weights of these rows.
            whole: heads of each layer whose weights are wanted in full.
            see_whole: called with these.
            asked: whether to probe the attention with which the model runs instead of using the eager function's
                weights.
        """
        self.contradicts = False
        self._asked = asked
        self._calls = AttentionCalls(model, shapes)
        self._rows, self._see = rows, see
        self._whole, self._see_whole = whole or {}, see_whole
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
        """Attend from ``query`` (1, H, N, D) to ``key`` and ``value`` (1, G, M, D); return the context (1, N, H, D)."""
        require_supported(module, query, facts)
        kind, layer, again = self._calls.place(module, query, key)
        given = facts if scaling is None else facts | {"scaling": scaling}
        call = AttentionCall(module, query, key, value, attention_mask, given)
        by_sdpa = self._has_sdpa and call.plain
        context = call.sdpa() if by_sdpa else call.eagerly()
        if self._asked:
            call = replace(call, asked="sdpa" if by_sdpa else "eager")
        if not again:
            rows = self._rows[kind].to(query.device)
            some, weights = (context[:, rows], call.weights(rows)) if self._asked else call.eager(rows)
            self.contradicts |= contexts_differ(some, context[:, rows])
            if (
                not self._asked
                and weights is not None
                and call.sinks is not None
                and float((weights.sum(-1) - 1).abs().max()) < 0.01
            ):
                weights = None  # they are the weights before the sinks take their share (Granite)
            self._see(kind, layer, None if weights is None else weights[0])
            heads = self._whole.get((kind, layer), ())
            if weights is not None and len(heads) and self._see_whole:
                for first, at, part in call.whole(heads, rows, weights):
                    self._see_whole(kind, layer, heads, first, at, part)
        return context, None

"""Get the weights of models that do not return them: run their own attention with unit vectors as values.

With one unit vector per key as the values, the context is the row of weights itself, with all that the model does to
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from transformers.masking_utils import eager_mask

from attnviz.attention.kernel import Kind
from attnviz.model.hosted.attention import AttentionCalls, hide_unchosen, require_supported
from attnviz.model.hosted.attention_call import eager_function


class EagerProbe:
    """The attention function for one run: the model's own eager one, called a second time with unit vectors."""

    mask = staticmethod(eager_mask)

    def __init__(self, model: nn.Module, shapes: Mapping[Kind, tuple[int, int]]) -> None:
        """Prepare for one run.

        Args:
            model: the model.
            shapes: the shape (N, M) of each kind of map.
        """
        self._calls = AttentionCalls(model, shapes)
        self._found: dict[Kind, dict[int, Tensor]] = {}

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
        if facts.get("indices") is not None:
            attention_mask = hide_unchosen(attention_mask, facts["indices"], (query.shape[2], key.shape[2]))
        own = eager_function(module)
        if not again:
            weights = own(module, query, key, _units(value), attention_mask, **given)[0]  # (1, N, H, M)
            self._found.setdefault(kind, {})[layer] = weights[0].transpose(0, 1)
        return own(module, query, key, value, attention_mask, **given)[0], None

    def weights(self, kind: Kind) -> list[Tensor] | None:
        """Return the weights (H, N, M) of each layer of ``kind`` in order; None if there are none."""
        layers = self._found.get(kind, {})
        return [layers[number] for number in sorted(layers)] or None


class SdpaProbe(TorchFunctionMode):
    """Inside the block, each call of torch's SDPA is repeated with unit vectors."""

    def __init__(self) -> None:
        super().__init__()
        self._found: list[Tensor] = []
        self._last: tuple[Any, Any] = (None, None)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call ``func`` unchanged; if it is SDPA, also call it with unit vectors."""
        del types
        kwargs = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            named = dict(zip(("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), args, strict=False))
            given = named | kwargs
            # A model that attends to its values in two parts (DiffLlama) has the same weights in both calls.
            if given["query"] is not self._last[0] or given["key"] is not self._last[1]:
                self._found.append(func(**(given | {"value": _units(given["value"])}))[0])  # (H, N, M)
            self._last = given["query"], given["key"]
        return func(*args, **kwargs)

    def weights(self, counts: Mapping[Kind, int]) -> dict[Kind, Sequence[Tensor]] | None:
        """Return the weights (H, N, M) by kind; None if their number does not match the ``counts`` of layers."""
        if len(self._found) != sum(counts.values()):
            return None
        first = counts.get("encoder", 0)
        if not first:
            return dict.fromkeys(counts, self._found)
        rest = self._found[first:]  # each decoder layer attends to its own text, then to the encoder's
        return {"encoder": self._found[:first], "decoder": rest[::2], "cross": rest[1::2]}


def _units(value: Tensor) -> Tensor:
    """Return unit vectors, one per key, (1, G, M, M), in place of ``value`` (1, G, M, D)."""
    count = value.shape[-2]
    return torch.eye(count, dtype=value.dtype, device=value.device).expand(*value.shape[:-2], -1, -1)

"""attnviz's kernel as an attention function of transformers, for one run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from attnviz.attention import kernel
from attnviz.attention.interventions import Intervention
from attnviz.attention.kernel import Kind, Observer
from attnviz.attention.scores import Bias
from attnviz.attention.values import Values
from attnviz.attention.window import EVERYTHING
from attnviz.errors import UnsupportedModel
from attnviz.model.hosted import masks
from attnviz.model.hosted.masks import BandMask, Visibility
from attnviz.record.measure import ask_for

# Arguments of transformers' attention functions: those that ours reads, and those that change nothing. Windows are in
# the masks too, dropout is for training, and the rest is for other implementations.
_KNOWN = frozenset({
    "indices", "is_causal", "position_bias", "s_aux", "softcap",
    "cache", "cache_position", "deterministic", "dropout", "input_ids", "output_attentions", "output_hidden_states",
    "output_router_logits", "position_embeddings", "position_ids", "return_dict", "sliding_window", "training",
    "use_cache", "cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k",
})  # fmt: skip

_CROSS = re.compile(r"cross|encoder_attn|encdec|enc_dec|encoder_decoder", re.IGNORECASE)


Outputs = dict[tuple[Kind, int], tuple[Tensor, Tensor | None]]
"""The matrix (C, H·D) that the heads of each kind and layer write with, and its bias (C,)."""


@dataclass
class RunFacts:
    """What a run showed about its model: the layers of each kind that attended, and whether each kind was causal."""

    layers: dict[Kind, list[int]] = field(default_factory=dict)
    causal: dict[Kind, bool] = field(default_factory=dict)


class AttentionCalls:
    """Assign each attention call of one run to a kind and a layer; ``layers`` are those of each kind so far."""

    def __init__(self, model: nn.Module, shapes: Mapping[Kind, tuple[int, int]]) -> None:
        """Prepare for one run.

        Args:
            model: the model.
            shapes: the shape (N, M) of each kind of map.
        """
        self.layers: dict[Kind, list[int]] = {}
        self._shapes = shapes
        self._places = attention_modules(model, tuple(shapes))
        self._count: Counter[nn.Module] = Counter()
        self._last: tuple[Tensor | None, Tensor | None, tuple[Kind, int]] = (None, None, ("self", 0))

    def place(self, module: nn.Module, query: Tensor, key: Tensor) -> tuple[Kind, int, bool]:
        """Return the kind and the layer of this call, and whether it repeats the weights of the call before.

        A call repeats them if the model attends to its values in two parts (DiffLlama).
        """
        again = query is self._last[0] and key is self._last[1]
        kind, layer = self._last[2] if again else self._next(module, (query.shape[2], key.shape[2]))
        self._last = query, key, (kind, layer)
        return kind, layer, again

    @property
    def last(self) -> tuple[Kind, int]:
        """The kind and layer of the last call."""
        return self._last[2]

    def _next(self, module: nn.Module, shape: tuple[int, int]) -> tuple[Kind, int]:
        """Return the kind and layer of a new call. A module that several layers share is called once for each."""
        kind, numbers = self._places[module]
        if shape != self._shapes[kind]:
            raise UnsupportedModel(
                f"{type(module).__name__} attends from {shape[0]} to {shape[1]} vectors, which are not the text's "
                f"{' and '.join(map(str, self._shapes[kind]))} tokens"
            )
        call = self._count[module]
        self._count[module] += 1
        layers = self.layers.setdefault(kind, [])
        layer = numbers[call] if call < len(numbers) else None
        if layer is None or layer in layers:
            layer = max(layers, default=-1) + 1
        layers.append(layer)
        return kind, layer


class KernelAttention:
    """The attention function of one run: it calls the kernel and records ``RunFacts``."""

    mask = staticmethod(masks.mask)

    def __init__(
        self,
        model: nn.Module,
        shapes: Mapping[Kind, tuple[int, int]],
        observers: Sequence[Observer] = (),
        outputs: Outputs | None = None,
        interventions: Sequence[Intervention] = (),
    ) -> None:
        """Prepare for one run.

        Args:
            model: the model.
            shapes: the shape (N, M) of each kind of map.
            observers: what sees the tiles.
            outputs: the matrices that heads write with, for observers that see values.
            interventions: what is put in the place of weights and of heads' outputs.
        """
        self._outputs, self._interventions = outputs or {}, interventions
        self._calls = AttentionCalls(model, shapes)
        self.seen = RunFacts(self._calls.layers)
        self._observers = observers

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
        shape = query.shape[2], key.shape[2]
        sight, mask = _sight(module, attention_mask, shape, facts)
        sinks = sinks_of(module, facts)
        kind, layer, again = self._calls.place(module, query, key)
        self.seen.causal[kind] = self.seen.causal.get(kind, True) and sight.causal
        for observer in self._observers:
            if observer.valued and not observer.contexts and not again and observer.wants(layer, kind):
                observer.see_values(layer, kind, Values(value[0], *self._output(kind, layer)))
        context = kernel.attend(
            query[0],
            key[0],
            value[0],
            scale=query.shape[-1] ** -0.5 if scaling is None else float(scaling),
            window=sight.window or EVERYTHING,
            bias=_sum(mask, facts.get("position_bias"), shape),
            softcap=facts.get("softcap") or None,
            sinks=sinks,
            layer=layer,
            kind=kind,
            observers=() if again else self._observers,
            interventions=self._interventions,
        )
        return context.transpose(0, 1)[None].contiguous(), None

    def _output(self, kind: Kind, layer: int) -> tuple[Tensor, Tensor | None]:
        if (kind, layer) not in self._outputs:
            raise UnsupportedModel(
                f"what the heads of layer {layer} give goes through something else before a matrix, or that can't "
                "be read: there are no vectors whose norms these would be",
                hint=f"{ask_for('rollout')}: it is made of the weights alone.",
            )
        return self._outputs[kind, layer]


class DryRunAttention(KernelAttention):
    """An attention function that records its calls, and returns zeros."""

    def __call__(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None = None,  # noqa: ARG002
        scaling: float | None = None,  # noqa: ARG002
        **facts: Any,
    ) -> tuple[Tensor, None]:
        """Record the call; return a context (1, N, H, D) of zeros."""
        require_supported(module, query, facts)
        self._calls.place(module, query, key)
        return query.new_zeros((1, query.shape[2], query.shape[1], value.shape[-1])), None


def attention_modules(model: nn.Module, kinds: Sequence[Kind]) -> dict[nn.Module, tuple[Kind, list[int]]]:
    """Return the kind of each module of ``model``, and its layer numbers as far as names and attributes give them."""
    encoder = set(model.get_encoder().modules()) if "cross" in kinds else set()  # type: ignore[operator]
    found: dict[nn.Module, tuple[Kind, list[int]]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        kind = kinds[0]
        if len(kinds) > 1 and module not in encoder:
            crosses = getattr(module, "is_cross_attention", None)
            kind = "cross" if crosses or (crosses is None and _CROSS.search(name)) else "decoder"
        number = re.search(r"\.(\d+)(\.|$)", f".{name}")
        if number:
            found.setdefault(module, (kind, []))[1].append(int(number[1]))
        else:
            found.setdefault(module, (kind, []))
    indices: dict[Kind, list[int]] = {}
    for module, (kind, _) in found.items():
        layer = getattr(module, "layer_idx", None)
        if isinstance(layer, int) and layer >= 0:
            indices.setdefault(kind, []).append(layer)
    for module, (kind, numbers) in found.items():
        layer = getattr(module, "layer_idx", None)
        # If somebody has reordered the layers, their names say where they are.
        if isinstance(layer, int) and layer >= 0 and len(numbers) < 2 and indices[kind] == sorted(indices[kind]):
            numbers[:] = [layer]
    return found


def require_supported(module: nn.Module, query: Tensor, facts: Mapping[str, Any]) -> None:
    """Raise if a model passes its attention function arguments that ours does not support."""
    unknown = sorted(name for name, given in facts.items() if given is not None and name not in _KNOWN)
    if unknown:
        raise UnsupportedModel(f"{type(module).__name__} asks of its attention what ours does not know: {unknown}")
    if query.shape[0] != 1:
        raise UnsupportedModel(f"{type(module).__name__} cuts the text into {query.shape[0]} blocks")


def _sight(
    module: nn.Module, mask: Tensor | None, shape: tuple[int, int], facts: Mapping[str, Any]
) -> tuple[Visibility, Tensor | None]:
    """Return which keys the queries of ``module`` see, and the part of ``mask`` (h, N, M) to be added to the scores."""
    if facts.get("indices") is not None:
        mask = hide_unchosen(mask, facts["indices"], shape)
    if mask is None:
        causal = facts.get("is_causal")
        causal = getattr(module, "is_causal", False) if causal is None else causal
        return (masks.CAUSAL_VISIBILITY if causal and shape[0] > 1 else masks.FULL_VISIBILITY), None
    if isinstance(mask, BandMask) and mask.shape[-2:] == shape:
        return mask.sight, None
    real = mask.make() if isinstance(mask, BandMask) else mask
    real = real[0, ..., : shape[1]].expand(-1, *shape)  # one row for all queries in older models
    sight = masks.visibility_of_mask(real)
    if sight.window is not None:
        return sight, None
    if real.dtype is torch.bool:
        real = torch.zeros(real.shape, device=real.device).masked_fill(~real, torch.finfo(torch.float32).min)
    return sight, real


def hide_unchosen(mask: Tensor | None, indices: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return ``mask`` with all keys hidden but those that each query chose, ``indices`` (1, N, k) (DeepSeek-V3.2)."""
    chosen = torch.zeros((1, *shape), dtype=torch.bool, device=indices.device).scatter(-1, indices.long(), value=True)
    if mask is None:
        return chosen[None]
    if mask.dtype is torch.bool:
        return mask & chosen[None]
    return mask.masked_fill(~chosen[None], torch.finfo(mask.dtype).min)


def _sum(mask: Tensor | None, position: Tensor | None, shape: tuple[int, int]) -> Bias | None:
    """Return the bias of the scores: the mask, the position bias, their sum, or None."""
    parts = [part for part in (mask, None if position is None else position[0, ..., : shape[1]]) if part is not None]
    if not parts:
        return None

    def bias(at: Tensor, to: Tensor) -> Tensor:
        total: Tensor = sum(part.expand(-1, *shape)[:, at][..., to] for part in parts)  # type: ignore[assignment]
        return total

    return bias


def sinks_of(module: nn.Module, facts: Mapping[str, Any]) -> Tensor | None:
    """Return the sinks (H,), which some models pass as an argument and others keep in the module."""
    given = facts.get("s_aux")
    sinks = getattr(module, "sinks", None) if given is None else given
    return sinks.flatten() if isinstance(sinks, Tensor) else None

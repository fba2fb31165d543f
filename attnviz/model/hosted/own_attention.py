"""A transformers model with its own attention, with which the check compares ours."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from attnviz.attention.kernel import Kind
from attnviz.encoding import Encoding
from attnviz.errors import UnsupportedModel
from attnviz.model.hosted.attention import RunFacts
from attnviz.model.hosted.layouts import Layer, layout_of
from attnviz.model.hosted.loaded import Loaded, has_no_head, hidden_states, last_hidden_state
from attnviz.model.hosted.probes import EagerProbe, SdpaProbe
from attnviz.model.hosted.row_sampler import OnHeads, OnRows, Sampler

Reference = dict[Kind, tuple[Sequence[Tensor] | None, Tensor | None]]
"""By kind: the weights (H, N, M) of each attention layer, and the hidden states (L + 1, T, C)."""

OUTPUT_FIELDS: dict[Kind, str] = {
    "self": "attentions",
    "encoder": "encoder_attentions",
    "decoder": "decoder_attentions",
    "cross": "cross_attentions",
}


class AttendsByItself(UnsupportedModel):
    """A model that does not attend through transformers' ``AttentionInterface``."""


class OwnAttention(Loaded):
    """A loaded transformers model that runs with its own attention."""

    def __init__(self, *given: Any, **named: Any) -> None:
        """Take the arguments of ``Loaded``."""
        super().__init__(*given, **named)
        self._last = threading.local()  # each thread sees its own last run

    def _require_all(self, layers: Mapping[Kind, Sequence[int]]) -> None:
        silent = [kind for kind in self.kinds if kind not in layers]
        if silent:
            whose = "" if self.kinds == ("self",) else f"the {' and '.join(silent)} attention of "
            raise AttendsByItself(
                f"{self.model_name}: {whose}transformers' {type(self.model).__name__} attends by itself, and not "
                "through the AttentionInterface where ours could take its place"
            )

    @property
    def _seen(self) -> RunFacts | None:
        """What the last run showed, in which observers saw the attention."""
        return getattr(self._last, "seen", None)

    def reference(
        self, encoding: Encoding, target: Encoding | None = None, numbers: Mapping[Kind, Sequence[int]] | None = None
    ) -> Reference:
        """Return the weights and hidden states that the model computes with its own eager attention, without our
        kernel.

        If the model returns no weights, a probe of its eager function gets them. The weights of a kind are None if that
        fails too; the states are None unless they are (T, C) in every layer.

        Args:
            encoding: the input.
            target: the decoder's input.
            numbers: the layers that attend in a hybrid model; by default those of the last ``run``, or all.

        Raises:
            InputError, ModelError: as ``run``.
        """
        output = self._forward(encoding, target, None, output_hidden_states=True, output_attentions=True)
        states = hidden_states(output, self.kinds)
        found: Reference = {}
        asked: EagerProbe | None = None
        if numbers is None and self._seen:
            numbers = {kind: self._seen.layers.get(kind, ()) for kind in self.kinds}
        for kind in numbers or self.kinds:
            maps = getattr(output, OUTPUT_FIELDS[kind], None) or ()
            if numbers:
                maps = _attending(maps, numbers[kind])
            shape = self._shapes(encoding, target)[kind]
            layers = (Layer(part, output, i, kind, shape, self.model.config, {}) for i, part in enumerate(maps))
            weights = [self._matrix(layer) for layer in layers if layer.given is not None]
            if any(float(part.min()) < 0 or float(part.max()) > 1.01 for part in weights):
                weights = [part.softmax(-1) for part in weights]  # they are the scores (SqueezeBERT)
            if self._has_sinks and all(float((part.sum(-1) - 1).abs().max()) < 0.01 for part in weights):
                weights = []  # they are the weights before the sinks take their share (Granite)
            if not weights:
                asked = asked or self._ask(encoding, target)
                weights = asked.weights(kind) or []
            hidden = states.get(kind)
            found[kind] = weights or None, torch.stack(hidden) if hidden else None
        return found

    def _matrix(self, layer: Layer) -> Tensor:
        """The weights (H, N, M) of a ``layer``, of what it hands in."""
        layout = layout_of(self.model)
        found: Tensor = layer.given if layout.catch else layout.matrix(layer)
        return found[0]

    def _ask(self, encoding: Encoding, target: Encoding | None) -> EagerProbe:
        """Run the model with a probe of its eager function; it finds nothing in a model that attends by itself."""
        asked = EagerProbe(self.model, self._shapes(encoding, target))
        with contextlib.suppress(UnsupportedModel):
            self._forward(encoding, target, asked)
        return asked

    @cached_property
    def _has_sinks(self) -> bool:
        return any(isinstance(getattr(module, "sinks", None), Tensor) for module in self.model.modules())

    def by_sdpa(
        self, encoding: Encoding, target: Encoding | None, numbers: Mapping[Kind, Sequence[int]]
    ) -> Reference | None:
        """Return the same as ``reference``, computed with transformers' SDPA; None if the model does not support it."""
        if not getattr(self.model, "_supports_sdpa", False):
            return None
        asked = SdpaProbe()
        with asked:
            output = self._forward(encoding, target, None, own="sdpa", output_hidden_states=True)
        counts = {kind: len(layers) for kind, layers in numbers.items()}
        weights = None if self._has_sinks else asked.weights(counts)
        states = {kind: torch.stack(found) for kind, found in hidden_states(output, self.kinds).items()}
        return {kind: (weights[kind] if weights else None, states.get(kind)) for kind in numbers}

    def sampled(
        self,
        encoding: Encoding,
        rows: Mapping[Kind, Tensor],
        see: OnRows,
        target: Encoding | None = None,
        *,
        whole: Mapping[tuple[Kind, int], Sequence[int]] | None = None,
        see_whole: OnHeads | None = None,
        asked: bool = False,
    ) -> tuple[Tensor, bool]:
        """Pass the weights of the queries ``rows`` (Q,) by the model's own eager attention to ``see``, layer by layer.

        The model runs with its own SDPA, or eagerly if it has none, without an N × M array and without our kernel.

        Args:
            encoding: the input.
            rows: the queries of each kind.
            see: called with the weights of each layer.
            target: the decoder's input.
            whole: heads of each layer whose weights are passed to ``see_whole`` in full, some rows at a time.
            see_whole: called with these weights.
            asked: whether to probe the attention with which the model runs, for use where eager attention returns no
                weights or wrong ones.

        Returns:
            The last hidden states (T, C), the decoder's if there is one, and whether eager attention contradicts the
                one with which the model runs.

        Raises:
            InputError, UnsupportedModel, ModelError: as ``run``.
        """
        sampler = Sampler(self.model, self._shapes(encoding, target), rows, see, whole, see_whole, asked=asked)
        output = self._forward(encoding, target, sampler, output_hidden_states=not has_no_head(self.model))
        self._require_all(sampler.layers)
        return last_hidden_state(output), sampler.contradicts


def _attending(maps: Sequence[Any], layers: Sequence[int]) -> Sequence[Any]:
    """Return the weights of ``layers`` among those of every layer; linear attention has maps of another kind."""
    return [maps[layer] for layer in layers] if len(maps) > len(layers) and max(layers) < len(maps) else maps

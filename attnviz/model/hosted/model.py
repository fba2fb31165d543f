"""A transformers model whose attention is ours."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from attnviz.attention.kernel import Kind, Observer
from attnviz.encoding import Encoding
from attnviz.errors import UnsupportedModel
from attnviz.model.hosted.attention import DryRunAttention, KernelAttention, RunFacts
from attnviz.model.hosted.loaded import Loaded, has_no_head, hidden_states, last_hidden_state
from attnviz.model.hosted.probes import EagerProbe, SdpaProbe
from attnviz.model.hosted.row_sampler import OnHeads, OnRows, Sampler
from attnviz.model.inputs import require_finite

Reference = dict[Kind, tuple[Sequence[Tensor] | None, Tensor | None]]
"""Per kind the weights (H, N, M) of each attention layer, and the hidden states (L + 1, T, C)."""

OUTPUT_FIELDS: dict[Kind, str] = {
    "self": "attentions",
    "encoder": "encoder_attentions",
    "decoder": "decoder_attentions",
    "cross": "cross_attentions",
}


class AttendsByItself(UnsupportedModel):
    """A model that does not attend through transformers' ``AttentionInterface``."""


class Hosted(Loaded):
    """A loaded transformers model that attends with our kernel.

    The model is as it was after each run: it belongs to whoever loaded it.
    """

    path: Literal["hosted", "observed"] = "hosted"
    layers: Mapping[Kind, int] = {}
    """How many layers of each kind attend is known after a run only."""

    def __init__(self, model: Any, name: str, start: int | None = None, unread: tuple[str, ...] = ()) -> None:
        """As ``Loaded``."""
        super().__init__(model, name, start, unread)
        self._last = threading.local()  # what one thread asks is of its own last run

    def run(self, encoding: Encoding, observers: Sequence[Observer] = (), target: Encoding | None = None) -> Tensor:
        """Run one input and return the last hidden states (T, C), the decoder's where there is one.

        Observers see each tile as it is made, and the hidden states, if one of them wants those, after all tiles.

        Raises:
            InputError: an encoder–decoder without a ``target``, or a target or a pair for a model that takes none.
            UnsupportedModel: the model does not attend through transformers' ``AttentionInterface``, or not so that
                our kernel can do the same.
            ModelError: the tokenizer and the model do not belong together, or the result is not finite.
        """
        wanted = any(type(observer).hidden is not Observer.hidden for observer in observers)
        hook = KernelAttention(self.model, self._shapes(encoding, target), observers)
        output = self._forward(encoding, target, hook, output_hidden_states=wanted or not has_no_head(self.model))
        self._require_all(hook.seen.layers)
        self._last.seen = hook.seen
        states = hidden_states(output, self.kinds)
        if wanted:
            for kind, found in states.items():
                for layer, state in enumerate(found):
                    for observer in observers:
                        observer.hidden(layer, state, kind)
        last = last_hidden_state(output)
        require_finite(last, self.model.state_dict())
        return last

    def rehearse(self, encoding: Encoding, target: Encoding | None = None) -> None:
        """Raise as ``run`` would, as far as no number matters: the attention gives zeros."""
        rehearsal = DryRunAttention(self.model, self._shapes(encoding, target))
        self._forward(encoding, target, rehearsal, output_hidden_states=not has_no_head(self.model))
        self._require_all(rehearsal.seen.layers)

    def _require_all(self, layers: Mapping[Kind, Sequence[int]]) -> None:
        silent = [kind for kind in self.kinds if kind not in layers]
        if silent:
            whose = "" if self.kinds == ("self",) else f"the {' and '.join(silent)} attention of "
            raise AttendsByItself(
                f"{self.name}: {whose}transformers' {type(self.model).__name__} attends by itself, and not through the "
                "AttentionInterface where ours could take its place"
            )

    def causal(self, kind: Kind = "self") -> bool:
        """Whether no query saw a later key, in any layer of the last run."""
        return self._done.causal[kind]

    def numbers(self, kind: Kind = "self") -> tuple[int, ...]:
        """The numbers of the layers that attended in the last run; a hybrid model has others."""
        return tuple(self._done.layers.get(kind, ()))

    @property
    def _done(self) -> RunFacts:
        if self._seen is None:
            raise RuntimeError("nothing has run yet")
        return self._seen

    @property
    def _seen(self) -> RunFacts | None:
        return getattr(self._last, "seen", None)

    def reference(
        self, encoding: Encoding, target: Encoding | None = None, numbers: Mapping[Kind, Sequence[int]] | None = None
    ) -> Reference:
        """What the same model says by its own eager attention; our kernel has no part in it.

        Where the model gives out no weights, its eager function is asked for them. The weights of a kind are None where
        that gives none either, the states where they are not (T, C) in every layer. Of a hybrid model the weights are
        of the layers with these ``numbers``, or of those that attended in the last ``run``; else every layer is taken
        to attend.

        Raises:
            InputError, ModelError: as ``run``.
        """
        output = self._forward(encoding, target, None, output_hidden_states=True, output_attentions=True)
        states = hidden_states(output, self.kinds)
        found: Reference = {}
        asked: EagerProbe | None = None
        if numbers is None and self._seen:
            numbers = {kind: self.numbers(kind) for kind in self.kinds}
        for kind in numbers or self.kinds:
            maps = getattr(output, OUTPUT_FIELDS[kind], None) or ()
            if numbers:
                maps = _attending(maps, numbers[kind])
            weights = [part[0] for part in maps if part is not None]
            if self._has_sinks and all(float((part.sum(-1) - 1).abs().max()) < 0.01 for part in weights):
                weights = []  # they are those before the sinks have taken their share (Granite)
            if not weights:
                asked = asked or self._ask(encoding, target)
                weights = asked.weights(kind) or []
            hidden = states.get(kind)
            found[kind] = weights or None, torch.stack(hidden) if hidden else None
        return found

    def _ask(self, encoding: Encoding, target: Encoding | None) -> EagerProbe:
        """The model's eager function, asked for its weights; of a model that attends by itself it has none."""
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
        """As ``reference``, by transformers' SDPA; None where the model has none."""
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
        """Show ``see`` the weights of the queries ``rows`` (Q,) by the model's own eager attention, layer by layer.

        The ``whole`` heads of each layer are shown to ``see_whole`` in all their rows, some at a time. Where eager
        attention gives no weights, or wrong ones, what the model goes on with is ``asked`` for them.

        The model runs by its own SDPA, or eagerly where it has none, without an array of N·M; our kernel has no part
        in it. Returns the last hidden states (T, C), the decoder's where there is one, and whether the two
        contradict each other.

        Raises:
            InputError, UnsupportedModel, ModelError: as ``run``.
        """
        sampler = Sampler(self.model, self._shapes(encoding, target), rows, see, whole, see_whole, asked=asked)
        output = self._forward(encoding, target, sampler, output_hidden_states=not has_no_head(self.model))
        self._require_all(sampler.layers)
        return last_hidden_state(output), sampler.contradicts


def _attending(maps: Sequence[Any], layers: Sequence[int]) -> Sequence[Any]:
    """Of the weights of every layer those of ``layers``; linear attention has maps of another sort."""
    return [maps[layer] for layer in layers] if len(maps) > len(layers) and max(layers) < len(maps) else maps

"""What a model says of a text in the end, run plainly and with interventions: what effects are measured by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from attnviz.attention.interventions import Intervention
from attnviz.encoding import Encoding
from attnviz.errors import ModelError
from attnviz.model.inputs import BESIDE

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

Sort = Literal["token", "label", "states"]
"""What a model says: the next token, the labels of a classifier, or states alone."""
_LOGITS = 1 << 24
"""The most logits that are made at once, 128 MiB in float64."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one run says in the end; what the model does not say is None.

    Attributes:
        logits: of the next token (V,); or of the labels, (K,) of a text or (T, K) of its tokens.
        losses: −ln p of each token that was read but the first, (T − 1,), in float64.
        states: the last hidden states (T, C) of a model without a head.
    """

    logits: Tensor | None = None
    losses: Tensor | None = None
    states: Tensor | None = None


class Readout:
    """What a model says in the end of one input.

    Args:
        backend: the model.
        encoding: the text.
        target: what the decoder reads, beside an encoder.

    Raises:
        UnsupportedModel: the model attends by itself, so that nothing can be changed in it.
    """

    def __init__(self, backend: Native | Hosted, encoding: Encoding, target: Encoding | None = None) -> None:
        backend.require_changeable()
        self.backend, self.encoding, self.target = backend, encoding, target

    @property
    def read(self) -> Encoding:
        """What is read at the end: the decoder's text where there is one."""
        return self.target or self.encoding

    @cached_property
    def sort(self) -> Sort:
        """What the model says: labels if it is a classifier, the next token if it is a causal model with such a head.

        Raises:
            InputError, ModelError: the model can't be run.
        """
        backend = self.backend
        if backend.labels is not None and backend.can_classify(self.encoding):
            return "label"
        if "cross" not in backend.kinds:
            if backend.name != "native":
                backend.run(self.encoding)
            if not backend.causal():
                return "states"
        try:
            if backend.name == "native":
                _ = backend.language_head
                if backend.network.spec.streams:
                    return "states"
            else:
                backend.next_logits(self.encoding, self.target)
        except ModelError:
            return "states"
        return "token"

    @property
    def why_states(self) -> str:
        """Why the model has no logit here, where it says states alone."""
        backend = self.backend
        if backend.name == "native" and backend.network.spec.streams:
            return BESIDE
        return "the model has no head that predicts tokens or labels"

    def of(self, variants: Sequence[Sequence[Intervention]]) -> Iterator[tuple[int, Outcome]]:
        """Yield the number of each of the ``variants`` and what the model says under its interventions, in any order.

        Raises:
            InputError, ModelError: the model can't be run.
            UnsupportedModel: it attends by itself.
        """
        if self.backend.name == "native" or self.sort == "states":
            for number, states in self.backend.run_variants(self.encoding, variants, self.target):
                yield number, self._native(states)
            return
        for number, interventions in enumerate(variants):
            with self.backend.intervened(interventions):
                yield number, self._hosted()

    def logits(self, variants: Sequence[Sequence[Intervention]]) -> Iterator[tuple[int, Tensor]]:
        """Yield the number of each of the ``variants`` and its ``logits``, as ``of`` does, and nothing else of it."""
        if self.backend.name != "native":
            for number, outcome in self.of(variants):
                yield number, _given(outcome.logits)
            return
        for number, states in self.backend.run_variants(self.encoding, variants, self.target):
            yield number, self.logits_of(states)

    def logits_of(self, states: Tensor) -> Tensor:
        """The logits of an ``Outcome``, from the last hidden states (T, C) of a native model."""
        if self.backend.name != "native" or self.sort == "states":
            raise TypeError("the states have no logits")
        if self.sort == "label":
            return self.backend.logits(self.encoding, states)
        return self.backend.next_logits(states[-1:])[0]

    @cached_property
    def plain(self) -> Outcome:
        """What the model says without interventions."""
        return next(self.of([()]))[1]

    def _native(self, states: Tensor) -> Outcome:
        if self.sort == "states" or self.backend.name != "native":
            return Outcome(states=states)
        if self.sort == "label":
            return Outcome(logits=self.backend.logits(self.encoding, states))
        step = max(1, _LOGITS // len(self.backend.language_head.matrix))
        losses: list[Tensor] = []
        logits = states
        for start in range(0, len(states), step):
            logits = self.backend.next_logits(states[start : start + step])
            losses.append(self._losses(logits, start))
        return Outcome(logits[-1], torch.cat(losses))

    def _hosted(self) -> Outcome:
        if self.backend.name == "native":
            raise TypeError("a native model has states")
        if self.sort == "label":
            return Outcome(logits=self.backend.logits(self.encoding, target=self.target))
        logits = self.backend.next_logits(self.encoding, self.target)
        return Outcome(logits[-1], self._losses(logits, 0))

    def _losses(self, logits: Tensor, start: int) -> Tensor:
        """−ln p of the tokens that follow those with ``logits`` (t, V), from position ``start`` on."""
        following = torch.tensor(self.read.ids[start + 1 : start + 1 + len(logits)], device=logits.device)
        predicted = logits[: len(following)].double().log_softmax(-1)
        return -predicted.gather(-1, following[:, None].long())[:, 0]


def _given(logits: Tensor | None) -> Tensor:
    if logits is None:
        raise ValueError("the model has no logits")
    return logits

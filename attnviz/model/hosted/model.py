"""The hosted backend: a transformers model with attnviz's kernel as its attention."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal

from torch import Tensor

from attnviz.attention.intervened import Intervened, require_layers
from attnviz.attention.interventions import Intervention
from attnviz.attention.kernel import Kind, Observer
from attnviz.checkpoint import stored_tensors
from attnviz.encoding import Encoding
from attnviz.errors import ModelError
from attnviz.model.hosted.attention import DryRunAttention, KernelAttention, Outputs, RunFacts
from attnviz.model.hosted.loaded import has_no_head, hidden_states, last_hidden_state
from attnviz.model.hosted.outputs import OutputProbe
from attnviz.model.hosted.own_attention import OUTPUT_FIELDS, OwnAttention
from attnviz.model.inputs import require_finite

_PROBED = 8
"""How many tokens are run to see which matrices heads write with."""


class Hosted(OwnAttention, Intervened):
    """A loaded transformers model that attends with attnviz's kernel.

    The model, which belongs to whoever loaded it, is restored after each run.
    """

    name: Literal["hosted", "observed"] = "hosted"
    layers: Mapping[Kind, int] = {}
    """Empty, since the number of layers of each kind is known only after a run."""

    def run(self, encoding: Encoding, observers: Sequence[Observer] = (), target: Encoding | None = None) -> Tensor:
        """Run one input and return the last hidden states (T, C), the decoder's if there is one.

        Observers see each tile as it is made, and the hidden states, if one of them uses those, after all tiles.

        Raises:
            InputError: an encoder–decoder gets no ``target``, or another model gets one.
            UnsupportedModel: the model does not attend through transformers' ``AttentionInterface``, or in a way that
                the kernel does not support.
            ModelError: the tokenizer and the model do not belong together, or the result is not finite.
        """
        wanted = any(type(observer).hidden is not Observer.hidden for observer in observers)
        valued = any(observer.valued and not observer.contexts for observer in observers)
        outputs = self._outputs(encoding, target) if valued else None
        hook = KernelAttention(self.model, self._shapes(encoding, target), observers, outputs, self.interventions)
        output = self._forward(encoding, target, hook, output_hidden_states=wanted or not has_no_head(self.model))
        self._require_all(hook.seen.layers)
        require_layers(self.interventions, hook.seen.layers)
        self._last.seen = hook.seen
        states = hidden_states(output, self.kinds)
        if wanted:
            for kind, found in states.items():
                for layer, state in enumerate(found):
                    for observer in observers:
                        observer.hidden(layer, state, kind)
        last = last_hidden_state(output)
        require_finite(last, stored_tensors(self.model))
        return last

    def try_out(self) -> bool:
        """Run a few tokens; return whether there are layers that attend by themselves, and hand in their weights.

        Raises:
            UnsupportedModel, ModelError: as ``run``.
        """
        read, written = self.few_tokens()
        hook = KernelAttention(self.model, self._shapes(read, written))
        output = self._forward(
            read, written, hook, output_attentions=True, output_hidden_states=not has_no_head(self.model)
        )
        self._require_all(hook.seen.layers)
        self._last.seen = hook.seen
        require_finite(last_hidden_state(output), stored_tensors(self.model))
        given = (getattr(output, OUTPUT_FIELDS[kind], None) or () for kind in self.kinds)
        return any(weights is not None for each in given for weights in each)

    @contextlib.contextmanager
    def intervened(self, interventions: Sequence[Intervention]) -> Iterator[None]:
        """As of a native model.

        Raises:
            UnsupportedModel: the model attends by itself.
        """
        self.require_changeable()
        with super().intervened(interventions):
            yield

    def run_variants(
        self, encoding: Encoding, variants: Sequence[Sequence[Intervention]], target: Encoding | None = None
    ) -> Iterator[tuple[int, Tensor]]:
        """As of a native model; the model runs once for each variant."""
        for number, interventions in enumerate(variants):
            with self.intervened(interventions):
                states = self.run(encoding, (), target)
            yield number, states

    def can_classify(self, encoding: Encoding) -> bool:
        """Whether it has a head that classifies ``encoding``; that of two stacks reads at an end token."""
        return self.labels is not None and (self.kinds == ("self",) or self.model.config.eos_token_id in encoding.ids)

    def _outputs(self, encoding: Encoding, target: Encoding | None) -> Outputs:
        """The matrices that heads write with, as a run of a few tokens shows them."""
        read, written = encoding.beginning(_PROBED), target.beginning(_PROBED) if target else None
        probe = OutputProbe(self.model, self._shapes(read, written))
        with probe.watching(self.model):
            self._forward(read, written, probe)
        return probe.found

    def logits(
        self,
        encoding: Encoding,
        states: Tensor | None = None,  # noqa: ARG002
        target: Encoding | None = None,
        *,
        own: bool = False,
    ) -> Tensor:
        """Return the scores of the ``labels``, (K,) of a text or (T, K) of its tokens.

        The classifier attends with our kernel, or with its ``own`` eager attention. That of an encoder–decoder reads
        ``target`` in its decoder; with its ``own`` attention it makes that of ``encoding`` where none is given.

        Raises:
            InputError, UnsupportedModel, ModelError: as ``run``.
        """
        shapes = self._shapes(encoding, target)
        hook = None
        if not own and self.name != "observed":
            hook = KernelAttention(self.model, shapes, interventions=self.interventions)
        output = self._forward(encoding, target, hook, whole=self.classifier)
        logits: Tensor = output.logits[0]
        return logits

    @cached_property
    def _writer(self) -> Hosted:
        """The model with its head that predicts tokens; one from files is loaded again."""
        if self._open_writer is None:
            raise ModelError("the model has no head that predicts the next token")
        return Hosted(self._open_writer(), self.model_name, self.start, language=self.language)

    def next_logits(
        self, encoding: Encoding, target: Encoding | None = None, observers: Sequence[Observer] = ()
    ) -> Tensor:
        """Return the logits (T, V) of the token that follows each, by one run with our kernel, for ``observers``.

        Raises:
            ModelError: the model has no head that predicts tokens, or as ``run``.
            InputError, UnsupportedModel: as ``run``.
        """
        whole = self._writer
        hook = None
        if self.name != "observed":
            shapes = whole._shapes(encoding, target)
            hook = KernelAttention(whole.model, shapes, observers, interventions=self.interventions)
        logits: Tensor | None = getattr(whole._forward(encoding, target, hook), "logits", None)
        if logits is None:
            raise ModelError(f"{self.model_name} has no head that predicts the next token")
        require_finite(logits[0], stored_tensors(whole.model))
        return logits[0]

    def dry_run(self, encoding: Encoding, target: Encoding | None = None) -> None:
        """Raise as ``run`` would, as far as this does not depend on numbers: the attention returns zeros."""
        attention = DryRunAttention(self.model, self._shapes(encoding, target))
        self._forward(encoding, target, attention, output_hidden_states=not has_no_head(self.model))
        self._require_all(attention.seen.layers)

    def causal(self, kind: Kind = "self") -> bool:
        """Whether no query saw a later key, in any layer of the last run."""
        return self._done.causal[kind]

    def numbers(self, kind: Kind = "self") -> tuple[int, ...]:
        """Return the numbers of the layers that attended in the last run; hybrid models have others too."""
        return tuple(self._done.layers.get(kind, ()))

    @property
    def _done(self) -> RunFacts:
        """What the last run showed; where nothing has run yet, a run of a few tokens shows it."""
        if self._seen is None:
            self.try_out()
        seen: RunFacts = self._last.seen
        return seen

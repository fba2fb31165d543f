"""The hosted backend: a transformers model with attnviz's kernel as its attention."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from attnviz.attention.intervened import Intervened, require_layers
from attnviz.attention.interventions import Intervention
from attnviz.attention.kernel import Kind, Observer
from attnviz.checkpoint import stored_tensors
from attnviz.encoding import Encoding
from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.hosted.attention import DryRunAttention, KernelAttention, Outputs, RunFacts
from attnviz.model.hosted.loaded import Loaded, has_no_head, hidden_states, last_hidden_state
from attnviz.model.hosted.outputs import OutputProbe
from attnviz.model.hosted.probes import EagerProbe, SdpaProbe
from attnviz.model.hosted.row_sampler import OnHeads, OnRows, Sampler
from attnviz.model.inputs import require_finite

Reference = dict[Kind, tuple[Sequence[Tensor] | None, Tensor | None]]
"""By kind: the weights (H, N, M) of each attention layer, and the hidden states (L + 1, T, C)."""

OUTPUT_FIELDS: dict[Kind, str] = {
    "self": "attentions",
    "encoder": "encoder_attentions",
    "decoder": "decoder_attentions",
    "cross": "cross_attentions",
}


_PROBED = 8
"""How many tokens are run to see which matrices heads write with."""


class AttendsByItself(UnsupportedModel):
    """A model that does not attend through transformers' ``AttentionInterface``."""


class Hosted(Loaded, Intervened):
    """A loaded transformers model that attends with attnviz's kernel.

    The model, which belongs to whoever loaded it, is restored after each run.
    """

    name: Literal["hosted", "observed"] = "hosted"
    layers: Mapping[Kind, int] = {}
    """Empty, since the number of layers of each kind is known only after a run."""

    def __init__(self, *given: Any, **named: Any) -> None:
        """Take the arguments of ``Loaded``."""
        super().__init__(*given, **named)
        self._last = threading.local()  # each thread sees its own last run

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

    @contextlib.contextmanager
    def intervened(self, interventions: Sequence[Intervention]) -> Iterator[None]:
        """As of a native model.

        Raises:
            UnsupportedModel: the model attends by itself.
        """
        if self.name == "observed":
            raise UnsupportedModel(
                f"{self.model_name} attends by itself: attnviz sees its weights and can't change them",
                hint="Models that attnviz can change are those that `attnviz models` calls native or hosted.",
            )
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

    def _require_all(self, layers: Mapping[Kind, Sequence[int]]) -> None:
        silent = [kind for kind in self.kinds if kind not in layers]
        if silent:
            whose = "" if self.kinds == ("self",) else f"the {' and '.join(silent)} attention of "
            raise AttendsByItself(
                f"{self.model_name}: {whose}transformers' {type(self.model).__name__} attends by itself, and not "
                "through the AttentionInterface where ours could take its place"
            )

    def causal(self, kind: Kind = "self") -> bool:
        """Whether no query saw a later key, in any layer of the last run."""
        return self._done.causal[kind]

    def numbers(self, kind: Kind = "self") -> tuple[int, ...]:
        """Return the numbers of the layers that attended in the last run; hybrid models have others too."""
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
            numbers = {kind: self.numbers(kind) for kind in self.kinds}
        for kind in numbers or self.kinds:
            maps = getattr(output, OUTPUT_FIELDS[kind], None) or ()
            if numbers:
                maps = _attending(maps, numbers[kind])
            queries = self._shapes(encoding, target)[kind][0]
            weights = [_of_blocks(part[0], queries) for part in maps if part is not None]
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


def _of_blocks(weights: Tensor, length: int) -> Tensor:
    """The weights (H, N, N) of N tokens, of those that blocks of queries give their own block of keys and one to each
    side, (blocks, H, size, 3·size), as in LongT5; others are returned as they are.
    """
    if weights.dim() != 4:
        return weights
    blocks, heads, size, _ = weights.shape
    found = weights.new_zeros(heads, blocks * size, (blocks + 2) * size)
    for i, block in enumerate(weights):
        found[:, i * size : (i + 1) * size, i * size : (i + 3) * size] = block
    return found[:, :length, size : size + length]

"""The native backend: build a network from a checkpoint's family, spec and tensors, and run texts through it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from attnviz.attention.intervened import Intervened
from attnviz.attention.interventions import Intervention
from attnviz.attention.kernel import Kind, Observer
from attnviz.encoding import Encoding
from attnviz.errors import InputError, ModelError
from attnviz.model.architecture.description import mixer_name, silent_layers
from attnviz.model.architecture.spec import Spec
from attnviz.model.inputs import OF_THE_TEXT, require_finite, require_fit
from attnviz.model.labels import Labels
from attnviz.model.native.ahead import predicting_states
from attnviz.model.native.classifier import ClassifierHead
from attnviz.model.native.forward import KVCache, Network
from attnviz.model.native.language_head import LanguageHead
from attnviz.model.native.paths import Receiver, Sender, run_paths
from attnviz.model.native.variants import run_variants

_SHORT = 1 << 29
"""So many multiplications take one core about 10 ms: several threads would spend more on waiting for each other."""


@dataclass(frozen=True, eq=False)
class Written:
    """The tokens of a text that the model has written the end of, and what it kept of them."""

    ids: tuple[int, ...]
    type_ids: tuple[int, ...]
    past: KVCache

    def is_of(self, encoding: Encoding) -> bool:
        """Whether all of the text was read, and is the one of ``encoding``."""
        same = (self.ids, self.type_ids) == (tuple(encoding.ids), tuple(encoding.type_ids))
        return same and self.past.length == len(self.ids)


class Native(Intervened):
    """A network of attnviz's own forward pass that runs encodings."""

    name: Literal["native"] = "native"

    def __init__(
        self,
        network: Network,
        start: int | None = None,
        unread: tuple[str, ...] = (),
        classifier: ClassifierHead | None = None,
        labels: Labels | None = None,
        take_head: Callable[[], LanguageHead] | None = None,
    ) -> None:
        """Wrap a network.

        Args:
            network: the network.
            start: the start token of a decoder whose spec names none.
            unread: the names of the checkpoint's tensors that the network does not use.
            classifier: the head that classifies, if there is one.
            labels: the labels of this head.
            take_head: reads the head that predicts tokens.
        """
        self.network = network
        self._take_head = take_head
        self.classifier = classifier
        self.labels = labels if classifier else None
        self._written: Written | None = None
        self.unread = unread
        self.kinds: tuple[Kind, ...] = ("encoder", "decoder", "cross") if network.encoder else ("self",)
        own = start if network.encoder and network.spec.start is None else network.spec.start
        self.start = None if network.spec.wraps else own
        self.layout_note = OF_THE_TEXT if network.spec.streams else ""
        self.read_as = network.spec.language or ""
        self.limit = min((spec.limit for spec in self._stacks() if spec.limit is not None), default=None)

    def _stacks(self) -> list[Spec]:
        spec = self.network.spec
        return [spec.encoder, spec] if spec.encoder else [spec]

    def keep(self, ids: Sequence[int], type_ids: Sequence[int], past: KVCache) -> None:
        """Keep what the model has read while it wrote ``ids``: the next run of these shows it, and runs nothing."""
        self._written = Written(tuple(ids), tuple(type_ids), past)

    def run(self, encoding: Encoding, observers: Sequence[Observer] = (), target: Encoding | None = None) -> Tensor:
        """Run one input and return the last hidden states (T, C), the decoder's if there is one.

        If there are observers and none needs the last hidden states, everything that no weight depends on is left out;
        the result is then the queries and keys of the last attention.

        Raises:
            InputError: an encoder–decoder gets no ``target``, or another model gets one, or a pair that it can't read.
            ModelError: the tokenizer and the model do not belong together, or the result is not finite; the message
                names the tensors that are not finite.
        """
        with _threads(1 if self.multiplications(encoding, target) < _SHORT else torch.get_num_threads()):
            return self._run(encoding, observers, target)

    def _run(self, encoding: Encoding, observers: Sequence[Observer], target: Encoding | None) -> Tensor:
        memory = None
        network, read = self.network, encoding
        if network.encoder:
            if target is None:
                raise InputError("the model is an encoder–decoder: it needs a target text as well")
            memory, read = self.run_encoder(encoding, observers), target
        elif target is not None:
            raise InputError("the model has no decoder: it takes no target")
        _require(network, read)
        written, self._written = self._written, None
        seeing = [observer for observer in observers if type(observer).hidden is not Observer.hidden]
        valued = any(observer.valued for observer in observers)
        changed = self.interventions
        if written and observers and not seeing and not valued and not changed and written.is_of(read):
            states = network.show(written.past, observers)
        else:
            whole = not observers or any(observer.whole for observer in seeing)
            states = network(read.ids, read.type_ids, observers, memory=memory, whole=whole, interventions=changed)
        require_finite(states, network.tensors)
        return states

    def can_classify(self, encoding: Encoding) -> bool:
        """Whether it has a head that classifies ``encoding``; that of two stacks reads at an end token."""
        return self.classifier is not None and self.classifier.can_read(encoding.ids)

    def logits(self, encoding: Encoding, states: Tensor) -> Tensor:
        """Return the scores of the ``labels``, (K,) of a text or (T, K), from the last hidden ``states`` (T, C)."""
        if self.classifier is None:
            raise ValueError("the model has no head that classifies")
        with torch.inference_mode():
            return self.classifier(states, encoding.ids)

    @cached_property
    def language_head(self) -> LanguageHead:
        """The head that predicts the next token, read when it is first needed.

        Raises:
            ModelError: the model has none, or the checkpoint lacks it.
        """
        if self._take_head is None:
            raise ModelError("the model has no head that predicts the next token")
        with torch.inference_mode(mode=False):  # what is made in that mode is of no use to autograd
            return self._take_head()

    def predicting_states(self, encoding: Encoding, target: Encoding | None, first: int) -> Tensor:
        """Return the states (T − first, C) of which ``next_logits`` are made, from the token ``first`` on.

        Raises:
            InputError, ModelError: as ``run``.
        """
        network, read = self.network, target or encoding
        if not network.spec.streams:
            return self.run(encoding, (), target)[first:]
        _require(network, read)
        states = predicting_states(network, read.ids, first, self.run_encoder(encoding), self.interventions)
        require_finite(states, network.tensors)
        return states

    def next_logits(self, states: Tensor) -> Tensor:
        """Return the logits (T, V) of the token that follows each, from the ``predicting_states`` (T, C); these are the
        last hidden states of ``run`` where no stream predicts beside the text's.

        Raises:
            ModelError: as ``language_head``.
        """
        with torch.inference_mode():
            return self.language_head(states)

    def multiplications(self, encoding: Encoding, target: Encoding | None = None) -> int:
        """About how many numbers are multiplied in a run."""
        tokens = len(encoding) + len(target or ())
        size, width = self._sizes
        return tokens * (size + tokens * width)

    @cached_property
    def _sizes(self) -> tuple[int, int]:
        """How many numbers each token is multiplied with in matrices, and with each other token in attention."""
        matrices = (tensor.numel() for name, tensor in self.network.tensors.items() if not name.startswith("embed."))
        attentions = (each for stack in self._stacks() for each in stack.attentions.values())
        return sum(matrices), sum(each.heads * (each.head_size + each.value_size) for each in attentions)

    @property
    def layers(self) -> dict[Kind, int]:
        """The number of layers that have each kind of attention."""
        return {kind: len(heads) for kind, heads in self.layer_heads.items()}

    @property
    def heads(self) -> dict[Kind, int]:
        """The number of heads of all layers of each kind together."""
        return {kind: sum(heads.values()) for kind, heads in self.layer_heads.items()}

    @property
    def layer_heads(self) -> dict[Kind, dict[int, int]]:
        """The number of heads of each layer of each kind of attention."""
        found: dict[Kind, dict[int, int]] = {}
        for kind in self.kinds:
            stack = self._stacks()[0 if kind == "encoder" else -1]
            crossing = {i: layer.cross for i, layer in enumerate(stack.layers) if layer.cross}
            attentions = crossing if kind == "cross" else stack.attentions
            found[kind] = {i: attention.heads for i, attention in attentions.items()}
        return found

    @property
    def silent(self) -> str:
        """Which layers do not attend, in words; empty if all do."""
        return silent_layers({i: mixer_name(each) for i, each in self.network.spec.mixers.items()})

    @property
    def vocabulary(self) -> int:
        """The number of tokens that have vectors."""
        return self._stacks()[0].embedding.vocabulary

    def run_encoder(self, encoding: Encoding, observers: Sequence[Observer] = ()) -> Tensor | None:
        """Return the encoder's output for the decoder, (M, C); None if there is no encoder."""
        encoder = self.network.encoder
        if encoder is None:
            return None
        _require(encoder, encoding)
        return encoder(encoding.ids, encoding.type_ids, observers, interventions=self.interventions)

    def run_variants(
        self, encoding: Encoding, variants: Sequence[Sequence[Intervention]], target: Encoding | None = None
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield the number of each of the ``variants`` and its last hidden states (T, C), in any order.

        Each is a run of the same input with its own interventions, after those that hold for all runs.

        Raises:
            InputError, ModelError: as ``run``.
        """
        given = [(*self.interventions, *each) for each in variants]
        ids = None if target is None else target.ids
        found = run_variants(self.network, encoding.ids, encoding.type_ids, given, ids)
        yield from self._many(found, len(given), encoding, target)

    def run_paths(
        self,
        encoding: Encoding,
        sender: Sender,
        variants: Sequence[Sequence[Receiver]],
        target: Encoding | None = None,
        *,
        through_mlps: bool = False,
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield the number of each of the ``variants`` and its last hidden states (T, C), in any order.

        Each is a run of the same input in which its receivers read what the ``sender`` wrote in another run, straight
        from it, as ``native.paths`` says.

        Raises:
            InputError, ModelError: as ``run``.
        """
        ids = None if target is None else target.ids
        found = run_paths(
            self.network, encoding.ids, encoding.type_ids, sender, variants, ids, interventions=self.interventions,
            through_mlps=through_mlps,
        )  # fmt: skip
        yield from self._many(found, 2 * len(variants), encoding, target)

    def _many(
        self, found: Iterator[tuple[int, Tensor]], count: int, encoding: Encoding, target: Encoding | None
    ) -> Iterator[tuple[int, Tensor]]:
        """The states of ``count`` runs of one input, which must be finite."""
        for stack, read in ((self.network.encoder, encoding), (self.network, target or encoding)):
            if stack:
                _require(stack, read)
        short = count * self.multiplications(encoding, target) < _SHORT
        with _threads(1 if short else torch.get_num_threads()):
            for number, states in found:
                require_finite(states, self.network.tensors)
                yield number, states

    def causal(self, kind: Kind = "self") -> bool:
        """Whether no query sees a later key, in any layer."""
        if kind == "cross":
            return False
        return self._stacks()[0 if kind == "encoder" else -1].causal


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch compute in so many threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _require(network: Network, encoding: Encoding) -> None:
    embedding = network.spec.embedding
    require_fit(encoding, embedding.vocabulary, embedding.types)

"""Direct path patching: what of another run reaches a later part straight from one head, and what that changes.

Each variant passes the layers as two streams of one text (after Wang et al. 2022, "Interpretability in the Wild",
section 3.1). The real stream is the run itself. In the shadow the output of one head, the sender, is that of another
run; all else that is added to it is what the real stream's own heads and MLPs write. So the shadow is what a later part
would read if nothing but the sender were changed, and nothing in between had noticed. The receivers, and they alone,
read the shadow, and what they write then goes on in the real stream as ever. Norms are computed anew in each stream, so
that this holds wherever they stand: with norms before the sublayers and their sizes frozen, what a query of a receiver
gains is (z_clean − z_corrupt) W_O / σ · W_Q. If everything reads the shadow, the sender is simply patched.

Wang et al. count a way through MLPs as direct; here MLPs are receivers of their own, unless ``through_mlps``. What
mixes tokens in the place of attention is a receiver too, as a head is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from attnviz.attention.tile import Kind
from attnviz.model.architecture.spec import AttentionSpec, ParallelNorm
from attnviz.model.native.forward import Network
from attnviz.model.native.run import Run
from attnviz.model.native.variants import Entering, Interventions, Variants, cut, through_layers

if TYPE_CHECKING:
    from attnviz.model.native.run import Sublayer

Part = Literal["query", "key", "value", "gate", "mlp", "mixer", "output"]
"""By what a receiver reads: of a head, an MLP, a mixer in place of attention, or what comes after the last layer."""


@dataclass(frozen=True, eq=False)
class Sender:
    """The head whose output comes from another run.

    Attributes:
        kind: which attention of the model it is in.
        layer: its layer.
        head: its number.
        values: its output (N, D) in the other run.
    """

    kind: Kind
    layer: int
    head: int
    values: Tensor


@dataclass(frozen=True)
class Receiver:
    """What reads what the sender wrote.

    Attributes:
        kind: which attention of the model it is in; of an MLP and of the output that of their stack.
        layer: its layer; of the output, the number of layers.
        part: by what it reads.
        head: the query head, or the key-value head; None for an MLP, a mixer and the output.
    """

    kind: Kind
    layer: int
    part: Part
    head: int | None = None


@dataclass(frozen=True)
class _Path:
    """A variant: its number among all, its receivers, and the first layer of the stack that one of them is in."""

    number: int
    receivers: tuple[Receiver, ...]
    first: int


def receivers_of(network: Network, kind: Kind, layer: int) -> list[Receiver]:
    """All that can read what a head of a layer wrote, in the order of the model."""
    stack = network.encoder if kind == "encoder" and network.encoder else network
    own, depth = stack.kind, len(stack.spec.layers)
    found: list[Receiver] = []
    for i, each in enumerate(stack.spec.layers):
        later, same = i > layer, i == layer
        if later and i in stack.spec.mixers:
            found.append(Receiver(own, i, "mixer"))
        elif later:  # keys and values that later layers use are received where they are made
            attention = stack.spec.attentions[i]
            parts: list[Part] = ["query"] if attention.keys_of is not None else ["query", "key", "value"]
            found += _heads(own, i, attention, [*parts, "gate"] if attention.gated else parts)
        if each.cross and (later or (same and kind != "cross")):
            found += _heads("cross", i, each.cross, ("query",))
        if later or (same and not isinstance(each.norms, ParallelNorm)):
            found.append(Receiver(own, i, "mlp"))
    if stack is network:
        return [*found, Receiver(own, depth, "output")]
    for i, each in enumerate(network.spec.layers):
        found += _heads("cross", i, each.cross, ("key", "value")) if each.cross else []
    return found


def _heads(kind: Kind, layer: int, spec: AttentionSpec, parts: Sequence[Part]) -> Iterator[Receiver]:
    for part in parts:
        for head in range(spec.kv_heads if part in ("key", "value") else spec.heads):
            yield Receiver(kind, layer, part, head)


def attention_at(network: Network, kind: Kind, layer: int) -> AttentionSpec:
    """The attention of a kind in a layer."""
    stack = network.encoder if kind == "encoder" and network.encoder else network
    found = stack.spec.layers[layer].cross if kind == "cross" else stack.spec.attentions.get(layer)
    if found is None:
        raise ValueError(f"layer {layer} has no {kind} attention")
    return found


@torch.inference_mode()
def run_paths(
    network: Network,
    ids: Sequence[int],
    type_ids: Sequence[int],
    sender: Sender,
    variants: Sequence[Sequence[Receiver]],
    target: Sequence[int] | None = None,
    *,
    interventions: Interventions = (),
    through_mlps: bool = False,
) -> Iterator[tuple[int, Tensor]]:
    """Yield the number of each of the ``variants`` and its last hidden states (T, C), the decoder's if there is one.

    They do not come in order.

    Args:
        network: the network.
        ids: the token ids, for the encoder where there is one.
        type_ids: their types.
        sender: the head whose output comes from another run.
        variants: the receivers of each variant; none at all is the run itself.
        target: the ids that a decoder beside an encoder reads.
        interventions: what holds for all runs.
        through_mlps: whether what reaches an MLP on its way goes on from it.
    """
    if network.encoder is None or target is None:
        numbered = [_Path(i, tuple(each), _first(network, each)) for i, each in enumerate(variants)]
        yield from _from_stack(network, ids, type_ids, sender, numbered, None, interventions, through_mlps)
    elif sender.kind != "encoder":
        memory = network.encoder(ids, type_ids, interventions=interventions)
        numbered = [_Path(i, tuple(each), _first(network, each)) for i, each in enumerate(variants)]
        yield from _from_stack(network, target, (), sender, numbered, memory, interventions, through_mlps)
    else:
        numbered = [_Path(i, tuple(each), _first(network.encoder, each)) for i, each in enumerate(variants)]
        for together in cut(numbered, 2 * (len(ids) + len(target))):
            read = _from_stack(network.encoder, ids, type_ids, sender, together, None, interventions, through_mlps)
            yield from _into_decoder(network, target, sender, together, dict(read), interventions)


def _from_stack(
    network: Network,
    ids: Sequence[int],
    type_ids: Sequence[int],
    sender: Sender,
    paths: Sequence[_Path],
    memory: Tensor | None,
    interventions: Interventions,
    through_mlps: bool,
) -> Iterator[tuple[int, Tensor]]:
    """Yield what leaves the stack of the sender: of the encoder of two stacks both streams (2·T, C)."""
    depth, count, both = len(network.spec.layers), len(ids), network.kind == "encoder"

    def begin(before: Run) -> Paths:
        return Paths(before, sender, memory, interventions, through_mlps=through_mlps)

    entering = Entering({sender.layer})
    plain = Run(count, network.device, [entering], memory=memory, interventions=interventions)
    network.through(ids, type_ids, plain, whole=False)
    pairs = {sender.layer: entering.found[sender.layer].repeat(2, 1)}
    alone, table = begin(plain), network.relative_table()
    alone.begin(_Path(0, (), sender.layer))
    for i in range(sender.layer, depth):
        pairs[i + 1] = network.block(i, pairs[i], alone, table)
    for together in cut(paths, 2 * count):
        x = through_layers(network, begin(alone), together, pairs).view(len(together), 2, count, -1)
        if both:
            x = network.finish(x.flatten(0, 2)).view(len(together), 2 * count, -1)
        else:
            shadow = [any(each.part == "output" for each in path.receivers) for path in together]
            x = network.finish(_chosen(x, shadow)).view(len(together), count, -1)
        yield from zip((each.number for each in together), x, strict=True)


def _into_decoder(
    network: Network,
    target: Sequence[int],
    sender: Sender,
    paths: Sequence[_Path],
    read: Mapping[int, Tensor],
    interventions: Interventions,
) -> Iterator[tuple[int, Tensor]]:
    """Yield the states of the decoder, given both streams of the encoder's output (2·M, C) by number."""
    memory, count = torch.cat([read[path.number] for path in paths]), len(target)
    entering = Entering({0})
    plain = Run(count, network.device, [entering], memory=memory[: len(memory) // (2 * len(paths))])
    network.through(target, (), plain, whole=False)
    run = Paths(plain, sender, memory, interventions, own=True)
    begun = [replace(path, first=0) for path in paths]
    x = through_layers(network, run, begun, {0: entering.found[0].repeat(2, 1)})
    states = network.finish(x.view(len(paths), 2, count, -1)[:, 0].flatten(0, 1))
    yield from zip((path.number for path in paths), states.view(len(paths), count, -1), strict=True)


def _first(network: Network, receivers: Sequence[Receiver]) -> int:
    """The first layer of the stack that has a receiver; the number of layers where none has."""
    kinds = (network.kind, "cross") if network.kind == "decoder" else (network.kind,)
    return min((each.layer for each in receivers if each.kind in kinds), default=len(network.spec.layers))


def _chosen(x: Tensor, shadow: Sequence[bool]) -> Tensor:
    """Of the two streams (B, 2, T, …) of each variant one, (B·T, …)."""
    return x[torch.arange(len(x)), [int(each) for each in shadow]].flatten(0, 1)


class Paths(Variants):
    """A run of two streams of each variant of one text: T rows of the real one, and T of its shadow.

    ``memory`` is the encoder's output (M, C) for a decoder, or (B·2·M, C) if each of the B variants has its ``own``.
    """

    def __init__(
        self,
        before: Run,
        sender: Sender,
        memory: Tensor | None = None,
        interventions: Interventions = (),
        *,
        own: bool = False,
        through_mlps: bool = False,
    ) -> None:
        super().__init__(before, memory, own=own)
        self._sender, self._interventions, self._through_mlps = sender, interventions, through_mlps
        self._receivers: list[tuple[Receiver, ...]] = []

    def begin(self, variant: _Path) -> None:
        """Let a variant come after those that pass the layers already."""
        self.active.append(self._interventions)
        self._receivers.append(variant.receivers)

    @property
    def copies(self) -> int:
        """How many times the text's tokens are among the rows of states."""
        return 2 * len(self.active)

    def attend(self, own: Sublayer, q: Tensor, k: Tensor, v: Tensor | None) -> Tensor:
        """As of one text, (B·2·T, H·D): both streams get what the real one's heads read, some of it in the shadow."""
        if v is None:
            raise ValueError("variants need values")
        layer, kind = own.layer, own.kind
        shared = kind == "cross" and not self._own
        queries, source = self._read(layer, kind, "query", q), layer if own.spec.keys_of is None else own.spec.keys_of
        keys, values = (k, v) if shared else (self._read(source, kind, "key", k), self._read(source, kind, "value", v))
        gate = None if own.gate is None else self._read(layer, kind, "gate", own.gate)
        real = super().attend(replace(own, gate=gate), queries, keys, values)
        both = real.view(len(self.active), 1, len(self.positions), -1).repeat(1, 2, 1, 1)
        sender = self._sender
        if (sender.kind, sender.layer) == (kind, layer):
            size = both.shape[-1] // own.spec.heads
            both[:, 1, :, sender.head * size : (sender.head + 1) * size] = sender.values.to(both)
        return both.flatten(0, 2)

    def _read(self, layer: int, kind: Kind, part: Part, x: Tensor) -> Tensor:
        """The queries, keys or values (heads, B·2·T, D) with which the real stream attends, (heads, B·T, D)."""
        streams = x.view(len(x), len(self.active), 2, -1, x.shape[-1])
        read = streams[:, :, 0].clone()
        for i, receivers in enumerate(self._receivers):
            heads = [each.head for each in receivers if (each.kind, each.layer, each.part) == (kind, layer, part)]
            if heads:
                read[heads, i] = streams[heads, i, 1]
        return read.flatten(1, 2)

    def mlp(self, layer: int, compute: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """As of one text: both streams get what the real one's MLP writes."""
        return compute(x) if self._through_mlps else self._written("mlp", layer, compute, x)

    def mixer(self, layer: int, compute: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """As of one text: both streams get what the real one's mixer writes."""
        return self._written("mixer", layer, compute, x)

    def _written(self, part: Part, layer: int, compute: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """What the part of a layer writes in the real stream, for both; it may read the shadow."""
        streams = x.view(len(self.active), 2, len(self.positions), -1)
        shadow = [any((each.part, each.layer) == (part, layer) for each in own) for own in self._receivers]
        real = compute(_chosen(streams, shadow)).view(len(streams), 1, len(self.positions), -1)
        return real.repeat(1, 2, 1, 1).flatten(0, 2)

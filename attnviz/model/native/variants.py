"""One text run many times, each time with other interventions, at the cost of much less than as many runs.

What comes before the first layer that a variant changes is the same in all of them and is computed once. From there on
variants pass the layers together: their tokens are one matrix for norms, projections and MLPs, and each attends among
its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from attnviz.attention.block_sizes import PACK_CELLS, fits_tile
from attnviz.attention.interventions import Intervention, at_layer
from attnviz.attention.kernel import Kind, attend
from attnviz.attention.scores import weights_of
from attnviz.attention.tile import Observer, Tile
from attnviz.model.architecture.spec import Rotary
from attnviz.model.native.forward import Network
from attnviz.model.native.run import Lent, Run, Sublayer

Interventions = Sequence[Intervention]

_TOKENS = 1 << 13
"""The most tokens of the variants that pass the layers together: more would take memory and gain nothing."""


@dataclass(frozen=True, eq=False)
class _Variant:
    """One variant, its number among all, and the first layer of the stack that it changes."""

    number: int
    interventions: Interventions
    first: int


class Begins(Protocol):
    """What begins at a layer; everything before it is the run itself."""

    @property
    def first(self) -> int:
        """The number of the layer."""


Begun = TypeVar("Begun", bound=Begins)


class Entering(Observer):
    """Keeps the states (T, C) that enter some layers."""

    def __init__(self, layers: set[int]) -> None:
        self._layers = layers
        self.found: dict[int, Tensor] = {}

    def wants(self, layer: int, kind: Kind) -> bool:  # noqa: ARG002
        """No: it sees states alone."""
        return False

    def hidden(self, layer: int, states: Tensor, kind: Kind = "self") -> None:  # noqa: ARG002
        """Keep the states that enter a layer, or leave the last."""
        if layer in self._layers:
            self.found[layer] = states.clone()


@torch.inference_mode()
def run_variants(
    network: Network,
    ids: Sequence[int],
    type_ids: Sequence[int],
    variants: Sequence[Interventions],
    target: Sequence[int] | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Yield the number of each of the ``variants`` and its last hidden states (T, C), the decoder's if there is one.

    They do not come in order.

    Args:
        network: the network.
        ids: the token ids, for the encoder where there is one.
        type_ids: their types.
        variants: the interventions of each variant; none at all is the run itself.
        target: the ids that a decoder beside an encoder reads.
    """
    if network.encoder is None:
        numbered = [_Variant(i, each, _first(network, each)) for i, each in enumerate(variants)]
        yield from _through(network, ids, type_ids, numbered, None)
        return
    if target is None:
        raise ValueError("the decoder needs a text")
    plain: list[_Variant] = []
    changed: list[_Variant] = []
    for i, each in enumerate(variants):
        first = _first(network.encoder, each)
        (changed if first < len(network.encoder.spec.layers) else plain).append(_Variant(i, each, first))
    if plain:
        memory = network.encoder(ids, type_ids)
        numbered = [_Variant(each.number, each.interventions, _first(network, each.interventions)) for each in plain]
        yield from _through(network, target, (), numbered, memory)
    for together in cut(changed, len(ids) + len(target)):
        memories = dict(_through(network.encoder, ids, type_ids, together, None))
        memory = torch.cat([memories[each.number] for each in together])
        entering = [_Variant(each.number, each.interventions, 0) for each in together]
        yield from _through(network, target, (), entering, memory, own=True)


def _first(network: Network, interventions: Interventions) -> int:
    """The first layer of the stack that is changed; the number of layers where none is."""
    kinds: tuple[Kind, ...] = (network.kind, "cross") if network.kind == "decoder" else (network.kind,)
    layers = range(len(network.spec.layers))
    return next((i for i in layers if any(at_layer(interventions, i, kind) for kind in kinds)), len(layers))


def _through(
    network: Network,
    ids: Sequence[int],
    type_ids: Sequence[int],
    variants: Sequence[_Variant],
    memory: Tensor | None,
    *,
    own: bool = False,
) -> Iterator[tuple[int, Tensor]]:
    """Run the ``variants`` through one stack, and yield the last hidden states (T, C) of each with its number.

    Args:
        memory: the encoder's output (M, C), or (B·M, C) if each of the variants has its ``own``.
    """
    depth, count = len(network.spec.layers), len(ids)
    entering = Entering({each.first for each in variants})
    once = memory[: len(memory) // len(variants)] if own and memory is not None else memory
    plain = Run(count, network.device, [entering], memory=once)
    network.through(ids, type_ids, plain, whole=depth in {each.first for each in variants})
    for together in [variants] if own else cut(variants, count):
        run = Variants(plain, memory, own=own)
        x = through_layers(network, run, together, entering.found)
        ended = [each for each in together if each.first < depth]
        if ended:
            x = torch.cat((network.finish(x[: len(ended) * count]), x[len(ended) * count :]))
        yield from zip((each.number for each in together), x.view(len(together), count, -1), strict=True)


def through_layers(
    network: Network, run: Variants, together: Sequence[Begins], entering: Mapping[int, Tensor]
) -> Tensor:
    """Return the states that leave the last layer, of variants that pass the layers ``together`` in one ``run``.

    Args:
        network: the network.
        run: the run; each variant begins in it at its first layer.
        together: the variants, in the order of their first layers.
        entering: the states of one variant that enter each of their first layers.
    """
    depth, table = len(network.spec.layers), network.relative_table()
    x = entering[together[0].first][:0]
    for i in range(together[0].first, depth + 1):
        begun = [each for each in together if each.first == i]
        x = torch.cat((x, entering[i].repeat(len(begun), 1))) if begun else x
        for each in begun:
            run.begin(each)
        if i < depth:
            x = network.block(i, x, run, table)
    return x


class Variants(Run):
    """A run of several variants of one text, one after another; ``active`` are their interventions.

    ``before`` is the run of the text in which nothing is changed before the first layer of each. ``memory`` is the
    encoder's output (M, C) for a decoder, or (B·M, C) if each of the B variants has its ``own``.
    """

    def __init__(self, before: Run, memory: Tensor | None = None, *, own: bool = False) -> None:
        super().__init__(len(before.positions), before.positions.device, memory=memory, tokens=before.tokens)
        self.active: list[Interventions] = []
        self._before, self._own = before, own

    def begin(self, variant: Any) -> None:
        """Let a variant come after those that pass the layers already."""
        self.active.append(variant.interventions)

    @property
    def copies(self) -> int:
        """How many times the text's tokens are among the rows of states."""
        return len(self.active)

    def borrow(self, layer: int) -> Lent:
        """As of one text; those of variants that begin behind the ``layer`` are of the run before."""
        k, v = self.lent.get(layer, (None, None))
        missing = self.copies * len(self.positions) - (0 if k is None else k.shape[1])
        if not missing:
            return self.lent[layer]
        plain = [each.repeat(1, missing // each.shape[1], 1) for each in self._before.borrow(layer) if each is not None]
        own = [each for each in (k, v) if each is not None]
        found = [torch.cat(each, 1) for each in zip(own, plain, strict=True)] if own else plain
        return found[0], found[1]

    @property
    def places(self) -> Tensor:
        """As of one text, for each variant."""
        return self.positions.repeat(self.copies)

    def turns(self, rotary: Rotary, dtype: torch.dtype, table: Tensor | None) -> tuple[Tensor, Tensor]:
        """As of one text, for each variant."""
        cos, sin = super().turns(rotary, dtype, table)
        return cos.repeat(self.copies, 1), sin.repeat(self.copies, 1)

    def texts(self, x: Tensor) -> list[Tensor]:
        """The rows of ``x`` (…) of each variant, (B, T, …)."""
        return [torch.unflatten(x, 0, (-1, len(self.positions)))]

    def attend(self, own: Sublayer, q: Tensor, k: Tensor, v: Tensor | None) -> Tensor:
        """As of one text, (B·T, H·D), of each variant by itself."""
        if v is None:
            raise ValueError("variants need values")
        variants = [at_layer(each, own.layer, own.kind) for each in self.active]
        count, tokens = len(variants), len(self.positions)
        shared = own.kind == "cross" and not self._own
        queries = _apart(q, count)  # (B, H, T, D)
        keys, values = (part.expand(count, *part.shape) if shared else _apart(part, count) for part in (k, v))
        gates = None if own.gate is None else _apart(own.gate, count)
        heads, read = own.spec.heads, keys.shape[2]
        found = values.new_empty(count, tokens, heads, values.shape[-1])
        few = fits_tile(heads, max(tokens, read))
        step = max(1, PACK_CELLS // (heads * tokens * read)) if few else 1
        attend_to = self._together if few else self._alone
        for i in range(0, count, step):
            some = slice(i, i + step)
            part = own if gates is None else replace(own, gate=gates[some])
            context = attend_to(part, queries[some], keys[some], values[some], variants[some])
            found[some] = context.transpose(1, 2)
        return found.view(count * tokens, -1)

    def _together(self, own: Sublayer, q: Tensor, k: Tensor, v: Tensor, variants: Sequence[Interventions]) -> Tensor:
        """The context (B, H, T, D) of some variants at once, by the definition of the kernel."""
        count, _, tokens, _ = q.shape
        exact = torch.promote_types(q.dtype, torch.float32)
        spec = own.spec
        grouped = (q.to(exact) * spec.scale).reshape(count, spec.kv_heads, -1, q.shape[-1])
        scores = (grouped @ k.to(exact).mT).view(count, spec.heads, tokens, -1)
        found = weights_of(scores, self.positions, own.bias(q, k), spec.softcap, own.window, own.sinks)
        for weights, interventions in zip(found, variants, strict=True):
            for each in interventions:
                each.weights(Tile(own.layer, 0, 0, weights, tuple(weights.shape), own.kind, window=own.window))
        mixed = found.to(v.dtype).view(count, spec.kv_heads, -1, v.shape[2]) @ v
        context = mixed.view(count, spec.heads, tokens, -1)
        context = context if own.gate is None else context * own.gate
        for one, interventions in zip(context, variants, strict=True):
            for each in interventions:
                each.context(one)
        return context

    def _alone(self, own: Sublayer, q: Tensor, k: Tensor, v: Tensor, variants: Sequence[Interventions]) -> Tensor:
        """The same of one variant of a long text, by the kernel itself."""
        gate = None if own.gate is None else own.gate[0]
        return attend(
            q[0], k[0], v[0], scale=own.spec.scale, window=own.window, bias=own.bias(q[0], k[0]),
            softcap=own.spec.softcap, sinks=own.sinks, gate=gate, layer=own.layer, kind=own.kind,
            interventions=variants[0],
        )[None]  # fmt: skip


def _apart(part: Tensor, count: int) -> Tensor:
    """The queries, keys or values (heads, B·T, D) of each variant, (B, heads, T, D)."""
    return part.view(len(part), count, -1, part.shape[-1]).transpose(0, 1)


def cut(variants: Sequence[Begun], length: int) -> Iterator[Sequence[Begun]]:
    """Cut the variants, in the order of their first layers, into groups that pass the layers together."""
    step = max(1, _TOKENS // length)
    ordered = sorted(variants, key=lambda each: each.first)
    for i in range(0, len(ordered), step):
        yield ordered[i : i + step]

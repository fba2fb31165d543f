"""Where a logit comes from: what each part of a model adds to it directly (direct logit attribution).

The states of a token are a sum of what its embeddings, the heads and the MLPs of all layers write, changed only by
norms. With the size that each norm found frozen, all of it is linear, so that a logit is a sum, too: a direction is
followed back from the head of the model through the norms to where each part writes, and the part counts as its product
with the direction there (Elhage et al. 2021; nostalgebraist 2020). What a part does through later heads and MLPs, which
read it, is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from attnviz.attention.kernel import Kind
from attnviz.attention.values import Values
from attnviz.errors import UsageError
from attnviz.model.architecture.spec import Adapter, BranchNorm, LayerSpec, ParallelNorm, PostNorm, SandwichNorm
from attnviz.model.native.forward import Network
from attnviz.model.native.parts import FrozenNorm
from attnviz.model.native.run import Run

Contexts = Mapping[Kind, Mapping[int, Tensor]]
"""The outputs (H, N, D) of the heads of each kind and layer."""


@dataclass(frozen=True, eq=False)
class Written:
    """What a sublayer writes to some states: x' = whole(x + times · branch(output)), where there are such norms.

    Attributes:
        at: its name, as in ``tensor_shapes``.
        output: what it gives (R, C), its bias among it.
        times: the factor of what is added.
        branch: the norm of what is added.
        whole: the norm of the sum.
        gate: by what the values that an attention takes are multiplied on their way out (H, R, D).
    """

    at: str
    output: Tensor
    times: float = 1.0
    branch: FrozenNorm | None = None
    whole: FrozenNorm | None = None
    gate: Tensor | None = None


@dataclass(eq=False)
class Attribution:
    """What adds to R logits, a number (R,) for each part, in float64.

    Attributes:
        heads: of each head of each kind, (L, H, R).
        readers: how the values of each layer that attends are read, u (H, R, D): a head's part that comes from token j
            is A[q, j] · ⟨u, v_j⟩.
        mixers: of each layer that does not attend, by its number, (R,).
        mlps: of each MLP, with the adapter or the token gate behind it, (L, R).
        embeddings: of the embeddings of the token itself.
        biases: of what does not depend on the text: the biases of attention, of MLPs, of norms, and of the rest.
    """

    heads: dict[Kind, Tensor] = field(default_factory=dict)
    readers: dict[Kind, dict[int, Tensor]] = field(default_factory=dict)
    mixers: dict[int, Tensor] = field(default_factory=dict)
    mlps: Tensor = field(default_factory=lambda: torch.empty(0))
    embeddings: dict[str, Tensor] = field(default_factory=dict)
    biases: dict[str, Tensor] = field(default_factory=dict)

    @property
    def total(self) -> Tensor:
        """The sum of all parts (R,)."""
        parts = [each.sum((0, 1)) for each in self.heads.values()]
        parts += [self.mlps.sum(0), *self.mixers.values()]
        return sum([*parts, *self.embeddings.values(), *self.biases.values()], torch.tensor(0.0))

    def sources(self, kind: Kind, layer: int, weights: Tensor, values: Values) -> Tensor:
        """What comes through each head from each token, (H, R, M), by its ``weights`` (H, R, M)."""
        readers = self.readers[kind][layer]
        shared = values.heads // len(values.values)
        read = values.values.to(readers.dtype).repeat_interleave(shared, 0)  # (G, M, D) → (H, M, D)
        return weights.to(readers.dtype) * (readers @ read.mT)


@torch.inference_mode()
def attribute(
    network: Network,
    ids: Sequence[int],
    type_ids: Sequence[int],
    states: Sequence[Tensor],
    contexts: Contexts,
    direction: Tensor,
    rows: Tensor,
) -> Attribution:
    """Attribute ⟨``direction``, last hidden state⟩ of some tokens to the parts of the stack that read them.

    Args:
        network: the stack; a decoder beside an encoder is one, whose heads' values the encoder made.
        ids: the token ids that it read.
        type_ids: their types.
        states: the states (T, C) that enter each layer.
        contexts: the outputs of its heads.
        direction: the direction (R, C) for each of the tokens.
        rows: the numbers (R,) of these tokens.

    Raises:
        UsageError: a layer mixes the states of neighbours, so that they are no sum of such parts.
    """
    if any(layer.convolution for layer in network.spec.layers):
        raise UsageError(
            "a layer of this model mixes the states of neighbours in a convolution: its heads add to no logit directly"
        )
    if network.spec.crowds(len(ids)):
        raise UsageError(
            "experts of this model read a limited number of tokens: what a token adds depends on the others",
            hint="Give a shorter text.",
        )
    walk = _Walk(network, direction.double())
    read = torch.tensor(ids, device=network.device)
    through = [_written(network, i, states[i], contexts, rows, read[rows]) for i in range(len(network.spec.layers))]
    walk.finish(through[-1][1])
    for i in reversed(range(len(through))):
        walk.layer(i, through[i][0], contexts, rows)
    run = Run(len(ids), network.device)
    walk.begin(network.embedded(read, type_ids, run), rows)
    return walk.found


def _written(
    network: Network, i: int, states: Tensor, contexts: Contexts, rows: Tensor, tokens: Tensor
) -> tuple[list[Written], Tensor]:
    """What the sublayers of a layer write to some ``rows`` of the ``states`` (T, C) that enter it, those of ``tokens``
    (R,), in order; and what leaves it, (R, C).
    """
    layer, at = network.spec.layers[i], f"layers.{i}"
    x = entered = states[rows]
    parallel = isinstance(layer.norms, ParallelNorm)
    found = []
    for part in ("attention", "cross", "mlp") if layer.cross else ("attention", "mlp"):
        name = f"{at}.{part}"
        if part == "mlp":
            shared = isinstance(layer.norms, ParallelNorm) and layer.norms.shared
            reads = network._entering(f"{at}.attention" if shared else name, layer, entered if parallel else x)
            output = network._mlp(name, layer.mlp, reads)
        elif part == "attention" and i in network.spec.mixers:
            entering = network._entering(name, layer, states)
            output = network.mix(i, Run(len(states), network.device), entering)[rows]
        else:
            context = contexts["cross" if part == "cross" else network.kind][i][:, rows]  # (H, R, D)
            output = network._linear(f"{name}.output", context.transpose(0, 1).flatten(1))
        found.append(joined(network, name, layer, x.double(), output.double()))
        if part == "attention" and i in network.spec.attentions:
            gates = network._gates(name, network.spec.attentions[i], network._entering(name, layer, x))
            found[-1] = replace(found[-1], gate=gates)
        if part == "mlp" and layer.adapter:
            found.append(_adapted(network, at, layer, layer.adapter, x + output))
        x = x + output if parallel else network._residual(name, layer, partial(_given, output), x)
    if layer.token_gate:
        gate = layer.token_gate
        output = network._gate(at, gate, network.numbers_of(i, tokens), x)
        branch = network.frozen_norm(f"{at}.token_gate.norm", gate.norm, output.double())
        found.append(Written(f"{at}.token_gate", output.double(), branch=branch))
        x = x + network._norm(f"{at}.token_gate.norm", gate.norm, output)
    if layer.scaled:
        scale = network.tensors[f"{at}.scale"]
        found.append(Written(f"{at}.scale", torch.zeros_like(x), whole=_scaling(scale.double(), x)))
        x = x * scale
    return found, x


def _scaling(scale: Tensor, x: Tensor) -> FrozenNorm:
    """A factor (1,) of all states, as a norm that is frozen."""
    return FrozenNorm(scale, torch.ones_like(x[:, :1], dtype=scale.dtype), centred=False, bias=None)


def _adapted(network: Network, at: str, layer: LayerSpec, adapter: Adapter, x: Tensor) -> Written:
    """What the adapter of the layer ``at`` writes to the sum ``x`` (R, C) that it reads."""
    read = network._adapter_reads(at, adapter, layer.norms.norm, x)
    output = network._mlp(f"{at}.adapter", adapter.mlp, read).double()
    found = Written(f"{at}.adapter", output)
    if not isinstance(layer.norms, PostNorm):
        return found
    whole = (read if adapter.normed else x) + output
    return replace(found, whole=network.frozen_norm(f"{at}.mlp.norm", layer.norms.norm, whole))


def _given(output: Tensor, _: Tensor) -> Tensor:
    return output.clone()


def joined(network: Network, at: str, layer: LayerSpec, x: Tensor, output: Tensor) -> Written:
    """How the ``output`` (R, C) of the sublayer ``at`` joins the states ``x`` (R, C)."""
    if layer.adapter and at.endswith(".mlp"):
        found = Written(at, output, layer.residual)
        if not (layer.adapter.norm and layer.adapter.normed):
            return found
        normed = at if layer.adapter.norm == "mlp" else f"{at.removesuffix('.mlp')}.adapter"
        return replace(found, whole=network.frozen_norm(f"{normed}.norm", layer.norms.norm, x + output))
    match layer.norms:
        case PostNorm(norm):
            return Written(at, output, whole=network.frozen_norm(f"{at}.norm", norm, x + output))
        case ParallelNorm():
            return Written(at, output)
        case BranchNorm(norm):
            return Written(at, output, layer.residual, network.frozen_norm(f"{at}.norm", norm, output))
        case SandwichNorm(norm):
            return Written(at, output, layer.residual, network.frozen_norm(f"{at}.norm_after", norm, output))
    return Written(at, output, layer.residual)


class _Walk:
    """Follows a direction (R, C) back through a stack, and counts what each part adds to the product with it."""

    def __init__(self, network: Network, direction: Tensor) -> None:
        self._network, self._direction = network, direction
        self._mlps: dict[int, Tensor] = {}
        self._heads: dict[Kind, dict[int, Tensor]] = {}
        self.found = Attribution()

    def finish(self, x: Tensor) -> None:
        """From the last hidden states back to ``x`` (R, C), which leave the last layer."""
        spec, tensors = self._network.spec, self._network.tensors
        if spec.final_size:
            self._constant("other biases", self._direction, tensors.get("project.bias"))
            self._direction = self._direction @ tensors["project.weight"].double()
        if spec.final_norm:
            self._through(self._network.frozen_norm("norm", spec.final_norm, x.double()))

    def layer(self, i: int, written: Sequence[Written], contexts: Contexts, rows: Tensor) -> None:
        """Back through a layer, whose sublayers have ``written``."""
        for each in reversed(written):
            if each.whole:
                self._through(each.whole)
            direction = self._direction * each.times
            if each.branch:
                self._constant("norm biases", direction, each.branch.bias)
                direction = each.branch.back(direction)
            part = each.at.rpartition(".")[2]
            if part == "scale":
                continue
            if part in ("mlp", "adapter", "token_gate"):
                bias = self._network.tensors.get(f"{each.at}.down.bias")
                adds = (direction * each.output).sum(-1) - self._constant("MLP biases", direction, bias)
                self._mlps[i] = self._mlps.get(i, torch.zeros_like(adds)) + adds
            elif part == "attention" and i in self._network.spec.mixers:
                bias = self._network.tensors.get(f"layers.{i}.mixer.output.bias")
                self.found.mixers[i] = (direction * each.output).sum(-1) - self._constant(
                    "other biases", direction, bias
                )
            else:
                kind: Kind = "cross" if part == "cross" else self._network.kind
                self._read(kind, i, each, direction, contexts[kind][i][:, rows].double())

    def begin(self, parts: Mapping[str, Tensor], rows: Tensor) -> None:
        """From the states that enter the first layer back to the ``parts`` (T, C) of the embeddings."""
        network, embedding = self._network, self._network.spec.embedding
        projection, bias = embedding.projection, network.tensors.get("embed.project.bias")
        if projection and not projection.tokens:
            self._constant("other biases", self._direction, bias)
            self._direction = self._direction @ network.tensors["embed.project.weight"].double()
        exact = {name: part[rows].double() for name, part in parts.items()}
        normed = {"tokens": exact["tokens"]} if embedding.early else exact
        behind = {name: (self._direction * part).sum(-1) for name, part in exact.items() if name not in normed}
        if embedding.norm:
            self._through(network.frozen_norm("embed.norm", embedding.norm, torch.stack([*normed.values()]).sum(0)))
        self.found.embeddings = {name: (self._direction * part).sum(-1) for name, part in normed.items()} | behind
        self.found.heads = {kind: torch.stack([each[i] for i in sorted(each)]) for kind, each in self._heads.items()}
        self.found.mlps = torch.stack([self._mlps[i] for i in sorted(self._mlps)])

    def _read(self, kind: Kind, i: int, written: Written, direction: Tensor, context: Tensor) -> None:
        """Count the heads of an attention, by what they give (H, R, D)."""
        tensors, at = self._network.tensors, written.at
        self._constant("attention biases", direction, tensors.get(f"{at}.output.bias"))
        readers = direction @ tensors[f"{at}.output.weight"].double()  # (R, H·D)
        readers = readers.view(len(direction), len(context), -1).transpose(0, 1)  # → (H, R, D)
        self._heads.setdefault(kind, {})[i] = (readers * context).sum(-1)
        self.found.readers.setdefault(kind, {})[i] = readers if written.gate is None else readers * written.gate

    def _through(self, norm: FrozenNorm) -> None:
        """Back through the norm of a sum."""
        self._constant("norm biases", self._direction, norm.bias)
        self._direction = norm.back(self._direction)

    def _constant(self, name: str, direction: Tensor, bias: Tensor | None) -> Tensor:
        """Count a bias (C,), if there is one; return what it adds (R,)."""
        if bias is None:
            return direction.new_zeros(len(direction))
        adds = direction @ bias.double()
        self.found.biases[name] = self.found.biases.get(name, 0.0) + adds
        return adds

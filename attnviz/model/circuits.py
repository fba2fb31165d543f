"""The circuits of heads, as matrices between hidden states: what they read and write (Elhage et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from attnviz.attention.observers import HeadSums
from attnviz.checkpoint import Checkpoint
from attnviz.errors import ModelError
from attnviz.model.architecture.spec import (
    AttentionSpec,
    BranchNorm,
    LayerNorm,
    Norm,
    ParallelNorm,
    PostNorm,
    PreNorm,
    Rotary,
    SandwichNorm,
)
from attnviz.model.inputs import require_finite
from attnviz.model.native.forward import Network
from attnviz.model.native.opening import read_spec
from attnviz.model.native.run import Run
from attnviz.model.native.weights import take_head

POSITIONS, TOKENS = 64, 256
"""Of how many positions the attention to positions is computed, for a token that is the mean of so many."""
_ROWS = 1 << 14
"""The rows of the embeddings that are multiplied at once."""


@dataclass(frozen=True, eq=False)
class LayerCircuit:
    """The matrices of the H heads of a layer between states of C numbers and its own D.

    ``query``, ``key`` and ``value`` (H, D, C) read a state, the weights of the norm before them among them; ``output``
    (H, C, D) writes. Heads that share keys and values have the same ones. Keys and values are of the states that enter
    the layer ``source``: an earlier one where they are those of another layer.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    output: Tensor
    source: int


@dataclass(frozen=True, eq=False)
class Circuits:
    """The circuits of a model.

    Attributes:
        layers: those of each layer that attends.
        matched: Σ e_t e_tᵀ of all token embeddings e (C, C).
        copied: Σ e_t u_tᵀ of all tokens, u what the head of the model scores a token by, the weights of the last norm
            among them (C, C); None if it predicts no tokens.
        previous: the weight on the token before where all tokens are the mean of the vocabulary, straight from the
            embeddings (L, H).
        inexact: what keeps these matrices from being the whole of what a head does, a sentence part each.
        numbers: the numbers of these layers.
    """

    layers: tuple[LayerCircuit, ...]
    matched: Tensor
    copied: Tensor | None
    previous: Tensor
    inexact: tuple[str, ...]
    numbers: tuple[int, ...]


@torch.inference_mode()
def read_circuits(network: Network, checkpoint: Checkpoint) -> Circuits:
    """Read the circuits of a model from its tensors; of an encoder–decoder those of the encoder.

    Nothing of V × V is made: the V token embeddings are summed up in C × C.

    Raises:
        ModelError: a matrix has values that are not finite.
    """
    stack = network.encoder or network
    embedded = _embedded(stack)
    unembedded = None if network.encoder else _unembedded(network, checkpoint)
    layers = tuple(_layer(stack, i, spec) for i, spec in stack.spec.attentions.items())
    matched, copied = _summed(embedded, embedded), None if unembedded is None else _summed(embedded, unembedded)
    for each in (matched, copied, *(part for layer in layers for part in vars(layer).values())):
        if isinstance(each, Tensor):
            require_finite(each, stack.tensors)
    return Circuits(
        layers, matched, copied, _previous(stack, embedded), tuple(_inexact(stack)), tuple(stack.spec.attentions)
    )  # fmt: skip


def _embedded(network: Network) -> Tensor:
    """What each token is before the first layer, without positions (V, C)."""
    embedding = network.spec.embedding
    x = network.tensors["embed.tokens.weight"].to(network.dtype) * embedding.scale
    projection = embedding.projection
    if projection and projection.tokens:
        x = network._linear("embed.project", x)
    if embedding.norm:
        x = network._norm("embed.norm", embedding.norm, x)
    return network._linear("embed.project", x) if projection and not projection.tokens else x


def _unembedded(network: Network, checkpoint: Checkpoint) -> Tensor | None:
    """What each token is scored by, from the last hidden state before the last norm (V, C)."""
    spec = network.spec
    if spec.head is None:
        return None
    try:
        family, _ = read_spec(checkpoint)
        found = take_head(family, spec, checkpoint.tensors, network.dtype, str(network.device)).matrix
    except ModelError:
        return None  # a body was saved without its head
    if spec.final_size:
        found = found @ network.tensors["project.weight"]
    return _folded(network, "norm", spec.final_norm, found) if spec.final_norm else found


def _folded(network: Network, at: str, norm: Norm, matrix: Tensor) -> Tensor:
    """``matrix`` (…, C) behind the linear part of a norm: its weights, and the mean that a layer norm takes off."""
    weight = network.tensors.get(f"{at}.weight")
    found = _exactly(matrix if weight is None else _exactly(matrix) * (_exactly(weight) + norm.offset))
    return found - found.mean(-1, keepdim=True) if isinstance(norm, LayerNorm) else found


def _exactly(tensor: Tensor) -> Tensor:
    """The numbers in single precision at least, on the CPU."""
    return tensor.to("cpu", torch.promote_types(tensor.dtype, torch.float32))


def _layer(network: Network, i: int, spec: AttentionSpec) -> LayerCircuit:
    """The matrices of a layer."""
    at, layer, tensors, source = f"layers.{i}.attention", network.spec.layers[i], network.tensors, network.keys_of(i)
    query, key, value = _reading(network, i)[0], *_reading(network, source)[1:]
    output = _exactly(tensors[f"{at}.output.weight"]).T  # (H·D, C)
    match layer.norms:
        case BranchNorm(norm):
            output = _folded(network, f"{at}.norm", norm, output)
        case SandwichNorm(norm):
            output = _folded(network, f"{at}.norm_after", norm, output)
    counts = spec.heads, spec.kv_heads, spec.kv_heads
    reading = query, key, value
    query, key, value = (torch.unflatten(each, 0, (count, -1)) for each, count in zip(reading, counts, strict=True))
    shared = spec.heads // spec.kv_heads
    return LayerCircuit(
        query, key.repeat_interleave(shared, 0), value.repeat_interleave(shared, 0),
        torch.unflatten(output, 0, (spec.heads, -1)).mT * layer.residual, source,
    )  # fmt: skip


def _reading(network: Network, i: int) -> list[Tensor]:
    """What makes the queries and, where it makes them, the keys and values (H·D, C) of layer ``i``; norms before it are
    folded in.
    """
    at, layer = f"layers.{i}.attention", network.spec.layers[i]
    reading = _projections(network, at, network.spec.attentions[i])
    match layer.norms:
        case PreNorm(norm, attention) if attention:
            return [_folded(network, f"{at}.norm", norm, each) for each in reading]
        case SandwichNorm(norm) | ParallelNorm(norm):
            return [_folded(network, f"{at}.norm", norm, each) for each in reading]
    return reading


def _projections(network: Network, at: str, spec: AttentionSpec) -> list[Tensor]:
    """The same of the attention ``at``, without the norm before it."""
    query = _exactly(network.tensors[f"{at}.query.weight"])
    if spec.keys_of is not None:
        return [query]
    names = "key", "key" if spec.keys_as_values else "value"
    key, value = (_exactly(network.tensors[f"{at}.{name}.weight"]) for name in names)
    latent = spec.latent
    if not latent:
        return [query, key, value]
    if latent.queries:
        made = _exactly(network.tensors[f"{at}.query_latent.weight"])
        query = _folded(network, f"{at}.query_latent_norm", latent.norm, query) @ made
    made, shared = torch.split(_exactly(network.tensors[f"{at}.latent.weight"]), [latent.size, latent.shared])
    key, value = (_folded(network, f"{at}.latent_norm", latent.norm, each) @ made for each in (key, value))
    keys = torch.unflatten(key, 0, (spec.kv_heads, -1)), shared.expand(spec.kv_heads, -1, -1)
    return [query, torch.cat(keys, 1).flatten(0, 1), value]


def _summed(one: Tensor, other: Tensor) -> Tensor:
    """Σ over the rows of the outer products of ``one`` and ``other`` (V, C), (C, C), in double precision."""
    found = torch.zeros(one.shape[1], other.shape[1], dtype=torch.float64)
    for start in range(0, len(one), _ROWS):
        part = slice(start, start + _ROWS)
        found += (_exactly(one[part]).T @ _exactly(other[part])).double().cpu()
    return found


def _previous(network: Network, embedded: Tensor) -> Tensor:
    """The weight on the token before in each head, where only positions differ (L, H)."""
    spec = network.spec
    limit = spec.limit or POSITIONS
    count, step = min(POSITIONS, limit), max(1, len(embedded) // TOKENS)
    seen = HeadSums()
    run = Run(count, network.device, [seen])
    every = range(0, len(embedded), step)
    x = sum(
        (network._embed(torch.full((count,), token, device=network.device), (), run) for token in every),
        torch.zeros(count, spec.width, dtype=network.dtype, device=network.device),
    ) / len(every)  # fmt: skip
    table = network.relative_table()
    for i, attention in spec.attentions.items():
        entering = network._entering(f"layers.{i}.attention", spec.layers[i], x)
        network._attention(i, attention, run, table, entering, shown=True)
    return torch.from_numpy(seen.figures["previous"])


def _inexact(network: Network) -> Iterator[str]:
    """What these matrices leave out."""
    spec, attentions = network.spec, network.spec.attentions.values()
    kinds = {type(spec.layers[i].norms) for i in spec.attentions}
    if PostNorm in kinds or BranchNorm in kinds:
        yield "norms stand behind each sublayer, so that what a head writes is scaled anew, token by token"
    else:
        yield "norms are folded in as far as they are linear; that each token is divided by its own size is left out"
    positions = sorted({type(each.position).__name__ for each in attentions if each.position})
    if "Rotary" in positions:
        yield "rotary positions turn queries and keys: the QK circuits are those of distance 0"
    if any(isinstance(each.position, Rotary) and each.position.values for each in attentions):
        yield "values are turned by their position too: the OV circuits are those of position 0"
    if set(positions) - {"Rotary"}:
        yield "scores also depend on the distance, which is no part of the QK circuits"
    if any(each.kv_heads < each.heads for each in attentions):
        yield "heads of a group share keys and values, and so parts of their circuits"
    if any(each.qk_norm for each in attentions):
        yield "the norms of queries and keys are left out"
    if any(each.value_norm for each in attentions):
        yield "the norms of values are left out"
    if network.lenders:
        yield "of layers that use keys and values of an earlier layer, these read what enters that one"
    if any(layer.token_gate for layer in spec.layers):
        yield "what each layer adds of the token itself is left out"
    if any(each.latent for each in attentions):
        yield "what queries, keys and values are made from is normed, token by token, which is left out"
    if any(each.gated for each in attentions):
        yield "what a head gives is multiplied by a gate, number by number and token by token, which is left out"
    between = " and layers that do not attend" if spec.mixers else ""
    yield f"MLPs, biases and heads of layers{between} between two heads are left out"

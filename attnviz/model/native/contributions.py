"""What tokens give each other in a layer: the norms of parts, changes without a value, what adds to a prediction."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from attnviz.attention.values import Change, Values
from attnviz.errors import InputError, UsageError
from attnviz.model.native.attribution import attribute, joined
from attnviz.model.native.forward import Network
from attnviz.model.native.language_head import LanguageHead
from attnviz.model.native.run import Run
from attnviz.model.native.variants import Entering

MOST = 1e12
"""How many multiplications value zeroing may take: a minute or two."""
_TOGETHER = 1 << 22
"""About how many numbers of states are made at once."""


@torch.inference_mode()
def norms_with_residual(
    network: Network, weights: Sequence[Tensor], values: Sequence[Values], states: Sequence[Tensor]
) -> Tensor:
    """‖part of token j in token i‖₂ after the attention, its residual connection and its layer norm, (L, N, N).

    Where the norm comes after the sum, x' = LN(x + Σ A f(x)), the part is that of the normed sum; where it comes before
    the attention, x' = x + Σ A f(LN(x)), there is none after it. Biases belong to no token (Kobayashi et al. 2021).

    Args:
        network: the network.
        weights: those of each layer (H, N, N).
        values: those of each layer.
        states: the states (N, C) that enter each layer.
    """
    return torch.stack([
        _with_residual(network, i, a, v, states[i].double())
        for i, a, v in zip(network.spec.attentions, weights, values, strict=True)
    ])  # fmt: skip


def _with_residual(network: Network, i: int, weights: Tensor, values: Values, x: Tensor) -> Tensor:
    a = weights.double()
    written = joined(network, f"layers.{i}.attention", network.spec.layers[i], x, values.mixed(a))
    factor, own = torch.full((len(x), 1), written.times, dtype=x.dtype, device=x.device), x
    change: Change = _same
    if written.whole:
        change, factor = written.whole.map, written.whole.factor
        own = factor * change(x)
    elif written.branch:
        change, factor = written.branch.map, written.branch.factor * written.times
    found = factor * values.summed_norms(a, change)
    itself = torch.stack([each.diagonal() for each in a])  # (H, N)
    part = sum(itself[head, :, None] * values.made(head).double() for head in range(len(a)))
    found.fill_diagonal_(0).diagonal().copy_((factor * change(torch.as_tensor(part)) + own).norm(dim=-1))
    return found


def _same(x: Tensor) -> Tensor:
    return x


@torch.inference_mode()
def changes_without(
    network: Network, ids: Sequence[int], weights: Sequence[Tensor], values: Sequence[Values], states: Sequence[Tensor]
) -> Tensor:
    """1 − cos of what leaves a layer at token i with the value of token j, and with zeros in its place, (L, N, N).

    That is value zeroing (Mohebbi et al. 2023): each layer is run from what entered it, once for each token. ``ids``
    are the token ids, the other arguments as for ``norms_with_residual``.

    Raises:
        InputError: that takes too long for so many tokens.
        UsageError: what becomes of a token depends on how many others there are.
    """
    _require_few(network, len(states[0]))
    if network.spec.crowds(len(states[0])):
        raise UsageError(
            "experts of this model read a limited number of tokens: a layer can't be run for one token alone",
            hint="Give a shorter text.",
        )
    tokens = torch.tensor(ids, device=network.device)
    return torch.stack([
        _without(network, i, tokens, a, v, states[i])
        for i, a, v in zip(network.spec.attentions, weights, values, strict=True)
    ])  # fmt: skip


@torch.inference_mode()
def added_to_predictions(
    network: Network,
    head: LanguageHead,
    ids: Sequence[int],
    type_ids: Sequence[int],
    weights: Sequence[Tensor],
    values: Sequence[Values],
    states: Sequence[Tensor],
    *,
    answer: Tensor | None = None,
    takes: bool = False,
) -> Tensor:
    """What comes from token j through each head and adds to the logit of what token i predicts, (L, H, N, N).

    That is A[i, j] · ⟨f(x_j), d⟩ where it is above 0 or, for what ``takes`` from it, its size where it is below. d is
    the direction of that logit behind all that comes after the head, with the size that each norm found frozen (direct
    logit attribution, ``attribution``).

    Args:
        network: the network.
        head: its head.
        ids: the token ids.
        type_ids: their types.
        weights: those of each layer (H, N, N).
        values: those of each layer.
        states: the states (N, C) that enter each layer.
        answer: the row of the head (C,) whose product with the state is the logit, in every row; None: of what each row
            predicts.
        takes: what takes from the logit.
    """
    layers = [*zip(network.spec.attentions, values, weights, strict=True)]
    contexts = {i: each.contexts(a) for i, each, a in layers}
    count = len(network.spec.layers)
    if len(states) < count:  # those of layers after the last that attends were not made
        seen = Entering({*range(count)})
        network(ids, type_ids, [seen])
        states = [*seen.found.values()]
    if answer is None:
        last = network(ids, type_ids)
        step = max(1, _TOGETHER // len(head.matrix))
        predicted = torch.cat([head(last[at : at + step]).argmax(-1) for at in range(0, len(last), step)])
        direction = head.matrix[predicted].double() * head.scale
    else:
        direction = (answer.double() * head.scale).expand(len(ids), -1)
    rows = torch.arange(len(ids), device=network.device)
    parts = attribute(network, ids, type_ids, states, {network.kind: contexts}, direction, rows)
    return torch.stack([
        (parts.sources(network.kind, i, a, each) * (-1 if takes else 1)).clamp(min=0).to(a.dtype)
        for i, each, a in layers
    ])  # fmt: skip


def _require_few(network: Network, n: int) -> None:
    size = sum(tensor.numel() for name, tensor in network.tensors.items() if name.startswith("layers."))
    if size * n * n > MOST:
        raise InputError(
            f"zeroing runs each layer once for each token: {n:,} tokens of this model are too many, up to "
            f"{math.isqrt(int(MOST / size)):,} take a minute or two",
            hint="Give a shorter text; norm+residual takes less time, and says something similar.",
        )


def _without(network: Network, i: int, tokens: Tensor, weights: Tensor, values: Values, x: Tensor) -> Tensor:
    n, run = len(x), Run(len(x), network.device, tokens=tokens)
    added = values.mixed(weights).to(x.dtype)
    whole = network.layer(i, x, added, run)
    found = torch.zeros((n, n), dtype=torch.float64, device=x.device)
    f = torch.stack([values.made(head) for head in range(len(weights))])  # (H, N, C)
    for queries, keys in _pairs(weights, x.shape[1], beside=network.spec.layers[i].convolution is not None):
        lost = torch.einsum("hp,hpc->pc", weights[:, queries, keys].to(f.dtype), f[:, keys])
        run.tokens = tokens[queries]
        left = network.layer(i, x[queries], added[queries] - lost.to(x.dtype), run)
        cosine = torch.cosine_similarity(left.double(), whole[queries].double(), dim=-1)
        found[queries, keys] = (1 - cosine).clamp(min=0)
    return found


def _pairs(weights: Tensor, width: int, *, beside: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield queries and keys of which one has something of the other, some at once.

    Where a convolution mixes tokens that stand side by side (``beside``), all queries of a key come together.
    """
    n = weights.shape[1]
    if beside:
        for key in range(n):
            yield torch.arange(n, device=weights.device), torch.full((n,), key, device=weights.device)
        return
    keys, queries = torch.nonzero(weights.any(0).T, as_tuple=True)
    step = max(1, _TOGETHER // (len(weights) * width))
    yield from zip(torch.split(queries, step), torch.split(keys, step), strict=True)

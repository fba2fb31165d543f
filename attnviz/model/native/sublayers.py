"""The parts of a block, computed from its tensors: projections, biases of the scores, MLPs and norms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from attnviz.attention.block_sizes import TOGETHER
from attnviz.model.architecture import position
from attnviz.model.architecture.activations import ACTIVATIONS, xielu
from attnviz.model.architecture.spec import (
    MLP,
    XIELU,
    Adapter,
    ALiBi,
    AttentionSpec,
    Convolution,
    Disentangled,
    Experts,
    GatedMLP,
    LayerNorm,
    NearBest,
    Norm,
    RelativeBuckets,
    Rotary,
    Sigmoid,
)
from attnviz.model.native.run import Biases, Run
from attnviz.model.native.run import KVCache as KVCache

MANY = 256
"""The number of tokens from which a bias is added to the product on the CPU; torch would first fill the result
with it."""


@dataclass(frozen=True, eq=False)
class FrozenNorm:
    """The norm of states (T, C) with the size of each frozen, which is linear: norm(x) = factor · map(x) + bias.

    So the norm of a sum is the sum of its mapped parts times the factor of the whole sum (Kobayashi et al. 2021).

    Attributes:
        gain: the weights (C,).
        factor: one over the size of each state (T, 1).
        centred: whether the mean is taken off.
        bias: the bias (C,), if there is one.
    """

    gain: Tensor | float
    factor: Tensor
    centred: bool
    bias: Tensor | None

    def map(self, part: Tensor) -> Tensor:
        """A part (…, C) of a sum as it comes out, without the factor of the sum."""
        return (part - part.mean(-1, keepdim=True) if self.centred else part) * self.gain

    def back(self, direction: Tensor) -> Tensor:
        """The direction (T, C) before the norm that adds as much as ``direction`` adds behind it: the transpose."""
        found = direction * self.gain
        return (found - found.mean(-1, keepdim=True) if self.centred else found) * self.factor


class Sublayers:
    """Computes the parts of blocks from ``tensors``; each part is named ``at`` as in ``tensor_shapes``."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors

    def _vectors(
        self, at: str, spec: AttentionSpec, x: Tensor, *, valued: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the queries, keys and values of all heads, (heads, T, D) each, before positions turn them; values only
        if ``valued``.
        """
        asked, looked, latent = x, x, spec.latent
        if latent and latent.queries:
            asked = self._norm(f"{at}.query_latent_norm", latent.norm, self._linear(f"{at}.query_latent", x))
        if latent:
            looked, shared = torch.split(self._linear(f"{at}.latent", x), [latent.size, latent.shared], -1)
            looked = self._norm(f"{at}.latent_norm", latent.norm, looked)
        q, k = (
            self._heads(f"{at}.query", spec, spec.heads, asked),
            self._heads(f"{at}.key", spec, spec.kv_heads, looked),
        )
        if latent:
            k = torch.cat((k, shared.expand(spec.kv_heads, -1, -1)), -1)
        return q, k, self._heads(f"{at}.value", spec, spec.kv_heads, looked) if valued else None

    def _heads(self, at: str, spec: AttentionSpec, heads: int, x: Tensor) -> Tensor:
        """Return the queries, keys or values of all heads, (heads, T, D)."""
        x, norm = self._linear(at, x), None if at.endswith("value") else spec.qk_norm
        norm = None if norm and norm.rotated else norm
        if norm and norm.over == "width":
            x, norm = self._norm(f"{at}_norm", norm.norm, x), None
        if spec.clip is not None:
            x = x.clamp(-spec.clip, spec.clip)
        if norm is None:
            return torch.unflatten(x, -1, (heads, -1)).transpose(0, 1)  # (T, heads·D) → (heads, T, D)
        return self._norm(f"{at}_norm", norm.norm, torch.unflatten(x, -1, (heads, -1))).transpose(0, 1)

    def _turned(
        self, at: str, spec: AttentionSpec, run: Run, q: Tensor, k: Tensor, v: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return queries, keys and values (heads, T, D) with what their positions do to them."""
        if isinstance(spec.position, Rotary):
            both = (q, k, v) if spec.position.values and v is not None else (q, k)
            factors = run.turns(spec.position, q.dtype, self.tensors.get("rotary.weight"))
            turned = position.apply_rotary(torch.cat(both), spec.position, *factors)
            q, k, *values = torch.split(turned, [len(each) for each in both])
            v = values[0] if values else v
        if spec.qk_norm and spec.qk_norm.rotated:
            q, k = (self._norm(f"{at}.{name}_norm", spec.qk_norm.norm, x) for name, x in (("query", q), ("key", k)))
        if spec.temperature:
            q = (q * position.temperatures(spec.temperature, run.places, q.dtype)).to(q.dtype)
        return q, k, v

    def _biases(self, at: str, spec: AttentionSpec, table: Tensor) -> Biases | None:
        """Return the function that computes the position biases of scores from queries and keys; None if there are
        none.

        ``table`` is the table of relative positions that all layers share.
        """
        chunk = spec.chunk
        if chunk:
            return lambda _q, k: position.chunk_mask(chunk) if k.shape[-2] > chunk else None
        match spec.position:
            case ALiBi() as slopes:
                alibi = position.alibi_bias(spec.heads, slopes)
                return lambda _q, _k: alibi
            case RelativeBuckets() as buckets:
                own = table if buckets.shared else self.tensors[f"{at}.relative.weight"]
                relative = position.relative_bias(own, buckets)
                return lambda _q, _k: relative
            case Disentangled() as apart:
                names = ("query", "key") if apart.shared else ("position_query", "position_key")
                queries, keys = (
                    self._heads(f"{at}.{name}", spec, spec.heads, table) if wanted else None
                    for name, wanted in zip(names, (apart.position_to_content, apart.content_to_position), strict=True)
                )
                return lambda q, k: position.disentangled_bias(q, k, queries, keys, apart, spec.scale)
        return None

    def _sinks(self, at: str, spec: AttentionSpec) -> Tensor | None:
        return self.tensors[f"{at}.sinks"] if spec.sinks else None

    def _mlp(self, at: str, spec: MLP | GatedMLP | Experts, x: Tensor, run: Run | None = None) -> Tensor:
        """What an MLP makes of the states ``x`` (T, C); they are those of a ``run`` where experts may be crowded."""
        if not isinstance(spec, Experts):
            return _in_parts(partial(self._expert, at, spec), x)
        shares, chosen = self._routed(at, spec, x)
        if spec.capacity and run and len(run.positions) > spec.capacity:
            count = partial(torch.cumsum, dim=-1)
            places = run.neighbours(count, functional.one_hot(chosen, spec.count).sum(-2)).gather(-1, chosen)
            shares = shares * (places <= spec.capacity)
        return _in_parts(partial(self._experts, at, spec), x, shares, chosen)

    def _expert(self, at: str, spec: MLP | GatedMLP, x: Tensor, number: int | None = None) -> Tensor:
        """The MLP of the tensors ``at``; if these are those of several, of the one of that ``number``."""
        up = self._linear(f"{at}.up", x, number)
        if not isinstance(spec, GatedMLP):
            return self._linear(f"{at}.down", self._activate(f"{at}.activation", spec.activation, up), number)
        gate = self._linear(f"{at}.gate", x, number)
        if spec.limit is not None:
            gate, up = gate.clamp(max=spec.limit), up.clamp(-spec.limit, spec.limit)
        gate = self._activate(f"{at}.activation", spec.activation, gate)
        return self._linear(f"{at}.down", _times(gate, up + spec.offset if spec.offset else up), number)

    def _activate(self, at: str, activation: str | XIELU, x: Tensor) -> Tensor:
        if isinstance(activation, str):
            return ACTIVATIONS[activation](x)
        names = {"beta": activation.beta, "eps": activation.eps}
        fixed = (self.tensors.get(f"{at}.{name}", x.new_tensor(value)) for name, value in names.items())
        return xielu(x, self.tensors[f"{at}.positive"], self.tensors[f"{at}.negative"], *fixed)

    def _experts(self, at: str, spec: Experts, x: Tensor, shares: Tensor, chosen: Tensor) -> Tensor:
        """What the ``chosen`` experts make of the states ``x``, by the ``shares`` of each (T, chosen)."""
        found = torch.zeros_like(x)
        for number in sorted({*chosen.flatten().tolist()}):
            tokens, places = torch.where(chosen == number)
            share = shares[tokens, places, None]
            reads = x[tokens] * share if spec.entering else x[tokens]
            written = self._expert(f"{at}.experts", spec.expert, reads, number)
            found = found.index_add(0, tokens, written if spec.entering else written * share)
        if spec.shared is None:
            return found
        shared = self._expert(f"{at}.shared", spec.shared, x)
        return found + (torch.sigmoid(self._linear(f"{at}.shared_gate", x)) * shared if spec.gated else shared)

    def _routed(self, at: str, spec: Experts, x: Tensor) -> tuple[Tensor, Tensor]:
        """The shares of the chosen experts of each token, and their numbers, (T, chosen) each."""
        scores = self._linear(f"{at}.router", x)
        scores = scores.to(torch.promote_types(x.dtype, torch.float32))
        match spec.shares:
            case "all":
                scores = scores.softmax(-1)
            case Sigmoid():
                scores = scores.sigmoid()
        chosen = self._chosen(at, spec, scores)
        best = scores.gather(-1, chosen)
        match spec.shares:
            case "all":
                shares = best
            case "chosen":
                shares = best.softmax(-1)
            case Sigmoid(normed):
                shares = best / (best.sum(-1, keepdim=True) + 1e-20) if normed else best
            case NearBest(tolerance):
                each = []
                left = scores
                for i in range(spec.chosen):
                    far = (best[:, i, None] - scores) / scores.abs().maximum(best[:, i, None]) > tolerance
                    each.append(left.masked_fill(far, -torch.inf).softmax(-1).gather(-1, chosen[:, i, None]))
                    left = left.scatter(-1, chosen[:, i, None], -torch.inf)
                shares = torch.cat(each, -1)
        return (shares if spec.factor == 1 else shares * spec.factor).to(x.dtype), chosen

    def _chosen(self, at: str, spec: Experts, scores: Tensor) -> Tensor:
        """The numbers of the experts that the ``scores`` (T, count) choose, the best first, (T, chosen)."""
        if spec.corrected:
            scores = scores + self.tensors[f"{at}.correction"]
        if spec.groups:
            each = torch.unflatten(scores, -1, (spec.groups.count, -1))  # (T, groups, experts of each)
            best = each.topk(spec.groups.best, dim=-1).values.sum(-1).topk(spec.groups.chosen, dim=-1).indices
            left = torch.ones_like(each[..., 0], dtype=torch.bool).scatter(-1, best, value=False)
            scores = each.masked_fill(left[..., None], -torch.inf).flatten(-2)
        return scores.topk(spec.chosen, dim=-1).indices

    def _adapt(self, at: str, adapter: Adapter, norm: Norm, x: Tensor) -> Tensor:
        """What leaves the adapter of the layer ``at``, of the states ``x``; ``norm`` are its norms."""
        read = self._adapter_reads(at, adapter, norm, x)
        return self._mlp(f"{at}.adapter", adapter.mlp, read).add_(read if adapter.normed else x)

    def _adapter_reads(self, at: str, adapter: Adapter, norm: Norm, x: Tensor) -> Tensor:
        return self._norm(f"{at}.{'adapter' if adapter.norm == 'own' else 'mlp'}.norm", norm, x) if adapter.norm else x

    def _convolve(self, at: str, spec: Convolution, entered: Tensor, x: Tensor, run: Run) -> Tensor:
        weight, bias = self.tensors[f"{at}.weight"], self.tensors[f"{at}.bias"]
        mix = partial(functional.conv1d, weight=weight, bias=bias, padding=spec.size // 2, groups=spec.groups)
        return self._norm(f"{at}.norm", spec.norm, x + ACTIVATIONS[spec.activation](run.neighbours(mix, entered)))

    def _linear(self, at: str, x: Tensor, number: int | None = None) -> Tensor:
        weight, bias = self.tensors[f"{at}.weight"], self.tensors.get(f"{at}.bias")
        if number is not None:
            weight, bias = weight[number], None if bias is None else bias[number]
        if bias is None or len(x) < MANY or x.device.type != "cpu":
            return functional.linear(x, weight, bias)
        return functional.linear(x, weight).add_(bias)

    def frozen_norm(self, at: str, norm: Norm, x: Tensor) -> FrozenNorm:
        """Return the norm as it is of the states ``x`` (T, C), each of which keeps the factor that it has."""
        weight = self.tensors.get(f"{at}.weight")
        centred = isinstance(norm, LayerNorm)
        size = x.var(-1, correction=0, keepdim=True) if centred else x.square().mean(-1, keepdim=True)
        gain = 1.0 if weight is None else weight + norm.offset
        return FrozenNorm(gain, (size + norm.eps).rsqrt(), centred, self.tensors.get(f"{at}.bias"))

    def _norm(self, at: str, norm: Norm, x: Tensor) -> Tensor:
        weight = self.tensors.get(f"{at}.weight")
        if weight is not None and norm.offset:
            weight = weight + norm.offset
        if isinstance(norm, LayerNorm) and (weight is None or weight.dim() == 1):
            return functional.layer_norm(x, x.shape[-1:], weight, self.tensors.get(f"{at}.bias"), norm.eps)
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        # A layer norm of which each head has its own weights, (heads, D), or an RMS norm.
        normed = functional.layer_norm if isinstance(norm, LayerNorm) else functional.rms_norm
        exact = normed(exact, exact.shape[-1:], eps=norm.eps).to(x.dtype)
        return exact if weight is None else exact * weight


def _in_parts(compute: Callable[..., Tensor], *given: Tensor) -> Tensor:
    """What ``compute`` makes of the rows of what is ``given``, of not too many at once."""
    parts = zip(*(torch.split(each, TOGETHER) for each in given), strict=True)
    found = [compute(*part) for part in parts]
    return found[0] if len(found) == 1 else torch.cat(found)


def _times(one: Tensor, other: Tensor) -> Tensor:
    """Their product, in the place of ``one`` unless autograd needs that."""
    return one * other if one.requires_grad else one.mul_(other)

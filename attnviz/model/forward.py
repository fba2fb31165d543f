"""The forward pass over a spec: all mathematics of all families, without a family's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from attnviz.errors import UnsupportedModel
from attnviz.model import position
from attnviz.model.kernel import Bias, Observer, attend
from attnviz.model.spec import (
    MLP,
    ALiBi,
    Attention,
    GatedMLP,
    Layer,
    LayerNorm,
    Norm,
    ParallelNorm,
    PostNorm,
    PreNorm,
    RelativeBuckets,
    Rotary,
    SandwichNorm,
    Spec,
)

_tanh_gelu = partial(functional.gelu, approximate="tanh")
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_new": _tanh_gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "relu": functional.relu,
    "silu": functional.silu,
    "swish": functional.silu,
}


class Network:
    """A model ready to run: a spec and the tensors that it needs, under the names of ``weights.shapes``."""

    def __init__(self, spec: Spec, tensors: Mapping[str, Tensor]) -> None:
        if any(layer.cross for layer in spec.layers):
            raise UnsupportedModel("its layers attend to an encoder, which our forward pass does not run")
        self.spec = spec
        self.tensors = tensors

    @torch.inference_mode()
    def __call__(self, ids: Sequence[int], type_ids: Sequence[int], observers: Sequence[Observer] = ()) -> Tensor:
        """Run T tokens and return the last hidden states (T, C); the observers see all weights on the way."""
        x = self._embed(torch.tensor(ids), torch.tensor(type_ids))  # (T, C)
        for i, layer in enumerate(self.spec.layers):
            for observer in observers:
                observer.hidden(i, x)
            x = self._layer(i, layer, x, observers)
        if self.spec.final_norm:
            x = self._norm("norm", self.spec.final_norm, x)
        for observer in observers:
            observer.hidden(len(self.spec.layers), x)
        return x

    def _embed(self, ids: Tensor, type_ids: Tensor) -> Tensor:
        embedding, tensors = self.spec.embedding, self.tensors
        x = tensors["embed.tokens.weight"][ids] * embedding.scale
        # The order of these sums is that of the published models: float addition is not associative.
        if embedding.types:
            x = x + tensors["embed.types.weight"][type_ids]
        if embedding.positions:
            offset = embedding.positions.offset
            x = x + tensors["embed.positions.weight"][offset : offset + len(ids)]
        return self._norm("embed.norm", embedding.norm, x) if embedding.norm else x

    def _layer(self, i: int, layer: Layer, x: Tensor, observers: Sequence[Observer]) -> Tensor:
        at = f"layers.{i}"
        attention = partial(self._attention, i, layer.attention, observers)
        mlp = partial(self._mlp, f"{at}.mlp", layer.mlp)
        if isinstance(layer.norms, ParallelNorm):
            normed = self._norm(f"{at}.attention.norm", layer.norms.norm, x)
            other = normed if layer.norms.shared else self._norm(f"{at}.mlp.norm", layer.norms.norm, x)
            return x + attention(normed) + mlp(other)
        x = self._residual(f"{at}.attention", layer.norms, attention, x)
        return self._residual(f"{at}.mlp", layer.norms, mlp, x)

    def _residual(
        self, at: str, norms: PostNorm | PreNorm | SandwichNorm, sublayer: Callable[[Tensor], Tensor], x: Tensor
    ) -> Tensor:
        norm = partial(self._norm, f"{at}.norm", norms.norm)
        match norms:
            case PostNorm():
                return norm(x + sublayer(x))
            case PreNorm():
                return x + sublayer(norm(x))
            case SandwichNorm():
                return x + self._norm(f"{at}.norm_after", norms.norm, sublayer(norm(x)))

    def _attention(self, i: int, spec: Attention, observers: Sequence[Observer], x: Tensor) -> Tensor:
        at = f"layers.{i}.attention"
        # (T, heads·D) → (heads, T, D)
        q = self._linear(f"{at}.query", x).view(-1, spec.heads, spec.head_size).transpose(0, 1)
        k = self._linear(f"{at}.key", x).view(-1, spec.kv_heads, spec.head_size).transpose(0, 1)
        v = self._linear(f"{at}.value", x).view(-1, spec.kv_heads, spec.head_size).transpose(0, 1)
        bias: Bias | None = None
        match spec.position:
            case Rotary() as rotary:
                q, k = position.rotate(q, rotary), position.rotate(k, rotary)
            case ALiBi():
                bias = position.alibi(spec.heads)
            case RelativeBuckets() as buckets:
                bias = position.relative(self.tensors["relative.weight"], buckets)
        context = attend(
            q,
            k,
            v,
            scale=spec.scale,
            reach=spec.reach,
            bias=bias,
            softcap=spec.softcap,
            layer=i,
            observers=observers,
        )
        return self._linear(f"{at}.output", context.transpose(0, 1).flatten(1))  # (H, T, D) → (T, H·D)

    def _mlp(self, at: str, spec: MLP | GatedMLP, x: Tensor) -> Tensor:
        activation = ACTIVATIONS[spec.activation]
        if isinstance(spec, GatedMLP):
            inner = activation(self._linear(f"{at}.gate", x)) * self._linear(f"{at}.up", x)
        else:
            inner = activation(self._linear(f"{at}.up", x))
        return self._linear(f"{at}.down", inner)

    def _linear(self, at: str, x: Tensor) -> Tensor:
        return functional.linear(x, self.tensors[f"{at}.weight"], self.tensors.get(f"{at}.bias"))

    def _norm(self, at: str, norm: Norm, x: Tensor) -> Tensor:
        weight = self.tensors[f"{at}.weight"]
        if isinstance(norm, LayerNorm):
            return functional.layer_norm(x, x.shape[-1:], weight, self.tensors.get(f"{at}.bias"), norm.eps)
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        exact = exact * torch.rsqrt(exact.square().mean(-1, keepdim=True) + norm.eps)
        return exact.to(x.dtype) * (norm.offset + weight)

"""The parts of a block, computed from its tensors: projections, biases of the scores, and what follows an MLP."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from attnviz.model.architecture import position
from attnviz.model.architecture.activations import ACTIVATIONS
from attnviz.model.architecture.spec import (
    Adapter,
    ALiBi,
    AttentionSpec,
    Convolution,
    Disentangled,
    Norm,
    RelativeBuckets,
    Rotary,
)
from attnviz.model.native.mlps import MLPs
from attnviz.model.native.run import Biases, Run


class Sublayers(MLPs):
    """Computes the parts of blocks; each is named ``at`` as in ``tensor_shapes``."""

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

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
    QKNorm,
    RelativeBuckets,
    Rotary,
    TokenGate,
)
from attnviz.model.native.mixers import Mixers
from attnviz.model.native.mlps import MLPs
from attnviz.model.native.run import Biases, Run


class Sublayers(MLPs, Mixers):
    """Computes the parts of blocks; each is named ``at`` as in ``tensor_shapes``."""

    def _vectors(
        self, at: str, spec: AttentionSpec, x: Tensor, *, valued: bool
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return the queries, keys and values of all heads, (heads, T, D) each, before positions turn them; values only
        if ``valued``, neither keys nor values of a layer that uses those of another.
        """
        asked, looked, latent = x, x, spec.latent
        if latent and latent.queries:
            asked = self._norm(f"{at}.query_latent_norm", latent.norm, self._linear(f"{at}.query_latent", x))
        if latent:
            looked, shared = torch.split(self._linear(f"{at}.latent", x), [latent.size, latent.shared], -1)
            looked = self._norm(f"{at}.latent_norm", latent.norm, looked)
        q = self._heads(f"{at}.query", spec, spec.heads, asked)
        if spec.keys_of is not None:
            return q, None, None
        made = self._linear(f"{at}.key", looked)
        k = self._split(f"{at}.key", spec, spec.kv_heads, made)
        if latent:
            k = torch.cat((k, shared.expand(spec.kv_heads, -1, -1)), -1)
        if isinstance(spec.position, RelativeBuckets) and spec.position.made:
            # Each query carries its biases behind its numbers, where keys are 0.
            biases = torch.unflatten(self._linear(f"{at}.relative", x), -1, (spec.position.buckets, spec.heads))
            q = torch.cat((q, biases.permute(2, 0, 1)), -1)  # (T, buckets, H) → (H, T, buckets)
            k = functional.pad(k, (0, spec.position.buckets))
        if not valued:
            return q, k, None
        made = made if spec.keys_as_values else self._linear(f"{at}.value", looked)
        return q, k, self._split(f"{at}.value", spec, spec.kv_heads, made)

    def _heads(self, at: str, spec: AttentionSpec, heads: int, x: Tensor) -> Tensor:
        """Return the queries, keys or values of all heads, (heads, T, D)."""
        return self._split(at, spec, heads, self._linear(at, x))

    def _split(self, at: str, spec: AttentionSpec, heads: int, x: Tensor) -> Tensor:
        """The same, of what the projection has made of the states, (T, heads·D)."""
        norm = None if spec.qk_norm and spec.qk_norm.rotated else spec.qk_norm
        if at.endswith("value"):
            norm = QKNorm(spec.value_norm) if spec.value_norm else None
        if norm and norm.over == "width":
            x, norm = self._norm(f"{at}_norm", norm.norm, x), None
        if spec.clip is not None:
            x = x.clamp(-spec.clip, spec.clip)
        if norm is None:
            return torch.unflatten(x, -1, (heads, -1)).transpose(0, 1)  # (T, heads·D) → (heads, T, D)
        return self._norm(f"{at}_norm", norm.norm, torch.unflatten(x, -1, (heads, -1))).transpose(0, 1)

    def _turned(
        self, at: str, spec: AttentionSpec, run: Run, q: Tensor, k: Tensor | None, v: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return queries, keys and values (heads, T, D), as far as there are any, with what their positions do to
        them.
        """
        if isinstance(spec.position, Rotary):
            given = [x for x in (q, k, v if spec.position.values else None) if x is not None]
            factors = run.turns(spec.position, q.dtype, self.tensors.get("rotary.weight"))
            turned = position.apply_rotary(torch.cat(given), spec.position, *factors)
            q, *others = torch.split(turned, [len(each) for each in given])
            k, v = others[0] if others else k, others[1] if len(others) > 1 else v
        if spec.qk_norm and spec.qk_norm.rotated:
            q = self._norm(f"{at}.query_norm", spec.qk_norm.norm, q)
            k = None if k is None else self._norm(f"{at}.key_norm", spec.qk_norm.norm, k)
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
            case RelativeBuckets(made=True) as buckets:
                size = spec.head_size  # the queries are the last of the text that the keys are of
                return lambda q, k: position.made_bias(q[..., size:], buckets, k.shape[-2] - q.shape[-2])
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

    def _gates(self, at: str, spec: AttentionSpec, x: Tensor) -> Tensor | None:
        """By what the output of each head is multiplied, (H, T, D), of the states ``x``; None where nothing is."""
        if not spec.gated:
            return None
        return torch.unflatten(self._linear(f"{at}.gate", x), -1, (spec.heads, -1)).transpose(0, 1).sigmoid()

    def _sinks(self, at: str, spec: AttentionSpec) -> Tensor | None:
        return self.tensors[f"{at}.sinks"] if spec.sinks else None

    def _adapt(self, at: str, adapter: Adapter, norm: Norm, x: Tensor) -> Tensor:
        """What leaves the adapter of the layer ``at``, of the states ``x``; ``norm`` are its norms."""
        read = self._adapter_reads(at, adapter, norm, x)
        return self._mlp(f"{at}.adapter", adapter.mlp, read).add_(read if adapter.normed else x)

    def _adapter_reads(self, at: str, adapter: Adapter, norm: Norm, x: Tensor) -> Tensor:
        return self._norm(f"{at}.{'adapter' if adapter.norm == 'own' else 'mlp'}.norm", norm, x) if adapter.norm else x

    def _gate(self, at: str, spec: TokenGate, numbers: Tensor, x: Tensor) -> Tensor:
        """What the token gate of the layer ``at`` makes of the states ``x`` (T, C), before its norm.

        ``numbers`` (T, size) are what the layer has for their tokens.
        """
        opened = ACTIVATIONS[spec.activation](self._linear(f"{at}.token_gate.gate", x))
        return self._linear(f"{at}.token_gate.out", opened * numbers)

    def _convolve(self, at: str, spec: Convolution, entered: Tensor, x: Tensor, run: Run) -> Tensor:
        weight, bias = self.tensors[f"{at}.weight"], self.tensors[f"{at}.bias"]
        mix = partial(functional.conv1d, weight=weight, bias=bias, padding=spec.size // 2, groups=spec.groups)
        return self._norm(f"{at}.norm", spec.norm, x + ACTIVATIONS[spec.activation](run.neighbours(mix, entered)))

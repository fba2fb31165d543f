"""The forward pass over a spec: all mathematics of all families, without a family's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from attnviz.model import position
from attnviz.model.activations import ACTIVATIONS
from attnviz.model.kernel import Bias, Kind, Observer, attend
from attnviz.model.sizes import TOGETHER
from attnviz.model.spec import (
    MLP,
    ALiBi,
    Attention,
    BranchNorm,
    Convolution,
    Disentangled,
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
    Sinusoidal,
    Spec,
)


class Past:
    """What a decoder has read: the keys and values of its layers, so that the next tokens are run alone."""

    def __init__(self) -> None:
        self.length = 0
        self._read: dict[str, tuple[Tensor, Tensor]] = {}

    def extend(self, at: str, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """The keys and values (G, M, D) of the attention ``at`` so far, with those of the new tokens behind them."""
        if at in self._read:
            k, v = (torch.cat((old, new), dim=1) for old, new in zip(self._read[at], (k, v), strict=True))
        self._read[at] = k, v
        return k, v

    def keep(self, at: str, make: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """The keys and values of the attention ``at`` to an encoder, made once: they stay the same."""
        if at not in self._read:
            self._read[at] = make()
        return self._read[at]


@dataclass
class _Run:
    """One run of one stack of layers: who looks on, what has been read, and what all layers share."""

    observers: Sequence[Observer]
    past: Past | None
    memory: Tensor | None
    positions: Tensor
    table: Tensor
    turns: dict[Rotary, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """The position of the first token that runs."""
        return self.past.length if self.past else 0


class Network:
    """A model ready to run: a spec and the tensors that it needs, under the names of ``weights.shapes``.

    Where the spec has an encoder, ``encoder`` is that network and this one the decoder. It computes in the type of
    its norms and matrices, on their device; the embeddings may be kept in another.
    """

    def __init__(self, spec: Spec, tensors: Mapping[str, Tensor], *, kind: Kind = "self") -> None:
        self.spec = spec
        self.tensors = tensors
        self.kind: Kind = "decoder" if spec.encoder else kind
        self.encoder: Network | None = None
        if spec.encoder:
            inner = {name.removeprefix("encoder."): t for name, t in tensors.items() if name.startswith("encoder.")}
            self.encoder = Network(spec.encoder, inner, kind="encoder")
        one = tensors["layers.0.attention.query.weight"]
        self.dtype, self.device = one.dtype, one.device

    @torch.inference_mode()
    def __call__(
        self,
        ids: Sequence[int],
        type_ids: Sequence[int] = (),
        observers: Sequence[Observer] = (),
        *,
        memory: Tensor | None = None,
        past: Past | None = None,
        whole: bool = True,
    ) -> Tensor:
        """Run T tokens and return the last hidden states (T, C); the observers see all weights on the way.

        ``memory`` (M, C) is what the encoder gave. With ``past`` the tokens follow those that it has read, and it
        reads them too. Where not the ``whole`` is wanted, all is left out on which no weight depends: the last MLP and
        what follows; then it returns what enters that.
        """
        start = past.length if past else 0
        positions = torch.arange(start, start + len(ids), device=self.device)
        run = _Run(observers, past, memory, positions, self._relative_table())
        x = self._embed(torch.tensor(ids, device=self.device), type_ids, positions)  # (T, C)
        for i, layer in enumerate(self.spec.layers):
            for observer in observers:
                observer.hidden(i, x, self.kind)
            x = self._layer(i, layer, x, run, mlp=whole or i < len(self.spec.layers) - 1)
        if not whole:
            return x
        if self.spec.final_norm:
            x = self._norm("norm", self.spec.final_norm, x)
        if self.spec.final_size:
            x = self._linear("project", x)
        for observer in observers:
            observer.hidden(len(self.spec.layers), x, self.kind)
        if past:
            past.length += len(ids)
        return x

    def _embed(self, ids: Tensor, type_ids: Sequence[int], at: Tensor) -> Tensor:
        embedding, tensors = self.spec.embedding, self.tensors
        x = tensors["embed.tokens.weight"][ids].to(self.dtype)
        if embedding.scale != 1:
            x = x * torch.tensor(embedding.scale, dtype=self.dtype)
        projection = embedding.projection
        if projection and projection.tokens:
            x = self._linear("embed.project", x)
        row = partial(position.rows, ids, at)
        # The order of these sums is that of the published models: float addition is not associative.
        if embedding.types:
            rows = torch.tensor(type_ids or (0,) * len(ids), device=self.device)
            x = x + tensors["embed.types.weight"][rows]
        if isinstance(embedding.positions, Sinusoidal):
            x = x + position.sinusoids(row(embedding.positions), x.shape[-1], self.dtype, embedding.positions)
        elif embedding.positions:
            x = x + tensors["embed.positions.weight"][row(embedding.positions)]
        if embedding.norm:
            x = self._norm("embed.norm", embedding.norm, x)
        return self._linear("embed.project", x) if projection and not projection.tokens else x

    def _relative_table(self) -> Tensor:
        """The table of relative positions that all layers share: of biases, or of normed vectors; empty for none."""
        table = self.tensors.get("relative.weight", torch.empty(0))
        spec = self.spec.layers[0].attention.position
        if isinstance(spec, Disentangled) and spec.norm:
            return self._norm("relative.norm", spec.norm, table)
        return table

    def _layer(self, i: int, layer: Layer, x: Tensor, run: _Run, *, mlp: bool = True) -> Tensor:
        at = f"layers.{i}"
        attention = partial(self._attention, i, layer.attention, run)
        inner = partial(self._mlp, f"{at}.mlp", layer.mlp)
        if isinstance(layer.norms, ParallelNorm):
            normed = self._norm(f"{at}.attention.norm", layer.norms.norm, x)
            attended = x + attention(normed)
            if not mlp:
                return attended
            return attended + inner(normed if layer.norms.shared else self._norm(f"{at}.mlp.norm", layer.norms.norm, x))
        entered, x = x, self._residual(f"{at}.attention", layer, attention, x)
        if layer.cross:
            x = self._residual(f"{at}.cross", layer, partial(self._cross, i, layer.cross, run), x)
        if not mlp:
            return x
        x = self._residual(f"{at}.mlp", layer, inner, x)
        return self._convolve(f"{at}.convolution", layer.convolution, entered, x) if layer.convolution else x

    def _residual(self, at: str, layer: Layer, sublayer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        norm = partial(self._norm, f"{at}.norm")
        match layer.norms:
            case PostNorm(kind):
                return norm(kind, x + sublayer(x))
            case PreNorm(kind, attention):
                branch = sublayer(norm(kind, x) if attention or not at.endswith("attention") else x)
            case BranchNorm(kind):
                branch = norm(kind, sublayer(x))
            case SandwichNorm(kind):
                branch = self._norm(f"{at}.norm_after", kind, sublayer(norm(kind, x)))
            case ParallelNorm():
                raise AssertionError("both sublayers of a parallel layer are added at once")
        return (branch if layer.residual == 1 else branch * layer.residual).add_(x)

    def _attention(self, i: int, spec: Attention, run: _Run, x: Tensor) -> Tensor:
        at = f"layers.{i}.attention"
        q = self._heads(f"{at}.query", spec, spec.heads, x)
        k = self._heads(f"{at}.key", spec, spec.kv_heads, x)
        v = self._heads(f"{at}.value", spec, spec.kv_heads, x)
        if isinstance(spec.position, Rotary):
            if spec.position not in run.turns:
                run.turns[spec.position] = position.turns(spec.position, run.positions, self.dtype)
            turned = position.rotate(torch.cat((q, k)), spec.position, *run.turns[spec.position])
            q, k = turned[: spec.heads], turned[spec.heads :]
        if run.past:
            k, v = run.past.extend(at, k, v)
        context = attend(
            q,
            k,
            v,
            scale=spec.scale,
            reach=spec.reach,
            bias=self._bias(at, spec, run, q, k),
            softcap=spec.softcap,
            first=run.first,
            layer=i,
            kind=self.kind,
            observers=run.observers,
        )
        return self._linear(f"{at}.output", context.transpose(0, 1).flatten(1))  # (H, T, D) → (T, H·D)

    def _cross(self, i: int, spec: Attention, run: _Run, x: Tensor) -> Tensor:
        at, memory = f"layers.{i}.cross", run.memory
        if memory is None:
            raise ValueError("a decoder that attends to an encoder needs what the encoder gave")

        def read() -> tuple[Tensor, Tensor]:
            k, v = (self._heads(f"{at}.{name}", spec, spec.kv_heads, memory) for name in ("key", "value"))
            return k, v

        q = self._heads(f"{at}.query", spec, spec.heads, x)
        k, v = run.past.keep(at, read) if run.past else read()
        context = attend(q, k, v, scale=spec.scale, layer=i, kind="cross", observers=run.observers)
        return self._linear(f"{at}.output", context.transpose(0, 1).flatten(1))  # (H, T, D) → (T, H·D)

    def _heads(self, at: str, spec: Attention, heads: int, x: Tensor) -> Tensor:
        """The queries, keys or values of all heads, (heads, T, D)."""
        x = self._linear(at, x)
        if spec.clip is not None:
            x = x.clamp(-spec.clip, spec.clip)
        norm = spec.qk_norm
        if norm is None or at.endswith("value"):
            return x.view(-1, heads, spec.head_size).transpose(0, 1)  # (T, heads·D) → (heads, T, D)
        if norm.over == "width":
            return self._norm(f"{at}_norm", norm.norm, x).view(-1, heads, spec.head_size).transpose(0, 1)
        return self._norm(f"{at}_norm", norm.norm, x.view(-1, heads, spec.head_size)).transpose(0, 1)

    def _bias(self, at: str, spec: Attention, run: _Run, q: Tensor, k: Tensor) -> Bias | None:
        """What the scores get for their positions; the queries and keys are those of all heads, (heads, T, D)."""
        match spec.position:
            case ALiBi() as slopes:
                return position.alibi(spec.heads, slopes)
            case RelativeBuckets() as buckets:
                table = run.table if buckets.shared else self.tensors[f"{at}.relative.weight"]
                return position.relative(table, buckets)
            case Disentangled() as apart:
                names = ("query", "key") if apart.shared else ("position_query", "position_key")
                queries, keys = (
                    self._heads(f"{at}.{name}", spec, spec.heads, run.table) if wanted else None
                    for name, wanted in zip(names, (apart.position_to_content, apart.content_to_position), strict=True)
                )
                return position.disentangled(q, k, queries, keys, apart, spec.scale)
        return None

    def _mlp(self, at: str, spec: MLP | GatedMLP, x: Tensor) -> Tensor:
        if len(x) > TOGETHER:
            return torch.cat([self._mlp(at, spec, x[i : i + TOGETHER]) for i in range(0, len(x), TOGETHER)])
        activation = ACTIVATIONS[spec.activation]
        if isinstance(spec, GatedMLP):
            inner = activation(self._linear(f"{at}.gate", x)).mul_(self._linear(f"{at}.up", x))
        else:
            inner = activation(self._linear(f"{at}.up", x))
        return self._linear(f"{at}.down", inner)

    def _convolve(self, at: str, spec: Convolution, entered: Tensor, x: Tensor) -> Tensor:
        weight, bias = self.tensors[f"{at}.weight"], self.tensors[f"{at}.bias"]
        # (T, C) → (C, T), as a convolution wants it, and back
        mixed = functional.conv1d(entered.t(), weight, bias, padding=spec.size // 2, groups=spec.groups).t()
        return self._norm(f"{at}.norm", spec.norm, x + ACTIVATIONS[spec.activation](mixed))

    def _linear(self, at: str, x: Tensor) -> Tensor:
        return functional.linear(x, self.tensors[f"{at}.weight"], self.tensors.get(f"{at}.bias"))

    def _norm(self, at: str, norm: Norm, x: Tensor) -> Tensor:
        weight = self.tensors.get(f"{at}.weight")
        if weight is not None and norm.offset:
            weight = weight + norm.offset
        if weight is None or (isinstance(norm, LayerNorm) and weight.dim() == 1):
            return functional.layer_norm(x, x.shape[-1:], weight, self.tensors.get(f"{at}.bias"), norm.eps)
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        if isinstance(norm, LayerNorm):  # each head with weights of its own, (heads, D)
            exact = functional.layer_norm(exact, exact.shape[-1:], eps=norm.eps)
            return exact.to(x.dtype) * weight
        return functional.rms_norm(exact, exact.shape[-1:], eps=norm.eps).to(x.dtype) * weight

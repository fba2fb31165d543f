"""The forward pass over a spec: the mathematics of all families, without any family's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from attnviz.attention.interventions import Intervention
from attnviz.attention.kernel import Kind, Observer
from attnviz.attention.values import Values
from attnviz.model.architecture import position
from attnviz.model.architecture.spec import (
    AttentionSpec,
    BranchNorm,
    Disentangled,
    Dynamic,
    LayerSpec,
    LongRope,
    ParallelNorm,
    PostNorm,
    PreNorm,
    Rotary,
    SandwichNorm,
    Sinusoidal,
    Spec,
)
from attnviz.model.native.run import KVCache as KVCache
from attnviz.model.native.run import Run, Sublayer
from attnviz.model.native.sublayers import Sublayers


class Network(Sublayers):
    """A model that is ready to run: a spec and its tensors, under the names of ``tensor_shapes``.

    If the spec has an encoder, ``encoder`` is its network and this one the decoder. The network computes in the type
    and on the device of its matrices; the embeddings may have another type.
    """

    def __init__(self, spec: Spec, tensors: Mapping[str, Tensor], *, kind: Kind = "self") -> None:
        super().__init__(tensors)
        self.spec = spec
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
        past: KVCache | None = None,
        whole: bool = True,
        interventions: Sequence[Intervention] = (),
    ) -> Tensor:
        """Run T tokens and return the last hidden states (T, C); the observers see all weights.

        Args:
            ids: the token ids.
            type_ids: the token types; all 0 by default.
            observers: what sees the tiles and hidden states.
            memory: the encoder's output (M, C).
            past: the keys and values of the tokens before these; those of these tokens are added.
            whole: if False, everything that no weight depends on is left out, from the values of the last attention on;
                the result is then its queries and keys, flattened.
            interventions: what is put in the place of weights and of heads' outputs.
        """
        run = Run(len(ids), self.device, observers, past, memory, interventions)
        x = self.through(ids, type_ids, run, whole=whole)
        if past:
            past.length += len(ids)
        return x

    @torch.inference_mode()
    def show(self, past: KVCache, observers: Sequence[Observer]) -> Tensor:
        """Show the observers the attention of what ``past`` has read, of which it kept the queries.

        No token runs again. It returns the queries and keys of the last layer, all in a row; ``past`` is used up.
        """
        run, table, last = Run(past.length, self.device, observers), self.relative_table(), torch.empty(0)
        for i, layer in enumerate(self.spec.layers):
            at = f"layers.{i}.attention"
            q, k = past.take(at)
            if not any(observer.wants(i, self.kind) for observer in observers):
                continue
            spec = layer.attention
            run.attend(self._sublayer(i, spec, table), q, k, None)
            last = torch.cat((q.flatten(), k.flatten()))
        return last

    @property
    def steady(self) -> bool:
        """Whether the queries and keys of a token stay the same when others follow it."""
        positions = [layer.attention.position for layer in self.spec.layers]
        return self.spec.causal and not any(
            isinstance(position, Rotary) and isinstance(position.scaling, Dynamic | LongRope) for position in positions
        )

    def _last(self, observers: Sequence[Observer]) -> int:
        """The last layer of which an observer wants the weights; the last of all where nobody wants any."""
        kinds: tuple[Kind, ...] = (self.kind, "cross")
        wanted = [i for i in range(len(self.spec.layers)) if any(o.wants(i, kind) for o in observers for kind in kinds)]
        return max(wanted, default=len(self.spec.layers) - 1)

    def through(self, ids: Sequence[int], type_ids: Sequence[int], run: Run, *, whole: bool) -> Tensor:
        """Run the tokens in a given ``run``, as a call does; the caller must be in inference mode."""
        observers = run.observers
        last = self._last(observers)
        x = self._embed(torch.tensor(ids, device=self.device), type_ids, run)  # (T, C)
        table = self.relative_table()
        for i, layer in enumerate(self.spec.layers):
            for observer in observers:
                observer.hidden(i, x, self.kind)
            if not whole and i == last:
                return self._look(i, layer, x, run, table)
            x = self.block(i, x, run, table)
        x = self.finish(x)
        for observer in observers:
            observer.hidden(len(self.spec.layers), x, self.kind)
        return x

    def block(self, i: int, x: Tensor, run: Run, table: Tensor) -> Tensor:
        """Return what leaves layer ``i``, given the states ``x`` that enter it and the ``relative_table``."""
        layer = self.spec.layers[i]
        return self._layer(i, layer, x, run, partial(self._attention, i, layer.attention, run, table))

    def finish(self, x: Tensor) -> Tensor:
        """Return the last hidden states, of what leaves the last layer."""
        if self.spec.final_norm:
            x = self._norm("norm", self.spec.final_norm, x)
        return self._linear("project", x) if self.spec.final_size else x

    def _embed(self, ids: Tensor, type_ids: Sequence[int], run: Run) -> Tensor:
        embedding = self.spec.embedding
        # Summed in the order of the published models, since float addition is not associative.
        x, *others = self.embedded(ids, type_ids, run).values()
        if embedding.norm and embedding.early:
            x = self._norm("embed.norm", embedding.norm, x)
        for other in others:
            x = x + other
        if embedding.norm and not embedding.early:
            x = self._norm("embed.norm", embedding.norm, x)
        projection = embedding.projection
        return self._linear("embed.project", x) if projection and not projection.tokens else x

    def embedded(self, ids: Tensor, type_ids: Sequence[int], run: Run) -> dict[str, Tensor]:
        """Return what the embeddings are the sum of, (T, C) each, before their norm: tokens, types, positions and the
        kind of text.
        """
        embedding, tensors = self.spec.embedding, self.tensors
        x = tensors["embed.tokens.weight"][ids].to(self.dtype)
        if embedding.scale != 1:
            x = x * torch.tensor(embedding.scale, dtype=self.dtype)
        if embedding.dropped is not None:
            gone = ids == embedding.dropped
            kept = 1 - run.shares(gone, torch.promote_types(self.dtype, torch.float32))[:, None]
            x = (x.masked_fill(gone[:, None], 0) / kept).to(self.dtype)
        if embedding.projection and embedding.projection.tokens:
            x = self._linear("embed.project", x)
        found = {"tokens": x}
        row = partial(run.rows, ids)
        if embedding.types:
            rows = torch.tensor(type_ids or (0,) * len(ids), device=self.device)
            found["types"] = tensors["embed.types.weight"][rows]
        if embedding.positions and "embed.positions.weight" in tensors:
            found["positions"] = tensors["embed.positions.weight"][row(embedding.positions)]
        elif isinstance(embedding.positions, Sinusoidal):
            found["positions"] = position.sinusoids(
                row(embedding.positions), x.shape[-1], self.dtype, embedding.positions
            )
        if embedding.kinds:
            found["kind"] = tensors["embed.kinds.weight"][torch.full_like(ids, embedding.kind)]
        return found

    def relative_table(self) -> Tensor:
        """Return the table of relative positions that all layers share: biases, or normed vectors; empty if there is
        none.
        """
        table = self.tensors.get("relative.weight", torch.empty(0))
        spec = self.spec.layers[0].attention.position
        if isinstance(spec, Disentangled) and spec.norm:
            return self._norm("relative.norm", spec.norm, table)
        return table

    def layer(self, i: int, x: Tensor, attended: Tensor, run: Run) -> Tensor:
        """Return what leaves layer ``i``, given the states ``x`` that enter it and what its attention adds, (T, C)."""
        return self._layer(i, self.spec.layers[i], x, run, attention=lambda _: attended.clone())

    def _layer(self, i: int, layer: LayerSpec, x: Tensor, run: Run, attention: Callable[[Tensor], Tensor]) -> Tensor:
        at = f"layers.{i}"
        inner = partial(run.mlp, i, partial(self._mlp, f"{at}.mlp", layer.mlp, run=run))
        if isinstance(layer.norms, ParallelNorm):
            normed = self._entering(f"{at}.attention", layer, x)
            attended = attention(normed).add_(x)
            return attended.add_(inner(normed if layer.norms.shared else self._entering(f"{at}.mlp", layer, x)))
        entered, x = x, self._residual(f"{at}.attention", layer, attention, x)
        if layer.cross:
            x = self._residual(f"{at}.cross", layer, partial(self._cross, i, layer.cross, run), x)
        x = self._residual(f"{at}.mlp", layer, inner, x)
        return self._convolve(f"{at}.convolution", layer.convolution, entered, x, run) if layer.convolution else x

    def _look(self, i: int, layer: LayerSpec, x: Tensor, run: Run, table: Tensor) -> Tensor:
        """Show the weights of the last layer to the observers, and return the queries and keys behind them,
        flattened.
        """
        at, attention = f"layers.{i}", partial(self._attention, i, layer.attention, run, table)
        if layer.cross:
            x = self._residual(f"{at}.attention", layer, attention, x)
            return self._cross(i, layer.cross, run, self._entering(f"{at}.cross", layer, x), shown=True)
        return attention(self._entering(f"{at}.attention", layer, x), shown=True)

    def _entering(self, at: str, layer: LayerSpec, x: Tensor) -> Tensor:
        """Return the input of the sublayer ``at``."""
        match layer.norms:
            case PreNorm(kind, attention):
                return self._norm(f"{at}.norm", kind, x) if attention or not at.endswith("attention") else x
            case SandwichNorm(kind) | ParallelNorm(kind):
                return self._norm(f"{at}.norm", kind, x)
        return x

    def _residual(self, at: str, layer: LayerSpec, sublayer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        branch = sublayer(self._entering(at, layer, x))
        match layer.norms:
            case BranchNorm(kind):
                branch = self._norm(f"{at}.norm", kind, branch)
            case SandwichNorm(kind):
                branch = self._norm(f"{at}.norm_after", kind, branch)
        x = (branch if layer.residual == 1 else branch * layer.residual).add_(x)
        if layer.adapter and at.endswith(".mlp"):
            x = self._adapt(at.removesuffix(".mlp"), layer.adapter, layer.norms.norm, x)
        return self._norm(f"{at}.norm", layer.norms.norm, x) if isinstance(layer.norms, PostNorm) else x

    def _attention(
        self, i: int, spec: AttentionSpec, run: Run, table: Tensor, x: Tensor, *, shown: bool = False
    ) -> Tensor:
        """Return the output of the attention; if its weights are only to be ``shown``, its queries and keys,
        flattened.
        """
        at = f"layers.{i}.attention"
        valued = run.valued(i, self.kind)
        q, k, v = self._vectors(at, spec, x, valued=bool(valued) or not shown)
        q, k, v = self._turned(at, spec, run, q, k, v)
        if run.past:
            k, v = run.past.extend(at, k, k if v is None else v)
            run.past.keep_queries(at, q)
        if v is not None:
            for observer in valued:
                observer.see_values(i, self.kind, self._values(at, v))
        context = run.attend(self._sublayer(i, spec, table), q, k, v)
        return torch.cat((q.flatten(), k.flatten())) if shown else self._linear(f"{at}.output", context)

    def _sublayer(self, i: int, spec: AttentionSpec, table: Tensor) -> Sublayer:
        at = f"layers.{i}.attention"
        return Sublayer(i, self.kind, spec, self._biases(at, spec, table), self._sinks(at, spec))

    def _values(self, at: str, v: Tensor) -> Values:
        """Return the values ``v`` (G, M, D) with the matrix that the attention ``at`` writes with."""
        return Values(v, self.tensors[f"{at}.output.weight"], self.tensors.get(f"{at}.output.bias"))

    def _cross(self, i: int, spec: AttentionSpec, run: Run, x: Tensor, *, shown: bool = False) -> Tensor:
        at, memory = f"layers.{i}.cross", run.memory
        if memory is None:
            raise ValueError("a decoder that attends to an encoder needs the encoder's output")

        def read() -> tuple[Tensor, Tensor]:
            k, v = (self._heads(f"{at}.{name}", spec, spec.kv_heads, memory) for name in ("key", "value"))
            return k, v

        q = self._heads(f"{at}.query", spec, spec.heads, x)
        k, v = run.past.keep(at, read) if run.past else read()
        for observer in run.valued(i, "cross"):
            observer.see_values(i, "cross", self._values(at, v))
        context = run.attend(Sublayer(i, "cross", spec), q, k, v)
        return torch.cat((q.flatten(), k.flatten())) if shown else self._linear(f"{at}.output", context)

"""The forward pass over a spec: the mathematics of all families, without any family's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from attnviz.attention.interventions import Intervention
from attnviz.attention.kernel import Kind, Observer
from attnviz.attention.values import Values
from attnviz.model.architecture.spec import (
    AttentionSpec,
    BranchNorm,
    Disentangled,
    Dynamic,
    LayerSpec,
    LongRope,
    MLPAndExperts,
    ParallelNorm,
    PostNorm,
    PreNorm,
    Rotary,
    SandwichNorm,
    Spec,
    TokenGate,
)
from attnviz.model.native.embeddings import Embeddings
from attnviz.model.native.run import KVCache as KVCache
from attnviz.model.native.run import Run, Sublayer


class Network(Embeddings):
    """A model that is ready to run: a spec and its tensors, under the names of ``tensor_shapes``.

    If the spec has an encoder, ``encoder`` is its network and this one the decoder. The network computes in the type
    and on the device of its matrices; the embeddings may have another type.
    """

    def __init__(self, spec: Spec, tensors: Mapping[str, Tensor], *, kind: Kind = "self") -> None:
        super().__init__(spec, tensors)
        self.lenders = spec.lenders
        self.kind: Kind = "decoder" if spec.encoder else kind
        self.encoder: Network | None = None
        if spec.encoder:
            inner = {name.removeprefix("encoder."): t for name, t in tensors.items() if name.startswith("encoder.")}
            self.encoder = Network(spec.encoder, inner, kind="encoder")

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
        attentions = self.spec.attentions
        for i, spec in attentions.items():
            source = self.keys_of(i)
            last_use = all(each.keys_of != source for later, each in attentions.items() if later > i)
            q, k = past.take(f"layers.{i}.attention", f"layers.{source}.attention", last=last_use)
            if not any(observer.wants(i, self.kind) for observer in observers):
                continue
            run.attend(self._sublayer(i, spec, table), q, k, None)
            last = torch.cat((q.flatten(), k.flatten()))
        return last

    def keys_of(self, layer: int) -> int:
        """The layer whose keys and values a ``layer`` uses: its own, or those of an earlier one."""
        source = self.spec.attentions[layer].keys_of
        return layer if source is None else source

    @property
    def steady(self) -> bool:
        """Whether the queries and keys of a token stay the same when others follow it."""
        positions = [each.position for each in self.spec.attentions.values()]
        return self.spec.causal and not any(
            isinstance(position, Rotary) and isinstance(position.scaling, Dynamic | LongRope) for position in positions
        )

    def _last(self, observers: Sequence[Observer]) -> int:
        """The last layer of which an observer wants the weights; the last that attends where nobody wants any."""
        kinds: tuple[Kind, ...] = (self.kind, "cross")
        wanted = [i for i in self.spec.attentions if any(o.wants(i, kind) for o in observers for kind in kinds)]
        return max(wanted or self.spec.attentions)

    def through(self, ids: Sequence[int], type_ids: Sequence[int], run: Run, *, whole: bool) -> Tensor:
        """Run the tokens in a given ``run``, as a call does; the caller must be in inference mode."""
        observers = run.observers
        last = self._last(observers)
        run.tokens = torch.tensor(ids, device=self.device)
        x = self._embed(run.tokens, type_ids, run)  # (T, C)
        table = self.relative_table()
        for i, layer in enumerate(self.spec.layers):
            for observer in observers:
                observer.hidden(i, x, self.kind)
            if not whole and i == last:
                return self._look(i, self.spec.attentions[i], layer, x, run, table)
            x = self.block(i, x, run, table)
        x = self.finish(x)
        for observer in observers:
            observer.hidden(len(self.spec.layers), x, self.kind)
        return x

    def block(self, i: int, x: Tensor, run: Run, table: Tensor) -> Tensor:
        """Return what leaves layer ``i``, given the states ``x`` that enter it and the ``relative_table``."""
        layer, attention = self.spec.layers[i], self.spec.attentions.get(i)
        mix = partial(self._attention, i, attention, run, table) if attention else partial(self.mix, i, run)
        return self._layer(i, layer, x, run, mix)

    def mix(self, i: int, run: Run, x: Tensor) -> Tensor:
        """Return what layer ``i``, which does not attend, adds to the states of which ``x`` (T, C) enters its mixer."""
        return run.mixer(i, partial(self._mixer, f"layers.{i}.mixer", self.spec.mixers[i], run), x)

    def finish(self, x: Tensor) -> Tensor:
        """Return the last hidden states, of what leaves the last layer."""
        if self.spec.final_norm:
            x = self._norm("norm", self.spec.final_norm, x)
        return self._linear("project", x) if self.spec.final_size else x

    def relative_table(self) -> Tensor:
        """Return the table of relative positions that all layers share: biases, or normed vectors; empty if there is
        none.
        """
        table = self.tensors.get("relative.weight", torch.empty(0))
        spec = self.spec.first.position
        if isinstance(spec, Disentangled) and spec.norm:
            return self._norm("relative.norm", spec.norm, table)
        return table

    def layer(self, i: int, x: Tensor, attended: Tensor, run: Run) -> Tensor:
        """Return what leaves layer ``i``, given the states ``x`` that enter it and what its attention adds, (T, C)."""
        return self._layer(i, self.spec.layers[i], x, run, attention=lambda _: attended.clone())

    def _layer(self, i: int, layer: LayerSpec, x: Tensor, run: Run, attention: Callable[[Tensor], Tensor]) -> Tensor:
        at, x = f"layers.{i}", self._joined(i, layer, x, run, attention)
        if layer.token_gate:
            x = run.mlp(i, partial(self._gated, i, layer.token_gate, run), x).add_(x)
        return x * self.tensors[f"{at}.scale"] if layer.scaled else x

    def _joined(self, i: int, layer: LayerSpec, x: Tensor, run: Run, attention: Callable[[Tensor], Tensor]) -> Tensor:
        """The states behind the attention and the MLP of a layer."""
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

    def _look(self, i: int, spec: AttentionSpec, layer: LayerSpec, x: Tensor, run: Run, table: Tensor) -> Tensor:
        """Show the weights of the last layer to the observers, and return the queries and keys behind them,
        flattened.
        """
        at, attention = f"layers.{i}", partial(self._attention, i, spec, run, table)
        if layer.cross:
            x = self._residual(f"{at}.attention", layer, attention, x)
            return self._cross(i, layer.cross, run, self._entering(f"{at}.cross", layer, x), shown=True)
        return attention(self._entering(f"{at}.attention", layer, x), shown=True)

    def _gated(self, i: int, spec: TokenGate, run: Run, x: Tensor) -> Tensor:
        """What the token gate of a layer adds to the states ``x`` of the run's text, or of several copies of it."""
        if run.tokens is None:
            raise ValueError("the run's tokens are not known")
        numbers = self.numbers_of(i, run.tokens)
        written = self._gate(f"layers.{i}", spec, numbers.repeat(len(x) // len(numbers), 1), x)
        return self._norm(f"layers.{i}.token_gate.norm", spec.norm, written)

    def _entering(self, at: str, layer: LayerSpec, x: Tensor) -> Tensor:
        """Return the input of the sublayer ``at``."""
        if isinstance(layer.mlp, MLPAndExperts) and at.endswith(".mlp"):
            return x  # each of both has norms of its own
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
        if k is None:
            k, v = run.borrow(self.keys_of(i))
            v = v if valued or not shown else None
        elif run.past:
            k, v = run.past.extend(at, k, k if v is None else v)
        if i in self.lenders:
            run.lend(i, k, v)
        if run.past:
            run.past.keep_queries(at, q)
        gate = self._gates(at, spec, x) if valued or not shown else None
        if v is not None:
            for observer in valued:
                observer.see_values(i, self.kind, replace(self._values(at, v), gate=gate))
        own = replace(self._sublayer(i, spec, table), gate=gate)
        context = run.attend(own, q, k, v)
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

"""What a model makes of tokens before its first layer, and for each layer beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from attnviz.model.architecture import position
from attnviz.model.architecture.spec import Learned, Sinusoidal, Spec
from attnviz.model.native.run import Run
from attnviz.model.native.sublayers import Sublayers


class Embeddings(Sublayers):
    """Computes the embeddings of a ``spec`` from its ``tensors``, in the type of the matrices."""

    def __init__(self, spec: Spec, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(tensors)
        self.spec = spec
        one = tensors[f"layers.{next(iter(spec.attentions))}.attention.query.weight"]
        self.dtype, self.device = one.dtype, one.device

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
        x = self._token_vectors(ids)
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

    def placeholder(self, run: Run) -> Tensor:
        """Return what stands for a token that is predicted by the first stream beside the text, (1, C)."""
        embedding = self.spec.embedding
        x = self.tensors["streams.weight"][-1:].to(self.dtype)  # the vectors begin with the second stream
        if isinstance(embedding.positions, Learned):
            x = x + self.tensors["embed.positions.weight"][run.positions + embedding.positions.offset]
        return self._norm("embed.norm", embedding.norm, x) if embedding.norm else x

    def _token_vectors(self, ids: Tensor) -> Tensor:
        """The vectors of the tokens ``ids`` (T,), scaled."""
        x, scale = self.tensors["embed.tokens.weight"][ids].to(self.dtype), self.spec.embedding.scale
        return x if scale == 1 else x * torch.tensor(scale, dtype=self.dtype)

    def numbers_of(self, i: int, ids: Tensor) -> Tensor:
        """Return what is embedded of the tokens ``ids`` (T,) for layer ``i`` beside their states, (T, size)."""
        spec = self.spec.embedding.layers
        if spec is None:
            raise ValueError("nothing is embedded for each layer")
        own, x = slice(i * spec.size, (i + 1) * spec.size), self._token_vectors(ids)
        made = functional.linear(x, self.tensors["embed.project_layers.weight"][own]) * x.shape[-1] ** -0.5
        looked = self.tensors["embed.layers.weight"][:, own][ids].to(self.dtype)
        looked = looked * torch.tensor(spec.size**0.5, dtype=self.dtype)
        return (self._norm("embed.layers_norm", spec.norm, made) + looked) * 2**-0.5

"""The tensors that a spec needs, taken from a checkpoint: found under its names, their shapes verified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from attnviz.errors import ModelError
from attnviz.model.families import Family
from attnviz.model.spec import (
    Attention,
    GatedMLP,
    LayerNorm,
    Norm,
    ParallelNorm,
    RelativeBuckets,
    SandwichNorm,
    Spec,
)

Shape = tuple[int, ...]


def shapes(spec: Spec) -> dict[str, Shape]:
    """Our name and the shape of every tensor that ``spec`` needs."""
    return dict(_spec_shapes(spec))


def _spec_shapes(spec: Spec) -> Iterator[tuple[str, Shape]]:
    width, embedding = spec.width, spec.embedding
    yield "embed.tokens.weight", (embedding.vocabulary, width)
    if embedding.types:
        yield "embed.types.weight", (embedding.types, width)
    if embedding.positions:
        yield "embed.positions.weight", (embedding.positions.count + embedding.positions.offset, width)
    if embedding.norm:
        yield from _norm("embed.norm", embedding.norm, width)
    for i, layer in enumerate(spec.layers):
        at, inner, bias = f"layers.{i}", layer.mlp.size, layer.mlp.bias
        yield from _attention(f"{at}.attention", layer.attention, width)
        for name in ("up", "gate") if isinstance(layer.mlp, GatedMLP) else ("up",):
            yield from _linear(f"{at}.mlp.{name}", inner, width, bias)
        yield from _linear(f"{at}.mlp.down", width, inner, bias)
        one_norm = isinstance(layer.norms, ParallelNorm) and layer.norms.shared
        for part in ("attention",) if one_norm else ("attention", "mlp"):
            yield from _norm(f"{at}.{part}.norm", layer.norms.norm, width)
            if isinstance(layer.norms, SandwichNorm):
                yield from _norm(f"{at}.{part}.norm_after", layer.norms.norm, width)
    if spec.final_norm:
        yield from _norm("norm", spec.final_norm, width)
    for attention in {layer.attention for layer in spec.layers}:
        if isinstance(attention.position, RelativeBuckets):
            yield "relative.weight", (attention.position.buckets, attention.heads)


def _attention(at: str, spec: Attention, width: int) -> Iterator[tuple[str, Shape]]:
    queries, keys = spec.heads * spec.head_size, spec.kv_heads * spec.head_size
    yield from _linear(f"{at}.query", queries, width, spec.bias)
    yield from _linear(f"{at}.key", keys, width, spec.bias)
    yield from _linear(f"{at}.value", keys, width, spec.bias)
    yield from _linear(f"{at}.output", width, queries, spec.output_bias)


def _linear(at: str, out: int, into: int, bias: bool) -> Iterator[tuple[str, Shape]]:
    yield f"{at}.weight", (out, into)
    if bias:
        yield f"{at}.bias", (out,)


def _norm(at: str, norm: Norm, width: int) -> Iterator[tuple[str, Shape]]:
    yield f"{at}.weight", (width,)
    if isinstance(norm, LayerNorm) and norm.bias:
        yield f"{at}.bias", (width,)


def take(family: Family, spec: Spec, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors that ``spec`` needs, under our names and in ``dtype``, found under the family's.

    Raises:
        ModelError: tensors are missing or have another shape than the config says; the message names them.
    """
    theirs = {family.plain(name): name for name in tensors}
    ours = family.ours(len(spec.layers))
    needed = shapes(spec)
    missing = [plain for plain, name in ours.items() if name in needed and plain not in theirs]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ModelError(
            f"the checkpoint lacks {len(missing)} tensors that its config asks for: {', '.join(missing[:3])}{more}",
            hint="The weights are incomplete or of another model: download the model again.",
        )
    taken = {}
    for plain, name in ours.items():
        if name not in needed:
            continue
        tensor = tensors[theirs[plain]]
        if tuple(tensor.shape) != needed[name]:
            raise ModelError(
                f"{theirs[plain]} has the shape {tuple(tensor.shape)}, its config asks for {needed[name]}",
                hint="config.json and the weights do not belong together: download the model again.",
            )
        taken[name] = tensor.to("cpu", dtype)
    return taken


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of the tensors that hold NaN or infinity."""
    return [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]

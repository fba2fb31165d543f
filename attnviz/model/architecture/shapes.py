"""The tensors that a spec needs: attnviz's names for them, and their shapes."""

from __future__ import annotations

from collections.abc import Iterator

from attnviz.model.architecture.spec import (
    MLP,
    XIELU,
    AnyMLP,
    AttentionSpec,
    Disentangled,
    Embedding,
    Experts,
    GatedDelta,
    GatedMLP,
    Latent,
    LayerNorm,
    LayerSpec,
    Learned,
    Mixer,
    MLPAndExperts,
    Norm,
    ParallelNorm,
    PreNorm,
    QKNorm,
    RelativeBuckets,
    Rotary,
    SandwichNorm,
    Sinusoidal,
    Spec,
)

TensorShape = tuple[int, ...]


def tensor_shapes(spec: Spec) -> dict[str, TensorShape]:
    """Return the name and shape of each tensor that ``spec`` needs; those of its encoder begin with ``encoder.``."""
    found = dict(_spec(spec))
    if spec.encoder:
        found |= {f"encoder.{name}": shape for name, shape in tensor_shapes(spec.encoder).items()}
    return found


def head_shapes(spec: Spec) -> dict[str, TensorShape]:
    """Return the tensors of the head, which only generation needs."""
    if spec.head is None:
        return {}
    table = "embed.tokens.weight" if spec.head.tied else "head.weight"
    width = spec.final_size or (spec.embedding.projection.size if spec.embedding.projection else spec.width)
    found: dict[str, TensorShape] = {table: (spec.embedding.vocabulary, width)}
    return found | ({"head.bias": (spec.embedding.vocabulary,)} if spec.head.bias else {})


def optional_shapes(spec: Spec) -> dict[str, TensorShape]:
    """Return the tensors that are read if a checkpoint has them, and computed otherwise."""
    found: dict[str, TensorShape] = {}
    positions = spec.embedding.positions
    if isinstance(positions, Sinusoidal) and positions.stored:
        found["embed.positions.weight"] = (positions.count + positions.offset, spec.width)
    turns = spec.first.position
    if isinstance(turns, Rotary) and (turns.table or turns.stored):
        found["rotary.weight"] = (turns.table, turns.size) if turns.table else (turns.size // 2,)
    for i, layer in enumerate(spec.layers):
        if isinstance(layer.mlp, MLP | GatedMLP) and isinstance(layer.mlp.activation, XIELU):
            found |= dict.fromkeys((f"layers.{i}.mlp.activation.beta", f"layers.{i}.mlp.activation.eps"), ())
    if spec.encoder:
        found |= {f"encoder.{name}": shape for name, shape in optional_shapes(spec.encoder).items()}
    return found


def _spec(spec: Spec) -> Iterator[tuple[str, TensorShape]]:
    yield from _embedding(spec.embedding, spec.width, len(spec.layers))
    for i, layer in enumerate(spec.layers):
        yield from _layer(f"layers.{i}", layer, spec.width, spec.encoder.width if spec.encoder else spec.width)
    if spec.final_norm:
        yield from _norm("norm", spec.final_norm, (spec.width,))
    if spec.final_size:
        yield "project.weight", (spec.final_size, spec.width)
    if spec.streams:
        yield "streams.weight", (spec.streams, spec.width)
    match spec.first.position:
        case RelativeBuckets(buckets, shared=True):
            yield "relative.weight", (buckets, spec.first.heads)
        case Disentangled(span, norm=norm):
            yield "relative.weight", (2 * span, spec.width)
            if norm:
                yield from _norm("relative.norm", norm, (spec.width,))


def _embedding(spec: Embedding, width: int, layers: int) -> Iterator[tuple[str, TensorShape]]:
    projection = spec.projection
    inner = projection.size if projection and not projection.tokens else width
    yield "embed.tokens.weight", (spec.vocabulary, projection.size if projection else width)
    if spec.types:
        yield "embed.types.weight", (spec.types, inner)
    if spec.kinds:
        yield "embed.kinds.weight", (spec.kinds, inner)
    if isinstance(spec.positions, Learned):
        yield "embed.positions.weight", (spec.positions.count + spec.positions.offset, inner)
    if spec.norm:
        yield from _norm("embed.norm", spec.norm, (inner,))
    if projection:
        yield from _linear("embed.project", width, projection.size, projection.bias)
    if spec.layers:
        size = layers * spec.layers.size
        yield "embed.layers.weight", (spec.layers.vocabulary, size)
        yield "embed.project_layers.weight", (size, inner)
        yield from _norm("embed.layers_norm", spec.layers.norm, (spec.layers.size,))


def _layer(at: str, layer: LayerSpec, width: int, memory: int) -> Iterator[tuple[str, TensorShape]]:
    norms = layer.norms
    yield from (
        _attention(f"{at}.attention", layer.attention, width)
        if isinstance(layer.attention, AttentionSpec)
        else _mixer(f"{at}.mixer", layer.attention, width)
    )
    if layer.cross:
        yield from _attention(f"{at}.cross", layer.cross, width, memory)
    yield from _mlp(f"{at}.mlp", layer.mlp, width)
    if layer.convolution:
        yield f"{at}.convolution.weight", (width, width // layer.convolution.groups, layer.convolution.size)
        yield f"{at}.convolution.bias", (width,)
        yield from _norm(f"{at}.convolution.norm", layer.convolution.norm, (width,))
    if layer.adapter:
        yield from _mlp(f"{at}.adapter", layer.adapter.mlp, width)
        if layer.adapter.norm == "own":
            yield from _norm(f"{at}.adapter.norm", norms.norm, (width,))
    if layer.token_gate:
        yield f"{at}.token_gate.gate.weight", (layer.token_gate.size, width)
        yield f"{at}.token_gate.out.weight", (width, layer.token_gate.size)
        yield from _norm(f"{at}.token_gate.norm", layer.token_gate.norm, (width,))
    if layer.scaled:
        yield f"{at}.scale", (1,)
    parts = ["attention", "cross", "mlp"] if layer.cross else ["attention", "mlp"]
    if isinstance(norms, ParallelNorm) and norms.shared:
        parts.remove("mlp")
    if isinstance(norms, PreNorm) and not norms.attention:
        parts.remove("attention")
    for part in parts:
        yield from _norm(f"{at}.{part}.norm", norms.norm, (width,))
        if isinstance(norms, SandwichNorm):
            yield from _norm(f"{at}.{part}.norm_after", norms.norm, (width,))


def _mlp(at: str, spec: AnyMLP, width: int) -> Iterator[tuple[str, TensorShape]]:
    if isinstance(spec, Experts):
        yield from _experts(at, spec, width)
        return
    if isinstance(spec, MLPAndExperts):
        yield from _mlp(at, spec.mlp, width)
        yield from _norm(f"{at}.dense_norm", spec.norm, (width,))
        yield from _experts(f"{at}.mixture", spec.experts, width)
        yield from _norm(f"{at}.mixture.norm_after", spec.norm, (width,))
        return
    for name in ("up", "gate") if isinstance(spec, GatedMLP) else ("up",):
        yield from _linear(f"{at}.{name}", spec.size, width, spec.bias)
    if isinstance(spec.activation, XIELU):
        yield f"{at}.activation.positive", (1,)
        yield f"{at}.activation.negative", (1,)
    yield from _linear(f"{at}.down", width, spec.size, spec.bias or (isinstance(spec, GatedMLP) and spec.down_bias))


def _experts(at: str, spec: Experts, width: int) -> Iterator[tuple[str, TensorShape]]:
    yield from _linear(f"{at}.router", spec.count, width, spec.bias)
    for name, shape in _mlp(f"{at}.experts", spec.expert, width):
        yield name, (spec.count, *shape)
    if spec.corrected:
        yield f"{at}.correction", (spec.count,)
    if spec.shared:
        yield from _mlp(f"{at}.shared", spec.shared, width)
    if spec.gated:
        yield f"{at}.shared_gate.weight", (1, width)
    if spec.weighted:
        yield f"{at}.weights", (spec.count,)
    if spec.norm:
        yield from _norm(f"{at}.norm", spec.norm, (width,))
        yield from _norm(f"{at}.router_norm", spec.norm, (width,))


def _attention(
    at: str, spec: AttentionSpec, width: int, memory: int | None = None
) -> Iterator[tuple[str, TensorShape]]:
    """The tensors of an attention; keys and values may be made from states of another width, that of a ``memory``."""
    queries, keys, asked, looked = spec.heads * spec.head_size, spec.kv_heads * spec.head_size, width, memory or width
    if spec.latent:
        keys, looked = keys - spec.kv_heads * spec.latent.shared, spec.latent.size
        yield from _latent(at, spec.latent, width)
        asked = spec.latent.queries or width
    yield from _linear(f"{at}.query", queries, asked, spec.bias)
    own = spec.keys_of is None
    if own:
        yield from _linear(f"{at}.key", keys, looked, spec.bias and spec.key_bias)
    if own and not spec.keys_as_values:
        yield from _linear(f"{at}.value", spec.kv_heads * spec.value_size, looked, spec.bias)
    if own and spec.value_norm:
        yield from _norm(f"{at}.value_norm", spec.value_norm, (spec.value_size,))
    yield from _linear(f"{at}.output", width, spec.heads * spec.value_size, spec.output_bias)
    if spec.gated:
        yield from _linear(f"{at}.gate", spec.heads * spec.value_size, width, spec.bias)
    if spec.sinks:
        yield f"{at}.sinks", (spec.heads,)
    if spec.qk_norm:
        for name, heads in (("query", spec.heads), ("key", spec.kv_heads)) if own else (("query", spec.heads),):
            yield from _norm(f"{at}.{name}_norm", spec.qk_norm.norm, _normed(spec.qk_norm, heads, spec.head_size))
    match spec.position:
        case RelativeBuckets(buckets, made=True):
            yield from _linear(f"{at}.relative", buckets * spec.heads, width, bias=True)
        case RelativeBuckets(buckets, shared=False):
            yield f"{at}.relative.weight", (buckets, spec.heads)
    if isinstance(spec.position, Disentangled) and not spec.position.shared:
        if spec.position.position_to_content:
            yield from _linear(f"{at}.position_query", queries, width, spec.bias)
        if spec.position.content_to_position:
            yield from _linear(f"{at}.position_key", queries, width, spec.bias and spec.key_bias)


def _mixer(at: str, spec: Mixer, width: int) -> Iterator[tuple[str, TensorShape]]:
    if not isinstance(spec, GatedDelta):
        for name in ("before", "after", "value", "output"):
            yield from _linear(f"{at}.{name}", width, width, spec.bias)
        yield f"{at}.convolution.weight", (width, 1, spec.size)
        if spec.bias:
            yield f"{at}.convolution.bias", (width,)
        return
    sizes = {"query": spec.keys, "key": spec.keys, "value": spec.values, "gate": spec.values}
    for name, size in (sizes | {"rate": spec.heads, "decay": spec.heads}).items():
        yield f"{at}.{name}.weight", (size, width)
    yield f"{at}.decay.bias", (spec.heads,)
    yield f"{at}.decay.factor", (spec.heads,)
    yield f"{at}.convolution.weight", (2 * spec.keys + spec.values, 1, spec.convolution)
    yield from _norm(f"{at}.norm", spec.norm, (spec.value_size,))
    yield f"{at}.output.weight", (width, spec.values)


def _latent(at: str, spec: Latent, width: int) -> Iterator[tuple[str, TensorShape]]:
    yield from _linear(f"{at}.latent", spec.size + spec.shared, width, spec.bias)
    yield from _norm(f"{at}.latent_norm", spec.norm, (spec.size,))
    if spec.queries:
        yield from _linear(f"{at}.query_latent", spec.queries, width, spec.bias)
        yield from _norm(f"{at}.query_latent_norm", spec.norm, (spec.queries,))


def _normed(spec: QKNorm, heads: int, size: int) -> TensorShape:
    return {"head": (size,), "each": (heads, size), "width": (heads * size,)}[spec.over]


def _linear(at: str, out: int, into: int, bias: bool) -> Iterator[tuple[str, TensorShape]]:
    yield f"{at}.weight", (out, into)
    if bias:
        yield f"{at}.bias", (out,)


def _norm(at: str, norm: Norm, shape: TensorShape) -> Iterator[tuple[str, TensorShape]]:
    if norm.weight:
        yield f"{at}.weight", shape
    if isinstance(norm, LayerNorm) and norm.bias:
        yield f"{at}.bias", shape

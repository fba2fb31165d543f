"""Describe a spec in words, for ``attnviz models PATH``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

from attnviz.errors import name_layers
from attnviz.model.architecture.shapes import tensor_shapes
from attnviz.model.architecture.spec import (
    ALiBi,
    AnyMLP,
    AttentionSpec,
    BranchNorm,
    Disentangled,
    Experts,
    GatedDelta,
    GatedMLP,
    LayerNorm,
    Learned,
    Mixer,
    MLPAndExperts,
    ParallelNorm,
    PostNorm,
    Proportional,
    RelativeBuckets,
    Rotary,
    SandwichNorm,
    ShortConvolution,
    Sinusoidal,
    Spec,
)

Part = TypeVar("Part")

TIED = "the token vectors (tied)"


def describe(spec: Spec) -> dict[str, str]:
    """Return what the model is made of: facts by name, in words."""
    if spec.encoder:
        facts = {f"encoder {name}": words for name, words in _stack(spec.encoder).items()}
        facts |= {f"decoder {name}": words for name, words in _stack(spec).items()}
    else:
        facts = _stack(spec)
    facts["vocabulary"] = f"{spec.embedding.vocabulary:,} tokens"
    if spec.language:
        facts["language"] = spec.language
    if spec.head:
        facts["head"] = TIED if spec.head.tied else "a matrix of its own"
    return facts | {"parameters": f"{parameters(spec):,}, without a head"}


def parameters(spec: Spec) -> int:
    """Return the number of parameters; tensors that layers or stacks share count once, zeros beside blocks do not."""
    sizes = {name: math.prod(shape) for name, shape in tensor_shapes(spec).items()}
    for inner, blocks in spec.blocks:
        sizes |= {name: size // blocks for name, size in sizes.items() if name.endswith(f".{inner}.weight")}
    if spec.encoder and not spec.apart and spec.encoder.embedding.vocabulary == spec.embedding.vocabulary:
        sizes.pop("encoder.embed.tokens.weight")  # nearly all models share one table
    for i, place in enumerate(spec.stored or ()):
        if place in (spec.stored or ())[:i]:
            sizes = {name: size for name, size in sizes.items() if not name.startswith(f"layers.{i}.")}
    return sum(sizes.values())


def _stack(spec: Spec) -> dict[str, str]:
    shared = f", {len(set(spec.stored))} stored and shared" if spec.stored else ""
    layers = dict(enumerate(spec.layers))
    facts = {
        "layers": f"{len(spec.layers)}{shared}",
        "heads": _of_all(spec.attentions, _heads, say_where=bool(spec.mixers)),
        "no attention": _of_all(spec.mixers, describe_mixer, say_where=True),
        "width": f"{spec.width:,}",
        "sees": _of_all(spec.attentions, _window),
        "position": _of_all(spec.attentions, lambda attention: _position(spec, attention)),
        "scores": _of_all(spec.attentions, _scores),
        "norms": _norms(spec),
        "MLP": _of_all(layers, lambda layer: _mlp(layer.mlp)),
        "keys and values": _of_all(spec.attentions, _keys).removeprefix(_OWN),
    }
    beside = spec.embedding.layers
    facts["beside"] = f"{beside.size:,} numbers for each token and layer, added behind its MLP" if beside else ""
    facts["adapter"] = _of_all(
        layers, lambda layer: f"{_mlp(layer.adapter.mlp)}, after the MLP" if layer.adapter else ""
    )
    if spec.streams:
        facts["streams"] = f"that of the text; {spec.streams} beside it predict tokens, and are not shown"
    if spec.limit:
        facts["limit"] = f"{spec.limit:,} tokens"
    return {name: words for name, words in facts.items() if words}


def _of_all(parts: Mapping[int, Part], say: Callable[[Part], str], *, say_where: bool = False) -> str:
    """Return what ``say`` returns of a part of each layer; for which layers, if it differs or ``say_where``."""
    said: dict[str, list[int]] = {}
    for number, part in parts.items():
        said.setdefault(say(part), []).append(number)
    if len(said) == 1 and not say_where:
        return next(iter(said))
    return "; ".join(f"{words or 'none'} in {name_layers(numbers)}" for words, numbers in said.items())


def silent_layers(kinds: Mapping[int, str]) -> str:
    """Say that layers do not attend, by what each is called; empty if there are none."""
    named: dict[str, list[int]] = {}
    for number, kind in kinds.items():
        named.setdefault(kind, []).append(number)
    said = (
        f"{name_layers(numbers)} ({kind}) {'have' if len(numbers) > 1 else 'has'} no attention"
        for kind, numbers in named.items()
    )
    return f"{'; '.join(said)}: the others are shown alone" if named else ""


def mixer_name(mixer: Mixer) -> str:
    """What a mixer is called."""
    return {GatedDelta: "delta rule", ShortConvolution: "convolution"}[type(mixer)]


def describe_mixer(mixer: Mixer) -> str:
    """Return what a mixer is, in words."""
    if isinstance(mixer, ShortConvolution):
        return f"{mixer_name(mixer)} over {mixer.size} tokens"
    return (
        f"gated {mixer_name(mixer)}, {mixer.heads} state{'s' if mixer.heads > 1 else ''} of {mixer.key_size} × "
        f"{mixer.value_size}, behind a convolution over {mixer.convolution} tokens,"
    )


def _heads(attention: AttentionSpec) -> str:
    keys = attention.kv_heads
    shared = "" if keys == attention.heads else f", {keys} key-value head{'s' if keys > 1 else ''}"
    latent = attention.latent
    made = "" if latent is None else f", values of size {latent.values}, from {latent.size} numbers for all heads"
    return f"{attention.heads} of size {attention.head_size}{shared}{made}"


_OWN = "their own"


def _keys(attention: AttentionSpec) -> str:
    if attention.keys_of is not None:
        return f"those of layer {attention.keys_of}"
    made = ["one projection for both"] if attention.keys_as_values else []
    return ", ".join(made + (["values normed"] if attention.value_norm else [])) or _OWN


def _mlp(mlp: AnyMLP) -> str:
    if isinstance(mlp, Experts):
        return _experts(mlp)
    if isinstance(mlp, MLPAndExperts):
        return f"{_mlp(mlp.mlp)}; beside it {_experts(mlp.experts)}"
    return f"{'gated ' if isinstance(mlp, GatedMLP) else ''}{mlp.activation}, {mlp.size:,} units"


def _experts(experts: Experts) -> str:
    shared = f", and one of {experts.shared.size:,} units that reads all" if experts.shared else ""
    limited = f", of up to {experts.capacity:,} tokens" if experts.capacity else ""
    return f"{experts.chosen} of {experts.count} experts for each token, each {_mlp(experts.expert)}{limited}{shared}"


def _window(attention: AttentionSpec) -> str:
    behind, ahead = attention.window.left, attention.window.right
    if attention.chunk:
        return f"itself and all before in its chunk of {attention.chunk:,} tokens"
    if behind is None:
        return "all tokens" if ahead is None else "itself and all before"
    if ahead == 0:
        return f"itself and the {behind:,} before"
    return f"{behind:,} tokens to each side" if behind == ahead else f"{behind:,} before, {ahead} after"


def _position(spec: Spec, attention: AttentionSpec) -> str:
    table = {Learned: "learned vectors", Sinusoidal: "sines and cosines"}
    parts = [words for kind, words in table.items() if isinstance(spec.embedding.positions, kind)]
    match attention.position:
        case Rotary(theta, size, interleaved, scaling, values=values):
            turning = 2 * scaling.pairs if isinstance(scaling, Proportional) else size
            of = "" if turning == attention.head_size else f", {turning} of {attention.head_size} dimensions"
            pairs = ", neighbours paired" if interleaved else ""
            also = ", of values too" if values else ""
            stretched = scaling and not (isinstance(scaling, Proportional) and scaling.factor == 1)
            scaled = f", {type(scaling).__name__.lower()} scaling" if stretched else ""
            parts.append(f"rotary, θ {theta:,.0f}{of}{pairs}{scaled}{also}")
        case ALiBi():
            parts.append("ALiBi, falling with the distance")
        case RelativeBuckets(buckets, longest, made=made):
            own = ", which each query makes" if made else ""
            parts.append(f"a bias for each of {buckets} buckets of distance, up to {longest}{own}")
        case Disentangled(span):
            parts.append(f"disentangled, {2 * span} relative vectors")
    return " and ".join(parts)


def _scores(attention: AttentionSpec) -> str:
    usual = math.isclose(attention.scale, attention.head_size**-0.5)
    parts = [] if usual else ["not scaled" if attention.scale == 1 else f"scaled by {attention.scale:.4g}"]
    if attention.softcap:
        parts.append(f"soft cap {attention.softcap:g}")
    if attention.qk_norm:
        parts.append("queries and keys normed")
    if attention.gated:
        parts.append("what heads give is gated")
    if attention.sinks:
        parts.append("a learned sink in each softmax")
    if attention.temperature:
        parts.append("sharper in long texts")
    if attention.clip:
        parts.append(f"queries, keys and values within ±{attention.clip:g}")
    return ", ".join(parts)


def _norms(spec: Spec) -> str:
    norms = spec.layers[0].norms
    kind = "LayerNorm" if isinstance(norms.norm, LayerNorm) else "RMSNorm"
    match norms:
        case PostNorm():
            place = "after each sublayer is added"
        case BranchNorm():
            place = "of what each sublayer adds"
        case SandwichNorm():
            place = "before and after each sublayer"
        case ParallelNorm():
            place = "before attention and MLP, which run side by side"
        case _:
            place = "before each sublayer"
    return f"{kind}, {place}"

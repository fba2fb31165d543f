"""One block: its attention, its MLP, and how they are joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attnviz.attention.window import KeyWindow
from attnviz.model.architecture.spec.mixers import Mixer
from attnviz.model.architecture.spec.mlps import MLP, AnyMLP, Experts, MLPAndExperts
from attnviz.model.architecture.spec.norms import (
    BranchNorm,
    LayerNorm,
    Norm,
    ParallelNorm,
    PostNorm,
    PreNorm,
    QKNorm,
    RMSNorm,
    SandwichNorm,
)
from attnviz.model.architecture.spec.positions import ALiBi, Disentangled, RelativeBuckets, Rotary, Temperature


@dataclass(frozen=True)
class Latent:
    """Keys and values of all heads are made from one normed vector of ``size`` numbers for each token.

    That is multi-head latent attention (DeepSeek-AI 2024, section 2.1).

    Args:
        size: of that vector.
        shared: how many of the last numbers of a key are the same for all heads; they are made beside the vector, and
            not normed.
        values: the size of a value.
        norm: the norm of the vectors.
        queries: the size of the vector that queries are made from, likewise; None if they are made as ever.
        bias: whether what makes the vectors has biases.
    """

    size: int
    shared: int
    values: int
    norm: RMSNorm
    queries: int | None = None
    bias: bool = False


@dataclass(frozen=True)
class AttentionSpec:
    """One attention sublayer: ``heads`` query heads share ``kv_heads`` key-value heads of ``head_size``.

    The scores are q·k · ``scale``, then ``softcap`` · tanh(score / softcap) if there is one. ``clip`` limits the
    outputs of the query, key and value projections, behind norms over their width; these have biases if ``bias``,
    those of keys only if ``key_bias`` too. With ``sinks`` each head has the score of a key without a value, which
    takes its share of each softmax. ``latent`` says that keys and values are made from fewer numbers. Of a ``window``
    of ``chunk`` keys a query sees those in its own chunk of the text alone. What a head gives to a ``gated`` attention
    is multiplied by σ(W x) of the token that looks (Qiu et al. 2025, "Gated Attention for Large Language Models").

    Keys and values may be those of the earlier layer ``keys_of``, so that this one makes none (Brandon et al. 2024,
    "Reducing Transformer Key-Value Cache Size with Cross-Layer Attention"). With ``keys_as_values`` one projection
    makes both: values are what the keys are before their norm and their position. ``value_norm`` is the norm of the
    values of each head.
    """

    heads: int
    kv_heads: int
    head_size: int
    scale: float
    window: KeyWindow
    position: Rotary | ALiBi | RelativeBuckets | Disentangled | None = None
    softcap: float | None = None
    bias: bool = True
    key_bias: bool = True
    output_bias: bool = True
    qk_norm: QKNorm | None = None
    clip: float | None = None
    sinks: bool = False
    latent: Latent | None = None
    chunk: int | None = None
    temperature: Temperature | None = None
    keys_of: int | None = None
    keys_as_values: bool = False
    value_norm: Norm | None = None
    gated: bool = False

    @property
    def value_size(self) -> int:
        """The size of a value, and of what a head gives."""
        return self.latent.values if self.latent else self.head_size


@dataclass(frozen=True)
class Convolution:
    """x = norm(x + activation(convolution of the layer's input over ``size`` tokens)).

    ``groups`` is the number of groups of the convolution (DeBERTa-v2 has one after its first layer).
    """

    size: int
    groups: int
    activation: str
    norm: LayerNorm


@dataclass(frozen=True)
class Adapter:
    """x = y + mlp(norm(x)), of the sum x that a layer's MLP adds to, before a norm behind it (Houlsby et al. 2019).

    Args:
        mlp: the MLP, a small one.
        norm: the norm of what it reads: one of its ``own``, that of the layer's ``mlp``, or none.
        normed: whether y is norm(x) rather than x.
    """

    mlp: MLP
    norm: Literal["own", "mlp"] | None
    normed: bool


@dataclass(frozen=True)
class TokenGate:
    """x = x + norm(out(activation(gate(x)) · e)), where e are ``size`` numbers that the layer has for the token itself.

    ``Embedding.layers`` says where these come from (per-layer embeddings, Gemma 3n).
    """

    size: int
    activation: str
    norm: RMSNorm


@dataclass(frozen=True)
class LayerSpec:
    """One block.

    Args:
        attention: the self-attention, or what mixes the tokens in its place.
        mlp: the MLP, or the experts in its place or beside it.
        norms: where the norms are.
        cross: the attention of a decoder to its encoder, between the other two sublayers.
        residual: the factor of what each sublayer adds (Granite).
        convolution: a convolution after the sublayers.
        adapter: an adapter after the MLP.
        token_gate: what adds something of the token itself, after the MLP.
        scaled: whether all that leaves the layer is multiplied by a number of its own.
    """

    attention: AttentionSpec | Mixer
    mlp: AnyMLP
    norms: PostNorm | PreNorm | BranchNorm | SandwichNorm | ParallelNorm
    cross: AttentionSpec | None = None
    residual: float = 1.0
    convolution: Convolution | None = None
    adapter: Adapter | None = None
    token_gate: TokenGate | None = None
    scaled: bool = False

    @property
    def experts(self) -> Experts | None:
        """The experts, if there are any."""
        mlp = self.mlp.experts if isinstance(self.mlp, MLPAndExperts) else self.mlp
        return mlp if isinstance(mlp, Experts) else None

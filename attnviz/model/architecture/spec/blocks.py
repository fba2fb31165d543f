"""One block: its attention, its MLP, and how they are joined."""

from __future__ import annotations

from dataclasses import dataclass

from attnviz.attention.window import KeyWindow
from attnviz.model.architecture.spec.norms import (
    BranchNorm,
    LayerNorm,
    ParallelNorm,
    PostNorm,
    PreNorm,
    QKNorm,
    SandwichNorm,
)
from attnviz.model.architecture.spec.positions import ALiBi, Disentangled, RelativeBuckets, Rotary


@dataclass(frozen=True)
class AttentionSpec:
    """One attention sublayer: ``heads`` query heads share ``kv_heads`` key-value heads of ``head_size``.

    The scores are q·k · ``scale``, then ``softcap`` · tanh(score / softcap) if there is one. ``clip`` limits the
    outputs of the query, key and value projections, which have biases if ``bias``, those of keys only if ``key_bias``
    too.
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


@dataclass(frozen=True)
class MLP:
    """down(activation(up(x))) with ``size`` inner units."""

    size: int
    activation: str
    bias: bool = True


@dataclass(frozen=True)
class GatedMLP:
    """down(activation(gate(x)) · up(x)) (Shazeer 2020)."""

    size: int
    activation: str
    bias: bool = False


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
class LayerSpec:
    """One block.

    Args:
        attention: the self-attention.
        mlp: the MLP.
        norms: where the norms are.
        cross: the attention of a decoder to its encoder, between the other two sublayers.
        residual: the factor of what each sublayer adds (Granite).
        convolution: a convolution after the sublayers.
    """

    attention: AttentionSpec
    mlp: MLP | GatedMLP
    norms: PostNorm | PreNorm | BranchNorm | SandwichNorm | ParallelNorm
    cross: AttentionSpec | None = None
    residual: float = 1.0
    convolution: Convolution | None = None

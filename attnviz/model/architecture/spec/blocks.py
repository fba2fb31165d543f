"""One block: its attention, its MLP, and how they are joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attnviz.attention.window import KeyWindow
from attnviz.model.architecture.spec.norms import (
    BranchNorm,
    LayerNorm,
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
    of ``chunk`` keys a query sees those in its own chunk of the text alone.
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

    @property
    def value_size(self) -> int:
        """The size of a value, and of what a head gives."""
        return self.latent.values if self.latent else self.head_size


@dataclass(frozen=True)
class XIELU:
    """The activation αp · x² + βx of positive x, and αn · (exp(min(x, ε)) − 1 − x) + βx of others.

    Each layer has learned numbers a and b: αp is softplus(a), and αn is β + softplus(b) (Huang & Schlag 2024). A
    checkpoint may contain another ``beta`` and ``eps``.
    """

    beta: float = 0.5
    eps: float = -1e-6

    def __str__(self) -> str:
        return "xIELU"


@dataclass(frozen=True)
class MLP:
    """down(activation(up(x))) with ``size`` inner units."""

    size: int
    activation: str | XIELU
    bias: bool = True


@dataclass(frozen=True)
class GatedMLP:
    """down(activation(gate(x)) · (up(x) + ``offset``)) (Shazeer 2020).

    With a ``limit`` the gate is at most that before its activation, and up(x) between plus and minus that (gpt-oss).
    Its three matrices have biases if ``bias``; with ``down_bias`` only that of down has one.
    """

    size: int
    activation: str | XIELU
    bias: bool = False
    limit: float | None = None
    offset: float = 0.0
    down_bias: bool = False


@dataclass(frozen=True)
class NearBest:
    """The share of the best expert is that of its softmax over the scores that are near, of the next best likewise
    without the first, and so on (Liu et al. 2023, "Sparse Backpropagation for MoE Training").

    A score s is near the best b where (b − s) / max(|s|, b) is at most ``tolerance``.
    """

    tolerance: float


@dataclass(frozen=True)
class Sigmoid:
    """The share of each chosen expert is σ(its score), which is also what is compared, and divided by their sum if
    ``normed`` (DeepSeek-AI 2024, "DeepSeek-V3", section 2.1.2).
    """

    normed: bool


@dataclass(frozen=True)
class Groups:
    """The experts of a token are among those of the ``chosen`` best of ``count`` groups of equal size.

    The score of a group is the sum of its ``best`` experts' scores (DeepSeek-AI 2024, section 2.2.2).
    """

    count: int
    chosen: int
    best: int


@dataclass(frozen=True)
class Experts:
    """The sum of share · expert(x) over those ``chosen`` of ``count`` experts to which a router gives the highest
    scores (Shazeer et al. 2017).

    Args:
        expert: one of the experts, which are all built alike.
        count: how many there are.
        chosen: how many of them read a token.
        shares: the softmax over the scores of ``all`` experts, over those of the ``chosen``, or another rule.
        factor: the factor of all shares.
        groups: the groups among which they are chosen first.
        corrected: whether each expert has a number that is added to its score, for the choice alone.
        bias: whether the router has a bias.
        entering: whether shares multiply what an expert reads, not what it writes.
        shared: an expert that reads every token beside them.
        gated: whether what the shared expert writes is multiplied by σ(w · x).
        capacity: how many tokens of a text an expert reads at most, the first ones that choose it (Fedus et al. 2022).
    """

    expert: MLP | GatedMLP
    count: int
    chosen: int
    shares: Literal["all", "chosen"] | Sigmoid | NearBest
    factor: float = 1.0
    groups: Groups | None = None
    corrected: bool = False
    bias: bool = False
    entering: bool = False
    shared: MLP | GatedMLP | None = None
    gated: bool = False
    capacity: int | None = None

    @property
    def size(self) -> int:
        """The inner units of the largest expert."""
        return max(self.expert.size, self.shared.size if self.shared else 0)


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
class LayerSpec:
    """One block.

    Args:
        attention: the self-attention.
        mlp: the MLP, or the experts in its place.
        norms: where the norms are.
        cross: the attention of a decoder to its encoder, between the other two sublayers.
        residual: the factor of what each sublayer adds (Granite).
        convolution: a convolution after the sublayers.
        adapter: an adapter after the MLP.
    """

    attention: AttentionSpec
    mlp: MLP | GatedMLP | Experts
    norms: PostNorm | PreNorm | BranchNorm | SandwichNorm | ParallelNorm
    cross: AttentionSpec | None = None
    residual: float = 1.0
    convolution: Convolution | None = None
    adapter: Adapter | None = None

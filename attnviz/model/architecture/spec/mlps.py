"""MLPs, and mixtures of experts in their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attnviz.model.architecture.spec.norms import RMSNorm


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
    """The share of each chosen expert is σ(its score), which is also what is compared, and divided by their sum, and
    ``eps``, if ``normed`` (DeepSeek-AI 2024, "DeepSeek-V3", section 2.1.2).
    """

    normed: bool
    eps: float = 1e-20


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
        shares: the softmax over the scores of ``all`` experts, that over those of the ``chosen``, or another rule.
        factor: the factor of all shares.
        groups: the groups among which they are chosen first.
        corrected: whether each expert has a number that is added to its softmax or σ, for the choice alone.
        bias: whether the router has a bias.
        entering: whether shares multiply what an expert reads, not what it writes.
        shared: an expert that reads every token beside them.
        gated: whether what the shared expert writes is multiplied by σ(w · x).
        capacity: how many tokens of a text an expert reads at most, the first ones that choose it (Fedus et al. 2022).
        sharpness: the factor of the router's scores.
        weighted: whether each expert has a number by which its share is multiplied.
        norm: the norm of what experts read, and of what the router reads, each with its own weights; None where both
            read what they are given.
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
    sharpness: float = 1.0
    weighted: bool = False
    norm: RMSNorm | None = None

    @property
    def size(self) -> int:
        """The inner units of the largest expert."""
        return max(self.expert.size, self.shared.size if self.shared else 0)


@dataclass(frozen=True)
class MLPAndExperts:
    """norm₁(mlp(norm(x))) + norm₂(experts(x)): an MLP and experts side by side, with norms of their own (Gemma 4)."""

    mlp: GatedMLP
    experts: Experts
    norm: RMSNorm

    @property
    def size(self) -> int:
        """The inner units of the MLP, or of the largest expert."""
        return max(self.mlp.size, self.experts.size)


AnyMLP = MLP | GatedMLP | Experts | MLPAndExperts

"""Norms, and where in a block they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LayerNorm:
    """(x − mean) / √(variance + eps) · (offset + weight) + bias (Ba et al. 2016); weight and bias are optional."""

    eps: float
    bias: bool = True
    weight: bool = True
    offset: float = 0.0


@dataclass(frozen=True)
class RMSNorm:
    """x / √(mean x² + eps) · (offset + weight) (Zhang & Sennrich 2019); Gemma's offset is 1, the weight optional.

    In half precision it is computed in float32, and rounded before the product with the weights, as in Llama, or
    ``once``, after it, which models with an offset always do.
    """

    eps: float
    offset: float = 0.0
    weight: bool = True
    once: bool = False


Norm = LayerNorm | RMSNorm


@dataclass(frozen=True)
class PostNorm:
    """x = norm(x + f(x)), as in the first transformer and BERT."""

    norm: Norm


@dataclass(frozen=True)
class PreNorm:
    """x = x + f(norm(x)), as in GPT-2 and Llama.

    ``attention`` is False if the attention reads x without a norm (ModernBERT's first layer, after normed embeddings).
    """

    norm: Norm
    attention: bool = True


@dataclass(frozen=True)
class BranchNorm:
    """x = x + norm(f(x)), as in OLMo 2."""

    norm: Norm


@dataclass(frozen=True)
class SandwichNorm:
    """x = x + norm'(f(norm(x))), as in Gemma 2."""

    norm: Norm


@dataclass(frozen=True)
class ParallelNorm:
    """x = x + attention(norm(x)) + mlp(norm'(x)); both use one norm if ``shared`` (GPT-J), otherwise two (NeoX)."""

    norm: Norm
    shared: bool


@dataclass(frozen=True)
class QKNorm:
    """Norm queries and keys before they are rotated, or once they are if ``rotated``.

    ``over`` is ``head`` (D weights for all heads), ``each`` (D weights for each head) or ``width`` (all heads
    together).
    """

    norm: Norm
    over: Literal["head", "each", "width"] = "head"
    rotated: bool = False

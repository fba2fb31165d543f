"""What a transformer of ours is made of: facts, in frozen dataclasses.

A family file turns a config into a ``Spec``; the forward pass reads nothing else. What makes two families differ
is a different value here, never a name: ``position=Rotary(...)``, not ``use_rope=True``. Sizes are in the shape
letters of ``kernel.py``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerNorm:
    """(x − mean) / √(variance + eps) · weight + bias (Ba et al. 2016)."""

    eps: float
    bias: bool = True


@dataclass(frozen=True)
class RMSNorm:
    """x / √(mean x² + eps) · (offset + weight) (Zhang & Sennrich 2019); Gemma's offset is 1."""

    eps: float
    offset: float = 0.0


Norm = LayerNorm | RMSNorm


@dataclass(frozen=True)
class PostNorm:
    """x = norm(x + f(x)), as in the first transformer and BERT."""

    norm: Norm


@dataclass(frozen=True)
class PreNorm:
    """x = x + f(norm(x)), as in GPT-2 and Llama."""

    norm: Norm


@dataclass(frozen=True)
class SandwichNorm:
    """x = x + norm'(f(norm(x))), as in Gemma 2."""

    norm: Norm


@dataclass(frozen=True)
class ParallelNorm:
    """x = x + attention(norm(x)) + mlp(norm'(x)); ``shared`` where both read one norm (GPT-J), else two (NeoX)."""

    norm: Norm
    shared: bool


@dataclass(frozen=True)
class Reach:
    """The keys that a query sees: from ``behind`` before it to ``ahead`` after it; None is without end."""

    behind: int | None = None
    ahead: int | None = None


EVERYTHING = Reach()
CAUSAL = Reach(ahead=0)


@dataclass(frozen=True)
class Learned:
    """A table of ``count`` position vectors, added to the embeddings; position 0 is row ``offset``."""

    count: int
    offset: int = 0


@dataclass(frozen=True)
class Rotary:
    """Queries and keys are turned by their position (Su et al. 2021), in the first ``size`` of D dimensions.

    Dimension pairs are (i, i + size/2), or (2i, 2i + 1) where ``interleaved``.
    """

    theta: float
    size: int
    interleaved: bool = False


@dataclass(frozen=True)
class ALiBi:
    """−slope_h · distance is added to the scores (Press et al. 2022)."""


@dataclass(frozen=True)
class RelativeBuckets:
    """A learned bias per bucket of distance and head is added to the scores (Raffel et al. 2020).

    One table serves all layers. ``bidirectional`` gives half of the buckets to keys behind the query, half ahead.
    """

    buckets: int
    max_distance: int
    bidirectional: bool


@dataclass(frozen=True)
class Attention:
    """One attention sublayer: ``heads`` query heads share ``kv_heads`` key-value heads of ``head_size``.

    The scores are q·k · ``scale``, then ``softcap`` · tanh(score / softcap) where there is one.
    """

    heads: int
    kv_heads: int
    head_size: int
    scale: float
    reach: Reach
    position: Rotary | ALiBi | RelativeBuckets | None = None
    softcap: float | None = None
    bias: bool = True
    output_bias: bool = True


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
class Layer:
    """One block. ``cross`` is the attention of a decoder's queries to an encoder's keys."""

    attention: Attention
    mlp: MLP | GatedMLP
    norms: PostNorm | PreNorm | SandwichNorm | ParallelNorm
    cross: Attention | None = None


@dataclass(frozen=True)
class Embedding:
    """Token vectors times ``scale``, plus learned positions and token types, then a norm, where there are any."""

    vocabulary: int
    positions: Learned | None = None
    types: int = 0
    norm: Norm | None = None
    scale: float = 1.0


@dataclass(frozen=True)
class Spec:
    """A whole model of width C. ``final_norm`` follows the last layer of pre-norm models."""

    width: int
    embedding: Embedding
    layers: tuple[Layer, ...]
    final_norm: Norm | None = None

    @property
    def limit(self) -> int | None:
        """The most tokens that the model has positions for, None where it has no such limit."""
        learned = self.embedding.positions
        return learned.count if learned else None

    @property
    def causal(self) -> bool:
        """Whether no query sees a later key."""
        return all(layer.attention.reach.ahead == 0 for layer in self.layers)

"""What a transformer of ours is made of: facts, in frozen dataclasses.

A family file turns a config into a ``Spec``; the forward pass reads nothing else. What makes two families differ
is a different value here, never a name: ``position=Rotary(...)``, not ``use_rope=True``. Sizes are in the shape
letters of ``kernel.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attnviz.attention.window import KeyWindow


@dataclass(frozen=True)
class LayerNorm:
    """(x − mean) / √(variance + eps) · (offset + weight) + bias (Ba et al. 2016); weight and bias may be missing."""

    eps: float
    bias: bool = True
    weight: bool = True
    offset: float = 0.0


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
    """x = x + f(norm(x)), as in GPT-2 and Llama.

    ``attention`` is false where the attention reads x as it is (ModernBERT's first layer: the embeddings are normed).
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
    """x = x + attention(norm(x)) + mlp(norm'(x)); ``shared`` where both read one norm (GPT-J), else two (NeoX)."""

    norm: Norm
    shared: bool


@dataclass(frozen=True)
class Learned:
    """A table of ``count`` position vectors, added to the embeddings; position 0 is row ``offset``.

    Tokens with the id ``padding`` are not counted and have the row before position 0, also inside a text (RoBERTa).
    """

    count: int
    offset: int = 0
    padding: int | None = None


@dataclass(frozen=True)
class Sinusoidal:
    """``count`` position vectors, sines in the first half and cosines in the second (Vaswani et al. 2017).

    They are float32 whatever the model's type: the tables that the models were trained with. Where ``whole``, the
    slowest wave is the whole of 20000π tokens, and they are made in the model's type. Position 0 is row ``offset``;
    tokens with the id ``padding`` are not counted and have zeros. ``stored``: a checkpoint that has them is read.
    """

    count: int
    whole: bool = False
    offset: int = 0
    padding: int | None = None
    stored: bool = False


@dataclass(frozen=True)
class Linear:
    """Rotary angles divided by ``factor`` (Chen et al. 2023)."""

    factor: float


@dataclass(frozen=True)
class Dynamic:
    """The base grows with texts longer than ``original`` tokens ("NTK-aware" scaling)."""

    factor: float
    original: int


@dataclass(frozen=True)
class Llama3:
    """Long waves are stretched by ``factor``, short ones kept, those between blended (Grattafiori et al. 2024)."""

    factor: float
    low: float
    high: float
    original: int


@dataclass(frozen=True)
class Yarn:
    """Waves that turn fewer than ``slow`` times in ``original`` tokens are stretched by ``factor``, those that turn
    more than ``fast`` times are kept (Peng et al. 2023). ``attention`` multiplies sines and cosines; ``truncate``
    rounds the ends of the ramp between.
    """

    factor: float
    original: int
    attention: float
    fast: float = 32.0
    slow: float = 1.0
    truncate: bool = True


@dataclass(frozen=True)
class LongRope:
    """Each wave is stretched by its own factor, ``long`` beyond ``original`` tokens, else ``short`` (Ding et al. 2024).

    ``attention`` multiplies sines and cosines.
    """

    short: tuple[float, ...]
    long: tuple[float, ...]
    original: int
    attention: float


@dataclass(frozen=True)
class Rotary:
    """Queries and keys are turned by their position (Su et al. 2021), in the first ``size`` of D dimensions.

    Dimension pairs are (i, i + size/2), or (2i, 2i + 1) where ``interleaved``. ``scaling`` reaches beyond the
    length of the training.
    """

    theta: float
    size: int
    interleaved: bool = False
    scaling: Linear | Dynamic | Llama3 | Yarn | LongRope | None = None


@dataclass(frozen=True)
class ALiBi:
    """−slope_h · distance · ``scale`` is added to the scores (Press et al. 2022).

    ``bfloat16``: slope times position is rounded so, as Falcon was trained.
    """

    scale: float = 1.0
    bfloat16: bool = False


@dataclass(frozen=True)
class RelativeBuckets:
    """A learned bias per bucket of distance and head is added to the scores (Raffel et al. 2020).

    ``bidirectional`` gives half of the buckets to keys behind the query, half ahead. ``shared``: one table serves all
    layers, else each has its own (Chung et al. 2023).
    """

    buckets: int
    max_distance: int
    bidirectional: bool
    shared: bool = True


@dataclass(frozen=True)
class Disentangled:
    """Contents look at relative positions and positions at contents (He et al. 2021, eq. 4).

    A table of 2·``span`` vectors of width C, normed by ``norm``, serves all layers; row span + bucket(q − k), clipped.
    Distances beyond half of ``span`` share buckets that grow with the logarithm up to ``max_distance``; None: one
    bucket each. ``shared``: the layer's own query and key projections make queries and keys of the table's vectors.
    """

    span: int
    max_distance: int | None
    content_to_position: bool
    position_to_content: bool
    shared: bool
    norm: LayerNorm | None


@dataclass(frozen=True)
class QKNorm:
    """Queries and keys are normed before they are turned: over ``head`` (D weights for all heads), over ``each``
    head (D weights for each), or over the whole ``width`` of all heads.
    """

    norm: Norm
    over: Literal["head", "each", "width"] = "head"


@dataclass(frozen=True)
class AttentionSpec:
    """One attention sublayer: ``heads`` query heads share ``kv_heads`` key-value heads of ``head_size``.

    The scores are q·k · ``scale``, then ``softcap`` · tanh(score / softcap) where there is one. ``clip`` bounds what
    the query, key and value projections give.
    """

    heads: int
    kv_heads: int
    head_size: int
    scale: float
    window: KeyWindow
    position: Rotary | ALiBi | RelativeBuckets | Disentangled | None = None
    softcap: float | None = None
    bias: bool = True
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
    """x = norm(x + activation(what each token and its ``size`` − 1 neighbours gave to the layer, weighed)).

    ``groups`` are the parts of the width that are weighed apart (DeBERTa-v2, whose first layer ends so).
    """

    size: int
    groups: int
    activation: str
    norm: LayerNorm


@dataclass(frozen=True)
class Layer:
    """One block. ``cross`` is the attention of a decoder's queries to an encoder's keys, between the other two.

    ``residual`` multiplies what each sublayer adds (Granite), and ``convolution`` comes after them.
    """

    attention: AttentionSpec
    mlp: MLP | GatedMLP
    norms: PostNorm | PreNorm | BranchNorm | SandwichNorm | ParallelNorm
    cross: AttentionSpec | None = None
    residual: float = 1.0
    convolution: Convolution | None = None


@dataclass(frozen=True)
class Projection:
    """Embeddings of ``size`` become C wide: the ``tokens`` alone, before positions are added, or all after the norm."""

    size: int
    bias: bool = True
    tokens: bool = False


@dataclass(frozen=True)
class Embedding:
    """Token vectors times ``scale``, plus positions and token types, then a norm, where there are any."""

    vocabulary: int
    positions: Learned | Sinusoidal | None = None
    types: int = 0
    norm: Norm | None = None
    scale: float = 1.0
    projection: Projection | None = None


@dataclass(frozen=True)
class Head:
    """Hidden states become scores of the next token: with the token embeddings (``tied``) or a matrix of their own.

    A bias that is "optional" is zero where the checkpoint has none.
    """

    tied: bool
    bias: bool | Literal["optional"] = False


@dataclass(frozen=True)
class Spec:
    """A whole model of width C, or the decoder of one that has an ``encoder``.

    ``final_norm`` follows the last layer of pre-norm models, and ``final_size`` is the width that the last hidden
    states are projected to, where it is another. ``stored`` is the place of each layer in the checkpoint's names,
    where it is not the layer's number (ALBERT's layers share their weights). ``start`` is the token with which a
    decoder begins that has an encoder; where it ``wraps``, the last token of its text comes round to the start.
    """

    width: int
    embedding: Embedding
    layers: tuple[Layer, ...]
    final_norm: Norm | None = None
    final_size: int | None = None
    stored: tuple[str, ...] | None = None
    head: Head | None = None
    encoder: Spec | None = None
    start: int | None = None
    wraps: bool = False

    @property
    def limit(self) -> int | None:
        """The most tokens that the model has positions for, None where it has no such limit."""
        positions = self.embedding.positions
        return positions.count if positions else None

    @property
    def causal(self) -> bool:
        """Whether no query sees a later key."""
        return all(layer.attention.window.right == 0 for layer in self.layers)

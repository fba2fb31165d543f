"""The facts that describe a transformer, as frozen dataclasses.

A family file turns a config into a ``Spec``; the forward pass reads nothing else. Families differ in values, not in
names: ``position=Rotary(...)``, not ``use_rope=True``. Sizes use the shape letters of ``kernel.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attnviz.attention.window import KeyWindow


@dataclass(frozen=True)
class LayerNorm:
    """(x − mean) / √(variance + eps) · (offset + weight) + bias (Ba et al. 2016); weight and bias are optional."""

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
class Learned:
    """A table of ``count`` position vectors, added to the embeddings; position 0 is row ``offset``.

    Tokens with the id ``padding`` are not counted, and use the row before position 0, even inside a text (RoBERTa).
    """

    count: int
    offset: int = 0
    padding: int | None = None


@dataclass(frozen=True)
class Sinusoidal:
    """``count`` position vectors, sines in the first half and cosines in the second (Vaswani et al. 2017).

    They are float32 whatever the model's type, as in the training of the models.

    Args:
        count: the number of positions.
        whole: if True, the longest wavelength is exactly 20000π tokens, and the vectors are computed in the model's
            type.
        offset: the row of position 0.
        padding: the id of tokens that are not counted, and whose vectors are zero.
        stored: whether a checkpoint may contain the vectors, which are then read.
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
    """The base grows for texts longer than ``original`` tokens ("NTK-aware" scaling)."""

    factor: float
    original: int


@dataclass(frozen=True)
class Llama3:
    """Long wavelengths are stretched by ``factor``, short ones kept, those between blended (Grattafiori et al.
    2024).
    """

    factor: float
    low: float
    high: float
    original: int


@dataclass(frozen=True)
class Yarn:
    """Slow dimensions are stretched by ``factor``, fast ones kept, those between blended (Peng et al. 2023).

    Args:
        factor: the stretching factor.
        original: the number of tokens of the training.
        attention: the factor of sines and cosines.
        fast: dimensions that rotate more often in the original length are kept.
        slow: dimensions that rotate less often are stretched fully.
        truncate: whether the ends of the ramp between them are rounded.
    """

    factor: float
    original: int
    attention: float
    fast: float = 32.0
    slow: float = 1.0
    truncate: bool = True


@dataclass(frozen=True)
class LongRope:
    """Each dimension has its own factor: ``long`` beyond ``original`` tokens, otherwise ``short`` (Ding et al. 2024).

    ``attention`` is the factor of sines and cosines.
    """

    short: tuple[float, ...]
    long: tuple[float, ...]
    original: int
    attention: float


@dataclass(frozen=True)
class Rotary:
    """Rotate queries and keys by their position (Su et al. 2021), in the first ``size`` of D dimensions.

    Dimension pairs are (i, i + size/2), or (2i, 2i + 1) if ``interleaved``. ``scaling`` extends the positions beyond
    the length of the training.
    """

    theta: float
    size: int
    interleaved: bool = False
    scaling: Linear | Dynamic | Llama3 | Yarn | LongRope | None = None


@dataclass(frozen=True)
class ALiBi:
    """Add −slope_h · distance · ``scale`` to the scores (Press et al. 2022).

    ``bfloat16``: slope times position is rounded to it, as in Falcon's training.
    """

    scale: float = 1.0
    bfloat16: bool = False


@dataclass(frozen=True)
class RelativeBuckets:
    """Add a learned bias per bucket of distance and head to the scores (Raffel et al. 2020).

    ``bidirectional`` gives half of the buckets to earlier keys, half to later ones. ``shared``: one table serves all
    layers; otherwise each has its own (Chung et al. 2023).
    """

    buckets: int
    max_distance: int
    bidirectional: bool
    shared: bool = True


@dataclass(frozen=True)
class Disentangled:
    """Contents attend to relative positions and positions to contents (He et al. 2021, eq. 4).

    A table of 2·``span`` vectors of width C serves all layers; a distance uses row span + bucket(q − k), clipped.

    Args:
        span: half of the number of vectors.
        max_distance: distances beyond half of ``span`` share buckets that grow logarithmically up to this; None for one
            bucket each.
        content_to_position: whether contents attend to positions.
        position_to_content: whether positions attend to contents.
        shared: whether the layer's own query and key projections serve the table too.
        norm: the norm of the table.
    """

    span: int
    max_distance: int | None
    content_to_position: bool
    position_to_content: bool
    shared: bool
    norm: LayerNorm | None


@dataclass(frozen=True)
class QKNorm:
    """Norm queries and keys before they are rotated.

    ``over`` is ``head`` (D weights for all heads), ``each`` (D weights for each head) or ``width`` (all heads
    together).
    """

    norm: Norm
    over: Literal["head", "each", "width"] = "head"


@dataclass(frozen=True)
class AttentionSpec:
    """One attention sublayer: ``heads`` query heads share ``kv_heads`` key-value heads of ``head_size``.

    The scores are q·k · ``scale``, then ``softcap`` · tanh(score / softcap) if there is one. ``clip`` limits the
    outputs of the query, key and value projections.
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


@dataclass(frozen=True)
class Projection:
    """Project embeddings of ``size`` to width C: only the ``tokens``, before positions are added, or all after the
    norm.
    """

    size: int
    bias: bool = True
    tokens: bool = False


@dataclass(frozen=True)
class Embedding:
    """Token vectors times ``scale``, plus positions and token types, then a norm, as far as there are any."""

    vocabulary: int
    positions: Learned | Sinusoidal | None = None
    types: int = 0
    norm: Norm | None = None
    scale: float = 1.0
    projection: Projection | None = None


@dataclass(frozen=True)
class Head:
    """Project hidden states to scores of the next token, with the token embeddings (``tied``) or a matrix of its own.

    An "optional" bias is zero if the checkpoint has none.
    """

    tied: bool
    bias: bool | Literal["optional"] = False


@dataclass(frozen=True)
class Spec:
    """A whole model of width C, or the decoder of an encoder–decoder.

    Args:
        width: the size C of the hidden states.
        embedding: the embeddings.
        layers: the blocks.
        final_norm: the norm after the last layer of pre-norm models.
        final_size: the width to which the last hidden states are projected, if it is another.
        stored: the number of each layer in the checkpoint's names, if layers share their weights (ALBERT).
        head: the head that predicts tokens.
        encoder: the encoder.
        start: the start token of a decoder with an encoder.
        wraps: whether the text's last token is moved to the start instead.
    """

    width: int
    embedding: Embedding
    layers: tuple[LayerSpec, ...]
    final_norm: Norm | None = None
    final_size: int | None = None
    stored: tuple[str, ...] | None = None
    head: Head | None = None
    encoder: Spec | None = None
    start: int | None = None
    wraps: bool = False

    @property
    def limit(self) -> int | None:
        """The number of positions that the model has; None if it has no such limit."""
        positions = self.embedding.positions
        return positions.count if positions else None

    @property
    def causal(self) -> bool:
        """Whether no query sees a later key."""
        return all(layer.attention.window.right == 0 for layer in self.layers)

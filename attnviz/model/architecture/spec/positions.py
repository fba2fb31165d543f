"""How a model knows positions: vectors that are added, rotations, and biases of the scores."""

from __future__ import annotations

from dataclasses import dataclass

from attnviz.model.architecture.spec.norms import LayerNorm


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
        rounded: whether they are computed in the model's type, float32 at least, with its rounding errors (CTRL).
    """

    count: int
    whole: bool = False
    offset: int = 0
    padding: int | None = None
    stored: bool = False
    rounded: bool = False


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
class Proportional:
    """Only the ``pairs`` of dimensions that turn fastest do, divided by ``factor`` ("p-RoPE", Barbero et al. 2025)."""

    pairs: int
    factor: float


@dataclass(frozen=True)
class Rotary:
    """Rotate queries and keys by their position (Su et al. 2021), in the first ``size`` of D dimensions.

    Dimension pairs are (i, i + size/2), or (2i, 2i + 1) if ``interleaved``. ``scaling`` extends the positions beyond
    the length of the training. With a ``table`` sines and cosines are those of so many positions, in float32, or those
    that a checkpoint contains. ``values`` says that values are rotated as keys are. With ``last`` it is the last
    ``size`` dimensions. With ``backwards`` all turn the other way (nanochat). ``stored`` says that a checkpoint may
    contain the angles per token, which are then read.
    """

    theta: float
    size: int
    interleaved: bool = False
    scaling: Linear | Dynamic | Llama3 | Yarn | LongRope | Proportional | None = None
    last: bool = False
    table: int | None = None
    values: bool = False
    backwards: bool = False
    stored: bool = False


@dataclass(frozen=True)
class Temperature:
    """Queries are multiplied by 1 + ``weight`` · log(1 + ⌊(position + ``offset``) / ``every``⌋).

    So the weights of long texts stay as sharp (Nakanishi 2025, "Scalable-Softmax Is Superior for Attention").
    """

    weight: float
    every: float
    offset: int = 0


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
    layers; otherwise each has its own (Chung et al. 2023). ``made``: each query has biases of its own, which a matrix
    of the layer makes of its state (Qi et al. 2020).
    """

    buckets: int
    max_distance: int
    bidirectional: bool
    shared: bool = True
    made: bool = False


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

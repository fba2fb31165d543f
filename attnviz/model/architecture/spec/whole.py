"""A whole model: embeddings, blocks and head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from attnviz.attention.window import KeyWindow
from attnviz.model.architecture.spec.blocks import AttentionSpec, LayerSpec
from attnviz.model.architecture.spec.mixers import Mixer
from attnviz.model.architecture.spec.norms import Norm, RMSNorm
from attnviz.model.architecture.spec.positions import Learned, Rotary, Sinusoidal


@dataclass(frozen=True)
class Projection:
    """Project embeddings of ``size`` to width C: only the ``tokens``, before positions are added, or all after the
    norm.
    """

    size: int
    bias: bool = True
    tokens: bool = False


@dataclass(frozen=True)
class LayerEmbedding:
    """``size`` numbers for each token and layer, beside the states: (norm(W x / √C) + √size · e) / √2 (Gemma 3n).

    x is the token's vector of C numbers that enters the first layer, W a matrix of the layer, e what a table of
    ``vocabulary`` tokens has for the layer.
    """

    size: int
    vocabulary: int
    norm: RMSNorm


@dataclass(frozen=True)
class Embedding:
    """Token vectors times ``scale``, plus positions and token types, then a norm, as far as there are any.

    Of ``kinds`` vectors, one for each kind of text (by task in ERNIE, by language in XLM), that of ``kind`` is added to
    each token. With ``early`` the token vectors alone are normed, before the rest is added. Vectors of the token
    ``dropped`` are zero, and the others are divided by the share of those that are not (ESM). ``layers`` are what is
    embedded beside for each layer.
    """

    vocabulary: int
    positions: Learned | Sinusoidal | None = None
    types: int = 0
    norm: Norm | None = None
    scale: float = 1.0
    projection: Projection | None = None
    kinds: int = 0
    kind: int = 0
    early: bool = False
    dropped: int | None = None
    layers: LayerEmbedding | None = None


@dataclass(frozen=True)
class Head:
    """Project hidden states to scores of the next token, with the token embeddings (``tied``) or a matrix of its own.

    An "optional" bias is zero if the checkpoint has none. All scores are multiplied by ``scale``, and then bounded by
    ``softcap`` · tanh(score / softcap) if there is one.
    """

    tied: bool
    bias: bool | Literal["optional"] = False
    scale: float = 1.0
    softcap: float | None = None


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
        apart: whether a decoder and its encoder have token vectors of their own.
        blocks: the names, within a layer, of its matrices that are zero beside blocks along the diagonal, and the
            number of these blocks (SqueezeBERT).
        language: the language whose tensors are used, of a model that has some for each.
        streams: how many streams predict beside that of the text, each with a vector in the place of tokens'. In the
            first, what predicts a token stands at its place and sees the text before it (Qi et al. 2020).
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
    apart: bool = False
    blocks: tuple[tuple[str, int], ...] = ()
    language: str | None = None
    streams: int = 0

    def with_layers(self, change: Callable[[LayerSpec], LayerSpec]) -> Spec:
        """The same model with other layers: what ``change`` makes of each."""
        return replace(self, layers=tuple(map(change, self.layers)))

    def with_windows(self, windows: Sequence[KeyWindow]) -> Spec:
        """The same model, each layer that attends with its own window."""
        each = iter(windows)
        return self.with_attentions(lambda attention: replace(attention, window=next(each)))

    def with_attentions(self, change: Callable[[AttentionSpec], AttentionSpec]) -> Spec:
        """The same model with other self-attentions: what ``change`` makes of each."""
        changed = {i: change(each) for i, each in self.attentions.items()}
        layers = (replace(layer, attention=changed.get(i, layer.attention)) for i, layer in enumerate(self.layers))
        return replace(self, layers=tuple(layers))

    @cached_property
    def attentions(self) -> Mapping[int, AttentionSpec]:
        """The self-attention of each layer that attends, by its number."""
        return {i: each.attention for i, each in enumerate(self.layers) if isinstance(each.attention, AttentionSpec)}

    @cached_property
    def mixers(self) -> Mapping[int, Mixer]:
        """What mixes the tokens of each other layer, by its number."""
        return {
            i: each.attention for i, each in enumerate(self.layers) if not isinstance(each.attention, AttentionSpec)
        }

    @property
    def first(self) -> AttentionSpec:
        """The attention of the first layer that attends."""
        return next(iter(self.attentions.values()))

    @property
    def limit(self) -> int | None:
        """The number of positions that the model has; None if it has no such limit."""
        positions, turns = self.embedding.positions, [each.position for each in self.attentions.values()]
        counts = [turn.table for turn in turns if isinstance(turn, Rotary) and turn.table]
        # What predicts a token needs its position, too.
        return min([positions.count - (self.streams > 0), *counts] if positions else counts, default=None)

    @property
    def causal(self) -> bool:
        """Whether no query sees a later key."""
        return all(each.window.right == 0 for each in self.attentions.values())

    @property
    def lenders(self) -> frozenset[int]:
        """The layers whose keys and values later ones use."""
        return frozenset(each.keys_of for each in self.attentions.values() if each.keys_of is not None)

    def crowds(self, count: int) -> bool:
        """Whether an expert may not read all of ``count`` tokens, so that what becomes of one depends on the others."""
        limits = [layer.experts.capacity for layer in self.layers if layer.experts]
        return any(limit is not None and limit < count for limit in limits)

"""The frozen records themselves: one attention, and the three of an encoder–decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attnviz.encoding import Encoding
from attnviz.errors import count_of
from attnviz.record.measure import WeightsName, measure_of
from attnviz.record.prediction import Prediction
from attnviz.record.texts import RecordTexts

Array = NDArray[np.floating[Any]]
Kind = Literal["self", "encoder", "decoder", "cross"]
MapName = Literal["encoder", "decoder", "cross"]
Backend = Literal["native", "hosted", "observed"]


@dataclass(frozen=True, eq=False)
class AttentionRecord(RecordTexts):
    """The attention weights of one input, in all layers and heads.

    Attributes:
        model: the model's name.
        backend: who made Q, K and V: our own forward pass (native) or the transformers model (hosted); observed: the
            weights are the model's own.
        causal: whether no query sees a later key.
        encoding: the tokens of the queries, and of the keys as well, unless ``keys`` is given.
        weights: (layers, heads, queries, keys); each row is a softmax, or what ``measure`` says.
        kind: self for a model's only attention, else which of an encoder–decoder's three it is.
        keys: the tokens of the keys; in cross-attention these are the encoder's.
        numbers: the model's own numbers of the layers, where only some have attention; empty means 0 to L − 1.
        note: what a reader must know of the input, such as that padding moved the weights.
        states: the hidden states (N, C) that entered each layer, for the check; they are not saved.
        prediction: what a classifier says of the text; None for other models.
        scores: q·k of all queries and keys in the shape of ``weights``, where they were asked for: before they are
            multiplied by the scale, and before position biases, soft caps, masks and the softmax.
        scales: what the scores of each layer are multiplied by (L,).
        softcaps: the cap of each layer: the scaled scores x become cap · tanh(x / cap). Empty where no layer has one.
        biases: what positions add to the scores after that, in the shape of ``weights``; None where they add nothing.
        query_vectors, key_vectors: the vectors q (L, H, N, D) and k (L, H, M, D) whose products the scores are, where
            they were asked for: all norms and rotations are done. Heads that share keys have the same ones.
        measure: what the weights are: ``attention``, or what was made of it; see ``record.MEASURES``.
        below: the attention weights that they were made of, for the check; they are not saved.
    """

    model: str
    backend: Backend
    causal: bool
    encoding: Encoding
    weights: Array
    kind: Kind = "self"
    keys: Encoding | None = None
    numbers: tuple[int, ...] = ()
    note: str = ""
    states: tuple[Array, ...] = ()
    prediction: Prediction | None = None
    scores: Array | None = None
    scales: tuple[float, ...] = ()
    softcaps: tuple[float | None, ...] = ()
    biases: Array | None = None
    query_vectors: Array | None = None
    key_vectors: Array | None = None
    measure: WeightsName = "attention"
    below: AttentionRecord | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(L, H, N, M)."""
        return self.weights.shape

    @property
    def logits(self) -> Array | None:
        """What the mask and the softmax make the weights of, (L, H, N, M), where the scores were asked for.

        It is cap(scale · q·k) + bias, as far as the model has cap and bias.
        """
        if self.scores is None:
            return None
        found = self.scores * _of_layers(self.scales, self.scores)
        for layer, cap in zip(found, self.softcaps, strict=False):
            if cap is not None:
                layer[:] = cap * np.tanh(layer / cap)
        return found if self.biases is None else found + self.biases

    def __repr__(self) -> str:
        sizes = f"{len(self.tokens)} tokens, {len(self.words)} words"
        if self.keys is not None:
            sizes = f"{len(self.tokens)} target tokens look at {len(self.keys)} source tokens"
        note = f"; {self.note}" if self.note else ""
        said = f"; {self.prediction.describe(self.encoding)}" if self.prediction else ""
        what = "Attention" if self.measure == "attention" else f"Attention ({self.measure})"
        heads = "" if measure_of(self.measure).by_layer else f" × {count_of(self.heads, 'head')}"
        return f"<{what} of {self.model}: {count_of(self.layers, 'layer')}{heads}, {sizes}{said}{note}>"


def _of_layers(values: tuple[float, ...], like: Array) -> Array:
    return np.array(values, like.dtype)[:, None, None, None]


@dataclass(frozen=True, eq=False)
class EncoderDecoderRecord:
    """The three attentions of an encoder–decoder: the source's, the target's, and the target's to the source."""

    encoder: AttentionRecord
    decoder: AttentionRecord
    cross: AttentionRecord

    @property
    def model(self) -> str:
        """The model's name, the same for all three."""
        return self.cross.model

    def __repr__(self) -> str:
        sizes = (
            f"{name} {count_of(each.layers, 'layer')} × {count_of(each.heads, 'head')}"
            for name, each in (("encoder", self.encoder), ("decoder", self.decoder))
        )
        source, target = len(self.encoder.tokens), len(self.decoder.tokens)
        said = self.encoder.prediction
        said_in_words = f"; {said.describe(self.encoder.encoding)}" if said else ""
        tokens = f"{source} source and {target} target tokens"
        return f"<EncoderDecoder of {self.model}: {', '.join(sizes)}, {tokens}{said_in_words}>"


Record = AttentionRecord | EncoderDecoderRecord

"""The head of a classifier: from the last hidden states to the scores of the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from attnviz.checkpoint import Checkpoint
from attnviz.checkpoint.files import shapes_of
from attnviz.errors import ModelError
from attnviz.model.architecture.activations import ACTIVATIONS
from attnviz.model.architecture.spec import Classifier, Dense, Spec
from attnviz.model.families import TOKEN_CLASSIFIER, TWO_STACKS_CLASSIFIER, Family
from attnviz.model.labels import Labels, end_token, pad_token


class ClassifierHead:
    """A head that is ready to run.

    Args:
        spec: what it is made of.
        tensors: its tensors, under the checkpoint's names.
        pad: the id of the padding token.
        end: the id of the token that ends a text.
    """

    def __init__(
        self, spec: Classifier, tensors: Mapping[str, Tensor], pad: int | None = None, end: int | None = None
    ) -> None:
        self.spec, self.tensors, self.pad, self.end = spec, tensors, pad, end

    def can_read(self, ids: Sequence[int]) -> bool:
        """Whether the token is among the ``ids`` of a text at which the head reads."""
        return self.spec.reads != "end" or self.end in ids

    def row(self, ids: Sequence[int]) -> int | None:
        """The number of the token whose state the head reads; None where it reads all."""
        match self.spec.reads:
            case "first":
                return 0
            case "last":  # the last that is no padding, as in transformers
                return max((i for i, one in enumerate(ids) if one != self.pad), default=0)
            case "end":
                return max(i for i, one in enumerate(ids) if one == self.end)
        return None

    @property
    def linear(self) -> tuple[Tensor, Tensor | None] | None:
        """The matrix (K, C) and the bias (K,) of a head that is one linear layer; None for another."""
        layer = self.spec.layers[0]
        if len(self.spec.layers) > 1 or layer.activation != "linear" or layer.norm:
            return None
        return self.tensors[f"{layer.name}.weight"], self.tensors.get(f"{layer.name}.bias")

    def __call__(self, states: Tensor, ids: Sequence[int]) -> Tensor:
        """Return the scores (K,) of a text, or (T, K) of its tokens, from the last hidden states (T, C)."""
        row = self.row(ids)
        if row is not None:
            states = states[row]
        elif self.spec.reads == "mean":
            states = states.mean(0)
        for layer in self.spec.layers:
            states = self._through(layer, states)
        return states.mean(0) if self.spec.reads == "late" else states

    def _through(self, layer: Dense, x: Tensor) -> Tensor:
        x = functional.linear(x, self.tensors[f"{layer.name}.weight"], self.tensors.get(f"{layer.name}.bias"))
        x = ACTIVATIONS[layer.activation](x)
        if layer.norm:
            weight, bias = self.tensors[f"{layer.norm}.weight"], self.tensors.get(f"{layer.norm}.bias")
            x = functional.layer_norm(x, x.shape[-1:], weight, bias, layer.eps)
        return x


def take_classifier(
    family: Family, spec: Spec, checkpoint: Checkpoint, dtype: torch.dtype, device: str = "cpu"
) -> ClassifierHead | None:
    """Return the head of ``checkpoint``, if it is a classifier and has one.

    Raises:
        ModelError: its tensors do not fit each other or the model.
    """
    labels = Labels.of(checkpoint)
    if labels is None or (spec.encoder and labels.each):
        return None
    stored = shapes_of(checkpoint.tensors)
    own = family.classifier(checkpoint.config, each=labels.each)
    other = [TWO_STACKS_CLASSIFIER] if spec.encoder else [TOKEN_CLASSIFIER] if labels.each else []
    heads = [own, *other]
    head = next((head for head in heads if all(f"{layer.name}.weight" in stored for layer in head.layers)), None)
    if head is None:
        return None
    width = spec.final_size or spec.width
    for layer in head.layers:
        width = _require_fit(layer, stored, width)
    parts = [part for layer in head.layers for part in (layer.name, layer.norm) if part]
    names = [f"{part}.{last}" for part in parts for last in ("weight", "bias")]
    tensors = {name: checkpoint.tensors[name].to(device, dtype) for name in names if name in stored}
    return ClassifierHead(head, tensors, pad_token(checkpoint.config), end_token(checkpoint.config))


def _require_fit(layer: Dense, stored: Mapping[str, tuple[int, ...]], width: int) -> int:
    """Return how many numbers leave the ``layer`` which ``width`` enter."""
    shape = stored[f"{layer.name}.weight"]
    if len(shape) != 2 or shape[1] != width or not shape[0]:
        raise ModelError(
            f"{layer.name}.weight has the shape {shape}, expected (…, {width})",
            hint="config.json and the weights do not belong together: download the model again.",
        )
    for name in (f"{layer.name}.bias", *(f"{layer.norm}.{last}" for last in ("weight", "bias") if layer.norm)):
        if stored.get(name, shape[:1]) != shape[:1]:
            raise ModelError(
                f"{name} has the shape {stored[name]}, expected {shape[:1]}",
                hint="config.json and the weights do not belong together: download the model again.",
            )
    if layer.norm and f"{layer.norm}.weight" not in stored:
        raise ModelError(f"the checkpoint lacks {layer.norm}.weight", hint="Download the model again.")
    return shape[0]

"""What was shown of a text, as the check reads it: from a record, or from a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attnviz.attention.kernel import Kind
from attnviz.attention.observers import HiddenStates, Weights
from attnviz.encoding import Encoding
from attnviz.errors import InputError
from attnviz.model.check.report import TOLERANCES as TOLERANCES
from attnviz.model.check.report import Check as Check
from attnviz.model.check.report import LayerCheck as LayerCheck
from attnviz.model.check.report import RowCounts as RowCounts
from attnviz.model.check.sampling import OnLayerChecked as OnLayerChecked
from attnviz.model.hosted import Hosted
from attnviz.model.native.backend import Native
from attnviz.record import Array, AttentionRecord, EncoderDecoderRecord, Record


@dataclass(frozen=True, eq=False)
class Shown:
    """What was shown of a text.

    Args:
        encoding: the input.
        target: the decoder's input.
        weights: all weights of each kind, (L, H, N, M).
        numbers: the model's numbers of these layers.
        states: the hidden states (T, C) that entered each layer in the run that made the weights, as far as they were
            kept.
    """

    encoding: Encoding
    target: Encoding | None
    weights: Mapping[Kind, Tensor]
    numbers: Mapping[Kind, Sequence[int]]
    states: Mapping[Kind, Sequence[Tensor]]

    @classmethod
    def of(cls, record: Record) -> Shown:
        """Return what a record shows.

        Raises:
            InputError: the record is one map of an encoder–decoder, and lacks the input of the other half.
        """
        maps = [record] if isinstance(record, AttentionRecord) else [record.encoder, record.decoder, record.cross]
        read, target = maps[0].encoding, None
        if isinstance(record, EncoderDecoderRecord):
            target = record.decoder.encoding
        elif record.kind != "self":
            if record.keys is None:
                raise one_map_error(record.kind, record.model)
            read, target = record.keys, record.encoding
        return cls(
            read,
            target,
            {each.kind: _tensor(each.weights) for each in maps},
            {each.kind: each.layer_numbers for each in maps},
            {each.kind: [_tensor(state) for state in each.states] for each in maps},
        )


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.require(array, requirements=("C", "W")))  # files may be read-only


def one_map_error(kind: Kind, model: str) -> InputError:
    """Return the error for a single map of an encoder–decoder: the check needs the inputs of both halves."""
    return InputError(
        f"the {kind} map does not say what the other half of {model} read, and the check needs both",
        hint="The cross map has both texts; so has: attnviz check",
    )


def make_shown(backend: Native | Hosted, encoding: Encoding, target: Encoding | None = None) -> Shown:
    """Run a text, and keep all that can be shown of it."""
    weights, states = Weights(backend.layers), HiddenStates(whole=False)
    backend.run(encoding, [weights, states], target)
    return Shown(
        encoding,
        target,
        {kind: weights.stacked(kind) for kind in backend.kinds},
        {kind: weights.layers(kind) for kind in backend.kinds},
        {kind: states.each(kind) for kind in backend.kinds},
    )

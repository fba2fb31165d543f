"""Records of what is made of attention weights, and what a record of these suffices for: rollout and flow."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.flow import flow
from attnviz.analysis.text.rollout import rollout
from attnviz.errors import UsageError, name_layers
from attnviz.record import AttentionRecord, Backend, EncoderDecoderRecord, Record, WeightsName
from attnviz.record.measure import ALONG_PATHS, ask_for

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

Found = TypeVar("Found", bound=AttentionRecord)


def measured(record: Record, wanted: WeightsName | None) -> Record:
    """The record with the ``wanted`` weights: those that it has, or rollout or flow of its attention.

    Raises:
        UsageError: it has others, from which they can't be computed.
        InputError: as ``flow``.
    """
    held = record.cross.measure if isinstance(record, EncoderDecoderRecord) else record.measure
    if wanted in (None, held):
        return record
    if held != "attention" or wanted not in ALONG_PATHS:
        flag = "" if wanted == "attention" else f" --weights {wanted}"
        raise UsageError(
            f"the record holds {held}, of which {wanted} can't be computed",
            hint=f"Keep it: attnviz export TEXT FILE.json{flag}",
        )
    if isinstance(record, EncoderDecoderRecord):
        raise one_stack_error(wanted, record.model)
    return along_paths(record, wanted)


def require_values(backend: Backend, wanted: WeightsName | None) -> None:
    """Raise a ``UsageError`` if weights of that name need values, and the model hands in its weights alone."""
    if backend == "observed" and wanted not in (None, "attention", *ALONG_PATHS):
        raise UsageError(
            f"the model attends by itself (observed): it hands in its weights, and no values for {wanted}",
            hint=f"{ask_for('rollout')}: it is made of the weights alone.",
        )


def require_predicting(backend: Native | Hosted, model: str) -> None:
    """Raise a ``UsageError`` where there is no logit of a next token that heads could add to."""
    hint = f"{ask_for('norm', 'rollout')}; or attnviz ablate, how the answer changes without a head."
    if "cross" in backend.kinds or backend.labels is not None:
        what = "an encoder–decoder" if "cross" in backend.kinds else "a classifier"
        raise UsageError(
            f"contribution is to what each token of a language model predicts, and {model} is {what}",
            hint="Ask for one answer of it: attnviz contributions",
        )
    if backend.name != "native":
        raise UsageError(
            f"contribution needs the layers of attnviz's own forward pass, and transformers runs {model}", hint=hint
        )
    if backend.network.spec.head is None:
        raise UsageError(f"contribution is to what is predicted next, and {model} predicts no tokens", hint=hint)
    if backend.network.spec.streams:
        from attnviz.model.inputs import BESIDE

        raise UsageError(f"contribution is to what is predicted next by {model}: {BESIDE}", hint=hint)


def one_stack_error(wanted: WeightsName, model: str) -> UsageError:
    """The error where a text is to be followed through the layers of a model with two stacks."""
    return UsageError(
        f"{wanted} follows a text through the layers of one stack, and {model} is an encoder–decoder",
        hint="Ask for norm: the norms of what each head takes from each token.",
    )


def along_paths(record: Found, wanted: WeightsName) -> Found:
    """The rollout or flow of a record of attention weights, one map a layer.

    Raises:
        InputError, UsageError: as ``flow``; the record is of attention from one text to another, or some layers do not
            attend.
    """
    if record.kind != "self":
        raise one_stack_error(wanted, record.model)
    numbers = record.layer_numbers
    if between := [i for i in range(max(numbers)) if i not in numbers]:
        raise UsageError(
            f"{wanted} follows words through all layers, and {name_layers(between)} of {record.model} mix"
            f"{'' if len(between) > 1 else 'es'} them without attention",
            hint="Ask for contribution or gradient, of a model that predicts words.",
        )
    weights = record.weights
    found = rollout(weights, causal=record.causal) if wanted == "rollout" else flow(weights)
    return made_of(record, wanted, found[:, None])


def made_of(record: Found, measure: WeightsName, weights: NDArray[np.floating[Any]], note: str = "") -> Found:
    """A record of ``weights`` (L, H, N, M) that were made of those of another, in the same type, with a ``note``."""
    return replace(
        record, weights=weights.astype(record.weights.dtype), measure=measure, below=record, states=(), scores=None,
        scales=(), softcaps=(), biases=None, query_vectors=None, key_vectors=None,
        note="; ".join(filter(None, (record.note, note))),
    )  # fmt: skip

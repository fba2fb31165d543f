"""Rows of a batch that the user made: token ids with padding, and a mask that hides it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from attnviz import record
from attnviz.encoding import Encoding, Padded, encode_id_rows
from attnviz.errors import InputError, UsageError
from attnviz.interface.predicting import Predicting
from attnviz.interface.records import Attention, EncoderDecoder, attention_of

if TYPE_CHECKING:
    from torch import Tensor

    from attnviz.attention.kernel import Observer
    from attnviz.interface.judged import Judged
    from attnviz.interface.opened import Opened
    from attnviz.model.check.judge import Check
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

Found = Attention | EncoderDecoder

NOTED = 1e-3
"""Weights that padding moves by more are said to be moved: rounding moves none so far."""
ROUNDINGS = 6.0
"""Rounding explains weights so many times as far apart as float32 moves transformers' own: both sides round, each in an
order of its own."""


@dataclass(frozen=True)
class Given:
    """What was given of a batch, as transformers' models take it: (N,) or (B, N) each, or None."""

    input_ids: Any
    attention_mask: Any = None
    token_type_ids: Any = None
    position_ids: Any = None
    decoder_input_ids: Any = None

    @classmethod
    def of(cls, text: object, input_ids: Any, beside: Mapping[str, Any], others: Mapping[str, object]) -> Given:
        """``input_ids`` and what goes with them; ``text`` and ``others`` go with texts only.

        Raises:
            UsageError: these are given as well, or what is unknown, or no ids.
        """
        known = [each.name for each in fields(cls)]
        unknown = sorted(beside.keys() - set(known))
        if unknown:
            raise UsageError(f"there is no {' and no '.join(unknown)} to give; for ids there are {', '.join(known)}")
        if input_ids is None:
            raise UsageError(f"{' and '.join(beside)} is given, and no input_ids that it could go with")
        named = [name for name, value in {"a text": text, **others}.items() if value not in (None, False)]
        if named:
            raise UsageError(f"input_ids are given, and {' and '.join(named)}: ids are all that the model reads")
        return cls(input_ids, **beside)


@dataclass(frozen=True)
class Row:
    """One row: its tokens without padding, what the model reads, and what its decoder does."""

    plain: Encoding
    padded: Padded
    target: Encoding | None


def read_rows(model: Opened, given: Given) -> tuple[list[Row], bool]:
    """The rows, and whether they are a batch.

    Raises:
        InputError: as ``encode_id_rows``; more tokens than the model has positions.
        UsageError: an encoder–decoder without the ids of its decoder, or these for another model.
    """
    backend = model.backend
    two = "cross" in backend.kinds
    if two != (given.decoder_input_ids is not None):
        raise UsageError(
            f"{model.name} is an encoder–decoder: it takes decoder_input_ids beside input_ids"
            if two
            else f"{model.name} has no decoder beside an encoder: it takes no decoder_input_ids"
        )
    tokenizer, vocabulary = model.checkpoint.tokenizer, backend.vocabulary
    rows, batch = encode_id_rows(
        tokenizer,
        given.input_ids,
        given.attention_mask,
        type_ids=given.token_type_ids,
        positions=given.position_ids,
        vocabulary=vocabulary,
    )
    targets: list[Encoding | None] = [None] * len(rows)
    if two:
        targets = [plain for plain, _ in encode_id_rows(tokenizer, given.decoder_input_ids, vocabulary=vocabulary)[0]]
        if len(targets) != len(rows):
            raise InputError(f"decoder_input_ids have {len(targets)} rows, input_ids {len(rows)}")
    longest = max(len(padded) for _, padded in rows)
    if backend.limit is not None and longest > backend.limit:
        raise InputError(f"the rows have {longest} tokens with their padding, the model takes {backend.limit}")
    return [Row(plain, padded, target) for (plain, padded), target in zip(rows, targets, strict=True)], batch


def attend_row(model: Opened, row: Row, max_memory: int | None, observers: Sequence[Observer]) -> Found:
    """The record of a row's tokens without padding, at the positions that the model gives them."""
    from attnviz.attention.observers import Cropped, Weights

    backend = _backend(model, row.padded)
    weights = Weights(backend.layers, max_memory)
    whole = backend is model.backend and _is_alike(model.backend, row.padded)
    predicting = Predicting(backend)
    if whole:
        backend.run(row.plain, [weights, *predicting.observers, *observers], row.target)
        prediction, note = predicting.of(row.plain), ""
    else:
        backend.run(row.padded, [Cropped(_parts(row), [weights, *observers])], row.target)
        prediction = predicting.of(row.plain if row.target else row.padded)
        if prediction and prediction.per_token:
            prediction = replace(prediction, logits=prediction.logits[row.padded.real])
        note = _moved(backend, row, weights, max_memory)
    made = {
        kind: attention_of(
            model.name,
            backend,  # as it was in the run without padding, which came last
            weights,
            kind,
            row.target if kind in ("decoder", "cross") and row.target else row.plain,
            row.plain if kind == "cross" else None,
            note=note,
            prediction=prediction,
        )
        for kind in backend.kinds
    }
    return made["self"] if "self" in made else EncoderDecoder(made["encoder"], made["decoder"], made["cross"])


def check_given(model: Judged, given: Given, *, float64: bool = False) -> Check:
    """The check of all rows, of which the worst is the verdict; in half precision the same model runs in float32.

    Raises:
        UsageError: the model attends by itself in transformers, which does not say how it does without our kernel.
        InputError, ModelError: as ``read_rows`` and ``attend_row``.
    """
    import torch

    model.require_checkable()
    dtype = torch.float64 if float64 else torch.promote_types(model.options.dtype, torch.float32)
    if dtype is not model.options.dtype and not model.checkpoint.quantised:
        return check_given(type(model)(model.checkpoint, replace(model.options, dtype=dtype)), given)
    rows, _ = read_rows(model, given)
    judged = [_judge(model, row, attend_row(model, row, None, ())) for row in rows]
    worst = _worst(check for check, _ in judged)
    if worst.passed or dtype is not torch.float32 or model.checkpoint.quantised:
        return worst
    # In float64 rounding vanishes. It decides where transformers' own rounding of these rows explains the difference.
    exact = type(model)(model.checkpoint, replace(model.options, dtype=torch.float64))
    double = [_judge(exact, row, attend_row(exact, row, None, ())) for row in rows]
    for (check, theirs), (_, precise) in zip(judged, double, strict=True):
        rounding = max(float((one - other).abs().max()) for one, other in zip(theirs, precise, strict=True))
        if not check.passed and check.max_abs_diff > ROUNDINGS * rounding:
            return worst
    return _worst(check for check, _ in double)


def _worst(checks: Iterable[Check]) -> Check:
    return max(checks, key=lambda check: (not check.passed, check.max_abs_diff))


def _judge(model: Opened, row: Row, found: Found) -> tuple[Check, list[Tensor]]:
    """The check of a row's record, and what transformers' own attention says of that row with padding and mask.

    Raises:
        UsageError: the record is of weights that are transformers' own.
        ModelError: the model's own attention returns no weights.
    """
    import torch

    from attnviz.errors import ModelError
    from attnviz.model.check.comparing import compare_layer, summarise_layers, weight_differences

    if _backend(model, row.padded).name == "observed":
        raise UsageError(f"{model.name} attends by itself in transformers, and so are the weights of rows with padding")
    judge = model.by_transformers
    theirs = judge.reference(row.padded, row.target, {kind: judge.numbers(kind) for kind in judge.kinds})
    compared, others = [], []
    for kind, part in _parts(row).items():
        if kind not in model.backend.kinds:
            continue
        maps, ours = theirs[kind][0], found if isinstance(found, Attention) else getattr(found, kind)
        if maps is None or len(maps) != len(ours.weights):
            raise ModelError(f"{model.name}: transformers' own attention returns no weights to compare with")
        for number, mine, other in zip(ours.layer_numbers, ours.weights, maps, strict=True):
            others.append(other[:, part[0], part[1]].cpu())
            compared.append(
                compare_layer(kind, number, weight_differences(torch.from_numpy(mine), others[-1]), (None, 0.0))
            )
    return summarise_layers(compared, model.options.dtype), others


def _backend(model: Opened, padded: Padded) -> Native | Hosted:
    """What runs a row: where padding may change what the model does, transformers, which does what it always does."""
    return model.backend if _is_alike(model.backend, padded) else model.by_transformers


def _is_alike(backend: Native | Hosted, padded: Padded) -> bool:
    """Whether the tokens of a row attend as they would without its padding: it is certain only of a native model.

    Behind a text, padding is seen by none. Before it, it moves the text, which counts where positions have vectors.
    Some models look at how long the whole row is, and convolutions and recurrences mix it with what stands beside it.
    """
    if padded.plain:
        return True
    if backend.name != "native" or padded.positions is not None:
        return False
    from attnviz.model.architecture.spec import Dynamic, LongRope, Rotary

    spec = backend.network.encoder.spec if backend.network.encoder else backend.network.spec
    if padded.real.start and spec.crowds(len(padded.ids)):
        return False
    if any(layer.convolution for layer in spec.layers) or (spec.mixers and padded.real.start):
        return False
    for attention in spec.attentions.values():
        position = attention.position
        if isinstance(position, Rotary) and isinstance(position.scaling, Dynamic | LongRope):
            return False
        if isinstance(position, Rotary) and position.values and padded.real.start:
            return False
    return padded.real.start == 0 or spec.embedding.positions is None


def _parts(row: Row) -> dict[record.Kind, tuple[slice, slice]]:
    """The queries and keys of each map that are no padding."""
    real, written = row.padded.real, slice(0, len(row.target or ()))
    return {"self": (real, real), "encoder": (real, real), "decoder": (written, written), "cross": (written, real)}


def _moved(backend: Native | Hosted, row: Row, weights: Any, max_memory: int | None) -> str:
    """How far the weights are from those of the tokens alone, in words; empty where that is rounding."""
    from attnviz.attention.observers import Weights

    alone = Weights(backend.layers, max_memory)
    backend.run(row.plain, [alone], row.target)
    apart = max(float((weights.stacked(kind) - alone.stacked(kind)).abs().max()) for kind in backend.kinds)
    if apart <= NOTED:
        return ""
    why = "position_ids" if row.padded.positions is not None else "padding"
    return f"{why} moved the weights by up to {apart:.2g} from those of the same tokens alone"

"""What a file says becomes a record only where it can be one: a stranger's file is believed in nothing."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal, Protocol, get_args

import numpy as np

from attnviz.encoding import Encoding, Word
from attnviz.record.attention import Array, AttentionRecord, Backend, EncoderDecoderRecord, Kind, MapName
from attnviz.record.measure import MEASURES, WeightsName
from attnviz.record.prediction import Prediction, Problem
from attnviz.record.schemas import VERSIONS

Facts = dict[str, Any]
Beside = Literal["scores", "biases", "query_vectors", "key_vectors"]
What = Literal["weights"] | Beside
BESIDE: tuple[Beside, ...] = get_args(Beside)
"""What may be kept beside the weights."""
Units = tuple[int, int | None]
"""The queries and keys of a map; for vectors the tokens and any size."""


class Load(Protocol):
    """Reads the weights of a map, or what is kept beside them, given its name and the units that they must be of."""

    def __call__(self, name: str, units: Units, what: What = "weights") -> Array:
        """Read them."""


MAPS: tuple[MapName, ...] = get_args(MapName)
VERSION = VERSIONS["record"]
FORMAT = f"attnviz.attention/{VERSION}"
FIRST_FORMAT, SECOND_FORMAT = "attnviz.attention/1", "attnviz.attention/2"
_SINCE_FIRST = {"generated": 0, "kind": "self", "keys": None, "numbers": []}
"""What the first format did not hold."""
_BACKENDS: tuple[Backend, ...] = get_args(Backend)
TYPES = ("float16", "float32", "float64")
"""What weights may be."""
_MOST = 1 << 62
"""No count is larger."""
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 60
_TOKENS = 20
"""The most tokens of a byte: a normaliser may write one character as many."""
_ROUNDING = {"float16": 2.0**-9, "float32": 1e-4, "float64": 1e-9}
"""How far the sum of a row of each type may be beyond 1: what a softmax in it may round to, and some more."""
_BFLOAT16 = 2.0**-7
"""The same of bfloat16, which is kept as float32."""


def record(facts: Any, load: Load) -> AttentionRecord | EncoderDecoderRecord:
    """The record of ``facts``; ``load`` reads the weights when it is known which shape they must have.

    Raises:
        ValueError, KeyError, TypeError, OverflowError: it is none.
    """
    form = _is(facts, dict, "content")["format"]
    if form not in (FORMAT, SECOND_FORMAT, FIRST_FORMAT):
        raise ValueError(f"its format is {_short(form)}, expected {FORMAT!r}")
    version = facts.get("schema_version", VERSION)  # which earlier records do not have
    if type(version) is not int or not 1 <= version <= VERSION:
        raise ValueError(f"its schema_version is {_short(version)}, expected 1 to {VERSION}")
    if "cross" not in facts:
        return _attention(_renewed(facts, form), "", load)
    parts = {name: _renewed(_is(facts[name], dict, name), form) for name in MAPS}
    three = EncoderDecoderRecord(**{name: _attention(part, name, load) for name, part in parts.items()})
    encoder, decoder, cross = three.encoder, three.decoder, three.cross
    if (
        (encoder.kind, decoder.kind, cross.kind) != MAPS
        or (encoder.encoding, decoder.encoding) != (cross.keys, cross.encoding)
        or not (encoder.model, encoder.backend) == (decoder.model, decoder.backend) == (cross.model, cross.backend)
    ):
        raise ValueError("its three maps do not belong together")
    return three


def _renewed(facts: Facts, form: str) -> Facts:
    """The ``facts`` of an older format as this one has them."""
    if form == FORMAT:
        return facts
    renewed = {"backend" if name == "path" else name: value for name, value in facts.items()}
    return _SINCE_FIRST | renewed if form == FIRST_FORMAT else renewed


def _attention(facts: Facts, name: str, load: Load) -> AttentionRecord:
    kind: Kind = _one_of(facts, "kind", get_args(Kind))
    backend: Backend = _one_of(facts, "backend", _BACKENDS)
    causal = _is(facts["causal"], bool, "causal")
    encoding = _encoding(facts)
    keys = None if facts["keys"] is None else _encoding(_is(facts["keys"], dict, "keys"))
    if (kind == "cross") != (keys is not None) or (kind == "cross" and causal):
        raise ValueError(f"its kind is {kind!r}, which does not go with its keys or with being causal")
    weights = load(name, (len(encoding), len(keys or encoding)))
    measure: WeightsName = _one_of({"measure": "attention"} | facts, "measure", tuple(MEASURES))
    require_weights(weights, causal=causal, share=MEASURES[measure].share)
    if MEASURES[measure].by_layer and weights.shape[1] != 1:
        raise ValueError(f"its layers have {weights.shape[1]} maps, expected 1 for {measure}")
    numbers = tuple(_count(number, "numbers") for number in _is(facts["numbers"], list, "numbers"))
    if numbers and (len(numbers) != len(weights) or any(b <= a for a, b in pairwise((-1, *numbers)))):
        raise ValueError(f"its layers have the numbers {numbers}, expected {len(weights)} that grow from 0")
    model, note = _text(facts["model"], "model"), _text(facts.get("note", ""), "note")
    said = facts.get("prediction")
    prediction = None if said is None else _prediction(_is(said, dict, "prediction"), len(encoding))
    found = AttentionRecord(
        model,
        backend,
        causal,
        encoding,
        weights,
        kind,
        keys,
        numbers,
        note=note,
        prediction=prediction,
        measure=measure,
    )
    if "scales" not in facts:
        return found
    return _scored(found, facts, name, load)


def _scored(found: AttentionRecord, facts: Facts, name: str, load: Load) -> AttentionRecord:
    """A record with the scores of its file, and what else was kept beside the weights."""
    layers, heads, queries, keys = found.shape
    units: dict[Beside, Units] = {
        "scores": (queries, keys), "biases": (queries, keys), "query_vectors": (queries, None),
        "key_vectors": (keys, None),
    }  # fmt: skip
    kept = _is(facts.get("kept", ["scores"]), list, "kept")  # earlier records kept only these
    if "scores" not in kept or ("query_vectors" in kept) != ("key_vectors" in kept):
        raise ValueError(f"it keeps {_short(kept)}, expected scores, and both kinds of vectors or none")
    arrays: dict[Beside, Array] = {}
    for what in units:
        if what in kept:
            arrays[what] = each = load(name, units[what], what)
            if each.shape[:2] != (layers, heads) or not all(np.isfinite(layer).all() for layer in each):
                raise ValueError(f"its {what} {each.shape} hold NaN or infinity, or do not go with its weights")
    if "query_vectors" in arrays and arrays["query_vectors"].shape[-1] != arrays["key_vectors"].shape[-1]:
        raise ValueError("its query and key vectors differ in size")
    caps = _numbers(facts.get("softcaps", []), "softcaps", layers) if "softcaps" in facts else ()
    if any(cap is not None and cap <= 0 for cap in caps):
        raise ValueError(f"its softcaps are {_short(list(caps))}, expected numbers above 0")
    scales = tuple(scale for scale in _numbers(facts["scales"], "scales", layers) if scale is not None)
    if len(scales) != layers:
        raise ValueError(f"its scales are {_short(facts['scales'])}, expected {layers} numbers")
    return replace(
        found, scales=scales, softcaps=caps, scores=arrays["scores"], biases=arrays.get("biases"),
        query_vectors=arrays.get("query_vectors"), key_vectors=arrays.get("key_vectors"),
    )  # fmt: skip


def _numbers(given: Any, name: str, layers: int) -> tuple[float | None, ...]:
    """A finite number of each layer, or None."""
    values = _is(given, list, name)
    if len(values) != layers or any(
        each is not None and (type(each) not in (int, float) or not np.isfinite(each)) for each in values
    ):
        raise ValueError(f"its {name} are {_short(values)}, expected {layers} numbers")
    return tuple(None if each is None else float(each) for each in values)


def _prediction(facts: Facts, tokens: int) -> Prediction:
    labels = tuple(_text(one, "prediction") for one in _is(facts["labels"], list, "prediction"))
    rows = _is(facts["logits"], list, "prediction")
    each = _one_of(facts, "of", ("text", "token")) == "token"
    if each and len(rows) != tokens:
        raise ValueError(f"its prediction has {len(rows)} rows, expected {tokens}")
    for row in rows if each else [rows]:
        if len(_is(row, list, "prediction")) != len(labels) or not labels:
            raise ValueError(f"its prediction has {len(row)} scores for {len(labels)} labels")
        if any(type(score) not in (int, float) for score in row):
            raise ValueError("its prediction has scores that are no numbers")
    with np.errstate(over="ignore"):
        logits = np.array(rows, np.float64).astype(np.float32)
    if not np.isfinite(logits).all():
        raise ValueError("its prediction holds NaN or infinity")
    return Prediction(labels, logits, _one_of(facts, "problem", get_args(Problem)))


def require_shape(shape: Sequence[int], units: Units, what: What = "weights") -> None:
    """Raise a ``ValueError`` unless ``shape`` is (layers, heads, queries, keys), the last two being ``units``."""
    if len(shape) != 4 or 0 in shape or shape[2] != units[0] or units[1] not in (None, shape[3]):
        last = "any" if units[1] is None else units[1]
        raise ValueError(f"its {what} have the shape {tuple(shape)}, expected (layers, heads, {units[0]}, {last})")


def require_type(dtype: Any) -> None:
    """Raise a ``ValueError`` unless ``dtype`` is the name of a type that weights may have."""
    if dtype not in TYPES:
        raise ValueError(f"its weights are {_short(dtype)}, expected floating point: {', '.join(TYPES)}")


def require_weights(weights: Array, *, causal: bool, share: bool = True) -> None:
    """Raise a ``ValueError`` unless every row of ``weights`` (L, H, N, M) may be a softmax, or what a sink left of it.

    Where they are no ``share``, rows may have any sum. A layer at a time, since together they may fill the memory.
    """
    for layer in weights:
        if not np.isfinite(layer).all():
            raise ValueError("its weights hold NaN or infinity")
        low, most = float(layer.min()), float(layer.sum(-1, dtype=np.float64).max())
        if low < 0:
            raise ValueError(f"its weights hold {low:.3g}, expected 0 {'to 1' if share else 'or more'}")
        if share and most > 1 + _ROUNDING[layer.dtype.name] and most > 1 + _rounding(layer):
            raise ValueError(f"a row of its weights sums to {most:.6g}, expected 1 at most")
        if causal and np.triu(layer, 1).any():
            raise ValueError("a query looks at a later key, and its attention is causal")


def _rounding(layer: Array) -> float:
    """``_ROUNDING`` of the type that made the weights, which may have been coarser than the one that keeps them."""
    if layer.dtype == np.float32 and not (np.ascontiguousarray(layer).view(np.uint32) & 0xFFFF).any():
        return _BFLOAT16
    with np.errstate(over="ignore"):
        if (layer.astype(np.float16) == layer).all():
            return _ROUNDING["float16"]
    return _ROUNDING[layer.dtype.name]


def _encoding(facts: Facts) -> Encoding:
    encoding = Encoding(
        text=_text(facts["text"], "text"),
        pair=None if facts["pair"] is None else _text(facts["pair"], "pair"),
        ids=tuple(_count(one, "ids") for one in _is(facts["ids"], list, "ids")),
        type_ids=tuple(_count(one, "type_ids") for one in _is(facts["type_ids"], list, "type_ids")),
        tokens=tuple(_text(one, "tokens") for one in _is(facts["tokens"], list, "tokens")),
        special=tuple(_is(one, bool, "special") for one in _is(facts["special"], list, "special")),
        words=tuple(map(_word, _is(facts["words"], list, "words"))),
        dropped=_count(facts["dropped"], "dropped"),
        generated=_count(facts["generated"], "generated"),
    )
    if not _in_step(encoding):
        raise ValueError("its ids, tokens, marks and words do not belong together")
    size = len((encoding.text + (encoding.pair or "")).encode())
    if encoding.dropped > _TOKENS * (size + 16):
        raise ValueError(f"{encoding.dropped:,} tokens are cut off from a text of {size:,} bytes")
    if encoding.generated > len(encoding):
        raise ValueError(f"{encoding.generated} of its {len(encoding)} tokens are generated")
    return encoding


def _word(facts: Any) -> Word:
    text, start, stop = _is(facts, list, "words")
    return Word(_text(text, "words"), _count(start, "words"), _count(stop, "words"))


def _in_step(encoding: Encoding) -> bool:
    """Whether all parts have one entry a token and the words cut the tokens without a gap."""
    columns: Iterable[tuple[Any, ...]] = (encoding.type_ids, encoding.tokens, encoding.special)
    edges = [0, *(word.stop for word in encoding.words)]
    cut = all(word.start == edge < word.stop for word, edge in zip(encoding.words, edges, strict=False))
    return cut and edges[-1] == len(encoding) and all(len(column) == len(encoding) for column in columns)


# Single values: JSON's own types, and nothing that only looks like them


def _is(value: Any, kind: type, name: str) -> Any:
    if type(value) is not kind:
        expected = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number"}[kind]
        raise ValueError(f"its {name} has {_short(value)}, expected {expected}")
    return value


def _one_of(facts: Facts, name: str, known: Sequence[Any]) -> Any:
    if facts[name] not in known:
        raise ValueError(f"its {name} is {_short(facts[name])}, expected {', '.join(known)}")
    return facts[name]


def _count(value: Any, name: str) -> int:
    number: int = _is(value, int, name)
    if not 0 <= number < _MOST:
        raise ValueError(f"its {name} has {_short(number)}, expected a count")
    return number


def _text(value: Any, name: str) -> str:
    text: str = _is(value, str, name)
    text.encode()  # raises for lone surrogates, which could not be written again
    return text


def _short(value: Any) -> str:
    return _REPR.repr(value)

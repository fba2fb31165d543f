"""Records as files: JSON, readable anywhere, or safetensors, compact; both exact."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Literal, get_args

import numpy as np

from attnviz.encoding import Encoding, Word
from attnviz.errors import InputError, UsageError
from attnviz.record.attention import Array, Attention, EncoderDecoder, Kind, MapName, Record
from attnviz.record.writing import replaced

FORMATS = (".json", ".safetensors")
_FORMAT, _FIRST_FORMAT = "attnviz.attention/2", "attnviz.attention/1"
_SINCE_FIRST = {"generated": 0, "kind": "self", "keys": None, "numbers": ()}
"""What the first format did not hold."""
_MAPS: tuple[MapName, ...] = get_args(MapName)
_ROUNDING = 1e-3
"""How far a weight may be beyond 1: half precision rounds so."""


def save(record: Record, path: Path) -> None:
    """Write the record to ``path``, which says the format by its ending; whole, or not at all.

    Raises:
        UsageError: the ending is none of ``FORMATS``, or the file can't be written.
    """
    _require_format(path, path.suffix)
    with replaced(path, force=True) as partial:
        write(record, partial, path.suffix)


def write(record: Record, path: Path, suffix: str) -> None:
    """Write the record to ``path`` as ``.json`` (readable anywhere) or ``.safetensors`` (compact); both exact.

    Raises:
        UsageError: ``suffix`` is neither.
        OSError: the file can't be written.
    """
    _require_format(path, suffix)
    if suffix == ".json":
        with path.open("w", encoding="utf-8") as file:
            _write_json(record, file)
        return
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    # The facts of one map lie open, those of three under their names.
    facts: dict[str, Any] = {"format": _FORMAT}
    tensors = {}
    if isinstance(record, EncoderDecoder):
        for name in _MAPS:
            each: Attention = getattr(record, name)
            facts[name], tensors[_tensor(name)] = _facts(each), np.ascontiguousarray(each.weights)
    else:
        facts, tensors = facts | _facts(record), {_tensor(""): np.ascontiguousarray(record.weights)}
    try:
        save_file(tensors, path, metadata={"attnviz": json.dumps(facts)})
    except SafetensorError as error:
        raise OSError(str(error).rpartition(": ")[2]) from None


def _require_format(path: Path, suffix: str) -> None:
    if suffix not in FORMATS:
        raise UsageError(f"{path} ends in {suffix or 'nothing'!r}, expected {' or '.join(FORMATS)}")


def _tensor(name: str) -> str:
    """The name of a map's weights among the tensors of a file."""
    return f"{name}.weights" if name else "weights"


def _write_json(record: Record, file: IO[str]) -> None:
    if isinstance(record, EncoderDecoder):
        file.write(f'{{"format": "{_FORMAT}"')
        for name in _MAPS:
            file.write(f', "{name}": ')
            _write_map(getattr(record, name), {}, file)
        file.write("}\n")
    else:
        _write_map(record, {"format": _FORMAT}, file)
        file.write("\n")


def _write_map(attention: Attention, facts: dict[str, str], file: IO[str]) -> None:
    """One map as a JSON object; its weights layer by layer, since together they may be a huge text."""
    file.write(json.dumps(facts | _facts(attention), ensure_ascii=False)[:-1])
    file.write(f', "dtype": "{attention.weights.dtype}", "weights": [')
    for i, layer in enumerate(attention.weights):
        file.write("," if i else "")
        file.write(_numbers(layer))
    file.write("]}")


def _numbers(array: Array) -> str:
    """The array as nested JSON lists, each number in the fewest digits that give it back exactly."""
    if array.ndim > 1:
        return "[" + ",".join(map(_numbers, array)) + "]"
    return "[" + ",".join(str(number) for number in array) + "]"


def _facts(attention: Attention) -> dict[str, Any]:
    return {
        "model": attention.model,
        "path": attention.path,
        "causal": attention.causal,
        **_encoding_facts(attention.encoding),
        "kind": attention.kind,
        "keys": None if attention.keys is None else _encoding_facts(attention.keys),
        "numbers": attention.numbers,
    }


def _encoding_facts(encoding: Encoding) -> dict[str, Any]:
    return {
        "text": encoding.text,
        "pair": encoding.pair,
        "ids": encoding.ids,
        "type_ids": encoding.type_ids,
        "tokens": encoding.tokens,
        "special": encoding.special,
        "words": [[word.text, word.start, word.stop] for word in encoding.words],
        "dropped": encoding.dropped,
        "generated": encoding.generated,
    }


def read(path: Path) -> Record:
    """Read a record that ``write`` wrote.

    Raises:
        InputError: the file is missing, damaged, or no record; nothing in it is ever executed.
    """
    try:
        facts, weights = _open(path)
        return _record(facts, weights)
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{path} is not a record of attnviz ({error})",
            hint='Records are made with: attnviz export "…" FILE.json (or FILE.safetensors)',
        ) from None


def _open(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """The facts, and the weights of each map: of three, or of the only one, which has no name."""
    if path.suffix not in FORMATS:
        raise ValueError(f"its name ends in {path.suffix or 'nothing'!r}, expected {' or '.join(FORMATS)}")
    if path.suffix == ".json":
        facts = json.loads(path.read_bytes())
        maps = {name: facts[name] for name in _MAPS} if "cross" in facts else {"": facts}
        return facts, {name: np.array(each["weights"], np.dtype(each["dtype"])) for name, each in maps.items()}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads((file.metadata() or {})["attnviz"])
            names = _MAPS if "cross" in facts else ("",)
            return facts, {name: file.get_tensor(_tensor(name)) for name in names}
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def _record(facts: dict[str, Any], weights: dict[str, Array]) -> Record:
    if facts["format"] not in (_FORMAT, _FIRST_FORMAT):
        raise ValueError(f"its format is {facts['format']!r}, expected {_FORMAT!r}")
    if "cross" not in facts:
        return _attention(facts | _SINCE_FIRST if facts["format"] == _FIRST_FORMAT else facts, weights[""])
    three = EncoderDecoder(**{name: _attention(facts[name], weights[name]) for name in _MAPS})
    encoder, decoder, cross = three.encoder, three.decoder, three.cross
    if (
        (encoder.kind, decoder.kind, cross.kind) != _MAPS
        or (encoder.encoding, decoder.encoding) != (cross.keys, cross.encoding)
        or not (encoder.model, encoder.path) == (decoder.model, decoder.path) == (cross.model, cross.path)
    ):
        raise ValueError("its three maps do not belong together")
    return three


def _attention(facts: dict[str, Any], weights: Array) -> Attention:
    path: Literal["native", "hosted"] = "hosted" if facts["path"] == "hosted" else "native"
    kind: Kind = facts["kind"]
    if kind not in get_args(Kind):
        raise ValueError(f"its kind is {kind!r}, expected {', '.join(get_args(Kind))}")
    attention = Attention(
        model=str(facts["model"]),
        path=path,
        causal=bool(facts["causal"]),
        encoding=_encoding(facts),
        weights=weights,
        kind=kind,
        keys=None if facts["keys"] is None else _encoding(facts["keys"]),
        numbers=tuple(map(int, facts["numbers"])),
    )
    attention.model.encode()  # raises for lone surrogates, which could not be written again
    if (kind == "cross") != (attention.keys is not None) or (kind == "cross" and attention.causal):
        raise ValueError(f"its kind is {kind!r}, which does not go with its keys or with being causal")
    _require_weights(weights, len(attention.encoding), len(attention.key_encoding))
    numbers = attention.numbers
    if numbers and (len(numbers) != len(weights) or any(b <= a for a, b in pairwise((-1, *numbers)))):
        raise ValueError(f"its layers have the numbers {numbers}, expected {len(weights)} that grow from 0")
    return attention


def _require_weights(weights: Array, queries: int, keys: int) -> None:
    if weights.ndim != 4 or 0 in weights.shape or weights.shape[2:] != (queries, keys):
        raise ValueError(f"its weights have the shape {weights.shape}, expected (layers, heads, {queries}, {keys})")
    if weights.dtype.kind != "f" or weights.dtype.itemsize > 8:
        raise ValueError(f"its weights are {weights.dtype}, expected floating point of 64 bits at most")
    if not np.isfinite(weights).all():
        raise ValueError("its weights hold NaN or infinity")
    if weights.min() < 0 or weights.max() > 1 + _ROUNDING:
        raise ValueError(f"its weights go from {weights.min():.3g} to {weights.max():.3g}, expected 0 to 1")


def _encoding(facts: dict[str, Any]) -> Encoding:
    encoding = Encoding(
        text=str(facts["text"]),
        pair=None if facts["pair"] is None else str(facts["pair"]),
        ids=tuple(map(int, facts["ids"])),
        type_ids=tuple(map(int, facts["type_ids"])),
        tokens=tuple(map(str, facts["tokens"])),
        special=tuple(map(bool, facts["special"])),
        words=tuple(Word(str(text), int(start), int(stop)) for text, start, stop in facts["words"]),
        dropped=int(facts["dropped"]),
        generated=int(facts["generated"]),
    )
    texts = (encoding.text, encoding.pair or "", *(word.text for word in encoding.words))
    "".join((*texts, *encoding.tokens)).encode()  # raises for lone surrogates, which could not be written again
    if not _in_step(encoding):
        raise ValueError("its ids, tokens, marks and words do not belong together")
    if not 0 <= encoding.generated <= len(encoding):
        raise ValueError(f"{encoding.generated} of its {len(encoding)} tokens are generated")
    return encoding


def _in_step(encoding: Encoding) -> bool:
    """Whether all parts have one entry a token and the words cut the tokens without a gap."""
    columns: Iterable[tuple[Any, ...]] = (encoding.type_ids, encoding.tokens, encoding.special)
    edges = [0, *(word.stop for word in encoding.words)]
    cut = all(word.start == edge < word.stop for word, edge in zip(encoding.words, edges, strict=False))
    return cut and edges[-1] == len(encoding) and all(len(column) == len(encoding) for column in columns)

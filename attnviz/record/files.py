"""Save records as JSON, which is readable anywhere, or as safetensors, which is compact; both are exact."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from attnviz.encoding import Encoding
from attnviz.errors import InputError, UsageError
from attnviz.record.attention import Array, AttentionRecord, EncoderDecoderRecord, Record
from attnviz.record.prediction import prediction_facts
from attnviz.record.valid import (
    BESIDE,
    FORMAT,
    MAPS,
    VERSION,
    Load,
    Units,
    What,
    record,
    require_shape,
    require_type,
)
from attnviz.record.writing import replaced

FORMATS = (".json", ".safetensors")
_HEAD: Mapping[str, Any] = {"format": FORMAT, "schema_version": VERSION}
"""The first fields of every record."""


def save(record: Record, path: Path) -> None:
    """Write the record to ``path``, whose ending says the format. The file is written whole or not at all.

    Raises:
        UsageError: the ending is none of ``FORMATS``, or the file can't be written.
    """
    _require_format(path, path.suffix)
    with replaced(path, force=True) as partial:
        write(record, partial, path.suffix)


def write(record: Record, path: Path, suffix: str) -> None:
    """Write the record to ``path`` in the format of ``suffix``, ``.json`` or ``.safetensors``.

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

    # The facts of a single map are top-level fields; those of three are nested under the names of the maps.
    facts: dict[str, Any] = dict(_HEAD)
    tensors: dict[str, Array] = {}
    if isinstance(record, EncoderDecoderRecord):
        for name in MAPS:
            each: AttentionRecord = getattr(record, name)
            facts[name] = _facts(each)
            tensors |= _tensors(each, name)
    else:
        facts, tensors = facts | _facts(record), _tensors(record, "")
    try:
        save_file(tensors, path, metadata={"attnviz": json.dumps(facts)})
    except SafetensorError as error:
        raise OSError(str(error).rpartition(": ")[2]) from None


def _require_format(path: Path, suffix: str) -> None:
    if suffix not in FORMATS:
        raise UsageError(f"{path} ends in {suffix or 'nothing'!r}, expected {' or '.join(FORMATS)}")


def _tensor(name: str, what: What = "weights") -> str:
    """The name of a map's weights, or of what is kept beside them, among the tensors of a file."""
    return f"{name}.{what}" if name else what


def _arrays(attention: AttentionRecord) -> dict[What, Array]:
    """The weights, and what was kept beside them."""
    names: tuple[What, ...] = ("weights", *BESIDE)
    found = {name: getattr(attention, name) for name in names}
    return {name: values for name, values in found.items() if values is not None}


def _tensors(attention: AttentionRecord, name: str) -> dict[str, Array]:
    return {_tensor(name, what): np.ascontiguousarray(each) for what, each in _arrays(attention).items()}


def _write_json(record: Record, file: IO[str]) -> None:
    if isinstance(record, EncoderDecoderRecord):
        file.write(json.dumps(_HEAD)[:-1])
        for name in MAPS:
            file.write(f', "{name}": ')
            _write_map(getattr(record, name), {}, file)
        file.write("}\n")
    else:
        _write_map(record, _HEAD, file)
        file.write("\n")


def _write_map(attention: AttentionRecord, facts: Mapping[str, Any], file: IO[str]) -> None:
    """Write one map as a JSON object. The weights are written layer by layer, since all at once may be a huge text."""
    file.write(json.dumps({**facts, **_facts(attention)}, ensure_ascii=False)[:-1])
    file.write(f', "dtype": "{attention.weights.dtype}"')
    for what, values in _arrays(attention).items():
        file.write(f', "{what}": [')
        for i, layer in enumerate(values):
            file.write("," if i else "")
            file.write(_numbers(layer.astype(attention.weights.dtype)))
        file.write("]")
    file.write("}")


def _numbers(array: Array) -> str:
    """The array as nested JSON lists, each number in the fewest digits that give it back exactly."""
    if array.ndim > 1:
        return "[" + ",".join(map(_numbers, array)) + "]"
    return "[" + ",".join(str(number) for number in array) + "]"


def _facts(attention: AttentionRecord) -> dict[str, Any]:
    return {
        "model": attention.model,
        "backend": attention.backend,
        "causal": attention.causal,
        **_encoding_facts(attention.encoding),
        "kind": attention.kind,
        "keys": None if attention.keys is None else _encoding_facts(attention.keys),
        "numbers": attention.numbers,
        **({"note": attention.note} if attention.note else {}),
        **({} if attention.measure == "attention" else {"measure": attention.measure}),
        **({} if attention.scores is None else _scored_facts(attention)),
        **({"prediction": prediction_facts(attention.prediction)} if attention.prediction else {}),
    }


def _scored_facts(attention: AttentionRecord) -> dict[str, Any]:
    return {
        "scales": list(attention.scales),
        **({"softcaps": list(attention.softcaps)} if attention.softcaps else {}),
        "kept": [name for name in _arrays(attention) if name != "weights"],
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


def read(path: Path, *, most: int | None = None) -> Record:
    """Read a record that ``write`` wrote; it may take ``most`` bytes of memory.

    Raises:
        InputError: the file is missing, damaged, no record, or too large; nothing in it is ever executed.
    """
    try:
        if path.suffix not in FORMATS:
            raise ValueError(f"its name ends in {path.suffix or 'nothing'!r}, expected {' or '.join(FORMATS)}")
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path} can't be read (it is no file: a folder, a pipe or a device)")
        if most is None:
            most = sys.maxsize
        with (_opened_json if path.suffix == ".json" else _opened_tensors)(path, found.st_size, most) as (facts, load):
            return record(facts, load)
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror or error})") from None
    except MemoryError:
        raise InputError(f"{path} is more than memory can hold") from None
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise InputError(
            f"{path} is not a record of attnviz ({why})",
            hint='Records are made with: attnviz export "…" FILE.json (or FILE.safetensors)',
        ) from None


def _require_room(needed: int, most: int) -> None:
    if needed > most:
        raise ValueError(f"reading it would take {needed / 1e9:,.1f} GB of memory, and {most / 1e9:,.1f} GB are free")


def _parsed(data: bytes, most: int) -> Any:
    """Parse JSON, if there is memory for the result: a short text may have millions of objects."""
    largest = {
        b",": 40,
        b"[": 64,
        b"{": 240,
        b'"': 30,
    }  # the bytes that Python takes for the value after each character
    _require_room(5 * len(data) + sum(size * data.count(sign) for sign, size in largest.items()), most)
    return json.loads(data)


@contextmanager
def _opened_json(path: Path, size: int, most: int) -> Iterator[tuple[Any, Load]]:
    """Yield the facts of a JSON file, and the function that reads its weights."""
    _require_room(5 * size, most)  # as bytes, and as text of up to four bytes a character
    facts = _parsed(path.read_bytes(), most)

    def load(name: str, units: Units, what: What = "weights") -> Array:
        found = facts[name] if name else facts
        require_type(found["dtype"])
        numbers = np.array(found.pop(what), object)  # numpy would otherwise choose a type by the values
        require_shape(numbers.shape, units, what)
        kinds = set(map(type, numbers.flat)) - {float, int}
        if kinds:
            raise ValueError(f"its {what} hold {', '.join(sorted(kind.__name__ for kind in kinds))}, expected numbers")
        with np.errstate(over="ignore"):  # infinite weights are refused later, with a message of their own
            return numbers.astype(found["dtype"])

    yield facts, load


@contextmanager
def _opened_tensors(path: Path, size: int, most: int) -> Iterator[tuple[Any, Load]]:
    """Yield the facts of a safetensors file, and the function that reads its weights."""
    from safetensors import SafetensorError, safe_open

    types = {"F16": "float16", "F32": "float32", "F64": "float64"}
    try:
        with safe_open(path, framework="numpy") as file:

            def load(name: str, units: Units, what: What = "weights") -> Array:
                found = file.get_slice(_tensor(name, what))
                require_shape(found.get_shape(), units, what)
                require_type(types.get(found.get_dtype(), found.get_dtype()))
                _require_room(2 * size, most)
                values: Array = file.get_tensor(_tensor(name, what))
                return values

            yield _parsed((file.metadata() or {})["attnviz"].encode(), most), load
    except SafetensorError as error:
        raise ValueError(str(error)) from None

"""Attention: the frozen record that everything after the forward pass reads; saving and loading it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attnviz.encoding import Encoding, Word
from attnviz.errors import InputError, UsageError

Array = NDArray[np.floating[Any]]
FORMATS = (".json", ".safetensors")
_FORMAT = "attnviz.attention/1"
_ROUNDING = 1e-3
"""How far a weight may be beyond 1: half precision rounds so."""


@dataclass(frozen=True, eq=False)
class Attention:
    """The attention of one input.

    ``weights`` is (layers, heads, queries, keys), each row a softmax. ``path`` says who made Q, K and V: our own
    forward pass (native) or the transformers model (hosted). ``causal``: no query sees a later key.
    """

    model: str
    path: Literal["native", "hosted"]
    causal: bool
    encoding: Encoding
    weights: Array

    @property
    def tokens(self) -> tuple[str, ...]:
        """The model's pieces, readable."""
        return self.encoding.tokens

    @property
    def words(self) -> tuple[str, ...]:
        """The reader's words as the text writes them; special tokens are words of their own."""
        return tuple(word.text for word in self.encoding.words)

    @property
    def layers(self) -> int:
        """L, the number of layers."""
        return len(self.weights)

    @property
    def heads(self) -> int:
        """H, the number of heads in a layer."""
        return len(self.weights[0])

    def __repr__(self) -> str:
        return (
            f"<Attention of {self.model}: {self.layers} layers × {self.heads} heads, "
            f"{len(self.tokens)} tokens, {len(self.words)} words>"
        )


def write(attention: Attention, path: Path, suffix: str) -> None:
    """Write the record to ``path`` as ``.json`` (readable anywhere) or ``.safetensors`` (compact); both exact.

    Raises:
        UsageError: ``suffix`` is neither.
    """
    if suffix not in FORMATS:
        raise UsageError(f"{path} ends in {suffix or 'nothing'!r}, expected {' or '.join(FORMATS)}")
    facts = _facts(attention)
    if suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file({"weights": np.ascontiguousarray(attention.weights)}, path, metadata={"attnviz": json.dumps(facts)})
        return
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(facts, ensure_ascii=False)[:-1])
        file.write(f', "dtype": "{attention.weights.dtype}", "weights": [')
        for i, layer in enumerate(attention.weights):
            file.write("," if i else "")
            file.write(_numbers(layer))
        file.write("]}\n")


def _numbers(array: Array) -> str:
    """The array as nested JSON lists, each number in the fewest digits that give it back exactly."""
    if array.ndim > 1:
        return "[" + ",".join(map(_numbers, array)) + "]"
    return "[" + ",".join(str(number) for number in array) + "]"


def _facts(attention: Attention) -> dict[str, Any]:
    encoding = attention.encoding
    return {
        "format": _FORMAT,
        "model": attention.model,
        "path": attention.path,
        "causal": attention.causal,
        "text": encoding.text,
        "pair": encoding.pair,
        "ids": encoding.ids,
        "type_ids": encoding.type_ids,
        "tokens": encoding.tokens,
        "special": encoding.special,
        "words": [[word.text, word.start, word.stop] for word in encoding.words],
        "dropped": encoding.dropped,
    }


def read(path: Path) -> Attention:
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


def _open(path: Path) -> tuple[dict[str, Any], Array]:
    if path.suffix not in FORMATS:
        raise ValueError(f"its name ends in {path.suffix or 'nothing'!r}, expected {' or '.join(FORMATS)}")
    if path.suffix == ".json":
        facts = json.loads(path.read_bytes())
        return facts, np.array(facts["weights"], np.dtype(facts["dtype"]))
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return json.loads((file.metadata() or {})["attnviz"]), file.get_tensor("weights")
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def _record(facts: dict[str, Any], weights: Array) -> Attention:
    if facts["format"] != _FORMAT:
        raise ValueError(f"its format is {facts['format']!r}, expected {_FORMAT!r}")
    encoding = Encoding(
        text=str(facts["text"]),
        pair=None if facts["pair"] is None else str(facts["pair"]),
        ids=tuple(map(int, facts["ids"])),
        type_ids=tuple(map(int, facts["type_ids"])),
        tokens=tuple(map(str, facts["tokens"])),
        special=tuple(map(bool, facts["special"])),
        words=tuple(Word(str(text), int(start), int(stop)) for text, start, stop in facts["words"]),
        dropped=int(facts["dropped"]),
    )
    texts = (str(facts["model"]), encoding.text, encoding.pair or "", *(word.text for word in encoding.words))
    "".join((*texts, *encoding.tokens)).encode()  # raises for lone surrogates, which could not be written again
    n = len(encoding)
    if weights.ndim != 4 or 0 in weights.shape or weights.shape[2:] != (n, n):
        raise ValueError(f"its weights have the shape {weights.shape}, expected (layers, heads, {n}, {n})")
    if weights.dtype.kind != "f" or weights.dtype.itemsize > 8:
        raise ValueError(f"its weights are {weights.dtype}, expected floating point of 64 bits at most")
    if not np.isfinite(weights).all():
        raise ValueError("its weights hold NaN or infinity")
    if weights.min() < 0 or weights.max() > 1 + _ROUNDING:
        raise ValueError(f"its weights go from {weights.min():.3g} to {weights.max():.3g}, expected 0 to 1")
    if not _in_step(encoding):
        raise ValueError("its ids, tokens, marks and words do not belong together")
    path: Literal["native", "hosted"] = "hosted" if facts["path"] == "hosted" else "native"
    return Attention(str(facts["model"]), path, bool(facts["causal"]), encoding, weights)


def _in_step(encoding: Encoding) -> bool:
    """Whether all parts have one entry a token and the words cut the tokens without a gap."""
    columns: Iterable[tuple[Any, ...]] = (encoding.type_ids, encoding.tokens, encoding.special)
    edges = [0, *(word.stop for word in encoding.words)]
    cut = all(word.start == edge < word.stop for word, edge in zip(encoding.words, edges, strict=False))
    return cut and edges[-1] == len(encoding) and all(len(column) == len(encoding) for column in columns)

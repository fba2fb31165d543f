"""Token ids as batches have them: rows of equal length with padding, which a mask hides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnviz.encoding.continuation import append_generated
from attnviz.encoding.encoding import Encoding
from attnviz.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Numbers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Padded(Encoding):
    """A row with padding as the model reads it.

    The ids include the padding. ``mask`` is 1 where a token is real; ``positions`` are the given position ids, if any.
    """

    mask: tuple[int, ...] = ()
    positions: tuple[int, ...] | None = None

    @property
    def real(self) -> slice:
        """The slice of the tokens that are not padding."""
        first = self.mask.index(1)
        return slice(first, first + sum(self.mask))

    @property
    def plain(self) -> bool:
        """Whether the row has neither padding nor position ids of its own."""
        return all(self.mask) and self.positions is None


def encode_id_rows(
    tokenizer: Tokenizer,
    ids: Any,
    mask: Any = None,
    *,
    type_ids: Any = None,
    positions: Any = None,
    vocabulary: int,
) -> tuple[list[tuple[Encoding, Padded]], bool]:
    """Encode the rows of ``ids``, each without its padding and with it.

    All four arguments are lists, arrays or tensors of the shape (N,) or (B, N). Without a ``mask`` every token is real.

    Returns:
        The pairs of encodings, and whether ``ids`` is a batch rather than a single row.

    Raises:
        InputError: shapes that do not match, ids outside the vocabulary, a mask with gaps, or a row of padding alone.
    """
    rows, batch = _rows(ids, "input_ids")
    beyond = (rows < 0) | (rows >= vocabulary)
    if beyond.any():
        raise InputError(f"input_ids hold {int(rows[beyond][0])}, the model's vocabulary is 0 to {vocabulary - 1}")
    others = {"attention_mask": mask, "token_type_ids": type_ids, "position_ids": positions}
    given = {name: _like(value, name, rows.shape) for name, value in others.items() if value is not None}
    masks = given.get("attention_mask", np.ones_like(rows))
    found = []
    for i, (row, seen) in enumerate(zip(rows.tolist(), masks.tolist(), strict=True)):
        where = f"row {i} of attention_mask" if batch else "attention_mask"
        if not set(seen) <= {0, 1}:
            raise InputError(f"{where} holds {max(seen)}, expected 1 for tokens and 0 for padding")
        if 1 not in seen:
            raise InputError(f"{where} hides all tokens: there is nothing to attend to")
        first = seen.index(1)
        if seen != [0] * first + [1] * sum(seen) + [0] * (len(seen) - first - sum(seen)):
            raise InputError(f"{where} has holes: padding stands before a text or behind it, not inside")
        types = given["token_type_ids"][i].tolist() if "token_type_ids" in given else [0] * len(row)
        own = given["position_ids"][i].tolist() if "position_ids" in given else None
        found.append(_read(tokenizer, row, seen, types, own))
    return found, batch


def encode_ids(tokenizer: Tokenizer, ids: Sequence[int], type_ids: Sequence[int]) -> Encoding:
    """Return an encoding of the tokens ``ids``, whose text and words are what they spell."""
    grown = append_generated(tokenizer, Encoding("", None, (), (), (), (), ()), ids)
    return replace(grown, type_ids=tuple(type_ids), generated=0)


def _read(
    tokenizer: Tokenizer, row: Sequence[int], seen: Sequence[int], types: Sequence[int], positions: Sequence[int] | None
) -> tuple[Encoding, Padded]:
    first, count = seen.index(1), sum(seen)
    plain = encode_ids(tokenizer, row[first : first + count], types[first : first + count])
    n = len(row)
    padded = Padded(
        plain.text, None, tuple(row), tuple(types), ("",) * n, (False,) * n, (),
        mask=tuple(seen), positions=None if positions is None else tuple(positions),
    )  # fmt: skip
    return plain, padded


def _rows(given: Any, name: str) -> tuple[Numbers, bool]:
    """Return ``given`` as whole numbers (B, N), and whether it has two dimensions."""
    given = given.detach().cpu() if hasattr(given, "detach") else given
    mask = name == "attention_mask"
    if mask and hasattr(given, "is_floating_point") and given.is_floating_point():
        given = given.float()  # numpy has no bfloat16
    try:
        numbers = np.asarray(given)
    except (TypeError, ValueError):  # rows of different lengths
        numbers = np.asarray(None)
    if mask and (numbers.dtype.kind == "b" or (numbers.dtype.kind == "f" and np.isin(numbers, (0, 1)).all())):
        numbers = numbers.astype(np.int64)
    if numbers.dtype.kind not in "iu" or numbers.ndim not in (1, 2) or not numbers.size:
        raise InputError(
            f"{name} are no whole numbers of the shape (tokens,) or (rows, tokens)",
            hint="Rows of different lengths are padded, and attention_mask says where; or give one at a time.",
        )
    return np.atleast_2d(numbers).astype(np.int64), numbers.ndim == 2


def _like(given: Any, name: str, shape: tuple[int, ...]) -> Numbers:
    numbers, _ = _rows(given, name)
    if numbers.shape != shape:
        raise InputError(f"{name} have the shape {numbers.shape}, input_ids {shape}")
    return numbers

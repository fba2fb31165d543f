"""How texts are read: at once with all weights kept or only observed, in windows, or packed with other texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from attnviz.attention.block_sizes import fits_tile
from attnviz.encoding import Encoding
from attnviz.errors import InputError
from attnviz.record import Request, WeightsName, measure_of

FEW = 1 << 24
"""Where all weights take no more bytes than this, they are kept: it costs nothing, and no compiled code is loaded."""


@dataclass(frozen=True)
class Plan:
    """The ``way`` of a text, and ``why``."""

    way: Literal["kept", "observed", "windows"]
    why: str


def plan_text(size: int, request: Request, *, windows: bool) -> Plan:
    """Return the plan of a text that is shown, whose weights of all heads take ``size`` bytes.

    Weights that are kept are replayed to the observers that else see them pass by, and a check compares them in full.
    Of a longer text the check has the rows that were kept as evidence.

    Raises:
        InputError: weights that are made of those of all heads at once, in windows or of a long text.
    """
    from attnviz.model import backends

    if not measure_of(request.weights).streamed and not windows and size <= backends.MAX_KEPT_BYTES:
        return Plan("kept", "they are made of the weights of all heads")
    require_streamed(request.weights)
    if windows:
        return Plan("windows", "the text is read in windows")
    if size > backends.MAX_KEPT_BYTES:
        return Plan("observed", "all weights are too many")
    if size <= FEW:
        return Plan("kept", "all weights are few")
    if request.evidence:
        return Plan("kept", "all weights fit, and are checked")
    return Plan("observed", "nobody asks for all weights")


def require_streamed(name: WeightsName | None) -> None:
    """Raise an ``InputError`` if weights of that name are made of those of all heads, which are not kept at once."""
    if not measure_of(name).streamed:
        raise InputError(
            f"{name} is made of the weights of all layers and heads, which this text has too many of to keep",
            hint="Give a shorter text, without windows; norm works for texts of any length.",
        )


def runs_packed(heads: int, tokens: int, limit: int | None) -> bool:
    """Whether a document of a corpus runs in a pack with others: the model reads it whole, in a layer's tile.

    The model has so many ``heads`` a layer, and ``limit`` positions.
    """
    return (limit is None or tokens <= limit) and fits_tile(heads, tokens)


def part(
    encoded: Sequence[Encoding | object], heads: int, limit: int | None
) -> tuple[dict[int, Encoding], dict[int, Encoding]]:
    """The encodings of a corpus that run in packs (``runs_packed``), and those that run alone, by their places."""
    short, long = dict[int, Encoding](), dict[int, Encoding]()
    for place, each in enumerate(encoded):
        if isinstance(each, Encoding):
            (short if runs_packed(heads, len(each), limit) else long)[place] = each
    return short, long


def are_many(heads: int, lengths: Iterable[int], *, first: bool) -> bool:
    """Whether documents of these ``lengths`` in packs are worth loading compiled passes; ``heads`` are of all layers.

    A ``first`` part of a corpus whose weights are few is likely all that there is.
    """
    return not first or 4 * heads * sum(tokens * tokens for tokens in lengths) > FEW

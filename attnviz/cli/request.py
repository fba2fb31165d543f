"""What the options of ``show`` and of pictures ask for, as one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnviz.cli.map_options import MapOptions
from attnviz.cli.parsing import parse_crop, parse_heads
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from attnviz.record import Rank, Request


def read_request(maps: MapOptions, rank: Rank | None = None, **more: Any) -> Request:
    """What the options ask for, and ``more`` fields of the request.

    Links are ranked by lift unless a ``rank`` is given, or what is shown has no lift.

    Raises:
        UsageError: they can't be read.
    """
    from attnviz.analysis.languages import language_code
    from attnviz.record import Request, measure_of

    if maps.tokens and maps.unit not in (None, "token"):
        raise UsageError(f"both --tokens and --unit {maps.unit} are given", hint="Give one of them.")
    unit = "token" if maps.tokens else maps.unit or "word"
    whole = unit in ("token", "word") and not maps.per_token and not measure_of(maps.weights).by_layer
    return Request(
        unit=unit,
        rank=rank or ("lift" if whole else "weight"),
        per_token=maps.per_token,
        special=maps.special,
        heads=parse_heads(maps.layer, maps.head),
        crop=parse_crop(maps.rows, maps.cols),
        language=language_code(maps.language),
        map=maps.which,
        weights=maps.weights,
        of=maps.answer()["of"],
        against=maps.answer()["against"],
        **more,
    )

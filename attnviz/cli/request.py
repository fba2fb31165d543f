"""What the options of ``show`` and of pictures ask for, as one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnviz.cli.options import MapOptions, parse_crop, parse_heads

if TYPE_CHECKING:
    from attnviz.record import Request


def read_request(maps: MapOptions, **more: Any) -> Request:
    """What the options ask for, and ``more`` fields of the request.

    Raises:
        UsageError: they can't be read.
    """
    from attnviz.analysis.languages import language_code
    from attnviz.record import Request

    return Request(
        unit="token" if maps.tokens else "word",
        special=maps.special,
        heads=parse_heads(maps.layer, maps.head),
        crop=parse_crop(maps.rows, maps.cols),
        language=language_code(maps.language),
        map=maps.which,
        **more,
    )

"""Values of answers as a reader sees them."""

from __future__ import annotations

from typing import Any

from attnviz.analysis.table import Kind, written
from attnviz.render.labels import clean


def formatted(value: Any, kind: Kind) -> str:
    """A value as a reader sees it; nothing for one that there is not."""
    if kind == "text":
        return clean(str(value)) if value is not None and value != "" else "–"
    return written(value, kind)

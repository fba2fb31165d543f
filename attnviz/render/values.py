"""Values of answers as a reader sees them."""

from __future__ import annotations

from typing import Any

from attnviz.analysis.table import Kind
from attnviz.render.labels import clean


def formatted(value: Any, kind: Kind) -> str:
    """A value as a reader sees it; nothing for one that there is not."""
    if kind == "text":
        return clean(str(value)) if value is not None and value != "" else "–"
    if value is None or value != value:
        return "–"
    if kind == "count":
        return f"{value:,}"
    if kind == "share":
        return f"{100 * value:.1f}%"
    if kind == "lift":
        return f"{value:.1f}×" if value < 100 else f"{value:,.0f}×"
    if kind == "weight" and 0 < value < 0.005:  # two digits would say that it is nothing
        return f"{value:.4f}" if value >= 0.00005 else "<0.0001"
    if kind in ("change", "part"):
        return (f"{value:+.3f}" if kind == "change" else f"{100 * value:+.1f}%").replace("-", "−")
    return f"{value:.3g}" if kind == "number" else f"{value:.2f}"

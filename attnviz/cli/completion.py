"""What a shell offers for the values of options, where it is more than a fixed choice; it loads nothing heavy."""

from __future__ import annotations

import os
from pathlib import Path

from attnviz.manual import CHAPTERS


def complete_model(incomplete: str) -> list[str]:
    """The default model, and those of the Hub that are in its cache; where none fits, shells offer files."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    try:
        folders = sorted(os.listdir(cache))  # noqa: PTH208  (names are all that is wanted)
    except OSError:
        folders = []
    cached = (name.removeprefix("models--").replace("--", "/") for name in folders if name.startswith("models--"))
    return _fitting(incomplete, "default", *cached)


def complete_device(incomplete: str) -> list[str]:
    """The kinds of devices."""
    return _fitting(incomplete, "cpu", "cuda", "mps", "auto")


def complete_format(incomplete: str) -> list[str]:
    """The formats of tables beside Parquet."""
    return _fitting(incomplete, "csv", "jsonl")


def complete_colour_map(incomplete: str) -> list[str]:
    """Our colour maps, and the best known of matplotlib's."""
    return _fitting(incomplete, "ink", "ember", "viridis", "magma", "inferno", "plasma", "cividis", "Greys", "Blues")


def complete_chapter(incomplete: str) -> list[str]:
    """The chapters of the manual."""
    return _fitting(incomplete, *CHAPTERS)


def complete_schema(incomplete: str) -> list[str]:
    """The documents that have a schema."""
    from attnviz.record.schemas import VERSIONS

    return _fitting(incomplete, *VERSIONS)


def _fitting(incomplete: str, *values: str) -> list[str]:
    return [value for value in values if value.startswith(incomplete)]

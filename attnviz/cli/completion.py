"""Shell completion for the values of options that are not fixed choices; it loads nothing heavy."""

from __future__ import annotations

import os
from pathlib import Path

from attnviz.manual import CHAPTERS


def complete_model(incomplete: str) -> list[str]:
    """Complete the default model and the models in the Hub's cache; shells add files if none fits."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    try:
        folders = sorted(os.listdir(cache))  # noqa: PTH208  (names are all that is wanted)
    except OSError:
        folders = []
    cached = (name.removeprefix("models--").replace("--", "/") for name in folders if name.startswith("models--"))
    return _fitting(incomplete, "default", *cached)


def complete_device(incomplete: str) -> list[str]:
    """Complete the kinds of devices."""
    return _fitting(incomplete, "cpu", "cuda", "mps", "auto")


def complete_format(incomplete: str) -> list[str]:
    """Complete the table formats beside Parquet."""
    return _fitting(incomplete, "csv", "jsonl")


def complete_colour_map(incomplete: str) -> list[str]:
    """Complete attnviz's colour maps, and the best known of matplotlib's."""
    return _fitting(incomplete, "ink", "ember", "viridis", "magma", "inferno", "plasma", "cividis", "Greys", "Blues")


def complete_chapter(incomplete: str) -> list[str]:
    """Complete the chapters of the manual."""
    return _fitting(incomplete, *CHAPTERS)


def complete_schema(incomplete: str) -> list[str]:
    """Complete the documents that have a schema."""
    from attnviz.record.schemas import VERSIONS

    return _fitting(incomplete, *VERSIONS)


def _fitting(incomplete: str, *values: str) -> list[str]:
    return [value for value in values if value.startswith(incomplete)]

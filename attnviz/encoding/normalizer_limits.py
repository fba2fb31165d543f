"""Limit how long a normalizer may make a text: its rules may write a million characters for one."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from attnviz.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_CHARACTERS = 4_000_000
"""The most characters of a normalised text, unless ``MAX_GROWTH`` times its own are more; each takes 400 bytes."""
MAX_GROWTH = 4
_PIECE = 1_000_000
"""The most characters that are normalised at once to find out how long the text becomes."""
_GROWTH = {"NFC": 3, "NFD": 4, "NFKC": 18, "NFKD": 18, "BertNormalizer": 12, "Lowercase": 3, "Nmt": 1, "Strip": 1,
           "StripAccents": 1, "ByteLevel": 4, "Prepend": 1}  # fmt: skip
"""The most characters that each kind of rule writes for one (Unicode's FAQ on normalization)."""
_UNKNOWN = 18


def require_bounded_growth(tokenizer: Tokenizer, text: str) -> None:
    """Raise if the tokenizer's normalizer would make ``text`` far too long, before that fills the memory.

    Raises:
        ModelError: the text would become longer than ``MAX_CHARACTERS``, and more than ``MAX_GROWTH`` times as long.
    """
    rules = _rules(tokenizer)
    most = max(MAX_CHARACTERS, MAX_GROWTH * len(text))
    if len(text) * math.prod(growth for _, growth in rules) <= most:
        return
    for facts, growth in rules:
        rule, step = _alone(facts), max(_PIECE // growth, 1)
        pieces, size = [], 0
        for start in range(0, len(text), step):
            pieces.append(rule.normalize_str(text[start : start + step]))
            size += len(pieces[-1])
            if size > most:
                raise ModelError(
                    f"the tokenizer makes more than {most:,} characters of a text before it cuts it into tokens",
                    hint="Its normalizer is broken or hostile: take another copy of the model.",
                )
        text = "".join(pieces)


def _rules(tokenizer: Tokenizer) -> list[tuple[dict[str, Any], int]]:
    """Return the normalizer's rules, each with the most characters it writes for one; computed once per tokenizer."""
    known: list[tuple[dict[str, Any], int]] | None = getattr(tokenizer, "attnviz_growth", None)
    if known is None:
        normalizer = tokenizer.normalizer
        parts = list(_flat(json.loads(normalizer.__getstate__()))) if normalizer else []
        known = [(facts, _growth(facts)) for facts in parts]
        tokenizer.attnviz_growth = known  # type: ignore[attr-defined]
    return known


def _flat(facts: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rules of nested sequences in order."""
    if facts["type"] != "Sequence":
        yield facts
        return
    for part in facts["normalizers"]:
        yield from _flat(part)


def _alone(facts: Mapping[str, Any]) -> Any:
    """Return a normalizer of this one rule."""
    from tokenizers import Tokenizer

    empty = {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {}, "merges": []}}
    return Tokenizer.from_str(json.dumps(empty | {"normalizer": facts})).normalizer


def _growth(facts: Mapping[str, Any]) -> int:
    """Return the most characters that a rule writes for one."""
    if facts["type"] == "Replace":
        pattern, content = facts["pattern"], len(facts["content"])
        length = len(
            pattern.get("String", "")
        )  # a regular expression may match the empty string between all characters
        return max(-(-content // length), 1) if length else 1 + content
    if facts["type"] == "Precompiled":
        return _longest(base64.b64decode(facts["precompiled_charsmap"]))
    return _GROWTH.get(facts["type"], _UNKNOWN)


def _longest(charsmap: bytes) -> int:
    """Return the longest string in a SentencePiece table: the size of its trie, the trie, then the strings."""
    start = 4 + int.from_bytes(charsmap[:4], "little")
    return max(1, *(len(part) for part in charsmap[start:].split(b"\0")), 1)

"""Verify that a text can be tokenized."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnviz.encoding.normalizer_limits import require_bounded_growth
from attnviz.errors import InputError, UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def require_str(text: object) -> None:
    """Raise a ``UsageError`` if ``text`` is not a string."""
    if not isinstance(text, str):
        raise UsageError(
            f"a text is a {type(text).__name__}, expected a str",
            hint="Give one text at a time, or to attend a list of them: model.attend([text, …])",
        )


def require_text(text: str, name: str = "text") -> None:
    """Raise an ``InputError`` if ``text`` is blank or not valid Unicode, a ``UsageError`` if it is not a string.

    ``name`` is what messages call it.
    """
    require_str(text)
    if not text.strip():
        raise InputError(f"the {name} is empty", hint="Give a sentence, such as 'The bank approved the loan.'")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"the {name} has a lone surrogate (U+{ord(text[error.start]):04X}) at character {error.start}: "
            "it is not valid Unicode",
            hint="Save the text as UTF-8 and try again.",
        ) from None


def declare_unreadable(tokenizer: Tokenizer, marks: Sequence[str], why: str, hint: str) -> None:
    """Store which special tokens a text must not contain, ``why`` (after a comma) and what to do about it."""
    if marks:
        refused = getattr(tokenizer, "attnviz_refused", {}) | dict.fromkeys(marks, (why, hint))
        tokenizer.attnviz_refused = refused  # type: ignore[attr-defined]


def require_tokenizable(tokenizer: Tokenizer, text: str, name: str = "text") -> None:
    """Raise if ``tokenizer`` can't encode ``text``, or not as the model's own tokenizer does.

    Raises:
        InputError, UsageError: as ``require_text``; or the text contains a special token that was declared unreadable.
        ModelError: the tokenizer would make the text far too long.
    """
    require_text(text, name)
    require_bounded_growth(tokenizer, text)
    refused = getattr(tokenizer, "attnviz_refused", {})
    found = refused and re.search("|".join(map(re.escape, refused)), text)
    if found:
        why, hint = refused[found[0]]
        raise InputError(f"the {name} has {found[0]!r} at character {found.start()}, {why}", hint=hint)

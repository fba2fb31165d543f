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


def declare_unreadable(tokenizer: Tokenizer, marks: Sequence[str]) -> None:
    """Store which special tokens the model's own tokenizer reads as letters if a text contains them."""
    if marks:
        tokenizer.attnviz_unread = re.compile("|".join(map(re.escape, marks)))  # type: ignore[attr-defined]


def require_tokenizable(tokenizer: Tokenizer, text: str, name: str = "text") -> None:
    """Raise if ``tokenizer`` can't encode ``text``, or not as the model's own tokenizer does.

    Raises:
        InputError, UsageError: as ``require_text``; or the text contains a special token that the model's own tokenizer
            reads as letters.
        ModelError: the tokenizer would make the text far too long.
    """
    require_text(text, name)
    require_bounded_growth(tokenizer, text)
    unread = getattr(tokenizer, "attnviz_unread", None)
    found = unread and unread.search(text)
    if found:
        raise InputError(
            f"the {name} has {found[0]!r} at character {found.start()}: the mark of a language, which the model's own "
            "tokenizer reads as letters there, and attnviz can't",
            hint="Leave it out, or put a space into it; `source_lang` and `target_lang` say the languages.",
        )

"""Which token of the vocabulary a reader means by a word that a model may say next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnviz.encoding.encode import tokenizer_errors
from attnviz.encoding.spelling import Spelling
from attnviz.encoding.validation import require_str
from attnviz.encoding.words import is_punctuation
from attnviz.errors import InputError, ModelError, UsageError, short

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BEFORE = "a"
"""A word that every tokenizer knows, to see how another is written behind it."""


@dataclass(frozen=True)
class TargetToken:
    """A token that is meant by a word.

    Attributes:
        word: the word, as it was given.
        id: the token.
        token: what it writes, with the space before it: `` Mary``.
        pieces: what all tokens of the word write, this one first.
    """

    word: str
    id: int
    token: str
    pieces: tuple[str, ...]

    @property
    def warning(self) -> str:
        """That the word is several tokens; empty where it is one."""
        if len(self.pieces) == 1:
            return ""
        shown = ", ".join(short(piece) for piece in self.pieces[:8]) + (", …" if len(self.pieces) > 8 else "")
        return f"{short(self.word)} is {len(self.pieces)} tokens ({shown}): the first, {short(self.token)}, is taken"


def find_target(tokenizer: Tokenizer, word: str | int, text: str = "", *, vocabulary: int | None = None) -> TargetToken:
    """Find the token that is meant by a ``word`` that follows ``text``.

    Behind a word that is the one with a space before it (`` Mary``), if there is one; at the beginning, behind white
    space, and of punctuation the one without. A word of several tokens stands for the first of them. The name of a
    special token, or of a piece as the vocabulary writes it (``ĠMary``), is that token; so is a number.

    Args:
        tokenizer: the tokenizer.
        word: the word; one that begins with a space is only looked for with it.
        text: what the model has read.
        vocabulary: how many tokens the model has.

    Raises:
        UsageError: the word is empty, or there is no token of that number.
        InputError: the tokenizer does not know it.
        ModelError: the model has no such token.
    """
    spelling = Spelling(tokenizer)
    ids = [_numbered(tokenizer, word, vocabulary)] if isinstance(word, int) else _ids(tokenizer, spelling, word, text)
    if vocabulary is not None and ids[0] >= vocabulary:
        raise ModelError(
            f"{short(word)} is token {ids[0]:,}, and the model has {vocabulary:,}",
            hint="The tokenizer and the model do not belong together: download the model again.",
        )
    pieces = tuple(spelling.written(each) for each in ids)
    return TargetToken(str(word), ids[0], pieces[0], pieces)


def _numbered(tokenizer: Tokenizer, number: int, vocabulary: int | None) -> int:
    count = tokenizer.get_vocab_size() if vocabulary is None else vocabulary
    if isinstance(number, bool) or not 0 <= number < count:
        raise UsageError(f"there is no token {number}: the vocabulary has 0 to {count - 1:,}")
    return number


def _ids(tokenizer: Tokenizer, spelling: Spelling, word: str, text: str) -> list[int]:
    require_str(word)
    if not word:
        raise UsageError("the target is empty, expected a word that the model may say next")
    known = tokenizer.token_to_id(word)
    if known is not None and known in spelling.added:
        return [known]
    ways = _ways(tokenizer, word, text)
    ids = next((way for way in ways if len(way) == 1), [known] if known is not None else ways[0])
    if spelling.unknown is not None and spelling.piece(ids[0]) == spelling.unknown:
        raise InputError(f"the model's tokenizer does not know {short(word)}", hint="Give another word.")
    return ids


def _ways(tokenizer: Tokenizer, word: str, text: str) -> list[list[int]]:
    """The tokens of a word with a space before it and without, the likelier way behind ``text`` first."""
    bare = word.strip()
    if not bare:
        return [_encoded(tokenizer, word)]
    before, spaced = _encoded(tokenizer, _BEFORE), _encoded(tokenizer, f"{_BEFORE} {bare}")
    behind = spaced[len(before) :] if spaced[: len(before)] == before else []
    alone = _encoded(tokenizer, bare)
    if word[0].isspace():
        found = [behind]
    elif not text or text[-1].isspace() or is_punctuation(bare[0]):
        found = [alone, behind]
    else:
        found = [behind, alone]
    return [way for way in found if way] or [alone]


def _encoded(tokenizer: Tokenizer, text: str) -> list[int]:
    tokenizer.no_padding()
    tokenizer.no_truncation()
    with tokenizer_errors():
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    if not ids:
        raise InputError(f"the model's tokenizer makes nothing of {short(text)}", hint="Give another word.")
    return ids

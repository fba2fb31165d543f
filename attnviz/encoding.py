"""Text becomes token ids, readable tokens, word spans and special-token marks."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import regex

from attnviz.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Encoding as Pieces
    from tokenizers import Tokenizer

# Word boundaries of Unicode Standard Annex 29: `don't` and `3.14` are one word, each Han character and each
# emoji sequence is one, scripts without spaces split wherever a piece of the tokenizer begins a character.
_BOUNDARY = regex.compile(r"(?V1w)\b")


@dataclass(frozen=True, slots=True)
class Word:
    """A reader's word: the tokens ``start`` to ``stop`` (exclusive) and how the text writes it."""

    text: str
    start: int
    stop: int


@dataclass(frozen=True)
class Encoding:
    """One input as the model reads it. All tuples but ``words`` have one entry a token.

    ``tokens`` are readable (byte-level pieces are decoded), ``special`` marks tokens that are no part of the text
    ([CLS], [SEP], BOS). ``words`` cut the tokens into consecutive spans; a special token is a word of its own.
    ``dropped`` counts the tokens that truncation cut off, ``generated`` the last ones that the model wrote itself.
    """

    text: str
    pair: str | None
    ids: tuple[int, ...]
    type_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    special: tuple[bool, ...]
    words: tuple[Word, ...]
    dropped: int = 0
    generated: int = 0

    def __len__(self) -> int:
        return len(self.ids)


def encode(
    tokenizer: Tokenizer, text: str, pair: str | None = None, *, limit: int | None = None, truncate: bool = False
) -> Encoding:
    """Encode ``text`` (and ``pair``) with the special tokens that the tokenizer adds, without padding.

    Args:
        limit: the number of positions that the model has, None for no limit.
        truncate: cut the text at ``limit`` instead of raising.

    Raises:
        InputError: the text is blank, can't be encoded, has nothing that the tokenizer knows, or is too long.
    """
    for part in (text,) if pair is None else (text, pair):
        _require_readable(part)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    pieces = tokenizer.encode(text, pair)
    dropped = 0
    if limit is not None and len(pieces) > limit:
        dropped = len(pieces) - limit
        marks = tokenizer.num_special_tokens_to_add(pair is not None)
        if limit <= marks:
            raise InputError(f"the model takes {limit} tokens, and {marks} are special: no room is left for a text")
        if not truncate:
            raise InputError(
                f"the text has {len(pieces)} tokens, the model takes {limit}: {dropped} too many",
                hint="Shorten the text, or cut it with --truncate.",
            )
        tokenizer.enable_truncation(limit)
        pieces = tokenizer.encode(text, pair)
    return replace(_read(tokenizer, pieces, text, pair), dropped=dropped)


def _require_readable(text: str) -> None:
    if not text.strip():
        raise InputError("the text is empty", hint='Give a sentence: attnviz show "The bank approved the loan."')
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"the text has a lone surrogate (U+{ord(text[error.start]):04X}) at character {error.start}: "
            "it is not valid Unicode",
            hint="Save the text as UTF-8 and try again.",
        ) from None


def _read(tokenizer: Tokenizer, pieces: Pieces, text: str, pair: str | None) -> Encoding:
    unknown = getattr(tokenizer.model, "unk_token", None)
    # A [SEP] that the text itself contains is special to the model; what stands for an unknown word is not.
    added = tokenizer.get_added_tokens_decoder().items()
    marks = {number for number, token in added if token.special and token.content != unknown}
    special = tuple(bool(mark) or i in marks for mark, i in zip(pieces.special_tokens_mask, pieces.ids, strict=True))
    tokens = _readable(tokenizer, pieces, special)
    if not any(
        # An unknown piece is the unknown token, or (Unigram) the text itself under the unknown token's id.
        not mark and token.strip("▁ \r\n\t") and piece != unknown and tokenizer.id_to_token(i) == piece
        for mark, token, piece, i in zip(special, tokens, pieces.tokens, pieces.ids, strict=True)
    ):
        raise InputError(
            "the text has only special tokens or characters that the model's tokenizer does not know",
            hint="Give a text in a language that the model was trained on.",
        )
    numbers = _word_numbers(pieces, special, (text, pair or ""))
    return Encoding(
        text=text,
        pair=pair,
        ids=tuple(pieces.ids),
        type_ids=tuple(pieces.type_ids),
        tokens=tokens,
        special=special,
        words=_words(pieces, tokens, numbers, special, (text, pair or "")),
    )


def _word_numbers(pieces: Pieces, special: tuple[bool, ...], texts: tuple[str, str]) -> list[Any]:
    """One key a token, equal for neighbours exactly when they are pieces of one word."""
    owners = [_char_words(text) for text in texts]
    numbers: list[Any] = []
    for i, (start, stop) in enumerate(pieces.offsets):
        sequence = pieces.sequence_ids[i]
        if special[i] or sequence is None:
            numbers.append(("special", i))
            continue
        text = texts[sequence]
        # A byte-level piece carries the space before its word, and a bare "▁" is nothing else: look behind it.
        while start < len(text) and text[start].isspace() and text[start] not in "\r\n":
            start += 1
        inside = start < len(text) and (start < stop or not text[pieces.offsets[i][0] : stop].strip())
        numbers.append((sequence, owners[sequence][start] if inside else ("end", i)))
    return numbers


def _char_words(text: str) -> list[int]:
    """For each character of ``text`` the number of the word that holds it."""
    owner = [0] * len(text)
    cuts = [match.start() for match in _BOUNDARY.finditer(text)] + [len(text)]
    for number, (start, stop) in enumerate(pairwise(cuts)):
        owner[start:stop] = [number] * (stop - start)
    return owner


def _words(
    pieces: Pieces,
    tokens: tuple[str, ...],
    numbers: list[Any],
    special: tuple[bool, ...],
    texts: tuple[str, str],
) -> tuple[Word, ...]:
    starts = [i for i in range(len(numbers)) if i == 0 or numbers[i] != numbers[i - 1]]
    words = []
    for start, stop in zip(starts, [*starts[1:], len(numbers)], strict=True):
        sequence = pieces.sequence_ids[start]
        if special[start] or sequence is None:
            label = pieces.tokens[start]
        else:
            written = texts[sequence][pieces.offsets[start][0] : pieces.offsets[stop - 1][1]]
            label = written.strip() or written or tokens[start]
        words.append(Word(label, start, stop))
    return tuple(words)


def _readable(tokenizer: Tokenizer, pieces: Pieces, special: tuple[bool, ...]) -> tuple[str, ...]:
    """The model's pieces, byte-level alphabets and ``▁`` decoded; ``##s`` stays, the field writes it so."""
    byte_level = tokenizer.decoder is not None and b"ByteLevel" in tokenizer.decoder.__getstate__()
    decode = _decode_bytes if byte_level else _decode_marks
    return tuple(piece if mark else decode(piece) for piece, mark in zip(pieces.tokens, special, strict=True))


def _decode_marks(piece: str) -> str:
    return piece.replace("▁", " ").strip() or piece


def _decode_bytes(piece: str) -> str:
    r"""``Ġbank`` becomes ``bank``; the bytes of a character that was cut apart are written ``\xf0``."""
    table = _byte_table()
    if any(character not in table for character in piece):
        return piece  # a token that was added to the vocabulary as it is
    text = bytes(table[character] for character in piece).decode(errors="backslashreplace")
    return text.strip() or text


@cache
def _byte_table() -> dict[str, int]:
    """The byte-level alphabet of GPT-2: printable Latin-1 stands for itself, the rest for U+0100 and on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


def is_punctuation(text: str) -> bool:
    """Whether ``text`` is only punctuation, symbols (Unicode categories P and S) and what can't be seen (Z and C)."""
    return all(unicodedata.category(character)[0] in "PSZC" for character in text)

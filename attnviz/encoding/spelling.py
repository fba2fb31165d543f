"""Decode a tokenizer's pieces: byte-level alphabets, ``▁``, ``##``, ``</w>`` and bytes as ``<0xE4>``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_GAP = re.compile(r"(?<![a-z])mask(?![a-z])|extra_id_\d|sentinel", re.IGNORECASE)
"""A pattern for the names of tokens that stand for words of the text: [MASK], <mask_1>, <extra_id_0>."""


class Spelling:
    """Decode the pieces of one tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        from tokenizers.models import WordLevel, WordPiece

        model = tokenizer.model
        self._tokenizer = tokenizer
        # In a corpus the same pieces occur again and again.
        self._pieces: dict[int, str] = {}
        self._readable: dict[str, str] = {}
        self._byte_level = tokenizer.decoder is not None and b"ByteLevel" in tokenizer.decoder.__getstate__()
        # In these models a piece is a word unless its prefix says that it continues one; others write their spaces.
        self._spaced = isinstance(model, WordPiece | WordLevel)
        self._prefix = (getattr(model, "continuing_subword_prefix", None) or "") if self._spaced else ""
        self._suffix = getattr(model, "end_of_word_suffix", None) or ""
        self.unknown: str | None = getattr(model, "unk_token", None)
        mask = getattr(tokenizer, "attnviz_mask", None)
        added = tokenizer.get_added_tokens_decoder().items()
        self.added = {number for number, _ in added}
        self.gaps = {number for number, token in added if token.content == mask or _GAP.search(token.content)}
        """Tokens that stand for words, and so count as content."""
        # A [SEP] that the text itself contains is special to the model; the token for unknown words is not.
        special = {number for number, token in added if token.special and token.content != self.unknown}
        self.marks = special - self.gaps

    def is_real(self, number: int, written: str) -> bool:
        """Whether the token ``number`` was in the text as ``written``; a Unigram model writes an unknown piece as
        itself.

        Tokens that were added to the vocabulary may include the spaces beside them.
        """
        piece = self.piece(number)
        return written == piece or (number in self.added and written.strip() == piece)

    def piece(self, number: int) -> str:
        """Return the token ``number`` as the vocabulary writes it; ``<number>`` if it lacks it (a padded embedding)."""
        if number not in self._pieces:
            self._pieces[number] = self._tokenizer.id_to_token(number) or f"<{number}>"
        return self._pieces[number]

    def readable_tokens(self, pieces: Sequence[str], special: Sequence[bool]) -> tuple[str, ...]:
        """Return the pieces in readable form; special tokens are unchanged."""
        return tuple(piece if mark else self.readable(piece) for piece, mark in zip(pieces, special, strict=True))

    def readable(self, piece: str) -> str:
        r"""Return a piece in readable form: ``bank`` for ``Ġbank`` and ``▁bank``, ``\xf0`` for an incomplete character;
        ``##s`` stays.
        """
        if piece not in self._readable:
            text = self._decoded(piece).decode(errors="backslashreplace")
            self._readable[piece] = text.strip() or (text if self._byte_level or text.strip(" ") else piece)
        return self._readable[piece]

    def spell(self, number: int) -> bytes:
        """Return what the token ``number`` adds to a text, with the space before it."""
        piece = self.piece(number)
        if not self._spaced:
            return self._decoded(piece)
        if self._prefix and piece.startswith(self._prefix):
            return piece.removeprefix(self._prefix).encode()
        return piece.encode() if piece in {".", ",", "!", "?"} else b" " + piece.encode()

    def written(self, number: int) -> str:
        """Return the token ``number`` for a reader: what it writes, with the space before it, or the name of an added
        one.
        """
        return self.piece(number) if number in self.added else self.spell(number).decode(errors="backslashreplace")

    def _decoded(self, piece: str) -> bytes:
        if self._suffix and piece.endswith(self._suffix):
            return self._decoded(piece.removesuffix(self._suffix)) + b" "
        if self._byte_level:
            table = _byte_table()
            # A token that was added to the vocabulary is not written in the byte-level alphabet.
            known = all(character in table for character in piece)
            return bytes(table[character] for character in piece) if known else piece.encode()
        byte = _BYTE.fullmatch(piece)
        return bytes.fromhex(byte[1]) if byte else piece.replace("▁", " ").encode()


def declare_mask(tokenizer: Tokenizer, mask: str | None) -> None:
    """Store which token is the mask, which tokenizer.json does not say; most are recognised by their name."""
    if mask:
        tokenizer.attnviz_mask = mask  # type: ignore[attr-defined]


def join_pieces(pieces: Sequence[bytes]) -> tuple[str, list[tuple[int, int]]]:
    """Return the text that ``pieces`` spell, and the characters of each piece, from and to (exclusive).

    Pieces that share a character all cover it. A byte that is not part of a character becomes a lone surrogate.
    """
    text = b"".join(pieces).decode(errors="surrogateescape")
    owner: list[int] = []  # for each byte the character that it is of
    for i, character in enumerate(text):
        owner += [i] * len(character.encode(errors="surrogateescape"))
    owner.append(len(text))
    spans, start = [], 0
    for piece in pieces:
        stop = start + len(piece)
        spans.append((owner[start], owner[stop - 1] + 1 if piece else owner[start]))
        start = stop
    return text, spans


@cache
def _byte_table() -> dict[str, int]:
    """Return the byte-level alphabet of GPT-2: printable Latin-1 stands for itself, the rest for U+0100 and on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}

"""Append generated tokens to an encoding."""

from __future__ import annotations

import codecs
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from attnviz.encoding.encoding import Encoding
from attnviz.encoding.spelling import Spelling, join_pieces
from attnviz.encoding.words import CharacterSpan, Cuts, Word, cut_words, is_blank, is_punctuation, word_starts

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def append_generated(tokenizer: Tokenizer, encoding: Encoding, ids: Sequence[int]) -> Encoding:
    """Append the tokens ``ids``, which the model generated, to ``encoding``; give one at a time or many.

    The text (the second text of a pair) grows by what the tokens spell, without special tokens. A piece that continues
    the last word is joined to it; words of the input are never split, and keep their spelling.
    """
    spelling = Spelling(tokenizer)
    marks = tuple(number in spelling.marks for number in ids)
    grown = replace(
        encoding,
        ids=encoding.ids + tuple(ids),
        type_ids=encoding.type_ids + encoding.type_ids[-1:] * len(ids),
        tokens=encoding.tokens + spelling.readable_tokens([spelling.piece(number) for number in ids], marks),
        special=encoding.special + marks,
        generated=encoding.generated + len(ids),
    )
    settled = _settled(encoding, spelling)
    first = encoding.words[settled - 1].stop if settled else 0
    spelt = [
        b"" if mark else spelling.spell(number)
        for number, mark in zip(grown.ids[first:], grown.special[first:], strict=True)
    ]
    gaps = {place for place, number in enumerate(grown.ids[first:]) if number in spelling.gaps}
    words = encoding.words[:settled] + _open_words(grown, settled, first, spelt, gaps)
    text = _longer(encoding.text if encoding.pair is None else encoding.pair, spelt, len(encoding) - first)
    if all(encoding.special):
        text = text.removeprefix(" ")  # the space before the first word
    if encoding.pair is None:
        return replace(grown, words=words, text=text)
    return replace(grown, words=words, pair=text)


def _settled(encoding: Encoding, spelling: Spelling) -> int:
    """Return how many words no further token can change: all before the last word that has a space before it."""
    for i in reversed(range(len(encoding.words))):
        word = encoding.words[i]
        if encoding.special[word.start]:
            return i + 1
        # An incomplete character may turn out to be white space, which would belong to the word before.
        stays = any(not character.isspace() and not "\ud800" <= character <= "\udfff" for character in word.text)
        if stays and spelling.spell(encoding.ids[word.start])[:1].isspace():
            return i
    return 0


def _open_words(
    grown: Encoding, settled: int, first: int, spelt: Sequence[bytes], gaps: Collection[int]
) -> tuple[Word, ...]:
    """Return the words of ``grown`` after the ``settled`` ones; its own words are still those from before it grew.

    Args:
        grown: the encoding with all its tokens.
        settled: how many words no longer change.
        first: the first token after them.
        spelt: what the tokens from ``first`` on spell.
        gaps: the positions among these tokens that are words of their own, such as ``[MASK]``.
    """
    read = len(grown) - grown.generated
    old = {word.start: word for word in grown.words[settled:]}
    starts = {word.start: word.text for word in old.values() if word.start < read}
    tokens, special = grown.tokens[first:], grown.special[first:]
    # A special token separates its neighbours, as a line break does.
    text, spans = join_pieces([b"\n" if mark else piece for mark, piece in zip(special, spelt, strict=True)])
    offsets: list[CharacterSpan | None] = [
        None if mark else (0, *span) for mark, span in zip(special, spans, strict=True)
    ]
    words = None if grown.lexicon is None or grown.lexicon.spans else grown.lexicon
    cuts = [words.cut(text) if words else Cuts.of(text)]
    begins = word_starts(cuts, offsets, gaps)
    last = max(starts, default=first)
    # White space at the end of the input may belong to the word that follows.
    end = next((i for i in range(read, first, -1) if not is_blank(grown.tokens[i - 1])), first)
    for i in range(first + 1, end):
        # The input was split with its whole text known. Only an apostrophe or a full stop at its end may turn out to
        # be inside a word.
        if i != last or not is_punctuation(starts[i]):
            begins[i - first] = i in starts
    cut = cut_words(begins, tokens, cuts, offsets)
    new = (replace(word, start=word.start + first, stop=word.stop + first) for word in cut)
    return tuple(_spelt(old.get(word.start), word, grown.tokens) for word in new)


def _spelt(old: Word | None, new: Word, tokens: Sequence[str]) -> Word:
    """Return ``new`` with the spelling of ``old`` if it is the same word, at most with white space after it."""
    if old and old.stop <= new.stop and all(map(is_blank, tokens[old.stop : new.stop])):
        return replace(new, text=old.text)
    return new


def _longer(text: str, spelt: Sequence[bytes], read: int) -> str:
    """Return ``text`` followed by what the tokens after the first ``read`` spell; a character split between them is
    joined.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    decoder.decode(b"".join(spelt[:read]))
    cut = decoder.getstate()[0]
    if cut:
        text = text.removesuffix("\ufffd")
    written = (cut + b"".join(spelt[read:])).decode(errors="replace")
    return text + written

"""Text becomes token ids, readable tokens, word spans and special-token marks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from attnviz.encoding.lexicon import Lexicon
from attnviz.encoding.normalizer_limits import require_bounded_growth
from attnviz.encoding.spelling import Spelling
from attnviz.encoding.validation import require_str, require_tokenizable
from attnviz.encoding.words import CharacterSpan, Cuts, Word, cut_words, word_starts
from attnviz.errors import AttnvizError, InputError, ModelError

if TYPE_CHECKING:
    from tokenizers import Encoding as Pieces
    from tokenizers import Tokenizer
    from tokenizers.processors import PostProcessor


_BEGINNING = 50_000
"""The characters of a text from which it is told how many tokens it has."""


@dataclass(frozen=True)
class EncodingSource:
    """What an encoding was made from, so that transformers' tokenizer can make the same of it.

    Args:
        text: the text as it was given; None for a decoder that was given none.
        chat: whether ``text`` was put into the model's chat template.
        limit: the most tokens, beyond which the text was cut.
        target: whether a decoder beside an encoder reads it.
        window: the special tokens in front, the first and the last (exclusive) token of the part of all that it is, and
            the special tokens behind.
    """

    text: str | None
    pair: str | None = None
    chat: bool = False
    limit: int | None = None
    target: bool = False
    window: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class Encoding:
    """One input as the model reads it. All tuples but ``words`` have one entry a token.

    ``tokens`` are readable (byte-level pieces are decoded), ``special`` marks tokens that are no part of the text
    ([CLS], [SEP], BOS). ``words`` cut the tokens into consecutive spans; a special token is a word of its own.
    ``dropped`` counts the tokens that truncation cut off, ``generated`` those at the end that the model wrote itself.
    ``lexicon``: what was known to be a word. ``source`` says from what it was made; None where that is not known,
    as of a record that was read from a file.
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
    source: EncodingSource | None = field(default=None, compare=False, repr=False)
    lexicon: Lexicon | None = field(default=None, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.ids)


def encode(
    tokenizer: Tokenizer,
    text: str,
    pair: str | None = None,
    *,
    limit: int | None = None,
    truncate: bool = False,
    marks: bool | PostProcessor = True,
    words: Lexicon | None = None,
) -> Encoding:
    """Encode ``text`` (and ``pair``) with the special tokens that the tokenizer adds, without padding.

    Args:
        limit: the number of positions that the model has, None for no limit.
        truncate: cut the text at ``limit`` instead of raising.
        marks: False for a text that has its special tokens already, as a chat template writes them; or what adds others
            than the tokenizer does.
        words: what is known to be a word.

    Raises:
        InputError: the text is blank, can't be encoded, has nothing that the tokenizer knows, or is too long.
        ModelError: the tokenizer would make far too much of it.
    """
    for part in (text,) if pair is None else (text, pair):
        require_tokenizable(tokenizer, part)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    own = None if isinstance(marks, bool) else marks
    pieces = _pieces(tokenizer, text, pair, marks)
    dropped = 0
    if limit is not None and len(pieces) > limit:
        dropped = len(pieces) - limit
        added = (own or tokenizer).num_special_tokens_to_add(pair is not None) if marks else 0
        if limit <= added:
            raise InputError(f"the model takes {limit} tokens, and {added} are special: no room is left for a text")
        if not truncate:
            raise InputError(
                f"the text has {len(pieces)} tokens, the model takes {limit}: {dropped} too many",
                hint="Shorten the text, cut it with --truncate, or (one text, no decoder beside) add --windows.",
            )
        tokenizer.enable_truncation(limit - added if own else limit)
        pieces = _pieces(tokenizer, text, pair, marks)
    return _read(Spelling(tokenizer), pieces, text, pair, dropped, words)


def _pieces(tokenizer: Tokenizer, text: str, pair: str | None, marks: bool | PostProcessor) -> Pieces:
    with tokenizer_errors():
        if isinstance(marks, bool):
            return tokenizer.encode(text, pair, add_special_tokens=marks)
        return marks.process(tokenizer.encode(text, pair, add_special_tokens=False))


@contextlib.contextmanager
def tokenizer_errors() -> Iterator[None]:
    """Inside, what the tokenizers library raises is an error of the model: it can't cut the text.

    Raises:
        ModelError: such as of a vocabulary that lacks what unknown words become.
    """
    try:
        yield
    except AttnvizError:
        raise
    except Exception as error:  # the only type that tokenizers raises
        raise ModelError(
            f"the tokenizer can't cut this text ({error})", hint="It is damaged: download the model again."
        ) from error


def encode_many(
    tokenizer: Tokenizer, texts: Sequence[str], *, limit: int | None = None, words: Lexicon | None = None
) -> list[Encoding | AttnvizError]:
    """What ``encode`` makes of each of ``texts``, or the error that it raises, in their order; it is faster."""
    found: dict[int, Encoding | AttnvizError] = {}
    for number, text in enumerate(texts):
        try:
            require_tokenizable(tokenizer, text)
        except AttnvizError as error:
            found[number] = error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    valid = [number for number in range(len(texts)) if number not in found]
    spelling = Spelling(tokenizer)
    with tokenizer_errors():
        cut = tokenizer.encode_batch([texts[number] for number in valid])
    for number, pieces in zip(valid, cut, strict=True):
        try:
            if limit is not None and len(pieces) > limit:
                found[number] = encode(tokenizer, texts[number], limit=limit)  # raises
            else:
                found[number] = _read(spelling, pieces, texts[number], None, words=words)
        except AttnvizError as error:
            found[number] = error
    return [found[number] for number in range(len(texts))]


def minimum_tokens(tokenizer: Tokenizer, text: str) -> int:
    """How many tokens ``text`` is sure to have, as far as its beginning tells: nothing of the rest is cut.

    It is half of what there are if all is like the beginning; 0 for a text that is soon cut anyway.
    """
    require_str(text)
    if len(text) < 10 * _BEGINNING:
        return 0
    require_bounded_growth(tokenizer, text[:_BEGINNING])
    tokenizer.no_padding()
    tokenizer.no_truncation()
    with tokenizer_errors():
        return len(tokenizer.encode(text[:_BEGINNING], add_special_tokens=False)) * len(text) // _BEGINNING // 2


def encode_target(
    tokenizer: Tokenizer,
    text: str,
    start: int | None,
    *,
    limit: int | None = None,
    truncate: bool = False,
    marks: bool | PostProcessor = True,
    words: Lexicon | None = None,
) -> Encoding:
    """Encode ``text`` as an encoder–decoder's decoder reads it: shifted right by one.

    The mark that the tokenizer adds at the end is not read: it is what the last query predicts.

    Args:
        start: the id of the token that the decoder starts from; None where the mark at the end wraps around to the
            start, as mBART's language code does.
        limit, truncate, marks, words: as for ``encode``; the marks are those of the target's language.

    Raises:
        InputError: as ``encode``.
        ModelError: ``start`` is None, and the tokenizer adds no mark at the end.
    """
    encoding = encode(tokenizer, text, limit=limit, truncate=truncate, marks=marks, words=words)
    if not encoding.special[-1]:
        if start is None:
            raise ModelError(
                "the model names no token to start its decoder from, and its tokenizer ends a text with none"
            )
        # Nothing makes room for the start.
        encoding = encode(tokenizer, text, limit=limit and limit - 1, truncate=truncate, marks=marks, words=words)
        return _joined(decoder_start(tokenizer, start), encoding, len(encoding))
    first = encoding.ids[-1] if start is None else start
    return _joined(decoder_start(tokenizer, first), encoding, len(encoding) - 1)


def decoder_start(tokenizer: Tokenizer, start: int) -> Encoding:
    """Return what a decoder reads before it has written anything: the token ``start`` alone, which is special."""
    token = Spelling(tokenizer).piece(start)
    source = EncodingSource(None, target=True)
    return Encoding("", None, (start,), (0,), (token,), (True,), (Word(token, 0, 1),), source=source)


def _joined(start: Encoding, encoding: Encoding, stop: int) -> Encoding:
    """``start``, and after it the tokens of ``encoding`` up to ``stop``, where a word ends."""
    n = len(start)
    source = encoding.source and replace(encoding.source, target=True)
    return replace(
        encoding,
        source=source,
        ids=start.ids + encoding.ids[:stop],
        type_ids=start.type_ids + encoding.type_ids[:stop],
        tokens=start.tokens + encoding.tokens[:stop],
        special=start.special + encoding.special[:stop],
        words=start.words + tuple(Word(w.text, w.start + n, w.stop + n) for w in encoding.words if w.stop <= stop),
    )


def _read(
    spelling: Spelling,
    pieces: Pieces,
    text: str,
    pair: str | None,
    dropped: int = 0,
    words: Lexicon | None = None,
) -> Encoding:
    ids, written = tuple(pieces.ids), pieces.tokens
    known = tuple(map(spelling.is_real, ids, written))
    special = tuple(
        bool(mask) or (i in spelling.marks and real)
        for mask, i, real in zip(pieces.special_tokens_mask, ids, known, strict=True)
    )
    tokens = spelling.readable_tokens(written, special)
    if not any(
        not mark and real and piece != spelling.unknown and token.strip("▁ \r\n\t")
        for mark, real, piece, token in zip(special, known, written, tokens, strict=True)
    ):
        raise InputError(
            "the text has only special tokens or characters that the model's tokenizer does not know",
            hint="Give a text in a language that the model was trained on.",
        )
    texts = (text,) if pair is None else (text, pair)
    cuts = [words.cut(part, first=not i) if words else Cuts.of(part) for i, part in enumerate(texts)]
    places: list[CharacterSpan | None] = [
        None if mark or sequence is None else (sequence, *span)
        for mark, sequence, span in zip(special, pieces.sequence_ids, pieces.offsets, strict=True)
    ]
    gaps = {place for place, (i, real) in enumerate(zip(ids, known, strict=True)) if real and i in spelling.gaps}
    return Encoding(
        text=text,
        pair=pair,
        ids=ids,
        type_ids=tuple(pieces.type_ids),
        tokens=tokens,
        special=special,
        words=cut_words(word_starts(cuts, places, gaps), tokens, cuts, places),
        dropped=dropped,
        lexicon=words,
        source=EncodingSource(text, pair, limit=len(ids) if dropped else None),
    )

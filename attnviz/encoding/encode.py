"""Encode text: token ids, readable tokens, words and special-token marks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from attnviz.encoding.encoding import Encoding, EncodingSource
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
"""The number of characters from which the number of tokens of a long text is estimated."""


def encode(
    tokenizer: Tokenizer,
    text: str,
    pair: str | None = None,
    *,
    limit: int | None = None,
    truncate: bool = False,
    marks: bool | PostProcessor = True,
    words: Lexicon | None = None,
    name: str = "text",
) -> Encoding:
    """Encode ``text`` (and ``pair``) with the special tokens that the tokenizer adds, without padding.

    Args:
        limit: the number of positions that the model has; None for no limit.
        truncate: truncate the text at ``limit`` instead of raising.
        marks: False for a text that already has its special tokens, as chat templates write them; or a processor that
            adds other special tokens than the tokenizer's.
        words: known words, which are not split.
        name: what messages call the text.

    Raises:
        InputError: the text is blank, can't be encoded, contains nothing that the tokenizer knows, or is too long.
        ModelError: the tokenizer fails, or would make far too much of the text.
    """
    for part, called in ((text, name), (pair, "second text")):
        if part is not None:
            require_tokenizable(tokenizer, part, called)
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
                hint="Shorten the text, cut it with `truncate`, or (for a single text of one stack) add `windows`.",
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
    """Turn errors of the tokenizers library inside the block into a ``ModelError``.

    Raises:
        ModelError: for example, a word is unknown and the vocabulary lacks the unknown token.
    """
    try:
        yield
    except AttnvizError:
        raise
    except Exception as error:  # the only type that tokenizers raises
        raise ModelError(
            f"the tokenizer can't encode this text ({error})", hint="It is damaged: download the model again."
        ) from error


def encode_many(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    limit: int | None = None,
    words: Lexicon | Sequence[Lexicon] | None = None,
) -> list[Encoding | AttnvizError]:
    """Encode each of ``texts`` as ``encode`` does, but faster; return its encoding or its error, in order.

    ``words`` are those of all texts, or a list has those of each.
    """
    known = words if isinstance(words, Sequence) else [words] * len(texts)
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
                found[number] = _read(spelling, pieces, texts[number], None, words=known[number])
        except AttnvizError as error:
            found[number] = error
    return [found[number] for number in range(len(texts))]


def minimum_tokens(tokenizer: Tokenizer, text: str) -> int:
    """Return a number of tokens that ``text`` surely has, estimated from its beginning without encoding the rest.

    It is half of what the text would have if it were all like its beginning; 0 for a text that is short enough to
    encode.
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
    """Encode ``text`` as the decoder of an encoder–decoder reads it: shifted right by one.

    The end token that the tokenizer adds is not read: it is what the last query predicts.

    Args:
        start: the id of the decoder's start token; None if the text's end token is moved to the start, as mBART's
            language code is.
        limit: as for ``encode``.
        truncate: as for ``encode``.
        marks: as for ``encode``, for the target's language.
        words: as for ``encode``.

    Raises:
        InputError: as ``encode``.
        ModelError: ``start`` is None, and the tokenizer adds no end token.
    """
    encoding = encode(tokenizer, text, limit=limit, truncate=truncate, marks=marks, words=words, name="target")
    if not encoding.special[-1]:
        if start is None:
            raise ModelError(
                "the model names no token to start its decoder from, and its tokenizer ends a text with none"
            )
        # There is no trailing special token to make room for the start token.
        encoding = encode(tokenizer, text, limit=limit and limit - 1, truncate=truncate, marks=marks, words=words)
        return _joined(decoder_start(tokenizer, start), encoding, len(encoding))
    first = encoding.ids[-1] if start is None else start
    return _joined(decoder_start(tokenizer, first), encoding, len(encoding) - 1)


def encode_again(tokenizer: Tokenizer, encoding: Encoding, start: int | None) -> Encoding:
    """Return ``encoding`` as the decoder of a classifier reads it once more: shifted right by one.

    Args:
        start: as for ``encode_target``.
    """
    first = encoding.ids[-1] if start is None else start
    again = _joined(decoder_start(tokenizer, first), encoding, len(encoding) - 1)
    return again if encoding.pair is None else replace(again, source=None)  # of one text alone it is known how to


def decoder_start(tokenizer: Tokenizer, start: int) -> Encoding:
    """Return the encoding of a decoder that has generated nothing yet: the special token ``start`` alone."""
    token = Spelling(tokenizer).piece(start)
    source = EncodingSource(None, target=True)
    return Encoding("", None, (start,), (0,), (token,), (True,), (Word(token, 0, 1),), source=source)


def _joined(start: Encoding, encoding: Encoding, stop: int) -> Encoding:
    """Return ``start`` followed by the tokens of ``encoding`` before ``stop``, which must be the end of a word."""
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
    """Make an ``Encoding`` from the result of the tokenizers library."""
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
    offsets: list[CharacterSpan | None] = [
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
        words=cut_words(word_starts(cuts, offsets, gaps), tokens, cuts, offsets),
        dropped=dropped,
        lexicon=words,
        source=EncodingSource(text, pair, limit=len(ids) if dropped else None),
    )

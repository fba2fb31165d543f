"""A text as a model reads it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from attnviz.encoding.lexicon import Lexicon
from attnviz.encoding.words import Word


@dataclass(frozen=True)
class EncodingSource:
    """The input of an encoding, from which transformers' tokenizer can make the same ids for the check.

    Args:
        text: the text as it was given; None for a decoder without one.
        pair: the second text.
        chat: whether ``text`` was put into the model's chat template.
        limit: the number of tokens to which the text was truncated.
        target: whether it is the text of a decoder beside an encoder.
        window: for a window of the encoding, the number of leading special tokens, its first and last (exclusive)
            token, and the number of trailing special tokens.
    """

    text: str | None
    pair: str | None = None
    chat: bool = False
    limit: int | None = None
    target: bool = False
    window: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class Encoding:
    """One input as the model reads it. All tuples but ``words`` have one entry per token.

    Args:
        text: the text.
        pair: the second text of a pair.
        ids: the token ids.
        type_ids: the token types.
        tokens: the readable tokens; byte-level pieces are decoded.
        special: whether a token is not part of the text ([CLS], [SEP], BOS).
        words: consecutive spans that cover all tokens; a special token is a word of its own.
        dropped: how many tokens truncation removed.
        generated: how many tokens at the end the model generated.
        source: the input that was encoded; None if unknown, as for a record read from a file.
        lexicon: the known words by which the text was split.
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

    def beginning(self, tokens: int) -> Encoding:
        """Its first tokens as a model reads them, for a run of which only the way it goes matters."""
        return replace(self, ids=self.ids[:tokens], type_ids=self.type_ids[:tokens])

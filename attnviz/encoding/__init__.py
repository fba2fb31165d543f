"""Text becomes token ids, readable tokens, word spans and special-token marks; and what a model writes follows it."""

from attnviz.encoding.boundaries import LargeUnit
from attnviz.encoding.continuation import continued
from attnviz.encoding.encode import (
    Encoding,
    Made,
    encode,
    encode_many,
    encode_target,
    started,
    tokens_at_least,
)
from attnviz.encoding.languages import Languages, read_languages
from attnviz.encoding.lexicon import Lexicon, parse_words
from attnviz.encoding.padded import Padded, read_rows
from attnviz.encoding.spans import Place, WordSpans
from attnviz.encoding.spelling import declare_mask
from attnviz.encoding.units import Spans, large_units
from attnviz.encoding.validation import declare_unread, require_text
from attnviz.encoding.windows import Window, Windows, slide
from attnviz.encoding.words import Word, is_blank, is_punctuation

__all__ = [
    "Encoding",
    "Languages",
    "LargeUnit",
    "Lexicon",
    "Made",
    "Padded",
    "Place",
    "Spans",
    "Window",
    "Windows",
    "Word",
    "WordSpans",
    "continued",
    "declare_mask",
    "declare_unread",
    "encode",
    "encode_many",
    "encode_target",
    "is_blank",
    "is_punctuation",
    "large_units",
    "parse_words",
    "read_languages",
    "read_rows",
    "require_text",
    "slide",
    "started",
    "tokens_at_least",
]

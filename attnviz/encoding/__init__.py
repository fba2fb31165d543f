"""Turn text into token ids, readable tokens, words and special-token marks, and append what a model generates."""

from attnviz.encoding.boundaries import LargeUnit
from attnviz.encoding.continuation import append_generated
from attnviz.encoding.encode import (
    decoder_start,
    encode,
    encode_again,
    encode_many,
    encode_target,
    minimum_tokens,
)
from attnviz.encoding.encoding import Encoding, EncodingSource
from attnviz.encoding.languages import Languages, find_code, language_numbers, read_languages, some_codes
from attnviz.encoding.lexicon import Lexicon, parse_words
from attnviz.encoding.padded import Padded, encode_id_rows
from attnviz.encoding.spans import Place, WordSpans
from attnviz.encoding.spelling import declare_mask
from attnviz.encoding.targets import TargetToken, find_target
from attnviz.encoding.units import Spans, large_units
from attnviz.encoding.validation import declare_unreadable, require_text
from attnviz.encoding.windows import Window, Windows, slide_windows
from attnviz.encoding.words import Word, is_blank, is_punctuation

__all__ = [
    "Encoding",
    "EncodingSource",
    "Languages",
    "LargeUnit",
    "Lexicon",
    "Padded",
    "Place",
    "Spans",
    "TargetToken",
    "Window",
    "Windows",
    "Word",
    "WordSpans",
    "append_generated",
    "declare_mask",
    "declare_unreadable",
    "decoder_start",
    "encode",
    "encode_again",
    "encode_id_rows",
    "encode_many",
    "encode_target",
    "find_code",
    "find_target",
    "is_blank",
    "is_punctuation",
    "language_numbers",
    "large_units",
    "minimum_tokens",
    "parse_words",
    "read_languages",
    "require_text",
    "slide_windows",
    "some_codes",
]

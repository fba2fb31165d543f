"""Words that carry no content by themselves, of the language that is asked for."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from attnviz.errors import UsageError, did_you_mean

# The closed classes of English without personal pronouns and negation: determiners, prepositions, conjunctions,
# auxiliaries, particles.
FUNCTION_WORDS = frozenset({
    "a", "an", "the", "this", "that", "these", "those", "some", "any", "each", "every", "either", "neither", "both",
    "all", "such", "what", "which", "whose", "who", "whom", "when", "where", "why", "how", "there", "here",
    "of", "to", "in", "on", "at", "by", "for", "from", "with", "without", "within", "into", "onto", "upon", "about",
    "above", "across", "after", "against", "along", "among", "around", "as", "before", "behind", "below", "beneath",
    "beside", "between", "beyond", "down", "during", "except", "inside", "near", "off", "out", "outside", "over",
    "past", "since", "through", "throughout", "till", "toward", "towards", "under", "until", "up", "via", "than",
    "and", "or", "but", "nor", "so", "yet", "because", "although", "though", "while", "whereas", "if", "unless",
    "whether", "just", "also", "too", "very", "then", "thus",
    "am", "is", "are", "was", "were", "be", "been", "being", "do", "does", "did", "done", "have", "has", "had",
    "having", "will", "would", "shall", "should", "can", "could", "may", "might", "must", "ought",
    "i'm", "you're", "he's", "she's", "it's", "we're", "they're", "i've", "you've", "we've", "they've",
    "i'll", "you'll", "he'll", "she'll", "it'll", "we'll", "they'll", "that's", "there's",
})  # fmt: skip

# What carries content only by what it stands for, which is of interest within a text, and leads any count over many.
PRONOUNS = frozenset({
    "i", "me", "my", "mine", "myself", "you", "your", "yours", "yourself", "yourselves", "he", "him", "his", "himself",
    "she", "her", "hers", "herself", "it", "its", "itself", "we", "us", "our", "ours", "ourselves",
    "they", "them", "their", "theirs", "themselves",
})  # fmt: skip

ENGLISH, NONE = "en", "none"
_CODES = {
    "ar": "ara", "bg": "bul", "ca": "cat", "cs": "ces cze", "da": "dan", "nl": "nld dut", "en": "eng", "fi": "fin",
    "fr": "fra fre francais français", "de": "deu ger deutsch", "gu": "guj", "he": "heb iw", "hi": "hin", "hu": "hun",
    "id": "ind", "ms": "msa may zsm malay", "it": "ita italiano", "nb": "nob nor no nn nno", "pl": "pol polski",
    "pt": "por portugues português", "ro": "ron rum", "ru": "rus", "sk": "slk slo", "es": "spa espanol español",
    "sv": "swe svenska", "tr": "tur", "uk": "ukr", "vi": "vie", "fa": "fas per pes farsi", "el": "ell gre",
    "zh": "zho chi cmn mandarin", "ja": "jpn", "ko": "kor",
}  # fmt: skip
"""Other codes and names of the languages that have a list."""


@cache
def _names() -> dict[str, str]:
    """The code for each name of a language that has a list."""
    from stop_words import LANGUAGE_MAPPING

    names = {name: code for code, name in LANGUAGE_MAPPING.items()}
    codes = {code: code for code in LANGUAGE_MAPPING}
    return {other: code for code, others in _CODES.items() for other in others.split() if code in codes} | names | codes


def language_code(name: str) -> str:
    """The code of a language: ``de`` for de, German, deu, de-AT and deu_Latn.

    A language that has no list keeps its name: nothing is taken for a function word then, nor for ``none``.

    Raises:
        UsageError: it is no name, or nearly that of a language that has a list.
    """
    said = name.strip().casefold()
    if said in (ENGLISH, NONE):
        return said
    known, main = _names(), re.split("[-_]", said)[0]
    if said in known or main in known:
        return known.get(said) or known[main]
    if re.fullmatch("[a-z]{2,3}", main):
        return main
    meant = did_you_mean(said, known, 0.7)
    if meant or not said.isalpha() or len(said) > 40:
        have = ", ".join(sorted(set(known.values())))
        raise UsageError(f"there is no language {name!r}", hint=f"{meant}Function words are known of: {have} (or none)")
    return said


@cache
def function_words(language: str) -> frozenset[str]:
    """The function words of the language of that code, written plainly; empty where none are known.

    Those of English are our own; of other languages they are the stop words of the package stop-words, which count
    pronouns and negations among them.
    """
    if language == ENGLISH:
        return FUNCTION_WORDS
    if language == NONE or language not in _names().values():
        return frozenset()
    from stop_words import get_stop_words

    return frozenset(map(plain, get_stop_words(language)))


def plain(word: str) -> str:
    """``word`` as the lists write it."""
    return unicodedata.normalize("NFC", word.casefold()).replace("’", "'")


def language_name(language: str) -> str:
    """What the language of that code is called, ``German``; the code itself where it has no list."""
    if language == ENGLISH:
        return "English"
    from stop_words import LANGUAGE_MAPPING

    return str(LANGUAGE_MAPPING.get(language, language)).capitalize()

"""The fonts of pictures: one for Latin, Greek and Cyrillic, and installed ones for the characters that it lacks."""

from __future__ import annotations

import unicodedata
import warnings
from functools import cache

from matplotlib.font_manager import FontEntry, FontProperties, findfont, findSystemFonts, fontManager, get_font
from matplotlib.textpath import text_to_path

FAMILY = "DejaVu Sans"
_FALLBACKS = ("Noto Sans", "WenQuanYi", "Source Han Sans", "PingFang", "Hiragino Sans", "Microsoft YaHei", "MS Gothic",
              "Malgun Gothic", "Arial Unicode MS", "Noto Emoji", "Symbola", "STIXGeneral")  # fmt: skip
"""How the names of fonts begin that are looked through, in this order."""
_PACKAGES = {
    "fonts-noto-cjk": ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH"),
    "fonts-noto-core": ("ARABIC", "HEBREW", "DEVANAGARI", "BENGALI", "TAMIL", "TELUGU", "THAI", "ETHIOPIC", "GEORGIAN"),
    "fonts-symbola": ("FACE", "EMOJI", "SYMBOL", "HEART", "SIGN", "HAND"),
}
"""Debian packages of fonts, by the words in the names of the characters that they have."""


@cache
def _installed() -> tuple[tuple[str, str], ...]:
    """Return the family and the file of each font that may be taken, the first choice first."""
    regular = [font for font in fontManager.ttflist if font.style == "normal" and font.weight in (400, "normal", 500)]
    known = {font.name: font.fname for font in sorted(regular, key=lambda font: (font.name, font.fname), reverse=True)}
    for path in sorted(set(findSystemFonts()) - {font.fname for font in fontManager.ttflist}):
        font = _added(path)  # installed after matplotlib made its list
        if font is not None and font.style == "normal" and font.weight in (400, "normal", 500):
            known.setdefault(font.name, path)
    found = [(FAMILY, known[FAMILY])] if FAMILY in known else []
    for start in _FALLBACKS:
        found += [(name, known[name]) for name in sorted(known) if name.startswith(start)]
    return tuple(dict.fromkeys(found))


def _added(path: str) -> FontEntry | None:
    """Add a font file to matplotlib's list; None if it can't be read."""
    try:
        fontManager.addfont(path)
    except (OSError, RuntimeError):
        return None
    return fontManager.ttflist[-1]


@cache
def _characters(path: str) -> frozenset[int]:
    """Return the code points that a font file has."""
    return frozenset(get_font(path).get_charmap())


@cache
def _font_of(character: str) -> str | None:
    """Return the family of the first font that has ``character``."""
    if ord(character) in _characters(findfont(FontProperties(family=FAMILY))):
        return FAMILY  # the usual case, without looking for others
    return next((name for name, path in _installed() if ord(character) in _characters(path)), None)


@cache
def families(text: str) -> tuple[str, ...]:
    """Return the font families that ``text`` needs, with the usual one first."""
    others = (_font_of(character) for character in sorted(set(text)) if not _invisible(character))
    return tuple(dict.fromkeys([FAMILY, *(name for name in others if name)]))


def missing(text: str) -> list[str]:
    """Return the characters of ``text`` that no installed font has."""
    return [character for character in sorted(set(text)) if not _invisible(character) and not _font_of(character)]


def packages_for(characters: str) -> list[str]:
    """Return the Debian packages that have fonts for ``characters``."""
    names = [set(unicodedata.name(character, "").replace("-", " ").split()) for character in characters]
    found = [package for package, words in _PACKAGES.items() if any(name & set(words) for name in names)]
    return found or ["fonts-noto-core"]


def _invisible(character: str) -> bool:
    """Whether ``character`` needs no glyph: ends of lines; joiners and variation selectors shape their neighbours."""
    return character in "\n\u200c\u200d" or "\ufe00" <= character <= "\ufe0f"


@cache
def text_width(text: str, points: float) -> float:
    """Return the inches that ``text`` takes at this size."""
    if not text:
        return 0.0
    font = FontProperties(family=list(families(text)), size=points)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of missing glyphs, which are said once
        width: float = text_to_path.get_text_width_height_descent(text, font, False)[0]
    return width / 72


def shorten_to(text: str, points: float, most: float) -> str:
    """Return ``text``, cut to ``most`` inches with an ellipsis."""
    if text_width(text, points) <= most:
        return text
    low, high = 0, len(text)
    while low < high:  # the longest beginning that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text_width(text[:middle] + "…", points) <= most else (low, middle - 1)
    return text[:low].rstrip() + "…"


def wrap(text: str, points: float, most: float) -> list[str]:
    """Return ``text`` in lines of at most ``most`` inches, broken between words."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", points) <= most:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines

"""Bytes become text, however they are cut, and what is no text is told."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnviz.batch.input.decoding import Decoded, mend
from attnviz.batch.input.options import Unreadable

GERMAN = "Der Bär läuft über die Straße, und die Bänker geben ihm Geld.\n"


def decode(data: bytes, size: int = 1 << 16) -> tuple[str, str]:
    """The text with marks mended, and the note."""
    decoded = Decoded([data], size)
    text = "".join(decoded)
    return mend(text)[0], decoded.note


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("size", [16, 61, 1 << 16])
def test_unicode_with_its_byte_order_mark(codec: str, size: int) -> None:
    text, note = decode((GERMAN * 5 + "𝔸 — 日本").encode(codec), size)
    assert text == GERMAN * 5 + "𝔸 — 日本"
    assert note == ("" if codec.startswith("utf-8") else f"read as {codec}")


def test_utf_16_of_the_other_order() -> None:
    assert decode(b"\xfe\xff" + GERMAN.encode("utf-16-be")) == (GERMAN, "read as utf-16")


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("cp1252", "caf\xe9"),
        ("cp1252", GERMAN),
        ("cp1252", "“Smart” it’s — fine, 5 €"),
        ("cp1251", "Привет, мир. Это текст на русском языке."),
        ("koi8_r", "Привет, мир. Это текст на русском языке."),
        ("cp932", "日本語の文章です。これはテストです。"),
        ("gb18030", "这是一个中文的句子。"),
        ("big5", "這是一個中文的句子。銀行批准了貸款。"),
        ("cp949", "은행이 대출을 승인했다."),
        ("cp1253", "Η τράπεζα ενέκρινε το δάνειο."),
        ("iso8859_2", "Zażółć gęślą jaźń"),
    ],
)
def test_another_encoding_is_detected_and_said(codec: str, text: str) -> None:
    assert decode(text.encode(codec)) == (text, f"read as {codec}")


def test_a_long_chinese_text_without_lines_is_detected_though_its_sample_is_cut() -> None:
    text = "这是一个中文的句子，银行批准了贷款。" * 2000
    assert decode(text.encode("gb18030")) == (text, "read as gb18030")


def test_the_first_block_that_is_no_utf_8_decides_for_the_rest() -> None:
    plain = "Nothing but plain letters here.\n" * 4
    text, note = decode((plain + GERMAN * 3).encode("cp1252"), 64)
    assert text == plain + GERMAN * 3
    assert note == "read as cp1252"


def test_utf_8_with_a_damaged_place_stays_utf_8() -> None:
    data = GERMAN.encode() * 3
    for size in (32, 1 << 16):
        text, note = decode(data + b"\xff broken\n" + data, size)
        assert (text, note) == (GERMAN * 3 + "\ufffd broken\n" + GERMAN * 3, "")


def test_a_character_that_the_end_cuts_is_marked() -> None:
    decoded = Decoded([GERMAN.encode() + "é".encode()[:1]])
    assert mend("".join(decoded)) == (GERMAN + "\ufffd", 1)


def test_surrogates_written_as_utf_8_are_lost_characters_of_utf_8() -> None:
    assert decode(b"a \xed\xa0\x80 b") == ("a \ufffd\ufffd\ufffd b", "")


STREAMS = {
    "utf-8": (GERMAN * 4).encode(),
    "utf-16": (GERMAN * 4).encode("utf-16"),
    "cp1252": (GERMAN * 4).encode("cp1252"),
    "damaged": GERMAN.encode() * 3 + b"\xff",
    # What the letters are taken for depends on how many of them are seen together.
    "cp1250": ("Plain.\n" * 7 + "é\n" + "Plain.\n" * 2 + "Zażółć gęślą jaźń.\n" * 4).encode("cp1250"),
}


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(sorted(STREAMS)))
def test_how_the_bytes_arrive_decides_nothing(chance: random.Random, name: str) -> None:
    data = STREAMS[name]
    cuts = sorted(chance.randrange(len(data)) for _ in range(20))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    decoded = Decoded(pieces, 48)
    assert (mend("".join(decoded))[0], decoded.note) == decode(data, 48)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (random.Random(0).randbytes(5000), "binary"),
        (random.Random(1).randbytes(60), "binary"),
        (bytes(100), "binary"),
        ("no mark".encode("utf-16-le"), "binary"),
        (b"\x7fELF\x02\x01\x01" + bytes(50), "a program"),
        (b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n" + b"1 0 obj\n" * 50, "a PDF"),
        (b"PK\x03\x04" + random.Random(2).randbytes(300), "a zip archive, as .docx and .epub files are"),
    ],
)
def test_what_is_no_text_is_told(data: bytes, kind: str) -> None:
    with pytest.raises(Unreadable) as error:
        decode(data)
    assert str(error.value) == f"it is no text ({kind})"


@pytest.mark.parametrize(
    "text", ["a\0b", "The bank\0 approved\0 the loan.", "GGUF is a format.", "%PDF- begins a PDF."]
)
def test_text_with_a_nul_or_a_magic_word_is_text(text: str) -> None:
    assert decode(text.encode()) == (text, "")


def test_junk_far_behind_in_a_text_is_not_the_end_of_it() -> None:
    junk = os.urandom(64).replace(b"\n", b" ")
    text, _ = decode(GERMAN.encode() * 10 + junk + b"\n" + GERMAN.encode(), 64)
    assert text.startswith(GERMAN * 10)
    assert text.endswith(GERMAN)


def test_what_came_before_an_error_is_decoded_before_it() -> None:
    def pieces() -> object:
        yield b"one\ntwo\n"
        raise Unreadable("broken")

    found = []
    with pytest.raises(Unreadable, match="broken"):
        found.extend(Decoded(pieces()))  # type: ignore[arg-type]
    decoded = iter(Decoded(pieces()))  # type: ignore[arg-type]
    assert next(decoded) == "one\ntwo\n"


def test_lone_surrogates_are_replaced_and_counted() -> None:
    assert mend("a\ud800b\udc41𝔸") == ("a\ufffdb\ufffd𝔸", 2)
    assert mend("plain") == ("plain", 0)

"""Words of every kind of tokenizer: whatever the pieces are, the words are those of the text."""

from __future__ import annotations

import time
import unicodedata
from functools import partial

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers

from attnviz.analysis.text.units import read_in
from attnviz.encoding import Encoding, declare_mask, encode
from attnviz.encoding.words import Cuts, word_starts
from attnviz.errors import InputError
from tests.vocabularies import KINDS, with_normalizer

BYTE_LEVEL = ["gpt2", "roberta", "llama3", "qwen2"]
BYTE_FALLBACK = ["llama2", "llama2_prepend", "gemma"]
METASPACE = [*BYTE_FALLBACK, "t5", "xlm_roberta"]


def words(kind: str, text: str) -> list[str]:
    """Return the visible words of ``text``."""
    encoding = encode(KINDS[kind](), text)
    return [word.text for word in encoding.words if not encoding.special[word.start] and word.text.strip()]


def spans(encoding: Encoding) -> list[tuple[str, ...]]:
    """The tokens of each word."""
    return [encoding.tokens[word.start : word.stop] for word in encoding.words if not encoding.special[word.start]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The bank's river", ["The", "bank's", "river"]),
        ("they don't know", ["they", "don't", "know"]),
        ("the  bank  ", ["the", "bank"]),
        ("the bank\n\n\tthe", ["the", "bank", "the"]),
        ("你 好 bank", ["你", "好", "bank"]),
        ("Le café était fermé", ["Le", "café", "était", "fermé"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("the 👍🏽 the", ["the", "👍🏽", "the"]),
    ],
)
def test_words_are_those_of_the_text(kind: str, text: str, expected: list[str]) -> None:
    assert words(kind, text) == expected


@pytest.mark.parametrize("kind", [*BYTE_LEVEL, "bert", "t5", "xlm_roberta"])
def test_punctuation_is_no_part_of_a_word(kind: str) -> None:
    assert words(kind, "(hello), they said.") == ["(", "hello", ")", ",", "they", "said", "."]


@pytest.mark.parametrize("kind", BYTE_LEVEL)
def test_code_is_cut_at_what_is_no_name(kind: str) -> None:
    assert words(kind, "x\t= y[0]\n    return x") == ["x", "=", "y", "[", "0", "]", "return", "x"]


@pytest.mark.parametrize("kind", [*BYTE_LEVEL, *BYTE_FALLBACK])
@pytest.mark.parametrize(
    "text",
    ["e\u0301te\u0301's", "café's", "नमस्ते", "👩‍👩‍👧", "語", "ὡς"],
    ids=["accents as marks", "accents", "vowel signs", "family", "Han", "two accents"],
)
def test_a_word_whose_characters_are_cut_apart_is_whole(kind: str, text: str) -> None:
    assert words(kind, f"the {text} bank") == ["the", text, "bank"]


@pytest.mark.parametrize("kind", BYTE_FALLBACK)
def test_bytes_are_shown_as_bytes(kind: str) -> None:
    encoding = encode(KINDS[kind](), "the ☃")
    assert encoding.tokens[-3:] == (r"\xe2", r"\x98", r"\x83")
    assert encoding.words[-1].text == "☃"


@pytest.mark.parametrize("kind", BYTE_FALLBACK)
def test_a_character_that_is_one_byte_is_shown_as_itself(kind: str) -> None:
    assert encode(KINDS[kind](), "the ~").tokens[-1] == "~"


@pytest.mark.parametrize("kind", METASPACE)
def test_a_space_that_is_a_piece_begins_the_word_after_it(kind: str) -> None:
    assert "▁" not in words(kind, "the Überbank of the q")


def test_a_bracket_and_a_word_that_share_a_piece_are_one_word_with_the_rest_of_it() -> None:
    """Llama 3 keeps one character before letters, and the word may have more pieces."""
    text = "self(loans"
    places = [(0, 0, 4), (0, 4, 7), (0, 7, 10)]  # self, (lo, ans
    assert word_starts([Cuts.of(text)], places) == [True, True, False]


def test_characters_that_share_a_piece_are_one_word() -> None:
    places = [(0, 0, 2), (0, 1, 2)]  # `日` and the first byte of `本`, the rest of `本`
    assert word_starts([Cuts.of("日本")], places) == [True, False]


@pytest.mark.parametrize("kind", ["t5", "xlm_roberta"])
def test_an_unknown_piece_is_shown_as_the_text_writes_it_and_is_not_special(kind: str) -> None:
    encoding = encode(KINDS[kind](), "the ☃ bank")
    snow = next(word for word in encoding.words if word.text == "☃")
    assert encoding.tokens[snow.stop - 1] == "☃"
    assert not any(encoding.special[snow.start : snow.stop])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["½ ﬁne Ⅷ the", "①② the ｆｕｌｌ"])
def test_a_normalizer_does_not_change_what_the_text_writes(kind: str, text: str) -> None:
    tokenizer = with_normalizer(KINDS[kind](), normalizers.NFKC())
    encoding = encode(tokenizer, text)
    assert "".join(word.text for word in encoding.words if not encoding.special[word.start]) == text.replace(" ", "")


_PARTS = [
    "the ", "bank", " ", "  ", "\n", "\r\n", "\t", "'", "'s", ".", "-", "(hello", "x=y[0]", "don't", "你",
    "好。", "です", "สวัสดี", " ไทย", "مرحبا ", "नमस्ते", "😀", "👩‍👩‍👧", "🇩🇪",
    "\u200d", "\u200b", "\u00a0", "e\u0301", "½", "ﬁ", "λ", "Ġ", "▁", "<s>",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(_PARTS), min_size=1, max_size=12).map("".join) | st.text(max_size=30)


@settings(deadline=None, max_examples=400)
@given(TEXTS, st.sampled_from(sorted(KINDS)))
@example("▁\u200d.", "llama2")
def test_any_text_is_cut_into_words_that_stand_in_it_in_order(text: str, kind: str) -> None:
    try:
        encoding = encode(KINDS[kind](), text)
    except InputError:
        return
    assert [word.start for word in encoding.words] == [0, *(word.stop for word in encoding.words[:-1])]
    assert encoding.words[-1].stop == len(encoding)
    at = 0
    for word in encoding.words:
        if encoding.special[word.start]:
            continue
        found = text.find(word.text, at)
        assert found >= at or word.text == encoding.tokens[word.start], (word, text)
        at = max(at, found + len(word.text))


_LETTERS = [
    "한국", "마실까해요", "क्षत्रिय", "நிலா", "ক্ষমা", "กำลัง", "น้ำ", "éte\u0301s", "שָׁלוֹם", "مَرْحَبًا", "ｶﾞ", "ὡς",
    "👩‍👩‍👧", "🇩🇪🇫🇷", "1️⃣", "👍🏽", "\u0301", "\u0600", "語", "the", "'", ".", "$",
]  # fmt: skip
_MARKED = st.lists(st.sampled_from([*_LETTERS, " ", "\n", "\r\n", "\t"]), min_size=1, max_size=10).map("".join)
_NORMALIZERS = {"nfc": normalizers.NFC(), "nfd": normalizers.NFD(), "nfkc": normalizers.NFKC()}


@settings(deadline=None, max_examples=150)
@given(_MARKED, st.sampled_from(["NFC", "NFD"]), st.sampled_from(sorted(KINDS)), st.sampled_from([*_NORMALIZERS, ""]))
@example("마실까해요", "NFD", "qwen2", "")
@example("น้ำ", "NFC", "gpt2", "")
@example("étés\u0600", "NFC", "bert", "nfc")
@example("\u0301étés", "NFC", "bert", "nfc")
def test_each_character_is_in_one_word_and_whole(text: str, form: str, kind: str, normalizer: str) -> None:
    text = unicodedata.normalize(form, text)
    tokenizer = with_normalizer(KINDS[kind](), _NORMALIZERS[normalizer]) if normalizer else KINDS[kind]()
    try:
        encoding = encode(tokenizer, text)
    except InputError:
        return
    words = [word.text for word in encoding.words if not encoding.special[word.start] and word.text.strip()]
    if tokenizer.token_to_id("<unk>") is None:  # others have no token for what they do not know
        # BERT removes control and format characters, and accents. There is no token for the former at the end of a
        # word, and none for an accent that stands on no letter.
        without = partial(regex.sub, r"(?<=^|\p{C}|\s)\p{Mn}+|\p{C}", "") if kind == "bert" else str
        assert [part for word in words for part in regex.findall(r"\X", without(word)) if part.strip()] == [
            part for part in regex.findall(r"\X", without(text)) if part.strip()
        ]
    at = 0
    edges = {0, *(found.end() for found in regex.finditer(r"\X", text))}
    for word in words:
        at = text.index(word, at)
        assert {at, at + len(word)} <= edges
        at += len(word)


@pytest.mark.parametrize("kind", BYTE_LEVEL)
@pytest.mark.parametrize("text", ["\nthe bank \n\n of\r\nit \t\n", "the\u2028bank \x0b of it", " the bank  of it\n"])
def test_white_space_is_no_word(kind: str, text: str) -> None:
    encoding = encode(KINDS[kind](), text)
    assert [word.text for word in encoding.words if not encoding.special[word.start]] == ["the", "bank", "of", "it"]


def test_spaces_belong_to_the_word_after_them_and_line_breaks_to_the_one_before() -> None:
    encoding = encode(KINDS["gpt2"](), "a \n\n  b")
    assert spans(encoding) == [("a", " ", "\n\n"), (" ", " ", "b")]


def test_a_line_break_between_special_tokens_is_no_word() -> None:
    encoding = encode(KINDS["qwen2"](), "the<|im_end|>\n<|im_start|>bank")
    assert [word.text for word in encoding.words] == ["the", "<|im_end|>", "<|im_start|>", "bank"]


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm_roberta", "gemma"])
@pytest.mark.parametrize("text", ["the {} bank", "the{}bank"])
def test_a_mask_in_a_text_is_a_word(kind: str, text: str) -> None:
    mask = "[MASK]" if kind == "bert" else "<mask>"
    encoding = encode(KINDS[kind](), text.format(mask))
    assert [word.text for word in encoding.words if not encoding.special[word.start]] == ["the", mask, "bank"]


def test_a_sentinel_is_a_word_and_the_end_of_a_text_is_special() -> None:
    tokenizer = Tokenizer.from_str(KINDS["t5"]().to_str())
    tokenizer.add_special_tokens(["<extra_id_0>"])
    encoding = encode(tokenizer, "the <extra_id_0> bank</s>")
    assert [word.text for word in encoding.words] == ["the", "<extra_id_0>", "bank", "</s>", "</s>"]
    assert [encoding.special[word.start] for word in encoding.words] == [False] * 3 + [True] * 2


def test_a_mask_of_any_name_is_a_word_where_it_is_declared() -> None:
    tokenizer = Tokenizer.from_str(KINDS["bert"]().to_str())
    tokenizer.add_special_tokens(["[GAP]"])
    assert encode(tokenizer, "the [GAP]").special == (True, False, True, True)
    declare_mask(tokenizer, "[GAP]")
    assert encode(tokenizer, "the [GAP]").special == (True, False, False, True)


@pytest.mark.parametrize("part", ["\u0301", ".", "ab", "\n"])
def test_one_long_word_takes_time_by_its_length(part: str) -> None:
    """If it were searched again for each of its tokens, it would take minutes."""
    start = time.process_time()
    encoding = encode(KINDS["gpt2"](), "a" + part * (30_000 // len(part)) + "a")
    assert len(read_in("token", encoding, None, ()).queries) == len(encoding)
    assert time.process_time() - start < 5

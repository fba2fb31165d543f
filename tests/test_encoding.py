from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from attnviz.encoding import Encoding, encode, encode_many, is_punctuation
from attnviz.errors import InputError
from tests import tiny


def byte_level(*, trim: bool = False) -> Tokenizer:
    """A byte-level BPE as GPT-2's: `Ġ` is a space, `Ċ` a line feed, an emoji four pieces."""
    merges = [("b", "a"), ("ba", "n"), ("ban", "k"), ("Ġ", "bank"), ("t", "h"), ("th", "e"), ("Ġ", "the"), ("Ċ", "Ċ")]
    vocabulary = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    for left, right in merges:
        vocabulary[left + right] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim)
    return tokenizer


def metaspace() -> Tokenizer:
    """A BPE in the manner of SentencePiece: `▁` begins a word, and stands alone before a word it has no merge with."""
    pieces = ["<unk>", "<s>", "▁", *"abcdefghijklmnopqrstuvwxyz", "th", "the", "▁the", "ba", "ban", "bank"]
    merges = [("t", "h"), ("th", "e"), ("▁", "the"), ("b", "a"), ("ba", "n"), ("ban", "k")]
    tokenizer = Tokenizer(
        models.BPE({piece: i for i, piece in enumerate(pieces)}, merges, unk_token="<unk>", fuse_unk=True)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(["<unk>", "<s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def unigram() -> Tokenizer:
    """A Unigram model, as T5's: it spells an unknown piece as the text does."""
    pieces = [("<unk>", 0.0), ("▁", -2.0), ("▁the", -1.0), ("bank", -1.5), ("a", -3.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


WORDPIECE, BYTES, TRIMMED, METASPACE, UNIGRAM = (
    tiny.wordpiece(),
    byte_level(),
    byte_level(trim=True),
    metaspace(),
    unigram(),
)
TOKENIZERS = (WORDPIECE, BYTES, TRIMMED, METASPACE, UNIGRAM)


def words(encoding: Encoding) -> list[str]:
    """The words that are no special tokens."""
    return [word.text for word in encoding.words if not encoding.special[word.start]]


def pieces(encoding: Encoding) -> list[tuple[str, ...]]:
    """The tokens of each word."""
    return [encoding.tokens[word.start : word.stop] for word in encoding.words]


# WordPiece


def test_a_word_is_the_span_of_its_pieces_and_written_as_in_the_text() -> None:
    encoding = encode(WORDPIECE, "Strong Financials")
    assert encoding.tokens == ("[CLS]", "strong", "financial", "##s", "[SEP]")
    assert [(word.text, word.start, word.stop) for word in encoding.words] == [
        ("[CLS]", 0, 1),
        ("Strong", 1, 2),
        ("Financials", 2, 4),
        ("[SEP]", 4, 5),
    ]
    assert encoding.special == (True, False, False, False, True)
    assert encoding.ids[0] == 2
    assert encoding.ids[-1] == 3
    assert encoding.dropped == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The bank.", ["The", "bank", "."]),
        ("strong-financials, it!?", ["strong", "-", "financials", ",", "it", "!", "?"]),
        ("they don't", ["they", "don't"]),
        ("the bank's loan", ["the", "bank's", "loan"]),
        ("3.14 of it", ["3.14", "of", "it"]),
        ("你好 bank", ["你", "好", "bank"]),
        ("bank你好", ["bank", "你", "好"]),
        ("👩‍👩‍👧 of the bank", ["👩‍👩‍👧", "of", "the", "bank"]),
        ("bank 👍🏽", ["bank", "👍🏽"]),
        ("Café", ["Café"]),
        ("bank\n\nthe\tof  it", ["bank", "the", "of", "it"]),
    ],
)
def test_words_are_what_a_reader_takes_for_words(text: str, expected: list[str]) -> None:
    assert words(encode(WORDPIECE, text)) == expected


def test_a_pair_has_type_ids_and_words_of_its_own() -> None:
    encoding = encode(WORDPIECE, "the loan", "the bank")
    assert encoding.tokens == ("[CLS]", "the", "loan", "[SEP]", "the", "bank", "[SEP]")
    assert encoding.type_ids == (0, 0, 0, 0, 1, 1, 1)
    assert words(encoding) == ["the", "loan", "the", "bank"]
    assert (encoding.text, encoding.pair) == ("the loan", "the bank")


def test_a_pair_that_begins_as_the_text_ends_is_not_merged_with_it() -> None:
    tokenizer = byte_level()  # puts nothing between the two
    assert words(encode(tokenizer, "the bank", "bank the")) == ["the", "bank", "bank", "the"]


def test_a_special_token_typed_in_the_text_is_special() -> None:
    encoding = encode(WORDPIECE, "the [SEP] bank")
    assert encoding.tokens == ("[CLS]", "the", "[SEP]", "bank", "[SEP]")
    assert encoding.special == (True, False, True, False, True)
    assert [word.text for word in encoding.words] == ["[CLS]", "the", "[SEP]", "bank", "[SEP]"]


def test_a_special_token_inside_a_word_is_no_part_of_it() -> None:
    tokenizer = tiny.wordpiece()
    tokenizer.add_special_tokens(["endoftext"])
    assert pieces(encode(tokenizer, "bankendoftextbank"))[1:-1] == [("bank",), ("endoftext",), ("bank",)]


def test_an_unknown_word_is_shown_as_the_text_writes_it_and_is_not_special() -> None:
    encoding = encode(WORDPIECE, "你 bank")
    assert encoding.tokens[1] == "[UNK]"
    assert encoding.special == (True, False, False, True)
    assert words(encoding) == ["你", "bank"]


# Byte-level BPE


@pytest.mark.parametrize("tokenizer", [BYTES, TRIMMED], ids=["whole offsets", "trimmed offsets"])
class TestByteLevel:
    TEXT = " the bank 😀 don't\n\n bank the  "

    def test_no_token_or_word_shows_the_byte_alphabet(self, tokenizer: Tokenizer) -> None:
        encoding = encode(tokenizer, self.TEXT)
        shown = "".join([*encoding.tokens, *(word.text for word in encoding.words)])
        assert not set(shown) & set("ĠĊðŁĺĢ")

    def test_an_emoji_cut_apart_is_one_word_and_its_pieces_are_bytes(self, tokenizer: Tokenizer) -> None:
        encoding = encode(tokenizer, "the 😀")
        emoji = encoding.words[-1]
        assert emoji.text == "😀"
        assert encoding.tokens[emoji.start : emoji.stop][-4:] == (r"\xf0", r"\x9f", r"\x98", r"\x80")

    def test_words_have_no_spaces_around_them(self, tokenizer: Tokenizer) -> None:
        encoding = encode(tokenizer, self.TEXT)
        texts = [word.text for word in encoding.words]
        assert texts[:4] == ["the", "bank", "😀", "don't"]
        assert [text for text in texts if text.strip()] == ["the", "bank", "😀", "don't", "bank", "the"]

    def test_a_line_break_is_no_word_and_belongs_to_the_one_before(self, tokenizer: Tokenizer) -> None:
        encoding = encode(tokenizer, "bank\n\nthe")
        assert pieces(encoding) == [("bank", "\n", "\n"), ("the",)]
        assert words(encoding) == ["bank", "the"]

    def test_a_han_character_of_several_pieces_is_a_word(self, tokenizer: Tokenizer) -> None:
        encoding = encode(tokenizer, "日本")
        assert [(word.text, word.start, word.stop) for word in encoding.words] == [("日", 0, 3), ("本", 3, 6)]

    def test_a_leading_space_belongs_to_the_word_after_it(self, tokenizer: Tokenizer) -> None:
        encoding = encode(tokenizer, " the  bank")
        assert words(encoding) == ["the", "bank"]
        assert encoding.words[1].start == 1


def test_a_token_added_as_it_is_is_not_decoded() -> None:
    tokenizer = byte_level()
    tokenizer.add_tokens(["<你好>"])
    assert "<你好>" in encode(tokenizer, "the <你好>").tokens


# SentencePiece


def test_a_lone_metaspace_joins_the_word_after_it() -> None:
    encoding = encode(METASPACE, "the bank xbank")
    assert encoding.tokens == ("<s>", "the", "▁", "bank", "▁", "x", "bank")
    assert [(word.text, word.start, word.stop) for word in encoding.words] == [
        ("<s>", 0, 1),
        ("the", 1, 2),
        ("bank", 2, 4),
        ("xbank", 4, 7),
    ]


def test_metaspace_is_shown_as_no_space() -> None:
    assert encode(UNIGRAM, "the bank").tokens[0] == "the"


# What can't be encoded


@pytest.mark.parametrize("text", ["", " ", "\n\t \u3000"])
def test_a_blank_text_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="the text is empty"):
        encode(WORDPIECE, text)


def test_a_blank_pair_is_refused() -> None:
    with pytest.raises(InputError, match="the second text is empty"):
        encode(WORDPIECE, "the bank", "  ")


def test_a_lone_surrogate_is_refused_and_its_place_said() -> None:
    with pytest.raises(InputError, match=r"lone surrogate \(U\+DC80\) at character 4"):
        encode(WORDPIECE, "the \udc80")


@pytest.mark.parametrize("text", ["[SEP]", "[CLS] [PAD] [SEP]", "[UNK]", "你好", "\u200b", "\x00\x01", "你 [SEP]"])
def test_a_text_of_special_and_unknown_characters_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="only special tokens or characters that the model's tokenizer does not know"):
        encode(WORDPIECE, text)


@pytest.mark.parametrize("tokenizer", [METASPACE, UNIGRAM], ids=["BPE", "Unigram"])
def test_a_text_of_unknown_characters_is_refused_where_a_metaspace_stands_before_it(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="only special tokens or characters"):
        encode(tokenizer, "你好")


def test_a_text_that_is_too_long_is_refused_and_by_how_much_is_said() -> None:
    with pytest.raises(InputError, match="the text has 7 tokens, the model takes 4: 3 too many") as caught:
        encode(WORDPIECE, "the bank of it river", limit=4)
    assert "`truncate`" in caught.value.hint


def test_a_text_of_just_the_limit_is_taken() -> None:
    assert len(encode(WORDPIECE, "the bank of it river", limit=7)) == 7


def test_truncation_keeps_the_special_tokens_and_counts_what_it_drops() -> None:
    encoding = encode(WORDPIECE, "the bank of it river", limit=4, truncate=True)
    assert encoding.tokens == ("[CLS]", "the", "bank", "[SEP]")
    assert encoding.dropped == 3


def test_truncation_inside_a_word_shows_what_is_left_of_it() -> None:
    encoding = encode(WORDPIECE, "the financials", limit=4, truncate=True)
    assert words(encoding) == ["the", "financial"]


def test_truncation_drops_nothing_of_a_text_that_fits() -> None:
    assert encode(WORDPIECE, "the bank", limit=4, truncate=True).dropped == 0


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_truncation_never_gives_more_tokens_than_the_model_takes(limit: int) -> None:
    # Three special tokens leave no room for a pair; then there is nothing to show.
    with pytest.raises(InputError):
        encode(WORDPIECE, "the bank of it", "a loan", limit=limit, truncate=True)


def test_the_tokenizers_own_truncation_and_padding_play_no_part() -> None:
    tokenizer = tiny.wordpiece()
    expected = encode(tokenizer, "the bank of it river")
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=20)
    assert encode(tokenizer, "the bank of it river") == expected


def test_truncation_of_one_text_does_not_reach_the_next() -> None:
    tokenizer = tiny.wordpiece()
    encode(tokenizer, "the bank of it river", limit=4, truncate=True)
    assert len(encode(tokenizer, "the bank of it river")) == 7


# Any text

_PARTS = ["the ", "bank", " ", "\n", "\t", "'", ".", "-", "你", "😀", "\u200d", "\u0301", "[SEP]", "Ġ", "▁"]
_TEXTS = st.text(st.characters(exclude_categories=()), max_size=40) | st.lists(
    st.sampled_from(_PARTS), max_size=16
).map("".join)


@settings(deadline=None, max_examples=300)
@given(_TEXTS, st.none() | _TEXTS, st.sampled_from(TOKENIZERS))
@example("the\u200d\u200dbank", None, WORDPIECE)
@example("\r\n \r the", None, BYTES)
def test_any_text_is_cut_into_words_without_a_gap_or_refused(text: str, pair: str | None, tokenizer: Tokenizer) -> None:
    try:
        encoding = encode(tokenizer, text, pair)
    except InputError:
        return
    n = len(encoding)
    assert n > 0
    assert all(0 <= id_ < tokenizer.get_vocab_size() for id_ in encoding.ids)
    assert n == len(encoding.type_ids) == len(encoding.tokens) == len(encoding.special)
    assert [word.start for word in encoding.words] == [0, *(word.stop for word in encoding.words[:-1])]
    assert encoding.words[-1].stop == n
    assert all(word.start < word.stop and word.text for word in encoding.words)
    assert all(word.stop == word.start + 1 for word in encoding.words if encoding.special[word.start])


@settings(deadline=None, max_examples=200)
@given(st.lists(_TEXTS, max_size=5), st.none() | st.integers(3, 12), st.sampled_from(TOKENIZERS))
@example(["the bank", "", "\ud800", "bank " * 20, "river"], 8, WORDPIECE)
def test_many_texts_are_encoded_as_each_alone(texts: list[str], limit: int | None, tokenizer: Tokenizer) -> None:
    found = encode_many(tokenizer, texts, limit=limit)
    assert len(found) == len(texts)
    for one, text in zip(found, texts, strict=True):
        if isinstance(one, Encoding):
            assert one == encode(tokenizer, text, limit=limit)
        else:
            with pytest.raises(InputError) as raised:
                encode(tokenizer, text, limit=limit)
            assert (one.message, one.hint) == (raised.value.message, raised.value.hint)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from(["the", "bank", "financials", "xyz", ".", "你"]), min_size=1), st.integers(4, 12))
def test_truncation_leaves_the_limit_and_counts_the_rest(parts: list[str], limit: int) -> None:
    text = " ".join(["bank", *parts])
    whole = encode(WORDPIECE, text)
    cut = encode(WORDPIECE, text, limit=limit, truncate=True)
    assert len(cut) == min(limit, len(whole))
    assert cut.dropped == len(whole) - len(cut)
    assert cut.tokens[:-1] == whole.tokens[: len(cut) - 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".", True),
        ("—", True),
        ("$", False),
        ("+", False),
        ("©", False),
        ("❤", False),
        ("❤️", False),
        ("🙂", False),
        ("🇩🇪", False),
        ("👩‍👩‍👧", False),
        ("1️⃣", False),
        ("#️⃣", False),
        ("...", True),
        ("a.", False),
        ("☺", False),
        ("\n", True),
        ("\u200b", True),
        ("", True),
    ],
)
def test_punctuation_is_punctuation_and_what_can_not_be_seen(text: str, *, expected: bool) -> None:
    assert is_punctuation(text) is expected

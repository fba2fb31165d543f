"""Generated tokens after the input: the same tokens and words as if the whole had been one text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from attnviz.encoding import Encoding, Word, decoder_start, encode, encode_target
from attnviz.encoding.continuation import append_generated
from attnviz.errors import InputError, ModelError
from tests.vocabularies import KINDS

WRITERS = sorted(set(KINDS) - {"bert"})


def cut(encoding: Encoding, n: int) -> Encoding:
    """The first ``n`` tokens of ``encoding``, whose last word may be cut with them."""
    words = [replace(word, stop=min(word.stop, n)) for word in encoding.words if word.start < n]
    cut_off = {name: getattr(encoding, name)[:n] for name in ("ids", "type_ids", "tokens", "special")}
    return replace(encoding, words=tuple(words), **cut_off)


def spans(encoding: Encoding) -> list[tuple[int, int]]:
    return [(word.start, word.stop) for word in encoding.words]


def written(tokenizer: Tokenizer, encoding: Encoding, ids: Sequence[int], step: int) -> Encoding:
    """Return ``encoding`` continued by ``ids``, ``step`` at a time."""
    for i in range(0, len(ids), step):
        encoding = append_generated(tokenizer, encoding, ids[i : i + step])
    return encoding


_PARTS = [
    "the ", "bank", " ", "  ", "\n", "\r\n", "\t", "'", "'s", ".", "-", " (hello", "x=y[0]", "don't", "你", "好。",
    "です", "สวัสดี", " ไทย", "مرحبا ", "नमस्ते", "😀", "👩‍👩‍👧", "🇩🇪", "\u200d", "\u200b", "\u00a0",
    "e\u0301", "½", "ﬁ", "λ",
]  # fmt: skip
_TEXTS = st.lists(st.sampled_from(_PARTS), min_size=1, max_size=12).map("".join) | st.text(max_size=30)


@settings(deadline=None, max_examples=500)
@given(_TEXTS, st.sampled_from(WRITERS), st.integers(0, 40), st.integers(1, 4))
@example("the\r\n \u200d bank", "roberta", 1, 1)
@example("e\u0301.x=1", "qwen2", 2, 1)
@example("the bank 👩‍👩‍👧 the", "gpt2", 3, 1)
def test_what_is_cut_off_and_written_again_is_the_same(text: str, kind: str, n: int, step: int) -> None:
    tokenizer = KINDS[kind]()
    assume("▁" not in text)  # a model that writes it means a space
    try:
        whole = encode(tokenizer, text, marks=False)
    except InputError:
        return
    # Nothing tells what an unknown token stood for.
    assume(kind in ("gpt2", "llama3", "qwen2") or tokenizer.token_to_id("<unk>") not in whole.ids)
    n = min(n, len(whole))
    again = written(tokenizer, cut(whole, n) if n else replace(cut(whole, 0), type_ids=(0,)), whole.ids[n:], step)
    again = replace(again, type_ids=whole.type_ids)
    assert (again.ids, again.tokens, again.special) == (whole.ids, whole.tokens, whole.special)
    assert spans(again) == spans(whole)
    assert again.generated == len(whole) - n


def test_white_space_at_the_end_may_belong_to_the_word_that_follows() -> None:
    tokenizer = KINDS["gemma"]()
    whole = encode(tokenizer, "the \xa0the ", marks=False)
    again = written(tokenizer, cut(whole, 2), whole.ids[2:], 1)
    assert spans(again) == spans(whole) == [(0, 1), (1, 6)]


@settings(deadline=None, max_examples=200)
@given(_TEXTS, st.sampled_from(["gpt2", "llama3"]), st.integers(1, 3))
def test_bytes_spell_the_text_again(text: str, kind: str, step: int) -> None:
    tokenizer = KINDS[kind]()
    try:
        whole = encode(tokenizer, text, marks=False)
    except InputError:
        return
    assume(not any(whole.special))
    nothing = replace(cut(whole, 0), text="", type_ids=(0,))
    again = written(tokenizer, nothing, whole.ids, step)
    assert again.text == text.removeprefix(" ")
    assert [word.text for word in again.words] == [word.text for word in whole.words]


def test_a_piece_that_goes_on_with_the_last_word_joins_it() -> None:
    tokenizer = KINDS["gpt2"]()
    read = encode(tokenizer, "the bank'")
    assert [word.text for word in read.words] == ["the", "bank", "'"]
    grown = append_generated(tokenizer, read, tokenizer.encode("s loan").ids)
    assert [word.text for word in grown.words] == ["the", "bank's", "loan"]
    assert grown.text == "the bank's loan"
    assert grown.generated == len(grown) - len(read)


def test_a_character_in_pieces_is_bytes_until_it_is_whole() -> None:
    tokenizer = KINDS["gpt2"]()
    snow = tokenizer.encode("☃").ids
    assert len(snow) == 3
    grown = append_generated(tokenizer, encode(tokenizer, "the"), snow[:1])
    assert (grown.text, grown.tokens[-1]) == ("the\ufffd", r"\xe2")
    grown = written(tokenizer, grown, snow[1:], 1)
    assert grown.text == "the☃"
    assert (grown.words[-1].text, grown.words[-1].stop - grown.words[-1].start) == ("☃", 3)


@pytest.mark.parametrize("kind", ["llama3", "llama2", "gemma"])
def test_an_end_mark_is_special_and_no_part_of_the_text(kind: str) -> None:
    tokenizer = KINDS[kind]()
    end = {"llama3": "<|eot_id|>", "llama2": "</s>", "gemma": "<eos>"}[kind]
    bank = encode(tokenizer, "the bank", marks=False)
    read = encode(tokenizer, "the")
    grown = append_generated(tokenizer, read, [*bank.ids[1:], tokenizer.token_to_id(end)])
    assert grown.text == "the bank"
    assert grown.special[-1]
    assert grown.words[-1] == Word(end, len(grown) - 1, len(grown))
    assert [word.text for word in grown.words[1:-1]] == ["the", "bank"]


def test_words_that_were_read_keep_their_spelling_and_their_pieces() -> None:
    tokenizer = KINDS["bert"]()
    read = encode(tokenizer, "The BANK don't", marks=False)
    grown = append_generated(tokenizer, read, encode(tokenizer, "know the bank.", marks=False).ids)
    assert [word.text for word in grown.words] == ["The", "BANK", "don't", "know", "the", "bank", "."]
    assert grown.text == "The BANK don't know the bank."


def test_a_pair_goes_on_where_the_second_text_ends() -> None:
    tokenizer = KINDS["gpt2"]()
    grown = append_generated(tokenizer, encode(tokenizer, "they said", "the"), tokenizer.encode(" bank").ids)
    assert (grown.text, grown.pair) == ("they said", "the bank")
    assert [word.text for word in grown.words][-2:] == ["the", "bank"]


def test_a_token_behind_the_vocabulary_is_shown_by_its_number() -> None:
    tokenizer = KINDS["gpt2"]()
    grown = append_generated(tokenizer, encode(tokenizer, "the"), [100_000])
    assert grown.tokens[-1] == "<100000>"


def test_pieces_that_end_a_word_are_shown_without_their_end() -> None:
    """The first GPT writes words this way."""
    vocabulary = {piece: i for i, piece in enumerate(["the</w>", "ban", "k</w>", "t", "h", "e</w>", "b", "a", "n"])}
    merges = [("t", "h"), ("th", "e</w>"), ("b", "a"), ("ba", "n")]
    vocabulary |= {"th": 9, "ba": 10}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder("</w>")
    whole = encode(tokenizer, "the bank the")
    assert whole.tokens == ("the", "ban", "k", "the")
    grown = append_generated(tokenizer, encode(tokenizer, "the"), whole.ids[1:])
    assert [(word.text, word.start, word.stop) for word in grown.words] == [
        ("the", 0, 1),
        ("bank", 1, 3),
        ("the", 3, 4),
    ]


# From nothing, and what a decoder reads of a target


def test_a_decoder_starts_from_one_special_token() -> None:
    tokenizer = KINDS["t5"]()
    nothing = decoder_start(tokenizer, tokenizer.token_to_id("<pad>"))
    assert (nothing.text, nothing.tokens, nothing.special, nothing.generated) == ("", ("<pad>",), (True,), 0)
    bank = encode(tokenizer, "The bank said", marks=True)
    grown = written(tokenizer, nothing, bank.ids, 1)
    assert grown.text == "The bank said"
    assert [word.text for word in grown.words] == ["<pad>", "The", "bank", "said", "</s>"]
    assert (grown.special[-1], grown.generated) == (True, len(bank))


@settings(deadline=None, max_examples=200)
@given(_TEXTS, st.sampled_from(["t5", "xlm_roberta", "roberta"]))
def test_a_target_is_shifted_right(text: str, kind: str) -> None:
    tokenizer = KINDS[kind]()
    try:
        whole = encode(tokenizer, text)
    except InputError:
        return
    target = encode_target(tokenizer, text, 1)
    assert target.ids == (1, *whole.ids[:-1])
    assert target.tokens[1:] == whole.tokens[:-1]
    assert target.special == (True, *whole.special[:-1])
    assert [(w.text, w.start - 1, w.stop - 1) for w in target.words[1:]] == [
        (w.text, w.start, w.stop) for w in whole.words[:-1]
    ]
    assert target.words[0] == Word("<pad>" if kind != "t5" else "</s>", 0, 1)


def test_a_language_code_wraps_around() -> None:
    tokenizer = KINDS["t5"]()
    target = encode_target(tokenizer, "the bank", None)
    assert target.ids == (tokenizer.token_to_id("</s>"), *encode(tokenizer, "the bank").ids[:-1])


def test_a_tokenizer_without_an_end_mark_loses_no_token() -> None:
    tokenizer = KINDS["gpt2"]()
    ids = encode(tokenizer, "the bank").ids
    assert encode_target(tokenizer, "the bank", 0).ids == (0, *ids)
    with pytest.raises(ModelError, match="no token to start its decoder"):
        encode_target(tokenizer, "the bank", None)


@pytest.mark.parametrize("kind", ["t5", "gpt2"])
def test_a_target_keeps_to_the_limit(kind: str) -> None:
    tokenizer = KINDS[kind]()
    target = encode_target(tokenizer, "the bank the bank the bank", 1, limit=4, truncate=True)
    assert len(target) == 4
    assert target.dropped > 0
    with pytest.raises(InputError, match="too many"):
        encode_target(tokenizer, "the bank the bank the bank", 1, limit=4)


def test_a_text_of_just_the_limit_is_a_target() -> None:
    tokenizer = KINDS["t5"]()
    n = len(encode(tokenizer, "the bank"))
    assert len(encode_target(tokenizer, "the bank", 1, limit=n)) == n

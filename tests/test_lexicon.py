"""Known words are not split: those of a list, or those at given positions."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from functools import cache

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from attnviz.encoding import Lexicon, append_generated, encode, encode_many, parse_words
from attnviz.errors import InputError
from tests.vocabularies import KINDS


@cache
def in_bytes() -> Tokenizer:
    """Return a tokenizer whose tokens are bytes, so that a text may be split anywhere."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def words(text: str, known: Sequence[str] | Sequence[tuple[int, int]]) -> list[str]:
    encoding = encode(in_bytes(), text, words=Lexicon.of(known))
    return [word.text for word in encoding.words if not encoding.special[word.start]]


@pytest.mark.parametrize(
    ("text", "known", "expected"),
    [
        ("银行批准了贷款。", ["银行", "批准", "贷款"], ["银行", "批准", "了", "贷款", "。"]),
        ("中国人民银行", ["中国", "人民", "中国人民", "银行"], ["中国人民", "银行"]),
        ("東京タワーです", ["東京", "タワー", "です"], ["東京", "タワー", "です"]),
        ("the New York bank", ["New York"], ["the", "New York", "bank"]),
        ("the bankbank", ["bank"], ["the", "bankbank"]),
        ("银行的 bank's", ["没有"], ["银", "行", "的", "bank's"]),
    ],
)
def test_the_longest_words_of_a_list_are_whole(text: str, known: list[str], expected: list[str]) -> None:
    assert words(text, known) == expected


def test_a_script_of_clusters_is_cut_at_its_words() -> None:
    assert words("ภาษาไทยไม่มีช่องว่าง", ["ภาษา", "ไทย", "ไม่มี", "ช่องว่าง"]) == ["ภาษา", "ไทย", "ไม่มี", "ช่องว่าง"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_word_is_found_however_its_letters_are_composed(form: str) -> None:
    text = unicodedata.normalize(form, "がっこうです")
    assert words(text, ["がっこう"])[0] == unicodedata.normalize(form, "がっこう")


def test_offsets_are_those_of_the_text() -> None:
    assert words("银行批准了贷款", [(0, 2), (2, 4), (5, 7)]) == ["银行", "批准", "了", "贷款"]
    assert words("the bank of it", [(4, 11)]) == ["the", "bank of", "it"]
    encoding = encode(KINDS["bert"](), "银行", "银行", words=Lexicon.of([(0, 2)]))
    assert [word.text for word in encoding.words] == ["银行", "银", "行"]


def test_what_a_model_writes_is_cut_by_the_list_too() -> None:
    tokenizer = in_bytes()
    read = encode(tokenizer, "银行批", words=Lexicon.of(["批准", "贷款", "银行"]))
    grown = append_generated(tokenizer, read, tokenizer.encode("准了贷款").ids)
    assert [word.text for word in grown.words] == ["银行", "批准", "了", "贷款"]


def test_of_many_texts_each_is_cut() -> None:
    found = encode_many(in_bytes(), ["银行", "贷款"], words=Lexicon.of(["银行", "贷款"]))
    assert [len(each.words) for each in found if not isinstance(each, Exception)] == [1, 1]


@pytest.mark.parametrize(
    ("content", "as_json", "said"),
    [
        ("", False, "has no words"),
        (" \n\n", False, "has no words"),
        ("银行\n 贷款\n", False, "white space at its ends: ' 贷款'"),
        ("x" * 101, False, "101 characters, expected 100"),
        ("[[0, 2], [1, 3]]", True, "overlap"),
        ("[[2, 2]]", True, r"\[2, 2\]"),
        ("[[-1, 2]]", True, r"\[-1, 2\]"),
        ("[[0, true]]", True, "True"),
        ('[[0, 2], "a"]', True, "expected words, or pairs"),
        ("[]", True, "has no words"),
        ("{}", True, "holds a dict"),
        ("银行", True, "is not JSON"),
    ],
)
def test_a_list_that_is_none_is_refused(content: str, as_json: bool, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse_words(content, "words.txt", as_json=as_json)
    assert "words.txt" in caught.value.message


@pytest.mark.parametrize(
    ("known", "said"),
    [([(0, 99)], "the text has 6 characters"), ([(2, 4)], "white space at its ends"), ([(0, 5)], "a character apart")],
)
def test_offsets_that_do_not_fit_the_text_are_refused(known: list[tuple[int, int]], said: str) -> None:
    with pytest.raises(InputError, match=said):
        encode(in_bytes(), "the e\u0301", words=Lexicon.of(known))


def test_json_may_hold_words_too() -> None:
    assert parse_words(json.dumps(["银行"]), "x.json", as_json=True).words == {"银行"}

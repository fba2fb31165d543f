"""A normalizer that writes far more than it reads is refused before it fills the memory."""

from __future__ import annotations

import base64
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, normalizers

from attnviz.encoding import encode, encode_many, minimum_tokens, normalizer_limits
from attnviz.errors import ModelError
from tests.vocabularies import KINDS, with_normalizer

TEN = normalizers.Replace("a", "a" * 1000)
HOSTILE = {
    "one rule": normalizers.Replace("a", "a" * 5_000_000),
    "four rules": normalizers.Sequence([TEN] * 4),
    "an expression": normalizers.Sequence([normalizers.Replace(Regex("."), "aa" * 500)] * 3),
    "between all characters": normalizers.Sequence([normalizers.Replace(Regex(""), "a" * 4000)] * 2),
}


@pytest.mark.parametrize("normalizer", HOSTILE.values(), ids=HOSTILE)
def test_a_normalizer_that_explodes_is_refused_with_the_number(normalizer: normalizers.Normalizer) -> None:
    tokenizer = with_normalizer(KINDS["gpt2"](), normalizer)
    start = time.monotonic()
    with pytest.raises(ModelError, match="more than 4,000,000 characters of a text"):
        encode(tokenizer, "a bank")
    (found,) = encode_many(tokenizer, ["a bank"])
    assert isinstance(found, ModelError)
    with pytest.raises(ModelError, match="more than 4,000,000 characters"):
        minimum_tokens(tokenizer, "a bank " * 100_000)
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_kinds_of_tokenizer_write_is_within_what_is_taken_for_it(kind: str) -> None:
    assert encode(KINDS[kind](), "the bank " * 1000)


def test_rules_that_find_nothing_to_write_for_are_no_harm() -> None:
    assert encode(with_normalizer(KINDS["gpt2"](), HOSTILE["four rules"]), "the river" * 10)


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=5), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "ByteLevel", "BertNormalizer"]))
def test_no_rule_writes_more_than_it_is_taken_to(text: str, name: str) -> None:
    written = getattr(normalizers, name)().normalize_str(unicodedata.normalize("NFC", text))
    assert len(written) <= normalizer_limits._GROWTH[name] * max(len(unicodedata.normalize("NFC", text)), 1)


def test_the_longest_string_of_a_table_is_found() -> None:
    table = (8).to_bytes(4, "little") + bytes(8) + b"ab\0abcdef\0c\0"
    assert (
        normalizer_limits._growth({"type": "Precompiled", "precompiled_charsmap": base64.b64encode(table).decode()})
        == 6
    )

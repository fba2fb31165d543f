"""Which token is meant by a word that a model may say next."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from attnviz.encoding import find_target
from attnviz.errors import InputError, ModelError, UsageError
from tests import tiny

TEXT = "When they went to the store, they gave a drink to"


def byte_level(words: Sequence[str]) -> Tokenizer:
    """A tokenizer like GPT-2's, with these words; a space before one is part of it."""
    letters = sorted({*pre_tokenizers.ByteLevel.alphabet()})
    vocabulary = {piece: i for i, piece in enumerate([*letters, "<end>"])}
    merges: list[tuple[str, str]] = []
    for word in words:
        whole = word[0]
        for letter in word[1:]:
            if whole + letter not in vocabulary:
                vocabulary[whole + letter] = len(vocabulary)
                merges.append((whole, letter))
            whole += letter
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<end>"])
    return tokenizer


def metaspace() -> Tokenizer:
    """A tokenizer like Llama's."""
    pieces = ["<unk>", "▁a", "▁Mary", "▁", "M", "a", "r", "y", "."]
    tokenizer = Tokenizer(models.Unigram([(piece, -float(i)) for i, piece in enumerate(pieces)], 0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


GPT = byte_level(["ĠMary", "Mary", "ĠJo", "hn"])


@pytest.mark.parametrize(
    ("word", "text", "token"),
    [
        ("Mary", TEXT, " Mary"),
        (" Mary", "", " Mary"),
        ("Mary", "", "Mary"),
        ("Mary", f"{TEXT} ", "Mary"),
        ("Mary", f"{TEXT}\n", "Mary"),
        ("ĠMary", TEXT, " Mary"),
        (".", TEXT, "."),
        ("hn", TEXT, "hn"),  # it is one token without a space, and several with one
        ("\n", TEXT, "\n"),
        ("<end>", TEXT, "<end>"),
    ],
)
def test_the_space_before_a_word_is_part_of_its_token(word: str, text: str, token: str) -> None:
    found = find_target(GPT, word, text)
    assert (found.token, found.pieces, found.warning) == (token, (token,), "")
    assert find_target(GPT, found.id).token == token


def test_a_word_of_several_tokens_stands_for_the_first() -> None:
    found = find_target(GPT, "John", TEXT)
    assert found.pieces == (" Jo", "hn")
    assert found.token == " Jo"
    assert GPT.id_to_token(found.id) == "ĠJo"
    assert found.warning == "'John' is 2 tokens (' Jo', 'hn'): the first, ' Jo', is taken"


def test_other_kinds_of_tokenizers() -> None:
    assert find_target(metaspace(), "Mary", TEXT).token == " Mary"
    assert find_target(metaspace(), "Mary", "").token == " Mary"
    assert find_target(tiny.wordpiece(), "Bank", TEXT).token == " bank"
    assert find_target(tiny.wordpiece(), "[MASK]", TEXT).token == "[MASK]"
    assert find_target(tiny.wordpiece(), "banks", TEXT).pieces == (" bank", "s")


def test_what_is_no_word_of_the_model_is_refused() -> None:
    with pytest.raises(UsageError, match="the target is empty"):
        find_target(GPT, "")
    with pytest.raises(InputError, match="does not know '☃'"):
        find_target(tiny.wordpiece(), "☃")
    with pytest.raises(UsageError, match="there is no token 9: the vocabulary has 0 to 4"):
        find_target(GPT, 9, vocabulary=5)
    with pytest.raises(UsageError, match="there is no token -1"):
        find_target(GPT, -1)
    with pytest.raises(UsageError, match="there is no token True"):
        find_target(GPT, True)
    with pytest.raises(ModelError, match="do not belong together"):
        find_target(GPT, "Mary", vocabulary=5)
    with pytest.raises(UsageError, match="expected a str"):
        find_target(GPT, None)  # type: ignore[arg-type]

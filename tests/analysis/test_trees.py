"""Trees of a treebank, and their words in the tokens of a model."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from attnviz.analysis.corpus.aligned_words import Aligned, align
from attnviz.analysis.corpus.treebank import paragraphs_of, read_trees
from attnviz.analysis.corpus.trees import Unaligned, read_tree
from attnviz.errors import InputError
from tests import tiny

GERMAN = """\
# text = Er ging ins Haus.
1\tEr\ter\tPRON\t_\t_\t2\tnsubj\t2:nsubj|5:nsubj\t_
2\tging\tgehen\tVERB\t_\t_\t0\troot\t0:root\t_
3-4\tins\t_\t_\t_\t_\t_\t_\t_\t_
3\tin\tin\tADP\t_\t_\t5\tcase\t5:case\t_
4\tdas\tder\tDET\t_\t_\t5\tdet\t5:det\t_
5\tHaus\tHaus\tNOUN\t_\t_\t2\tobl\t2:obl:in\tSpaceAfter=No
5.1\tging\tgehen\tVERB\t_\t_\t_\t_\t2:conj\t_
6\t.\t.\tPUNCT\t_\t_\t2\tpunct\t2:punct\t_"""
ENGLISH = """\
# text = I don't  know
1\tI\t_\t_\t_\t_\t4\tnsubj\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdo\t_\t_\t_\t_\t4\taux\t_\t_
3\tn't\t_\t_\t_\t_\t4\tadvmod\t_\t_
4\tknow\t_\t_\t_\t_\t0\troot\t_\t_"""
CHINESE = """\
1\t银行\t_\t_\t_\t_\t2\tnsubj\t_\tSpaceAfter=No
2\t批准\t_\t_\t_\t_\t0\troot\t_\tSpaceAfter=No
3\t贷款\t_\t_\t_\t_\t2\tobj\t_\tSpaceAfter=No"""


def spelt(lines: str) -> list[str]:
    tree = read_tree(lines)
    return [tree.text[slice(*span)] for span in tree.spans]


def test_words_of_a_multiword_token_share_its_place_unless_they_spell_it() -> None:
    assert spelt(GERMAN) == ["Er", "ging", "ins", "ins", "Haus", "."]
    assert spelt(ENGLISH) == ["I", "do", "n't", "know"]
    tree = read_tree(GERMAN)
    assert tree.heads == (1, -1, 4, 4, 1, 1)
    assert tree.relations == ("nsubj", "root", "case", "det", "obl", "punct")


def test_a_sentence_without_text_is_spelled_from_its_words() -> None:
    assert read_tree(CHINESE).text == "银行批准贷款"
    assert spelt(CHINESE) == ["银行", "批准", "贷款"]
    assert read_tree(GERMAN.partition("\n")[2]).text == "Er ging ins Haus."


def test_white_space_within_and_between_words_may_be_any() -> None:
    lines = "# text = 10\u00a0000  loans\n1\t10 000\t_\t_\t_\t_\t2\tnummod\t_\t_\n2\tloans\t_\t_\t_\t_\t0\troot\t_\t_"
    assert spelt(lines) == ["10\u00a0000", "loans"]


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (("\t2\tnsubj", "\t9\tnsubj"), InputError, "the head of 'Er' is 9, expected another word, 0 to 6"),
        (("\t2\tnsubj", "\t1\tnsubj"), InputError, "the head of 'Er' is 1"),
        (("\t2\tnsubj", "\t_\t_"), InputError, "'Er' has no head"),
        (("2\tging", "7\tging"), InputError, "not numbered from 1 to 6"),
        (("2\tging", "x\tging"), InputError, "broken sentence"),
        (("3-4", "3-9"), InputError, "a multiword token"),
        (("\tADP\t", "\t"), InputError, "has 9 columns, expected 10"),
        (("Haus.", "Hof."), Unaligned, "'Haus' is not where # text should have it"),
        (("Haus.", "Haus. Ende"), Unaligned, "# text goes on: 'Ende'"),
    ],
)
def test_what_is_wrong_with_a_sentence_is_said(change: tuple[str, str], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        read_tree(GERMAN.replace(*change, 1))


def test_what_is_broken_does_not_touch_the_rest() -> None:
    broken, apart = GERMAN.replace("3-4", "3-9"), ENGLISH.replace("I don't", "You don't")
    found = read_trees(paragraphs_of(f"\n{broken}\n\n# only a comment\n\n{GERMAN}\r\n\r\n{apart}\n", "a.conllu"))
    assert len(found.trees) == 1
    assert found.sentences == 3
    assert found.broken[0].startswith("a.conllu:2: broken sentence: a multiword token")
    assert found.unaligned[0].startswith("a.conllu:24: 'I' is not where")


def test_a_plain_text_is_no_treebank() -> None:
    with pytest.raises(InputError, match=r"there is no tree to ask .* has 1 column, expected 10") as error:
        read_trees(paragraphs_of("The bank approved the loan.\n", "a.txt"))
    assert "CoNLL-U" in error.value.hint


def units(tokenizer: Tokenizer, lines: str) -> tuple[list[str], list[tuple[str, str, str]], int, int]:
    """The words of the encoding, the relations between them, and how many are joined and lost."""
    (found,) = align(tokenizer, [read_tree(lines)])
    assert isinstance(found, Aligned)
    words, pairs = [word.text for word in found.encoding.words], found.pairs
    links = zip(pairs.dependents.tolist(), pairs.relations, pairs.heads.tolist(), strict=True)
    return words, [(words[a], name, words[b]) for a, name, b in links], pairs.joined, pairs.lost


def test_tokens_that_have_parts_of_two_words_join_them() -> None:
    whole = Tokenizer(models.WordLevel({each: i for i, each in enumerate(["I", "don", "'", "t", "know", "?"])}, "?"))
    whole.pre_tokenizer = pre_tokenizers.Whitespace()
    words, pairs, joined, lost = units(whole, ENGLISH)
    assert words == ["I", "don't", "know"]
    assert pairs == [("I", "nsubj", "know"), ("don't", "aux", "know"), ("don't", "advmod", "know")]
    assert (joined, lost) == (0, 0)
    assert units(tiny.wordpiece(), ENGLISH)[0] == ["[CLS]", "I", "do", "n't", "know", "[SEP]"]  # of single letters
    assert units(tiny.wordpiece(), GERMAN)[2:] == (0, 0)


def test_words_of_the_tree_are_kept_apart_where_the_text_has_no_space() -> None:
    by_character = Tokenizer(models.WordLevel({**{each: i for i, each in enumerate("银行批准贷款")}, "?": 6}, "?"))
    by_character.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    words, pairs, *_ = units(by_character, CHINESE)
    assert words == ["银行", "批准", "贷款"]
    assert pairs == [("银行", "nsubj", "批准"), ("贷款", "obj", "批准")]


def test_a_word_in_the_token_of_its_head_is_counted_as_joined() -> None:
    whole = Tokenizer(models.WordLevel({"银行批准贷款": 0, "?": 1}, "?"))
    assert units(whole, CHINESE) == (["银行批准贷款"], [], 2, 0)

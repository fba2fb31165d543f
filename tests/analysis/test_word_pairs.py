from __future__ import annotations

from typing import Any

import pytest

from attnviz.analysis.corpus.word_pairs import read_pair
from attnviz.errors import InputError
from attnviz.interface import Model

TEXT = "The bank of the river  flooded; the bank lost."


@pytest.mark.parametrize(
    ("name", "span"),
    [("river", "river"), ("BANK:2", "bank"), ("the river", "the river"), ("river flooded", "river  flooded")],
)
def test_a_word_is_found_as_the_text_writes_it(name: str, span: str) -> None:
    tree = read_pair(TEXT, {"from": name, "to": "lost", "relation": "nsubj"})
    start, stop = tree.spans[0]
    assert TEXT[start:stop] == span
    assert start == (TEXT.rfind("bank") if "2" in name else TEXT.find(span))
    assert (tree.heads, tree.relations[0]) == ((1, -1), "nsubj")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"from": "bank", "to": "lost"}, "'bank' occurs 2 times: say which, such as bank:2"),
        ({"from": "bank:3", "to": "lost"}, "the text has no 'bank:3': 'bank' occurs 2 times"),
        ({"from": "rivr", "to": "lost"}, r"the text has no word 'rivr' \(Did you mean river\?\)"),
        ({"from": "ban", "to": "lost"}, "the text has no word 'ban'"),
        ({"from": "the river", "to": "river"}, "are not two words"),
        ({"from": "river"}, "a pair needs the columns text, from and to, and has from"),
        ({}, "has no others"),
    ],
)
def test_what_is_no_pair_is_said(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_pair(TEXT, fields)


def test_pairs_have_a_table_by_their_relations(tiny_model: Model) -> None:
    pairs = [
        {"text": "The bank had the loan.", "from": "bank", "to": "had", "relation": "agreement"},
        {"text": "It had rivers.", "from": "It", "to": "had", "relation": "agreement"},
        {"text": "The company approved it.", "from": "it", "to": "company"},
        {"text": "The river had it.", "from": "it", "to": "river"},
    ]
    table = tiny_model.relations(pairs, least=1)
    assert {row["relation"]: row["count"] for row in table.rows()} == {"agreement": 1, "pair": 1}

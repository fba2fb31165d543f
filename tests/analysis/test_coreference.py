"""Antecedents of mentions, by hand and by plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from attnviz.analysis import plan
from attnviz.analysis.corpus.aligned_words import Aligned, align
from attnviz.analysis.corpus.coreference import Passage, passages
from attnviz.analysis.corpus.looks import find_peaks
from attnviz.analysis.corpus.treebank import paragraphs_of, read_trees
from attnviz.analysis.corpus.trees import read_tree
from attnviz.attention.peaks import Peaks
from attnviz.errors import InputError
from attnviz.interface import load
from tests import tiny
from tests.analysis.test_relations import in_words
from tests.analysis.treebanks import COREFERENCE, WORDS, sentence

TREES = read_trees(paragraphs_of(COREFERENCE, "t")).trees


def in_passages() -> list[Passage]:
    aligned = align(tiny.wordpiece(), passages(TREES, [10] * 5, 100))
    return [Passage(each) for each in aligned if isinstance(each, Aligned)]


def test_mentions_have_the_word_on_which_the_others_depend() -> None:
    found = [[(mention.entity, mention.head) for mention in tree.mentions] for tree in TREES]
    assert found[:2] == [[("e1", 1), ("e2", 4)], [("e1", 0), ("e2", 2)]]
    assert sorted(found[2]) == [("e1", 4), ("e2", 1)]  # the part in brackets is not one by itself
    assert sorted(found[3]) == [("e7", 2), ("e8", 2), ("e9", 0)]


@pytest.mark.parametrize("marks", [{1: "(e1"}, {2: "e1)"}, {1: "(e1", 2: "e2)"}])
def test_a_mention_that_does_not_end_or_begin_is_an_error(marks: dict[int, str]) -> None:
    with pytest.raises(InputError, match="a mention"):
        read_tree(sentence(WORDS[0], entities=marks))


def test_sentences_are_joined_within_documents_as_far_as_there_is_room() -> None:
    assert [len(tree.mentions) for tree in passages(TREES, [10] * 5, 100)] == [6, 5]
    assert [len(tree.mentions) for tree in passages(TREES, [10] * 5, 20)] == [4, 2, 5]
    joined = passages(TREES, [10] * 5, 100)[0]
    heads = [joined.text[slice(*joined.spans[mention.head])] for mention in joined.mentions]
    assert sorted(heads) == ["bank", "bank", "it", "it", "loan", "loans"]


def test_antecedents_and_what_the_baselines_guess() -> None:
    first, second = in_passages()
    names = [word.text for word in first.aligned.encoding.words]
    said = {f"{names[unit]}{unit}": {names[each] for each in earlier} for unit, earlier in first.antecedents.items()}
    assert [*said.values()] == [{"bank"}, {"loans"}, {"loans", "it"}, {"bank", "it"}]
    # it → loans (nearest), it → it (alike), loan → it (nearest, none is alike), bank → loan or bank
    assert first.guesses.tolist() == [[False, False, True, False], [False, False, True, True]]
    assert len(second.antecedents) == 2


@pytest.mark.parametrize("way", ["packed", "alone"])
def test_the_head_that_finds_antecedents_is_that_of_plain_loops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Literal["packed", "alone"]
) -> None:
    monkeypatch.setattr(plan, "fits_tile", lambda *_: way == "packed")
    model = load(tiny.telling_bert(tmp_path))
    for passage in in_passages():
        encoding = passage.aligned.encoding
        (peaks,) = find_peaks(model.backend, tiny.wordpiece(), [encoding], causal=False, keys=[passage.keys])
        assert isinstance(peaks, Peaks)
        record = model.attend(encoding.text)
        words = [[*range(word.start, word.stop)] for word in encoding.words]
        places = [*passage.entities]
        for layer, head in np.ndindex(3, 4):
            a = in_words(np.asarray(record.weights[layer, head], float), words)
            right = 0
            for unit, earlier in passage.antecedents.items():
                right += max((each for each in places if each < unit), key=lambda each: a[unit, each]) in earlier
            assert passage.right(peaks)[layer, head] == right


def test_the_table_has_a_row_for_it(tmp_path: Path) -> None:
    model = load(tiny.telling_bert(tmp_path))
    table = model.relations(COREFERENCE * 4, relations=["coreference"], least=1)
    (row,) = table.rows()
    assert (row["relation"], row["direction"], row["offset"]) == ("coreference", "later → earlier", None)
    assert row["count"] == 4 * 2
    assert row["baseline"] == 0.5
    assert any(note.startswith("Coreference: ") for note in table.notes)
    assert "coreference" not in model.relations(COREFERENCE * 4, relations=["det"], least=1)["relation"]

"""Relations of hand-made trees, held to plain loops over all weights and to attention that is made by hand."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from tokenizers import processors

from attnviz.analysis import plan
from attnviz.analysis.corpus.aligned_words import Aligned, Pairs, align
from attnviz.analysis.corpus.looks import find_peaks
from attnviz.analysis.corpus.relations import DIRECTIONS, OFFSETS, RelationCounts, relations_table
from attnviz.analysis.corpus.treebank import paragraphs_of, read_trees
from attnviz.analysis.intervals import wilson
from attnviz.attention.peaks import Peaks
from attnviz.errors import InputError, UsageError
from attnviz.interface import Model, load
from tests import tiny
from tests.analysis.treebanks import TREEBANK, WORDS, sentence

TREES = read_trees(paragraphs_of(TREEBANK, "t")).trees


def in_words(a: np.ndarray, words: list[list[int]]) -> np.ndarray:
    return np.array([[a[np.ix_(q, k)].sum(1).mean() for k in words] for q in words])


def naive(model: Model, *, sink: bool = False) -> dict[str, dict[str, Any]]:
    """The table by loops: the text's words are put together from their letters, token by token."""
    right: dict[str, Any] = defaultdict(lambda: np.zeros((2, 2, 3, 4)))
    offsets: dict[str, list[list[int]]] = defaultdict(lambda: [[], []])
    for number, words in enumerate(WORDS):
        text = TREES[number].text
        record = model.attend(text)
        tokens = [[] for _ in words]
        at = 0
        for token, name in enumerate(record.tokens):
            if record.encoding.special[token]:
                continue
            letters, start = name.removeprefix("##").strip("▁ ").lower(), 0
            for i, (form, *_) in enumerate(words):
                if start <= at < start + len(form):
                    tokens[i].append(token)
                start += len(form)
            at += len(letters)
        for layer, head in np.ndindex(3, 4):
            a = in_words(np.asarray(record.weights[layer, head], float), tokens)
            np.fill_diagonal(a, 0)
            if sink:
                a[:, 0] = 0
            best = [int(row.argmax()) if row.max() > 0 else -1 for row in a]
            for i, (_, parent, relation) in enumerate(words):
                if parent:
                    right[relation][number % 2, 0, layer, head] += best[i] == parent - 1
                    right[relation][number % 2, 1, layer, head] += best[parent - 1] == i
        for i, (_, parent, relation) in enumerate(words):
            if parent:
                offsets[relation][number % 2].append(parent - 1 - i)
    rows = {}
    for relation, of in offsets.items():
        if not all(of):
            continue
        way, layer, head = np.unravel_index(right[relation][0].argmax(), (2, 3, 4))
        shares = [np.mean([each == offset for each in of[1]]) for offset in range(-5, 6)]
        rows[relation] = {
            "layer": layer, "head": head, "direction": DIRECTIONS[way], "count": len(of[1]),
            "accuracy": right[relation][1, way, layer, head] / len(of[1]), "baseline": max(shares),
            "offset": range(-5, 6)[int(np.argmax(shares))],
            "chosen_accuracy": right[relation][0, way, layer, head] / len(of[0]),
        }  # fmt: skip
    return rows


def assert_as_naive(model: Model, *, sink: bool = False) -> None:
    expected = naive(model, sink=sink)
    found = {row["relation"]: row for row in model.relations(TREEBANK, least=1).rows()}
    assert found.keys() == expected.keys()
    assert len(found) >= 6
    for relation, row in expected.items():
        assert {name: found[relation][name] for name in row} == pytest.approx(row), relation


def test_every_figure_is_that_of_plain_loops(tmp_path: Path) -> None:
    assert_as_naive(load(tiny.telling_bert(tmp_path)))


def test_texts_that_run_alone_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "fits_tile", lambda *_: False)
    assert_as_naive(load(tiny.telling_bert(tmp_path)))


def test_a_model_that_transformers_runs_says_the_same(tmp_path: Path) -> None:
    from transformers import AutoModel, PreTrainedTokenizerFast

    folder = tiny.telling_bert(tmp_path)
    theirs = AutoModel.from_pretrained(folder).eval()
    theirs.encoder.layer[0].register_forward_hook(lambda *_: None)
    model = load((theirs, PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))))
    assert model.backend.name == "hosted"
    assert_as_naive(model)


def test_longer_texts_than_the_model_are_read_in_windows(tmp_path: Path) -> None:
    model = load(tiny.telling_bert(tmp_path, max_position_embeddings=12))
    table = model.relations("\n\n".join([sentence(WORDS[0] * 3)] * 2), least=1)
    assert table["count"].sum() > 0
    assert not any("can't read them" in note for note in table.notes)


def test_a_causal_model_sees_only_what_comes_before(tiny_llama: Path) -> None:
    model = load(tiny_llama)
    found = model.relations(TREEBANK, least=1)
    seen = {row["relation"]: row for row in found.rows()}
    assert found.column("seen").shown
    assert any("causal" in note for note in found.notes)
    # Every determiner stands before its noun: it can't look there, and the noun can look back.
    assert seen["det"]["direction"] == "head → dep" or seen["det"]["accuracy"] == 0
    aligned = [each for each in align(model.checkpoint.tokenizer, TREES) if isinstance(each, Aligned)]
    peaks = find_peaks(model.backend, model.checkpoint.tokenizer, [each.encoding for each in aligned], causal=True)
    for each, found_ in zip(aligned, peaks, strict=True):
        assert isinstance(found_, Peaks)
        assert (found_.words < np.arange(len(each.encoding.words))).all()


@pytest.mark.parametrize("way", ["packed", "alone"])
def test_the_first_word_of_a_causal_model_is_a_sink_where_no_special_token_is_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Literal["packed", "alone"]
) -> None:
    folder = tiny.llama(tmp_path)
    bare = tiny.wordpiece()
    bare.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    bare.save(str(folder / "tokenizer.json"))
    monkeypatch.setattr(plan, "fits_tile", lambda *_: way == "packed")
    assert_as_naive(load(folder), sink=True)


@pytest.mark.parametrize("folder", ["tiny_t5", "tiny_hosted"])
def test_other_kinds_of_models_have_tables_too(folder: str, request: pytest.FixtureRequest) -> None:
    table = load(request.getfixturevalue(folder)).relations(TREEBANK, least=1)
    assert len(table) >= 6
    assert table.about["map"] == ("encoder" if folder == "tiny_t5" else "self")


def made(heads: int, good: dict[tuple[int, int], tuple[int, ...]], count: int = 40) -> RelationCounts:
    """Counts of ``count`` sentences, in which a head finds the word's head in the halves that ``good`` names."""
    counts = RelationCounts(causal=False)
    for number in range(count):
        # The dependent stands a different number of words from its head each time.
        dependent, parent = 0, 1 + number % 7
        pairs = Pairs(np.array([dependent]), np.array([parent]), ("nsubj",), 0, 0)
        words = np.full((2, heads, 9), -1, np.int32)
        for (layer, head), halves in good.items():
            if number % 2 in halves:
                words[layer, head, dependent] = parent
        counts.add(number, pairs, Peaks(words, (0, 3)))
    return counts


def test_a_head_that_always_looks_at_the_syntactic_head_is_always_right() -> None:
    (row,) = relations_table(made(5, {(1, 4): (0, 1)}), {}).rows()
    assert (row["layer"], row["head"], row["direction"], row["accuracy"]) == (3, 4, "dep → head", 1.0)
    assert row["count"] == 20
    assert row["baseline"] < 0.5
    assert row["margin"] == row["low"] - row["baseline"] > 0


def test_the_half_that_chooses_a_head_does_not_judge_it() -> None:
    (row,) = relations_table(made(5, {(0, 2): (0,), (1, 1): (1,)}), {}).rows()
    assert (row["layer"], row["head"]) == (0, 2)
    assert (row["accuracy"], row["chosen_accuracy"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(8, 10, 0.4901625, 0.9433178), (0, 10, 0.0, 0.2775328), (10, 10, 0.7224672, 1.0), (263, 500, 0.4822, 0.5694)],
)
def test_the_interval_is_wilsons(right: int, count: int, low: float, high: float) -> None:
    assert wilson(right / count, count) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    assert np.isnan(wilson(0, 0)).all()


def test_offsets_beyond_five_are_no_baseline() -> None:
    counts = RelationCounts(causal=False, least=1)
    for number in range(4):
        pairs = Pairs(np.array([0, 8]), np.array([8, 2]), ("nsubj", "obj"), 0, 0)
        counts.add(number, pairs, Peaks(np.zeros((1, 1, 9), np.int32), (0,)))
    assert {row["baseline"] for row in relations_table(counts, {}).rows()} == {0.0}
    assert OFFSETS == (-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5)


def test_subtypes_are_kept_or_merged(tiny_model: Model) -> None:
    kept = set(tiny_model.relations(TREEBANK, least=1)["relation"])
    merged = set(tiny_model.relations(TREEBANK, least=1, merge_subtypes=True)["relation"])
    assert {"nsubj", "nsubj:pass"} <= kept
    assert not any(":" in name for name in merged)


def test_one_relation_and_one_that_there_is_not(tiny_model: Model) -> None:
    assert [*tiny_model.relations(TREEBANK, relations=["det"], least=1)["relation"]] == ["det"]
    with pytest.raises(UsageError, match="the treebank has no relation 'nsub'") as error:
        tiny_model.relations(TREEBANK, relations=["nsub"])
    assert error.value.hint.startswith("Did you mean nsubj? It has ")


def test_all_heads_of_a_relation_are_listed_and_drawn_as_a_map(tiny_model: Model) -> None:
    table = tiny_model.relations(TREEBANK, relations=["det"], least=1, all_heads=True)
    (best,) = tiny_model.relations(TREEBANK, relations=["det"], least=1).rows()
    rows = {(row["layer"], row["head"]): row for row in table.rows()}
    assert len(rows) == len(table) == 12
    assert rows[best["layer"], best["head"]] == best
    assert max(row["chosen_accuracy"] for row in rows.values()) == best["chosen_accuracy"]
    assert table.title == "Which heads know det?"
    assert len(table.plot().axes) == 2  # the map, and the bars


def test_rare_relations_are_left_out_and_named(tiny_model: Model) -> None:
    table = tiny_model.relations(TREEBANK, least=3)
    assert min(table["count"]) >= 3
    assert any("Left out, with fewer than 3 words in one of the halves" in note for note in table.notes)


def test_sentences_come_as_a_file_as_text_and_one_by_one(tiny_model: Model, tmp_path: Path) -> None:
    conllu = pytest.importorskip("conllu")
    file = tmp_path / "a.conllu"
    file.write_text(TREEBANK, "utf-8")
    ways = [TREEBANK, file, str(file), TREEBANK.strip().split("\n\n"), conllu.parse(TREEBANK)]
    rows = [[*tiny_model.relations(way, least=1).rows()] for way in ways]
    assert all(each == rows[0] for each in rows)
    for wrong, message in ((tmp_path / "none.conllu", "can't be read"), ("a\tb\n", "no CoNLL-U"), ([], "no sentences")):
        with pytest.raises(InputError, match=message):
            tiny_model.relations(wrong)


def test_a_table_of_python_draws_itself(tiny_model: Model) -> None:
    table = tiny_model.relations(TREEBANK, least=1)
    said = [text.get_text() for text in table.plot().texts]
    assert set(table["relation"]) <= set(said)
    assert "Which head knows which relation?" in repr(table)


@pytest.mark.real
@pytest.mark.slow
def test_the_default_model_finds_objects_and_their_verbs(real_model: Model) -> None:
    treebank = Path(__file__).parent.parent.parent / "samples" / "corpus" / "sentences.conllu"
    rows = {row["relation"]: row for row in real_model.relations(treebank, least=2).rows()}
    assert (rows["det"]["count"], rows["det"]["accuracy"]) == (8, 0.875)

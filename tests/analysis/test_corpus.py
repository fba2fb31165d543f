from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from attnviz.analysis.corpus.accumulation import OTHER, Collector, Reasons
from attnviz.analysis.corpus.modes import ModeCounter, from_either_end
from attnviz.analysis.corpus.outliers import Where
from attnviz.analysis.corpus.typical_links import LongestLinks, PairCounter, TypicalPair
from tests.analysis.corpora import HEADS, LAYERS, Figures, Row, documents, figures, links


def collector() -> Collector:
    return Collector(LAYERS, HEADS)


def some(found: Figures, start: int, stop: int) -> Figures:
    return {name: values[start:stop] for name, values in found.items()}


def test_counts_and_figures_are_over_all_documents_that_were_measured() -> None:
    collected = collector()
    found = figures(5, entropy=1.5)
    collected.add(documents([0, 1, 2], reasons={1: "empty"}), some(found, 0, 2), links([(0, 0, 0, "a", "b", 1, 0.5)]))
    collected.add(documents([3, 4, 5]), some(found, 2, 5), links())
    corpus = collected.corpus()
    counts = corpus.counts
    assert (counts.documents, counts.failed, counts.measured, counts.links) == (6, 1, 5, 1)
    assert (counts.words, counts.tokens) == (5 * 20, 5 * 24)
    assert corpus.tokens.mean == 24
    assert (corpus.figures["entropy"].mean == 1.5).all()
    np.testing.assert_allclose(corpus.figures["sink"].mean, found["sink"].mean(0))
    assert corpus.layers == LAYERS
    assert "offset" not in corpus.figures  # a place has no mean


def test_a_corpus_of_which_nothing_was_measured() -> None:
    collected = collector()
    collected.add(documents([0, 1], reasons={0: "empty", 1: "empty"}), figures(0), links())
    corpus = collected.corpus()
    assert (corpus.counts.measured, corpus.typical, corpus.longest, corpus.outliers) == (0, (), (), ())
    assert np.isnan(corpus.modes["offset"].share).all()
    assert [(each.text, each.documents, each.first.document) for each in corpus.failures] == [("empty", 2, 0)]


def test_a_corpus_of_no_documents() -> None:
    assert collector().corpus().counts.documents == 0


@pytest.mark.parametrize("merged", [False, True])
def test_parts_do_not_matter(merged: bool) -> None:
    rows: list[Row] = [(i, 0, i % 4, f"w{i % 7}", "Bank" if i % 2 else "bank", i % 9, 0.2 + i / 100) for i in range(40)]
    found = figures(40)
    found["sink"][33] *= 3
    whole, parted = collector(), collector()
    whole.add(documents(range(40)), found, links(rows))
    reasons = {start: f"too long: {start} tokens" for start in range(0, 40, 9)}
    whole.add(documents(list(reasons), reasons=reasons), figures(0), links())
    for start in reasons:
        stop = min(start + 9, 40)
        part = collector() if merged else parted
        part.add(documents([start], reasons=reasons), figures(0), links())
        part.add(documents(range(start, stop)), some(found, start, stop), links(rows[start:stop]))
        if merged:
            parted.merge(part)
    one, other = whole.corpus(), parted.corpus()
    assert len(one.longest) == 7  # bank and Bank are one word
    assert one.longest == other.longest
    assert [pair.strongest for pair in one.typical] == [pair.strongest for pair in other.typical]
    assert [pair.documents for pair in one.typical] == [pair.documents for pair in other.typical]
    assert one.outliers == other.outliers
    assert one.counts == other.counts
    assert one.failures == other.failures
    assert (one.failures[0].documents, one.failures[0].text) == (5, "too long: 0 tokens")
    for name, figure in one.figures.items():
        same = other.figures[name]
        np.testing.assert_allclose(figure.mean, same.mean, rtol=1e-12)
        np.testing.assert_allclose(figure.deviation, same.deviation, rtol=1e-12)
        assert (figure.quantile(0.25) == same.quantile(0.25)).all()
    for name, place in one.modes.items():
        assert (place.value == other.modes[name].value).all()
        assert (place.share == other.modes[name].share).all()
        np.testing.assert_allclose(place.weighted, other.modes[name].weighted, rtol=1e-12)
    assert (one.tokens.count, one.tokens.maximum) == (other.tokens.count, other.tokens.maximum)


def top(*rows: Row, count: int = 10) -> list[tuple[str, str, int]]:
    counter = PairCounter()
    counter.add(links(rows))
    return [(pair.strongest.query, pair.strongest.key, pair.documents) for pair in counter.top(count, 10)]


def test_pairs_that_recur_in_documents_come_first_and_count_once_in_each() -> None:
    assert top(
        (0, 0, 0, "strong", "once", 1, 0.99),
        (0, 1, 2, "loan", "bank", 1, 0.3),
        (0, 2, 2, "loan", "bank", 1, 0.4),
        (0, 2, 2, "loan", "bank", 5, 0.4),
        (3, 0, 0, "Loan", "Bank", 2, 0.6),
        (3, 0, 0, "bank", "loan", -2, 0.6),
    ) == [("Loan", "Bank", 2), ("strong", "once", 1)]  # in the direction of more documents


def test_words_that_are_everywhere_do_not_lead_though_they_link_in_most_documents() -> None:
    rows: list[Row] = [(i, 0, 0, "le", "de", 1, 0.9) for i in range(60)]
    rows += [(i, 0, 0, f"w{i}", "le" if i % 2 else "de", 1, 0.9) for i in range(100)]
    rows += [(i, 0, 0, "prêt", "banque", 1, 0.2) for i in range(90, 95)]
    counter = PairCounter()
    counter.add(links(rows))
    pairs = counter.top(200, 100)
    assert [(pair.strongest.query, pair.documents) for pair in pairs[:2]] == [("prêt", 5), ("le", 60)]
    assert [pair.expected for pair in pairs[:2]] == [pytest.approx(5 * 5 / 100), pytest.approx(80 * 80 / 100)]
    observed = np.array([[5, 0], [0, 95]])
    expected = np.outer(observed.sum(1), observed.sum(0)) / 100
    ratio = 2 * (np.diag(observed) * np.log(np.diag(observed / expected))).sum()
    assert counter._ratio("prêt", "banque", 5, 100) == pytest.approx(ratio)
    assert counter._ratio("le", "de", 60, 100) < 0


def test_the_pieces_of_an_address_do_not_fill_the_table() -> None:
    address = ("http", "www", "bank", "com")
    rows: list[Row] = [(i, 0, 0, one, other, 1, 0.5) for i in range(9) for one in address for other in address]
    counter = PairCounter()
    counter.add(links(rows))
    counter.add(links([(i, 0, 0, "loan", "river", 1, 0.5) for i in range(9, 11)]))
    times = Counter(word for pair in counter.top(20, 100) for word in {pair.strongest.query, pair.strongest.key})
    assert max(times.values()) == 2
    assert times["loan"] == 1


def test_pairs_with_pronouns_are_typical_only_where_they_are_asked_for() -> None:
    rows: list[Row] = [(i, 0, 0, "thank", "You", 1, 0.9) for i in range(9)] + [(9, 0, 0, "loan", "bank", 1, 0.9)]
    found = []
    for pronouns in (False, True):
        collected = Collector(LAYERS, HEADS, pronouns=pronouns)
        collected.add(documents(range(10)), figures(10), links(rows))
        found.append([pair.strongest.query for pair in collected.corpus().typical])
    assert found == [["loan"], ["thank", "loan"]]


def test_a_pair_has_the_mean_of_its_strongest_links() -> None:
    counter = PairCounter()
    counter.add(links([(0, 0, 1, "a", "b", 1, 0.2), (0, 1, 1, "a", "b", 1, 0.4)]))
    counter.add(links([(1, 1, 3, "a", "b", 7, 0.8)]))
    (pair,) = counter.top(3, 2)
    assert pair.weight == pytest.approx(0.6)
    strongest = pair.strongest
    assert (strongest.document, strongest.layer, strongest.head, strongest.distance) == (1, 1, 3, 7)


def test_few_pairs_are_kept_and_none_that_recurs_is_lost() -> None:
    counter = PairCounter(kept=50)
    random = np.random.default_rng(0)
    for document in range(300):
        rare = [(document, 0, 0, f"x{word}", "y", 1, 0.9) for word in random.integers(0, 10**6, 10)]
        often: list[Row] = [(document, 0, 0, "loan", "bank", 1, 0.1)] if document % 3 == 0 else []
        counter.add(links(often + rare))
    best: TypicalPair = counter.top(1, 300)[0]
    assert best.strongest.query == "loan"
    assert best.documents <= 100 <= best.documents + best.missed
    assert counter.missed <= 300 * 11 / 50
    assert len(counter._seen) <= 100


def test_counters_of_pairs_are_merged_and_still_no_pair_that_recurs_is_lost() -> None:
    random = np.random.default_rng(0)
    true: Counter[str] = Counter()
    counter = PairCounter(kept=20)
    for part in range(8):
        other = PairCounter(kept=20)
        for document in range(40 * part, 40 * part + 40):
            words = {f"x{int(word)}" for word in random.zipf(1.3, 10)}
            true.update(words)
            other.add(links([(document, 0, 0, word, f"y{word}", 1, 0.9) for word in sorted(words)]))
        counter.merge(other)
    found = {pair.strongest.query: pair for pair in counter.top(100, 320)}
    assert 0 < counter.missed <= sum(true.values()) / 20
    assert {word for word, count in true.items() if count > counter.missed} <= set(found)
    for word, pair in found.items():
        assert pair.documents <= true[word] <= pair.documents + pair.missed
    assert len(counter._seen) <= 40


def test_a_pair_that_comes_back_says_how_often_it_may_have_been_missed() -> None:
    counter = PairCounter(kept=1)
    counter.add(links([(0, 0, 0, "a", "b", 1, 0.9), (0, 0, 0, "c", "d", 1, 0.5), (0, 0, 0, "e", "f", 1, 0.4)]))
    counter.add(links([(1, 0, 0, "c", "d", 1, 0.5)]))
    assert [(pair.documents, pair.missed) for pair in counter.top(5, 2)] == [(1, 0), (1, 1)]


def test_the_longest_links_are_one_of_each_document_and_pair() -> None:
    found = LongestLinks(2)
    found.add(links([(0, 0, 0, "a", "b", 9, 0.5), (0, 0, 0, "c", "d", -8, 0.5), (1, 0, 0, "A", "b", 7, 0.5)]))
    found.add(links([(2, 0, 0, "e", "f", -3, 0.5), (3, 0, 0, "far", "weak", 90, 0.01), (4, 0, 0, "g", "h", 2, 0.5)]))
    assert [(link.query, link.distance) for link in found.links] == [("a", 9), ("e", -3)]


def test_a_pair_of_many_documents_does_not_hide_other_long_links() -> None:
    found = LongestLinks(3)
    found.add(links([*((i, 0, 0, "a", "b", 50, 0.5) for i in range(100)), (100, 0, 0, "c", "d", 4, 0.5)]))
    assert [link.query for link in found.links] == ["a", "c"]


def test_outlying_documents_are_found_with_their_figure() -> None:
    found = figures(200)
    found["punctuation"][77] = 0.9
    found["self"][13] = 0.05
    found["distance"][50] = 1e6  # grows with the length of a text: not compared
    collected = collector()
    collected.add(documents(range(200)), found, links())
    outliers = {each.where.document: each for each in collected.corpus().outliers}
    assert {77, 13} <= set(outliers)
    assert 50 not in outliers
    assert outliers[77].metric == "punctuation"
    assert outliers[77].where == Where(77, "corpus.txt", 78, 24)
    assert outliers[77].typical == pytest.approx(0.225, rel=0.02)
    assert outliers[77].far > 20
    assert outliers[13].far < -10
    assert collected.corpus().outliers[0].where.document == 77


def test_documents_are_compared_with_those_of_about_their_length() -> None:
    found = figures(400)
    short = np.arange(400) % 2 == 0
    for name in ("sink", "self"):
        found[name][short] += 0.5
    found["sink"][101] += 0.5  # as large as in a short one
    lengths = np.where(short, 8, 60)
    collected = collector()
    for start in range(0, 400, 100):
        rows = replace(documents(range(start, start + 100)), tokens=lengths[start : start + 100])
        collected.add(rows, some(found, start, start + 100), links())
    first, *rest = collected.corpus().outliers
    assert (first.where.document, first.metric, first.far > 20) == (101, "sink", True)
    assert first.typical == pytest.approx(0.225, rel=0.02)
    assert all(abs(each.far) < 6 for each in rest)  # by chance


def test_few_long_documents_are_compared_with_the_next_shorter_ones() -> None:
    found = figures(150)
    found["sink"][149] = 0.9
    collected = collector()
    rows = replace(documents(range(150)), tokens=np.where(np.arange(150) < 140, 24, 3000))
    collected.add(rows, found, links())
    assert [each.where.document for each in collected.corpus().outliers if each.far > 20] == [149]


def test_no_document_is_outlying_where_all_are_the_same_or_there_are_few() -> None:
    same = collector()
    same.add(documents(range(40)), {name: np.ones_like(values) for name, values in figures(40).items()}, links())
    assert same.corpus().outliers == ()
    few = figures(10)
    few["sink"][3] = 0.9
    collected = collector()
    collected.add(documents(range(10)), few, links())
    assert collected.corpus().outliers == ()


def test_short_documents_are_neither_outlying_nor_positional() -> None:
    found = figures(40)
    found["sink"][:] = np.where(np.arange(40) == 39, 0.9, 0.2)[:, None, None]
    found["offset"][39] = 5.0
    collected = collector()
    collected.add(documents(range(39)), some(found, 0, 39), links())
    collected.add(documents([39], words=3), some(found, 39, 40), links())
    corpus = collected.corpus()
    assert all(each.where.document != 39 for each in corpus.outliers)
    assert (corpus.modes["offset"].documents == 39).all()
    assert (corpus.counts.measured, corpus.counts.short) == (40, 1)
    assert corpus.counts.left_out.startswith(
        "1 document has fewer than 6 tokens, special ones not counted: it is left out of"
    )
    assert ": they are left out of" in replace(corpus.counts, short=2).left_out
    other = collector()
    other.merge(collected)
    assert other.corpus().counts.short == 1


@pytest.mark.parametrize(("tokens", "special", "short"), [(6, 0, 0), (7, 2, 1), (8, 2, 0), (5, 0, 1)])
def test_how_long_a_document_is_is_counted_in_tokens_of_its_text(tokens: int, special: int, short: int) -> None:
    collected, one = collector(), documents([0], words=1)
    collected.add(replace(one, tokens=np.array([tokens]), special=np.array([special])), figures(1), links())
    corpus = collected.corpus()
    assert corpus.counts.short == short
    assert (corpus.modes["offset"].documents == 1 - short).all()


def test_the_commonest_offset_and_how_much_looks_there() -> None:
    found = figures(4, offset_share=0.8)
    found["offset"][3] = 2.0
    found["offset"][0, 1, 2] = 1000.0
    found["offset"][1, 1, 2] = np.nan
    collected = collector()
    collected.add(documents(range(4)), found, links())
    offset = collected.corpus().modes["offset"]
    assert (offset.value[0, 0], offset.share[0, 0]) == (-1, 0.75)
    assert offset.weighted[0, 0] == pytest.approx(0.6)
    assert (offset.documents[1, 2], offset.share[1, 2]) == (3, pytest.approx(1 / 3))


def test_places_out_of_reach_are_elsewhere() -> None:
    modes = ModeCounter(1, 2, -2, 3)
    modes.add(np.array([[[4.0, -3.0]], [[-2.0, -9.0]]]), np.ones((2, 1, 2)))
    found = modes.commonest()
    assert found.share.tolist() == [[0.5, 0.0]]
    assert found.value[0, 0] == -2


def test_positions_near_the_end_are_counted_from_there() -> None:
    positions = np.array([[[0.0, 8.0, 9.0]], [[0.0, 1.0, 0.0]]])
    found = from_either_end(positions, np.array([10, 1]))
    assert found[0].tolist() == [[0, -2, -1]]
    assert found[1, 0, 0] == 0  # the only token is the first


def test_reasons_that_differ_in_numbers_are_one_and_the_rest_is_counted() -> None:
    reasons = Reasons()
    for number in range(3):
        reasons.add(f"{600 + number:,} tokens, at most 512", Where(number, "a.txt", None, 0))
    for number in range(200):
        reasons.add("odd " + "x" * number, Where(10 + number, "b.txt", None, 0))
    found = reasons.found()
    assert (found[1].text, found[1].documents) == ("600 tokens, at most 512", 3)
    assert (found[0].text, found[0].documents) == (OTHER, 101)
    assert len(found) == 101


def test_notes_are_counted_of_documents_that_were_measured() -> None:
    collected = collector()
    rows = replace(documents([0, 1]), note=["", "read as windows-1252"])
    collected.add(rows, figures(2), links())
    assert [(note.text, note.first.document) for note in collected.corpus().notes] == [("read as windows-1252", 1)]

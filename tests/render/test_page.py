from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from attnviz.analysis.corpus.accumulation import Collector, Corpus, Reason
from attnviz.analysis.corpus.distribution import Distribution
from attnviz.analysis.corpus.outliers import Outlier, Where
from attnviz.analysis.corpus.quotes import Quotation
from attnviz.analysis.corpus.roles import roles
from attnviz.render.about import About
from attnviz.render.maps import corpus_maps
from attnviz.render.page.corpus import corpus_page
from tests.analysis.corpora import HEADS, LAYERS, Row, corpus, documents, figures, links

ABOUT = About("maker/mini", "native", "float32", ("docs/", "a & b.txt"), check="32 documents: 3e-07", passed=True,
              options={"top": "8 links"}, versions={"torch": "2.13"}, seconds=2.0)  # fmt: skip
EVIL = '<script>alert("1")</script>\u202e\x1b[31m&amp;'


class Page(HTMLParser):
    """The content of a page: counts of elements, their attributes, and all text outside style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page(found: Corpus, about: About = ABOUT) -> Page:
    return Page(corpus_page(found, roles(found), about))


def test_the_page_says_what_was_found() -> None:
    rows: list[Row] = [(i, 1, 2, "loan", "bank", 3, 0.5) for i in range(5)] + [(7, 3, 0, "far", "away", 40, 0.25)]
    found = page(corpus(30, rows, sink=0.7, sink_position=0.0, previous=0.2))
    assert "Where mini looks in 30 documents" in found.text
    assert "12 of 12 heads rest on one token, whatever the query." in found.text.replace("  ", " ")
    assert "L3 H3 70.0 % the first token" in found.text
    assert "No head; the largest score is 20.0 %." in found.text
    assert re.search(r"loan → bank 5 0.83 50.0 % 50.0 % L1 H2 document 0", found.text)
    assert re.search(r"far → away 40 25.0 % L3 H0 document 7", found.text)
    assert "360 tokens a second" in found.text
    assert "passed check against" in found.text


def test_a_link_is_quoted_with_the_line_of_its_document_and_as_text() -> None:
    rows: list[Row] = [(i, 1, 2, "loan", "bank", 3, 0.5) for i in range(5)]
    made = corpus(30, rows)
    quoted = {made.typical[0].strongest: Quotation(f"The bank {EVIL} approved the loan.", "notes.txt:12")}
    html = corpus_page(made, (), ABOUT, quoted)
    assert "<script>alert" not in html
    found = Page(html)
    assert found.elements["q"] == 2  # among the typical and among the longest
    assert "approved the loan. 5 0.83 50.0 % 50.0 % L1 H2 notes.txt:12" in found.text


def steps(found: Page) -> list[int]:
    """The numbers of the colours of all cells of all maps."""
    return [int(value or "") for _, name, value in found.attributes if name == "data-s"]


def test_each_cell_of_a_map_says_its_value_and_how_documents_differ() -> None:
    found = page(corpus(30, entropy=1.25))
    assert "H0 H1 H2 H3 L0 1.25 1.25 1.25 1.25 L1 1.25" in found.text
    said = [value for _, name, value in found.attributes if name == "title"]
    assert said[0] == "± 0.00; 5–95 % of the documents: 1.25 to 1.25"
    assert found.elements["figure"] == 17
    assert len(said) == len(steps(found)) == 17 * len(LAYERS) * HEADS
    assert set(steps(found)[: len(LAYERS) * HEADS]) == {255}


def test_maps_without_values_are_left_out_and_heads_without_are_said() -> None:
    collector = Collector(LAYERS, HEADS)
    some = figures(3, cls=np.nan)
    some["sep"][:, 1, 1] = np.nan
    collector.add(documents(range(3)), some, links())
    found = page(collector.corpus())
    assert found.elements["figure"] == 16
    assert re.search(r"L1 \S+ % none ", found.text)
    assert len(steps(found)) == 16 * len(LAYERS) * HEADS - 1


def test_induction_has_a_map_where_it_was_measured() -> None:
    scores = np.zeros((len(LAYERS), HEADS))
    scores[2, 1] = 0.94
    found = page(replace(corpus(3), induction=Distribution.of(scores[None])))
    assert "L3 0.0 % 94.0 % 0.0 %" in found.text
    assert found.elements["figure"] == 18


def test_small_scores_of_induction_are_pale() -> None:
    (found,) = (
        each
        for each in corpus_maps(replace(corpus(3), induction=Distribution.of(np.full((1, 3, HEADS), 0.02))))
        if each.values.max() < 0.1
    )
    assert found.metric.name == "induction"
    assert found.shares().max() == pytest.approx(0.04)


def test_text_of_the_corpus_is_text() -> None:
    rows: list[Row] = [(0, 0, 0, EVIL, "<img src=x onerror=alert(1)>", 3, 0.5)]
    where = Where(3, f"{EVIL}.txt", 4, 10)
    made = replace(
        corpus(3, rows),
        failures=(Reason(EVIL, 2, where),),
        notes=(Reason(EVIL, 1, where),),
        outliers=(Outlier(where, "sink", 0.9, 0.2, 7.5),),
    )
    about = replace(ABOUT, model=EVIL, inputs=(EVIL,), options={EVIL: EVIL}, check=EVIL, revision=EVIL)
    html = corpus_page(made, roles(made), about)
    found = Page(html)
    assert found.elements["script"] == 2  # the content and the module
    assert found.elements["img"] == 0
    assert found.text.count('<script>alert("1")') >= 8
    assert not {"\u202e", "\x1b"} & set(html)


def test_the_page_needs_and_allows_nothing_else() -> None:
    html = corpus_page(corpus(3), (), ABOUT)
    found = Page(html)
    policy = next(value for tag, name, value in found.attributes if tag == "meta" and "default-src" in (value or ""))
    for kind in ("style", "script"):
        content = re.search(rf"<{kind}(?: type=\"module\")?>(.*?)</{kind}>", html, re.DOTALL)
        assert content is not None
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in (policy or "")
    assert "default-src 'none'" in (policy or "")
    assert not {"src", "style", "onclick"} & {name for _, name, _ in found.attributes}
    assert all((value or "").startswith("#head=") for _, name, value in found.attributes if name == "href")
    assert "http" not in html.replace("http-equiv", "")
    assert "url(" not in html


def test_failures_are_counted_with_their_reasons() -> None:
    collector = Collector(LAYERS, HEADS)
    collector.add(documents(range(4), reasons={1: "empty", 2: "empty"}, source="in.jsonl"), figures(2), links())
    found = page(collector.corpus())
    assert "2 documents failed" in found.text
    assert "empty 2 1 · in.jsonl :2" in found.text


@pytest.mark.parametrize("count", [0, 3])
def test_a_corpus_of_which_nothing_was_measured_has_a_page(count: int) -> None:
    collector = Collector(LAYERS, HEADS)
    collector.add(documents(range(count), reasons=dict.fromkeys(range(count), "empty")), figures(0), links())
    found = page(collector.corpus(), replace(ABOUT, passed=None, inputs=()))
    assert "Where mini looks in 0 documents" in found.text
    assert found.elements["figure"] == 0
    assert "not made check against" in found.text


def test_values_below_zero_have_a_scale_of_two_sides() -> None:
    some = figures(3)
    some["signed_distance"] -= 0.5
    collector = Collector(LAYERS, HEADS)
    collector.add(documents(range(3)), some, links())
    found = page(collector.corpus())
    maps = [name for tag, name, _ in found.attributes if tag == "figure" and name != "class"]
    assert maps.count("data-signed") == 1
    before = next(i for i, shown in enumerate(corpus_maps(collector.corpus())) if shown.two_sided)
    cells = len(LAYERS) * HEADS
    assert all(step < 128 for step in steps(found)[before * cells : (before + 1) * cells])


def test_a_large_model_has_a_page_that_opens() -> None:
    html = corpus_page(corpus(2, layers=300), (), ABOUT)
    assert '<th scope="row">L299</th>' in html
    assert "± " not in html
    assert len(html) < 2_500_000

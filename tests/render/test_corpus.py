from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from attnviz.analysis.corpus.accumulation import Corpus, Counts, Reason
from attnviz.analysis.corpus.outliers import Where
from attnviz.analysis.corpus.roles import roles
from attnviz.render.about import About
from attnviz.render.terminal.corpus import corpus_table
from tests.analysis.corpora import Row, corpus

ABOUT = About("mini", "native", "float32", seconds=2.0)
FILES = [("results/report.html", "what a person wants to know"), ("results/links.parquet", "the strongest links")]
ROWS: list[Row] = [
    *((i, 1, 2, "loan", "bank", 3, 0.5) for i in range(5)),
    *((i, 1, 2, "bank", "loan", -3, 0.4) for i in range(5)),
    *((i, 0, 2, "river", "water", 3, 0.3) for i in range(2)),
    (0, 0, 1, "once", "only", 1, 0.9),
]


def lines(found: Corpus, width: int, about: About = ABOUT) -> list[str]:
    console = Console(width=width, color_system=None, force_terminal=True)
    with console.capture() as capture:
        console.print(corpus_table(found, roles(found), about, FILES))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_a_hundred_columns() -> None:
    assert lines(corpus(30, ROWS, sink=0.7, normalised_entropy=0.85), 100) == [
        "30 documents measured · 720 tokens · 13 links · 2.0 s, 360 tokens a second",
        "",
        "  sink   L0 H0 70.0 %, L0 H1 70.0 %  of 12 heads",
        "  broad  L0 H0 85.0 %, L0 H1 85.0 %  of 12 heads",
        "",
        "  loan → bank    in 5 documents, 50.0 % of the attention",
        "  river → water  in 2 documents, 30.0 % of the attention",
        "  once → only    in 1 document, 90.0 % of the attention",
        "",
        "  results/report.html    what a person wants to know",
        "  results/links.parquet  the strongest links",
    ]


def test_names_of_files_are_whole_on_a_narrow_terminal() -> None:
    shown = lines(corpus(3), 40)[-6:]
    assert not any("…" in line for line in shown)
    starts = "".join(line[2:].partition("  ")[0].strip() for line in shown)
    assert all(name in starts for name, _ in FILES)


@pytest.mark.parametrize("width", [60, 100])
def test_nothing_is_wider_than_the_terminal_and_no_text_moves_the_cursor(width: int) -> None:
    where = Where(0, "a.txt", None, 0)
    reasons = tuple(Reason(f"\x1b[2J{'very ' * i} long", i, where) for i in range(9, 1, -1))
    rows: list[Row] = [(i, 0, 0, "銀行\x07" * 20, "\u202eloan" * 30, 3, 0.5) for i in range(3)]
    found = lines(replace(corpus(30, rows), failures=reasons), width)
    assert all(cell_len(line) <= width for line in found)
    assert not {"\x1b", "\x07", "\u202e"} & set("".join(found))
    assert "and 20 more" in " ".join(found)


def test_a_check_that_passed_is_said() -> None:
    about = replace(ABOUT, check="3 documents against transformers", passed=True)
    assert lines(corpus(30, ROWS), 100, about)[1] == "✓ 3 documents against transformers"
    assert not any("check" in line for line in lines(corpus(30, ROWS), 100, replace(ABOUT, check="not made")))


def test_failures_are_said() -> None:
    failed = replace(corpus(3), counts=Counts(5, 2, 60, 72, 0), failures=(Reason("empty", 2, Where(1, "a", None, 0)),))
    found = lines(failed, 60, replace(ABOUT, seconds=0.0))
    assert found[0] == "3 documents measured, 2 failed · 72 tokens · 0 links"
    assert "  failed  2 × empty" in found

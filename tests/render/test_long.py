from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Group

from attnviz.analysis.text.links import Link
from attnviz.analysis.text.long_range import LongRange, LongRangeLink, Passage, Profile
from attnviz.analysis.text.summary import Summary
from attnviz.encoding import Place
from attnviz.record import AttentionRecord
from attnviz.render.document import summary_document
from attnviz.render.heatmap import profile_heatmap
from attnviz.render.terminal import screen as terminal
from attnviz.render.terminal.long import LongRangeLinks, MostRead
from tests.records import random_weights, record, summary_of
from tests.render.screen import Colours, lines, printed
from tests.schemas import validate

BEFORE = "… on both days the"
AFTER = "refused to lend the company another …"


def long_range_link(
    weight: float = 0.5, *, line: int = 12, page: int | None = None, after: str = AFTER
) -> LongRangeLink:
    link = Link(3, 7, "bank", "loan", 100, 58, weight)
    key = Place(line - 9, page, "What they had asked for was a", "loan", ", and no small one")
    return LongRangeLink(link, 42, Place(line, page, BEFORE, "bank", after), key)


def passages(*received: float) -> list[Passage]:
    return [
        Passage(i + 1, 1 + 10 * i, 50 * i, 50 * i + 50, f"passage {i + 1} begins like this", value)
        for i, value in enumerate(received)
    ]


SHARES = np.array([[0.1, 0.2, 0.1, 0.1, 0], [0.3, 0.2, 0.15, 0.1, 0]])
PROFILE = Profile((1, 10, 100, 1000), np.array([0.5, 0.25]), SHARES)
LONG_RANGE = [
    LongRange(1, 10, [long_range_link(0.93)]),
    LongRange(10, 100, []),
    LongRange(100, 1000, [long_range_link(0.41, line=1234)]),
]


def long_summary() -> Summary:
    words = [f"w{i}" for i in range(300)]
    summary = summary_of(record(words, random_weights((2, 1, 300))))
    return replace(summary, long_range=LONG_RANGE, profile=PROFILE, passages=passages(0.5, 2.25, np.nan, 1.0))


def long_range_lines(far: list[LongRange], width: int, colours: Colours = None) -> list[str]:
    return lines(LongRangeLinks(far, "word"), width, colours)


# Long-range links


def test_a_far_link_is_two_lines_with_its_words_one_below_the_other() -> None:
    assert long_range_lines(LONG_RANGE, 80) == [
        "  1–9 words apart",
        "    0.93  L3 H7     line 12       … on both days the *bank* refused to lend the…",
        "                → line 3      …had asked for was a *loan*, and no small one",
        "  100–999 words apart",
        "    0.41  L3 H7     line 1,234    … on both days the *bank* refused to lend the…",
        "                → line 1,225  …had asked for was a *loan*, and no small one",
    ]


def test_a_far_link_is_one_line_where_there_is_room() -> None:
    assert long_range_lines(LONG_RANGE, 140)[:2] == [
        "  1–9 words apart",
        "    0.93  L3 H7   line 12      … on both days the *bank* refused to lend the… → line 3      "
        "…ad asked for was a *loan*, and no small one",
    ]


@pytest.mark.parametrize("width", [24, 40, 80, 120, 140, 200])
@pytest.mark.parametrize("colours", [None, "truecolor"])
def test_no_far_link_is_wider_than_the_console_whatever_it_says(width: int, colours: Colours) -> None:
    evil = Place(1, 1, "日本語" * 20, "\x1b[31m" + "w" * 99, "\u202e👩\u200d👩\u200d👧\n" * 20)
    far = [LongRange(1, None, [replace(long_range_link(), query=evil, key=evil)])]
    found = lines(LongRangeLinks(far, "word"), width, colours, broken=False)
    assert max(map(cell_len, found)) <= max(width, 40)
    assert not set("".join(found)) & {"\x1b", "\u202e"}


def test_a_word_in_its_context_is_bold_where_there_is_a_terminal() -> None:
    text = printed(LongRangeLinks(LONG_RANGE, "word"), 120, "truecolor")
    assert "\x1b[1mbank\x1b[0m" in text
    assert "*" not in text


def test_pages_stand_before_lines() -> None:
    found = long_range_lines([LongRange(1, None, [long_range_link(page=3)])], 100)
    assert found[0] == "  1 word apart and more"
    assert "page 3, line 12 " in found[1]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("said (", "), and", "said (*bank*), and"),
        ("the", "is", "the *bank* is"),
        ("“", "”", "“*bank*”"),
        ("", "", "*bank*"),
        ("e-", "-er", "e-*bank*-er"),
    ],
)
def test_punctuation_stands_at_its_word(before: str, after: str, said: str) -> None:
    link = long_range_link()
    link = replace(link, query=Place(1, None, before, "bank", after))
    line = long_range_lines([LongRange(1, None, [link])], 100)[1]
    assert line.endswith("  " + said)


# The distance profile


def test_the_profile_has_layers_down_and_distances_across() -> None:
    found = lines(Group(*terminal.summary_parts(long_summary(), named=False)), 80)
    start = next(i for i, line in enumerate(found) if line.startswith("Distance profile"))
    assert found[start + 1 : start + 4] == [
        "   itself 1–9 10–99 100–999 first",
        "L0     10  20    10      10    50",
        "L1     30  20    15      10    25",
    ]


def test_long_distances_are_written_short() -> None:
    edges = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
    profile = Profile(edges, np.array([0.125]), np.full((1, 8), 0.125))
    labels = profile_heatmap(profile, [4], 2_000_000).columns
    assert labels == ("itself", "1–9", "10–99", "100–999", "1k–10k", "10k–100k", "100k–1M", "≥1M", "first")
    assert profile_heatmap(profile, [4], 5_000).columns == ("itself", "1–9", "10–99", "100–999", "1k–10k", "first")


# Passages


def test_the_most_read_passages_come_first_with_their_lines() -> None:
    assert lines(MostRead(passages(0.5, 2.25, np.nan, 1.0)), 60) == [
        "   2.2  ████████████  line 11  passage 2 begins like this",
        "   1.0  █████         line 31  passage 4 begins like this",
        "   0.5  ██▌           line 1   passage 1 begins like this",
        "  … 3 of 4 passages; --json has all",
    ]


def test_no_more_than_eight_passages_are_listed() -> None:
    found = lines(MostRead(passages(*np.linspace(0, 2, 30))), 80)
    assert len(found) == 9
    assert found[-1] == "  … 8 of 30 passages; --json has all"
    assert [float(line.split()[0]) for line in found[:-1]] == sorted(
        (float(line.split()[0]) for line in found[:-1]), reverse=True
    )


# All of it


def test_a_short_text_has_none_of_these() -> None:
    words = [f"w{i}" for i in range(9)]
    found = lines(Group(*terminal.summary_parts(summary_of(record(words, random_weights((2, 1, 9)))), named=False)), 80)
    assert not [
        line for line in found if line.startswith(("Long-range links", "Distance profile", "Most read passages"))
    ]


def test_a_long_text_has_its_sections_after_what_words_look_at() -> None:
    found = lines(Group(*terminal.summary_parts(long_summary(), named=False)), 80)
    titles = [found[i + 1].split("  ")[0] for i in range(len(found) - 1) if not found[i]]
    sections = ["What each word looks at most", "Long-range links", "Distance profile", "Most read passages"]
    assert titles[-5:] == [*sections, "Strongest links"]


def test_the_document_has_what_the_screen_shows() -> None:
    found = summary_document(long_summary(), None)
    validate(found)
    assert [(band["near"], band["far"], len(band["links"])) for band in found["long_range_links"]] == [
        (1, 10, 1),
        (10, 100, 0),
        (100, 1000, 1),
    ]
    link = found["long_range_links"][2]["links"][0]
    assert (link["weight"], link["distance"], link["layer"], link["head"]) == (0.41, 42, 3, 7)
    assert link["query_place"] == {"line": 1234, "page": None, "before": BEFORE, "word": "bank", "after": AFTER}
    assert link["key_place"]["line"] == 1225
    assert found["distance_profile"]["edges"] == [1, 10, 100, 1000]
    assert found["distance_profile"]["first"] == [0.5, 0.25]
    assert found["distance_profile"]["shares"] == SHARES.tolist()
    assert [passage["received"] for passage in found["received"]] == [0.5, 2.25, None, 1.0]
    assert found["received"][1]["line"] == 11


def test_the_document_of_a_short_text_has_the_same_names_and_nothing_in_them(tiny_attention: AttentionRecord) -> None:
    found = summary_document(summary_of(tiny_attention), None)
    validate(found)
    assert (found["long_range_links"], found["distance_profile"], found["received"]) == ([], None, [])
    assert found["weights_kept"] == "all"
    assert {(head["down"], head["across"]) for head in found["maps"]} == {(1, 1)}

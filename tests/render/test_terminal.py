from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Group

from attnviz.analysis.text.replaying import replay
from attnviz.record import AttentionRecord, Heads
from attnviz.render.terminal import screen as terminal
from tests.records import Spelled, cross_record, peaked, query_mask, random_weights, record, summary_of, three_maps
from tests.render.screen import Colours, lines, printed

BANK: list[Spelled] = ["[CLS]", "The", "bank", "approved", "the", ("loans", ["loan", "##s"]), ".", "[SEP]"]
NOUNS = ("bank", "loan", "company", "river", "water", "money", "house", "stone", "cloud", "paper")
EVIL: list[Spelled] = [
    "[CLS]", "bank", "日本語" * 9, "\x1b[31mred\x1b[0m", "\u202eevil\u2066", "👩\u200d👩\u200d👧", "a\tb\nc\rd",
    "\x9b2Jclear", "financials" * 12, "\u200b", "कि", "\x07", "日本", "日本", "[SEP\x1b[1m]",
]  # fmt: skip


def bank(**facts: Any) -> AttentionRecord:
    """Two layers of three heads; bank → loans in L1 H2, approved → bank in L0 H1, much on [CLS] in L0 H0."""
    peaks = {
        (1, 2, 2, 5): 0.5, (1, 2, 2, 6): 0.25, (1, 2, 5, 2): 0.25, (1, 2, 6, 2): 0.5,
        (0, 1, 3, 2): 0.625, (0, 1, 5, 3): 0.5, (1, 0, 3, 5): 0.5,
    } | {(0, 0, query, 0): 0.75 for query in range(9)}  # fmt: skip
    return record(BANK, peaked((2, 3, 9), peaks), **facts)


def random(words: list[Spelled], *, heads: int = 4, causal: bool = False) -> AttentionRecord:
    return record(words, random_weights((3, heads, len(words)), causal=causal), causal=causal)


def shown(
    attention: AttentionRecord, width: int = 80, colours: Colours = None, *, named: bool = False, **options: Any
) -> list[str]:
    """The lines that ``show`` prints."""
    return lines(Group(*terminal.summary_parts(summary_of(attention, **options), named=named)), width, colours)


def section(title: str, found: list[str]) -> list[str]:
    """The lines under a title."""
    start = next(i for i, line in enumerate(found) if line.startswith(title))
    stop = next((i for i in range(start, len(found)) if not found[i]), len(found))
    return found[start + 1 : stop]


# The whole screen


def test_the_whole_screen_at_80_columns() -> None:
    assert shown(bank()) == [
        "fixed · native · 2 layers × 3 heads · 9 tokens · 8 words",
        "",
        "Overview  each head's strongest link between the words that count, in %",
        "    H0  H1  H2",
        "L0   6  62  22",
        "L1  56  22  75",
        "",
        "L1 H2  each row looks at the columns, in % of its attention",
        "         The bank approved the loans",
        "     The  11   11       11  11    22",
        "    bank   4    4        4   4    75",
        "approved  11   11       11  11    22",
        "     the  11   11       11  11    22",
        "   loans   8   38        8   8    16",
        "",
        "What each word looks at most",
        "  word      in its best head     on average over all heads",
        "  bank      loans    0.75 L1 H2  loans    0.28",
        "            approved 0.11 L0 H1  approved 0.09",
        "  approved  bank     0.62 L0 H1  loans    0.23",
        "            loans    0.56 L1 H0  bank     0.18",
        "  loans     bank     0.38 L1 H2  bank     0.14",
        "            approved 0.31 L0 H1  approved 0.12",
        "",
        "Strongest links  each pair of words once, in the head where it is strongest",
        "      bank → loans     0.75  L1 H2   ██████████████████",
        "  approved → bank      0.62  L0 H1   ███████████████",
        "  approved → loans     0.56  L1 H0   █████████████▌",
        "     loans → bank      0.38  L1 H2   █████████",
        "     loans → approved  0.31  L0 H1   ███████",
        "      bank → approved  0.11  L0 H1   ██▌",
        "  30% of the attention goes to [CLS] [SEP], 9% to punctuation; see --special.",
        "  Also left out: function words (the, of, is …). --all counts them.",
        "",
    ]


def test_the_whole_screen_is_the_same_without_colour_and_with_256() -> None:
    assert shown(bank(), colours="256") == shown(bank(), colours="truecolor") == shown(bank())


def test_colour_is_used_where_there_is_one_and_only_there() -> None:
    def screen(colours: Colours, **options: bool) -> str:
        return printed(Group(*terminal.summary_parts(summary_of(bank()), named=False)), 80, colours, **options)

    assert "\x1b[" not in screen(None)
    assert ";2;" in screen("truecolor")
    assert ";5;" in screen("256")
    plain = screen("truecolor", no_color=True)
    assert ";2;" not in plain
    assert ";5;" not in plain


@pytest.mark.parametrize(
    ("environment", "system", "blocks"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "truecolor", True),
        ({"TERM": "xterm-256color"}, "256", True),
        ({"TERM": "xterm"}, "standard", False),
        ({"TERM": "dumb"}, None, False),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, "truecolor", False),
    ],
    ids=["true colour", "256 colours", "16 colours", "dumb", "NO_COLOR"],
)
def test_the_terminal_decides_between_blocks_and_characters(
    environment: dict[str, str], system: str | None, *, blocks: bool
) -> None:
    many = random([f"w{i}" for i in range(40)])
    parts = Group(*terminal.summary_parts(summary_of(many), named=False))
    text = printed(parts, 80, color_system="auto", no_color=None, force_terminal=True, _environ=environment)
    assert ("▀" in text) is blocks
    assert (";2;" in text, ";5;" in text) == (blocks and system == "truecolor", blocks and system == "256")


@pytest.mark.parametrize("colours", [None, "truecolor"])
@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("options", [{}, {"everything": True}, {"unit": "token", "special": True}])
def test_nothing_in_the_words_acts_on_the_terminal_or_makes_a_line_too_wide(
    width: int, colours: Colours, options: dict[str, bool]
) -> None:
    attention = replace(random(EVIL), model="some\x1b[1m/evil\x1b]0;name\x07" + "日" * 60)
    found = shown(attention, width, colours, **options)
    assert max(map(cell_len, found)) <= width
    assert not set("".join(found)) & set("\x1b\x07\x9b\t\r\u202e\u2066\u200b")


# Heading


def test_the_heading_names_model_way_and_sizes() -> None:
    attention = replace(bank(), model="sentence-transformers/all-MiniLM-L6-v2", backend="hosted")
    assert lines(terminal.summary_heading(replay(attention))) == [
        "all-MiniLM-L6-v2 · hosted · 2 layers × 3 heads · 9 tokens · 8 words"
    ]


def test_the_heading_says_what_was_cut_off() -> None:
    assert "12 tokens" in lines(terminal.summary_heading(replay(bank(dropped=12))))[0]
    assert "cut" in lines(terminal.summary_heading(replay(bank(dropped=12))))[0]
    assert "cut" not in lines(terminal.summary_heading(replay(bank())))[0]


def test_the_heading_says_how_many_tokens_are_generated() -> None:
    attention = record(BANK, random_weights((2, 3, 9), causal=True), causal=True, generated=4)
    assert lines(terminal.summary_heading(replay(attention)))[0].endswith(" · 9 tokens (4 generated) · 8 words")


@pytest.mark.parametrize("name", ["encoder", "decoder", "cross"])
def test_the_heading_of_one_map_of_three_says_which_and_what_looks_at_what(name: str) -> None:
    found = getattr(three_maps(BANK, ["[<s>]", "Die", "Bank"], generated=1), name)
    start = f"fixed · native · 2 layers × 3 heads · {name} · "
    sizes = {
        "encoder": "9 tokens · 8 words",
        "decoder": "3 tokens (1 generated) · 3 words",
        "cross": "3 target tokens (1 generated) look at 9 source tokens",
    }
    assert lines(terminal.summary_heading(replay(found)), 120) == [start + sizes[name]]


def test_the_heading_of_a_cross_map_counts_what_was_cut_off_of_both_texts() -> None:
    found = three_maps(BANK, ["Die", "Bank"], dropped=2).cross
    assert found.keys
    assert "2 tokens cut off" in lines(terminal.summary_heading(replay(found)), 120)[0]
    assert (
        "7 tokens cut off"
        in lines(terminal.summary_heading(replay(replace(found, keys=replace(found.keys, dropped=5)))), 120)[0]
    )


# Two texts


def cross(**facts: Any) -> AttentionRecord:
    """Bank → bank in L4 H1, gab → loans in L2 H0, and much of the source's end."""
    peaks = {(1, 1, 2, 2): 0.75, (0, 0, 3, 5): 0.25, (0, 0, 3, 6): 0.25, (0, 1, 1, 8): 0.625}
    words: list[Spelled] = ["[<s>]", "Die", "Bank", "gab"]
    return cross_record(words, BANK, peaked((2, 2, 4, 9), peaks), numbers=(2, 4), **facts)


def test_the_whole_screen_of_a_cross_map_at_80_columns() -> None:
    assert shown(cross(generated=2), top=2, links=2) == [
        "fixed · native · 2 layers × 2 heads · cross · 4 target tokens (2 generated)",
        "  look at 9 source tokens",
        "",
        "Overview  each head's strongest link between the words that count, in %",
        "    H0  H1",
        "L2  50  22",
        "L4  22  75",
        "",
        "L4 H1  each row looks at the columns, in % of its attention",
        "     The bank approved the loans",
        " Die  11   11       11  11    22",
        "Bank   3   75        3   3     6",
        " gab  11   11       11  11    22",
        "",
        "What each word looks at most",
        "  word  in its best head  on average over all heads",
        "  Die   loans 0.22 L2 H0  loans 0.19",
        "        bank  0.11 L2 H0  bank  0.10",
        "  Bank  bank  0.75 L4 H1  bank  0.27",
        "        loans 0.22 L2 H0  loans 0.18",
        "  gab   loans 0.50 L2 H0  loans 0.29",
        "        bank  0.11 L2 H1  bank  0.10",
        "",
        "What each new token looked at when it was made  the row of the token before it",
        "  new token  in its best head  on average over all heads",
        "  Bank       The:1 0.11 L2 H0  The:1 0.10",
        "             bank  0.11 L2 H0  bank  0.10",
        "  gab        bank  0.75 L4 H1  bank  0.27",
        "             The:1 0.11 L2 H0  The:1 0.09",
        "",
        "Strongest links  each pair of words once, in the head where it is strongest",
        "  Bank → bank   0.75  L4 H1   ██████████████████",
        "   gab → loans  0.50  L2 H0   ████████████",
        "  24% of the attention goes to [CLS] [SEP], 10% to punctuation; see --special.",
        "  Also left out: function words (the, of, is …). --all counts them.",
        "",
    ]


@pytest.mark.parametrize("colours", [None, "truecolor"])
@pytest.mark.parametrize("width", [30, 40, 80, 200])
@pytest.mark.parametrize("options", [{}, {"everything": True}, {"unit": "token", "special": True}])
@pytest.mark.parametrize("turned", [False, True])
def test_no_words_of_two_texts_act_on_the_terminal_or_make_a_line_too_wide(
    width: int, colours: Colours, options: dict[str, bool], *, turned: bool
) -> None:
    many: list[Spelled] = [*EVIL, *(f"w{i}" for i in range(50))]
    queries, keys = (many, EVIL) if turned else (EVIL, many)
    weights = random_weights((2, 3, len(queries), len(keys)))
    found = shown(cross_record(queries, keys, weights, generated=5), width, colours, **options)
    assert max(map(cell_len, found)) <= width
    assert not set("".join(found)) & set("\x1b\x07\x9b\t\r\u202e\u2066\u200b")


def test_the_first_word_of_a_source_is_not_said_to_be_left_out() -> None:
    found = cross_record(["Die", "Bank"], ["the", "bank"], random_weights((1, 1, 2, 2)))
    assert notes(found) == "Also left out: function words (the, of, is …). --all counts them."
    assert notes(cross_record(["the", "Bank"], ["bank"], random_weights((1, 1, 2, 1)))).startswith(
        "Also left out: func"
    )


def test_the_shares_of_a_cross_map_are_of_the_source() -> None:
    assert notes(cross_record(["[<s>]", "Bank", "."], ["bank"], random_weights((1, 1, 3, 1)))) == ""
    assert "to [</s>]; see" in notes(cross_record(["Bank"], ["bank", "[</s>]"], random_weights((1, 1, 1, 2))))


# What the new tokens were made from


def story(generated: int) -> AttentionRecord:
    words = [f"w{i}" for i in range(20)]
    return record(words, random_weights((2, 3, 20), causal=True), causal=True, generated=generated)


def test_at_most_twelve_new_tokens_are_listed_and_how_many_there_are_is_said() -> None:
    listed = section("What each new token", shown(story(15), top=1))
    assert listed[-1] == "  … 12 of 15 new tokens; --top all shows all"
    assert [line.split()[0] for line in listed[1:-1]] == [f"w{i}" for i in range(5, 17)]
    listed = section("What each new token", shown(story(3), top=1))
    assert [line.split()[0] for line in listed[1:]] == ["w17", "w18", "w19"]


def test_a_new_token_stands_beside_what_the_token_before_it_looked_at() -> None:
    attention = story(1)
    row = attention.weights[:, :, 18].copy()
    row[..., 0] = 0  # the sink
    layer, head, key = np.unravel_index(row.argmax(), row.shape)
    (line,) = section("What each new token", shown(attention, top=1))[1:]
    assert line.split()[:5] == ["w19", f"w{key}", f"{row.max():.2f}", f"L{layer}", f"H{head}"]


def test_without_new_tokens_there_is_no_such_section() -> None:
    assert not [line for line in shown(story(0)) if "new token" in line]


# Links


@pytest.mark.parametrize(
    "words", [EVIL, ["日本", "bank", "👩\u200d👩\u200d👧", "\x1b[1m", "e\u0301"]], ids=["evil", "wide"]
)
def test_links_stand_in_columns_whatever_the_words(words: list[Spelled]) -> None:
    summary = summary_of(random(words), everything=True)
    found = lines(terminal.StrongestLinks(summary), 120)
    assert len(found) == len(summary.links)
    for part in (" → ", f"{summary.links[0].weight:.2f}"[:1] + ".", "L", " H"):
        assert len({cell_len(line[: line.rindex(part)]) for line in found}) == 1, part


def test_a_bar_is_as_long_as_its_weight() -> None:
    peaks = {(0, 0, 0, 1): 1.0, (0, 1, 1, 2): 0.75, (0, 2, 2, 0): 0.5}
    found = lines(terminal.StrongestLinks(summary_of(record(NOUNS[:3], peaked((1, 3, 3), peaks)), links=3)))
    assert [line.count("█") for line in found] == [24, 18, 12]


def test_a_link_is_one_line_of_80_columns_however_long_its_words() -> None:
    words: list[Spelled] = ["antidisestablishmentarianism", "floccinaucinihilipilification"]
    attention = record(words, peaked((1, 1, 2), {(0, 0, 0, 1): 1.0}))
    (line,) = lines(terminal.StrongestLinks(summary_of(attention, links=1)), 80, broken=False)
    assert cell_len(line) <= 80


@pytest.mark.parametrize("width", [10, 24, 30, 40, 60])
def test_a_narrow_console_gets_shorter_bars_of_one_scale_and_a_line_a_link(width: int) -> None:
    peaks = {(0, 0, 0, 1): 1.0, (0, 0, 1, 2): 0.5}
    summary = summary_of(record(NOUNS[:3], peaked((1, 1, 3), peaks)), links=2)
    found = lines(terminal.StrongestLinks(summary), width)
    assert len(found) == 2
    whole, half = (line.count("█") + line.count("▌") / 2 for line in found)
    assert half == pytest.approx(whole / 2, abs=0.5)
    assert (whole > 0) == (width >= 40)
    assert max(map(cell_len, found)) <= width


@pytest.mark.parametrize("width", [30, 36, 40, 60])
def test_a_narrow_console_cuts_long_names_and_no_weights(width: int) -> None:
    words: list[Spelled] = ["antidisestablishmentarianism", "bank", "floccinaucinihilipilification"]
    weights = peaked((1, 1, 3), {(0, 0, 0, 1): 0.5, (0, 0, 2, 0): 0.46})
    found = lines(terminal.StrongestLinks(summary_of(record(words, weights), links=2)), width)
    assert ["0.50  L0 H0" in found[0], "0.46  L0 H0" in found[1]] == [True, True]
    assert max(map(cell_len, found)) <= width


def test_words_that_occur_twice_are_numbered_as_they_can_be_asked_for() -> None:
    weights = peaked((1, 1, 4), {(0, 0, 0, 2): 0.75, (0, 0, 3, 0): 0.7})
    found = lines(terminal.StrongestLinks(summary_of(record(["bank", "loan", "Bank", "money"], weights), links=2)))
    assert found[0].split()[:3] == ["bank:1", "→", "Bank:2"]
    assert found[1].split()[:3] == ["money", "→", "bank:1"]


def test_where_no_words_count_it_says_so() -> None:
    found = shown(random(["[CLS]", "the", ".", "[SEP]"]))
    assert section("Strongest links", found)[0] == "  none: no two words count here"
    assert section("Strongest links", shown(random(["[CLS]", "the"]), unit="token"))[0].endswith(
        "no two tokens count here"
    )


# What is left out


def notes(attention: AttentionRecord, **options: Any) -> str:
    found = section("Strongest links", shown(attention, 200, **options))
    return "\n".join(line.strip() for line in found if " → " not in line and "none:" not in line)


def test_shares_and_what_is_left_out_are_said() -> None:
    found = bank()
    special = found.weights[..., [0, 8]].sum(-1).mean()
    point = found.weights[..., 7].mean()
    assert notes(found) == (
        f"{special:.0%} of the attention goes to [CLS] [SEP], {point:.0%} to punctuation; see --special.\n"
        "Also left out: function words (the, of, is …). --all counts them."
    )


def test_with_special_the_shares_are_counted() -> None:
    assert "to punctuation; counted here." in notes(bank(), special=True)
    assert "Also left out: function words" in notes(bank(), special=True)


def test_with_all_nothing_is_left_out() -> None:
    assert "counted here." in notes(bank(), everything=True)
    assert "left out" not in notes(bank(), everything=True)


def test_a_text_without_special_tokens_says_nothing_of_them() -> None:
    assert notes(random(["bank", "loan"])) == ""
    assert notes(random(["bank", "."])).partition("%")[2].startswith(" of the attention goes to punctuation")
    assert "special tokens" not in notes(random(["bank", "."]))


def test_the_first_word_of_a_causal_model_is_said_to_be_left_out_as_a_key() -> None:
    assert "Also left out: the first word as a key" in notes(random(list(NOUNS), causal=True))
    assert "; the first word as a key" in notes(random(["the", *NOUNS], causal=True))
    assert "as a key" not in notes(random(list(NOUNS), causal=True), everything=True)
    assert "as a key" not in notes(random(["[CLS]", *NOUNS], causal=True))


@pytest.mark.parametrize(("offset", "said"), [(-1, "the one before"), (1, "the one after"), (0, "itself")])
def test_positional_heads_are_said_to_be_left_out_and_dashed_in_the_overview(offset: int, said: str) -> None:
    anywhere = random_weights((1, 1, 10))[0, 0]
    attention = record(NOUNS, np.stack([anywhere, query_mask(offset, 10)])[None])
    assert f"L0 H1, where each token looks at {said}" in notes(attention)
    (row,) = [line for line in section("Overview", shown(attention)) if line.startswith("L0")]
    assert row.split()[2] == "–"
    assert "L0 H1" not in notes(attention, everything=True)
    assert "–" not in "".join(section("Overview", shown(attention, everything=True)))


def test_links_at_the_usual_offset_of_a_head_are_said_to_be_left_out() -> None:
    words = [f"w{i}" for i in range(120)]
    often = [random_weights((1, 1, 120), seed=seed)[0, 0] for seed in (1, 2)]
    for weights, rows in zip(often, (80, 70), strict=True):
        weights[:rows] = query_mask(-1, 120)[:rows]
    one = record(words, np.stack([random_weights((1, 1, 120))[0, 0], often[0]])[None])
    assert "left out: L0 H1's links to the one before, where 66% of the tokens look. --all" in notes(one)
    two = record(words, np.stack(often)[None])
    assert "where 66% of the tokens look (and so of 1 more head). --all" in notes(two)
    assert "links to the one before" not in notes(one, everything=True)


# Overview and maps


@pytest.mark.parametrize("cell", ["link", "entropy", "sink", "distance"])
def test_the_overview_is_of_the_cell_that_was_asked_for(cell: Any) -> None:
    attention = random(list(NOUNS))
    summary = summary_of(attention, cell=cell)
    rows = [line.split() for line in section("Overview", shown(attention, cell=cell)) if line.startswith("L")]
    assert [row[0] for row in rows] == ["L0", "L1", "L2"]
    for row, values in zip(rows, summary.overview, strict=True):
        scale, near = (100, 0.51) if cell in ("link", "sink") else (1, 0.051)
        assert [float(number) for number in row[1:]] == pytest.approx(values * scale, abs=near)


def test_an_overview_of_heads_that_look_at_one_token_shows_zeros() -> None:
    found = shown(record(NOUNS, query_mask(0, 10)[None, None]), cell="entropy", everything=True)
    assert section("Overview", found)[1].split() == ["L0", "0.0"]


def test_every_map_that_was_asked_for_has_its_title() -> None:
    found = shown(bank(), heads=Heads((0, 1), (0, 2)))
    assert [line.split("  ")[0] for line in found if "each row looks at" in line] == [
        "L0 H0",
        "L0 H2",
        "L1 H0",
        "L1 H2",
    ]
    found = shown(bank(), heads=Heads((1,), mean=True))
    assert [line.split("  ")[0] for line in found if "each row looks at" in line] == ["L1, mean of its heads"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_long_text_is_pooled_and_says_so(width: int) -> None:
    found = shown(random([f"w{i}" for i in range(300)]), width)
    assert "300 × 300 pooled: each cell is the largest of" in " ".join(found)


# What each word looks at


def test_at_most_twelve_words_are_listed_and_how_many_there_are_is_said() -> None:
    attention = random([f"w{i}" for i in range(20)])
    listed = section("What each word", shown(attention))
    assert listed[-1] == "  … 12 of 20 words; --token WORD shows any, --top all shows all"
    assert sum(line.startswith("  w") for line in listed) == 1 + 12  # the column's title is "word"


def test_all_words_are_listed_if_nothing_is_to_be_cut() -> None:
    summary = summary_of(random([f"w{i}" for i in range(20)]))
    listed = section("What each word", lines(Group(*terminal.summary_parts(summary, named=False, every=True))))
    assert len(listed) == 1 + 3 * 20
    assert listed[-3].split()[0] == "w19"


def test_what_words_look_at_comes_last_if_they_were_asked_for_by_name() -> None:
    def titles(*, named: bool) -> list[str]:
        found = shown(bank(), named=named, words=["bank"] * named)
        return [after.split("  ")[0] for line, after in pairwise(found) if not line]

    assert titles(named=False) == ["Overview", "L1 H2", "What each word looks at most", "Strongest links"]
    assert titles(named=True) == ["Overview", "L1 H2", "Strongest links", "What each word looks at most"]


def test_positional_heads_of_one_offset_are_named_together_and_the_rest_counted() -> None:
    before, after, other = query_mask(-1, 12), query_mask(1, 12), random_weights((1, 1, 12))[0, 0]
    heads = np.stack([before, after, before, before, before, other])[None].astype(np.float32)
    said = " ".join(map(str.strip, shown(record([f"w{i}" for i in range(12)], heads))))
    assert "L0 H0, L0 H2, L0 H3 and 1 more, where each token looks at the one before; L0 H1, where each" in said


@pytest.mark.parametrize("width", [24, 40, 60])
def test_titles_and_remarks_are_broken_between_words_and_indented(width: int) -> None:
    found = shown(bank(), width)
    assert max(map(cell_len, found)) <= width
    start = found.index("Strongest links")
    said = found[start + 1 : next(i for i in range(start, len(found)) if "→" in found[i])]
    assert all(line.startswith("  ") for line in said)
    assert " ".join(line.strip() for line in said) == "each pair of words once, in the head where it is strongest"


def test_all_words_that_were_asked_for_are_listed() -> None:
    names = [f"w{i}" for i in range(20)]
    listed = section("What each word", shown(random(list(names)), named=True, words=names, top=1))
    assert [line.split()[0] for line in listed[1:]] == names


@pytest.mark.parametrize("width", [30, 40, 50, 60, 80])
def test_no_key_is_broken_at_any_width(width: int) -> None:
    found = section("What each word looks at most", shown(random(["[CLS]", "bank", "approved", "financials"]), width))
    assert all(cell_len(line) <= width for line in found)
    assert sum(" L" in line for line in found) == 6
    for line in found:
        assert re.fullmatch(r".* 0\.\d\d L\d H\d( .*)?", line) or " L" not in line
    titles = [line for line in found if line.startswith("  word ")]
    assert len(titles) == (1 if width >= 60 else 2)


def test_a_word_that_looks_at_nothing_that_counts_has_a_dash() -> None:
    listed = section("What each word", shown(random(["[CLS]", "bank", "the"])))
    assert listed[1].split() == ["bank", "–", "–"]


@pytest.mark.parametrize("width", [80, 200])
def test_what_words_look_at_stands_in_columns_whatever_the_words(width: int) -> None:
    listed = section("What each word", shown(random(EVIL), width, everything=True, links=1))
    rows = [line for line in listed[1:] if " L" in line]
    assert len(rows) == 12 * 3
    assert len({cell_len(line[: line.index(" L")]) for line in rows}) == 1

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz.interface import Attention
from attnviz.model.native import run as runs
from attnviz.record import MEASURES, WeightsName, write
from tests import tiny
from tests.cli import test_streams as streams
from tests.cli.conftest import Result, Run
from tests.records import random_weights, record
from tests.schemas import validate

S = tiny.SENTENCE


def titles(result: Result) -> list[str]:
    """The sections of the screen, in order."""
    starts = [i + 1 for i, line in enumerate(result.lines[:-1]) if not line]
    return [result.lines[i].split("  ")[0] for i in starts if result.lines[i]]


def document(result: Result) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(result.out)
    validate(parsed)
    return parsed


def maps(result: Result) -> list[str]:
    return [line.split("  ")[0] for line in result.lines if "each row looks at the columns" in line]


# The screen


def test_everything_is_shown_in_order_and_the_check_last(run: Run, tiny_bert: Path) -> None:
    result = run("show", S)
    assert (result.code, result.err) == (0, "")
    assert result.lines[0] == f"{tiny_bert.name} · native · 3 layers × 4 heads · 15 tokens · 14 words"
    (the_map,) = maps(result)
    assert titles(result)[:4] == ["Overview", the_map, "What each word looks at most", "Unusual links"]
    assert result.lines[-1].startswith("✓ 12 heads agree with transformers ")


def test_the_map_is_that_of_the_first_link(run: Run) -> None:
    result = run("show", S, "--no-check")
    first = result.lines[result.lines.index(next(line for line in result.lines if line.startswith("Unusual"))) + 1]
    layer, head = first.split()[4:6]
    assert first.split()[6].endswith("×")
    assert maps(result) == [f"{layer} {head}"]


def test_the_numbers_are_those_of_the_record(run: Run, tiny_attention: Attention) -> None:
    (link, *_) = tiny_attention.links(top=1)
    out = run("show", S, "--no-check", "--rank", "weight").out
    assert f"{link.query} → {link.key}" in " ".join(out.split())
    assert f"{link.weight:.2f}  L{link.layer} H{link.head}" in out


def test_no_check_skips_the_check_and_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnviz.interface.Model.check_record", lambda *_, **__: pytest.fail("was checked"))
    result = run("show", S, "--no-check")
    assert result.code == 0
    assert result.lines[-1] == "not checked against transformers (--no-check)"


# A part of the map


@pytest.mark.parametrize(
    ("options", "rows", "columns"),
    [
        (["--rows", "2:4", "--cols", "3:"], [2, 3], list(range(3, 12))),
        (["--rows", ":3"], [1, 2], list(range(1, 12))),
        (["--cols", "5"], list(range(1, 12)), [5]),
        (["--rows", "0:2", "--cols", "11:", "--special"], [0, 1], [11, 12, 13]),
    ],
)
def test_rows_and_columns_cut_the_maps(run: Run, options: list[str], rows: list[int], columns: list[int]) -> None:
    given = ["show", S, "--json", "--no-check", "--layer", "1", "--head", "2"]
    (part,) = document(run(*given, *options))["maps"]
    (whole,) = document(run(*given, "--special"))["maps"]
    assert (part["query_indices"], part["key_indices"]) == (rows, columns)
    assert part["weights"] == [[whole["weights"][row][column] for column in columns] for row in rows]


# Where the text comes from


def test_a_text_from_elsewhere_is_shown_as_one_from_the_argument(run: Run, tmp_path: Path) -> None:
    expected = run("show", S, "--no-check").out
    (tmp_path / "bank.txt").write_text(f"{S}\n")
    assert run("show", "--file", tmp_path / "bank.txt", "--no-check").out == expected
    assert run("show", "-", "--no-check", stdin=f"{S}\n".encode()).out == expected


def test_a_byte_order_mark_is_no_part_of_the_text(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bank.txt").write_bytes(b"\xef\xbb\xbf" + S.encode())
    assert document(run("show", "--file", tmp_path / "bank.txt", "--json", "--no-check"))["text"] == S


def test_a_pair_is_shown_as_two_texts(run: Run) -> None:
    found = document(run("show", "the bank", "--pair", "the loan", "--json", "--no-check"))
    assert found["words"] == ["[CLS]", "the", "bank", "[SEP]", "the", "loan", "[SEP]"]
    assert (found["text"], found["pair"]) == ("the bank", "the loan")


def test_a_text_that_is_too_long_can_be_cut(run: Run) -> None:
    result = run("show", "bank loan " * 60, "--truncate", "--no-check")
    assert result.code == 0
    assert "64 tokens" in result.lines[0]
    assert "58 tokens" in result.lines[0]
    assert document(run("show", "bank loan " * 60, "--truncate", "--json"))["dropped_tokens"] == 58


def test_a_saved_record_is_shown_as_it_was(run: Run, saved: Path) -> None:
    fresh = run("show", S, "--no-check")
    result = run("show", "--from", saved)
    assert (result.code, result.err) == (0, "")
    assert result.lines[:-1] == fresh.lines[:-1]
    assert result.lines[-1] == "not checked against transformers (the record was read from a file)"


def test_a_saved_record_needs_no_model(run: Run, saved: Path) -> None:
    assert run("show", "--from", saved, "--model", "/nowhere").code == 0


def test_a_text_that_begins_with_a_dash_can_be_given_after_two(run: Run) -> None:
    assert document(run("show", "--no-check", "--json", "--", "--bank"))["text"] == "--bank"


# Which model


def test_the_model_is_taken_from_the_environment_or_the_option(
    run: Run, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tiny.bert(tmp_path / "other", seed=1, num_hidden_layers=1)
    assert "3 layers" in run("show", S, "--no-check").lines[0]
    assert run("show", S, "--no-check", "--model", other).lines[0].startswith("other · native · 1 layer × 4 heads")
    monkeypatch.setenv("ATTNVIZ_MODEL", str(other))
    assert "1 layer" in run("show", S, "--no-check").lines[0]
    assert "3 layers" in run("show", S, "--no-check", "-m", tiny_bert).lines[0]


# What is shown


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--layer", "1", "--head", "2"], ["L1 H2"]),
        (["--layer", "0"], 1),
        (["--head", "3"], 1),
        (["--layer", "2", "--head", "0,2-3"], ["L2 H0", "L2 H2", "L2 H3"]),
        (["--layer", "0-1", "--head", "1"], ["L0 H1", "L1 H1"]),
        (["--layer", "1, 1", "--head", "2"], ["L1 H2"]),
        (["--layer", "1", "--head", "mean"], ["L1, mean of its heads"]),
        (["--head", "mean"], [f"L{i}, mean of its heads" for i in range(3)]),
    ],
)
def test_layers_and_heads_choose_the_maps(run: Run, arguments: list[str], expected: list[str] | int) -> None:
    result = run("show", S, "--no-check", *arguments)
    assert result.code == 0
    assert maps(result) == expected if isinstance(expected, list) else len(maps(result)) == expected


def test_a_layer_alone_shows_a_head_of_that_layer(run: Run) -> None:
    assert maps(run("show", S, "--no-check", "--layer", "2"))[0].startswith("L2 H")
    assert maps(run("show", S, "--no-check", "--head", "3"))[0].endswith(" H3")


def test_tokens_are_shown_instead_of_words(run: Run) -> None:
    assert "##s" not in run("show", S, "--no-check").out
    result = run("show", S, "--tokens", "--no-check", "--head", "0")
    assert "##s" in result.out
    assert "What each token looks at most" in titles(result)


def test_special_brings_special_tokens_in(run: Run) -> None:
    def keys(*options: str) -> set[str]:
        found = document(run("show", S, "--no-check", "--json", "--links", "99", *options))
        return {link["key"] for link in found["links"]}

    assert not keys() & {"[CLS]", "[SEP]", ".", "the", "The"}
    assert {"[CLS]", "[SEP]", "."} <= keys("--special")
    assert not keys("--special") & {"the", "The"}
    assert {"[CLS]", "the", "The"} <= keys("--all")
    assert "counted here" in run("show", S, "--no-check", "--special").out


def test_a_word_can_be_asked_for_and_by_its_number(run: Run) -> None:
    def queries(*options: str) -> list[tuple[str, int]]:
        found = document(run("show", S, "--no-check", "--json", *options))
        return [(row["query"], row["query_index"]) for row in found["top_attended"]]

    assert queries("--token", "bank") == [("bank", 2)]
    assert queries("--token", "THE") == [("The", 1), ("the", 4), ("the", 7)]
    assert queries("--token", "the:2") == [("the", 4)]
    assert queries("--token", "the:2", "--token", "loan") == [("the", 4), ("loan", 5)]
    assert queries("--token", "##s", "--tokens") == [("##s", 12)]
    listed = run("show", S, "--no-check", "--token", "the:3").lines
    assert any(line.startswith("  the:3 ") for line in listed)


def test_top_and_links_are_how_many(run: Run) -> None:
    found = document(run("show", S, "--no-check", "--json", "--top", "2", "--links", "5"))
    assert len(found["links"]) == 5
    assert {len(row["best"]) for row in found["top_attended"]} == {2}


@pytest.mark.parametrize("cell", ["link", "entropy", "sink", "distance"])
def test_each_overview_can_be_asked_for(run: Run, cell: str) -> None:
    found = document(run("show", S, "--no-check", "--json", "--cell", cell))
    assert found["overview"]["cell"] == cell
    assert np.shape(found["overview"]["values"]) == (3, 4)
    assert run("show", S, "--no-check", "--cell", cell).code == 0


def test_unusual_text_is_shown_harmlessly(run: Run) -> None:
    result = run(
        "show",
        "\x1b[31mbank\x1b[0m \u202eloan\u2066 日本 👩\u200d👧 the\tbank\r\nriver\x07 \x9b2J",
        "--all",
        "--no-check",
    )
    assert (result.code, result.err) == (0, "")
    assert not set(result.out) & set("\x1b\x07\x9b\t\r\u202e\u2066")
    assert "日" in result.out
    assert "loan" in result.out


# An encoder–decoder


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ([], "cross · 4 target tokens (2 generated) look at 6 source tokens"),
        (["--map", "cross"], "cross · 4 target tokens (2 generated) look at 6 source tokens"),
        (["--map", "encoder"], "encoder · 6 tokens · 5 words"),
        (["--map", "decoder"], "decoder · 4 tokens (2 generated) · 4 words"),
    ],
)
def test_one_map_of_three_is_shown(run: Run, saved_three: Path, options: list[str], sizes: str) -> None:
    result = run("show", "--from", saved_three, *options)
    assert (result.code, result.err) == (0, "")
    assert " ".join(map(str.strip, result.lines[:2])).strip() == f"fixed · native · 2 layers × 3 heads · {sizes}"
    made = "What each new token looked at when it was made"
    assert (made in titles(result)) is ("generated" in sizes)


def test_the_document_is_of_the_map_that_was_asked_for(run: Run, saved_three: Path) -> None:
    for options, name, shape in (
        ([], "cross", (4, 5)),
        (["--map", "encoder"], "encoder", (5, 5)),
        (["--map", "decoder"], "decoder", (4, 4)),
    ):
        found = document(run("show", "--from", saved_three, "--json", "--all", *options))
        assert (found["map"], np.shape(found["maps"][0]["weights"])) == (name, shape)


def test_layers_with_their_own_numbers_are_asked_for_by_them(run: Run, tmp_path: Path) -> None:
    attention = record(["bank", "loan", "river"], random_weights((3, 2, 3)), numbers=(3, 7, 11))
    write(attention, tmp_path / "hybrid.safetensors", ".safetensors")
    result = run("show", "--from", tmp_path / "hybrid.safetensors", "--layer", "7,11", "--head", "1")
    assert maps(result) == ["L7 H1", "L11 H1"]
    assert [line.split()[0] for line in result.lines if re.match(r" *L\d+ +[\d–]", line)] == ["L3", "L7", "L11"]
    result = run("show", "--from", tmp_path / "hybrid.safetensors", "--layer", "0")
    assert (result.code, result.out) == (2, "")
    assert result.said == "error: no layer 0: this model has attention in layers 3, 7, 11"
    write(
        record(["bank", "loan"], random_weights((1, 1, 2)), numbers=(3,)), tmp_path / "one.safetensors", ".safetensors"
    )
    result = run("show", "--from", tmp_path / "one.safetensors", "--layer", "0")
    assert result.said == "error: no layer 0: this model has attention in layer 3"
    result = run("show", "--from", tmp_path / "one.safetensors", "--layer", "3", "--head", "1")
    assert result.said == "error: no head 1: each layer of this model has head 0"


# JSON


def test_json_is_one_document_and_nothing_else(run: Run) -> None:
    result = run("show", S, "--json")
    assert (result.code, result.err) == (0, "")
    assert result.out.count("\n") == 1
    found = document(result)
    assert found["check"]["passed"]
    assert len(found["check"]["layers"]) == 3


def test_json_says_what_the_record_holds(run: Run, tiny_attention: Attention) -> None:
    found = document(run("show", S, "--json", "--no-check", "--layer", "1", "--head", "2", "--all"))
    assert found["check"] is None
    assert found["tokens"] == list(tiny_attention.tokens)
    assert found["words"] == list(tiny_attention.words)
    (the_map,) = found["maps"]
    rows = found["word_spans"]
    merged = np.array([tiny_attention.weights[1, 2][start:stop].mean(0) for start, stop in rows])
    merged = np.array([merged[:, start:stop].sum(1) for start, stop in rows]).T
    np.testing.assert_allclose(the_map["weights"], merged, rtol=1e-5, atol=1e-7)


def test_json_holds_the_text_as_it_is(run: Run) -> None:
    text = "the \x1b[31m日本 “bank”"
    assert document(run("show", text, "--json", "--no-check"))["text"] == text


def test_json_of_a_saved_record(run: Run, saved: Path) -> None:
    assert document(run("show", "--from", saved, "--json"))["check"] is None


# The check


@pytest.fixture
def wrong_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the attention a scale that is 1 % too large."""
    attend: Callable[..., Any] = runs.attend

    def wrong(*tensors: Any, scale: float, **options: Any) -> Any:
        return attend(*tensors, scale=scale * 1.01, **options)

    monkeypatch.setattr(runs, "attend", wrong)


@pytest.mark.usefixtures("wrong_kernel")
def test_a_failed_check_is_loud_after_the_picture(run: Run) -> None:
    result = run("show", S)
    assert result.code == 5
    assert titles(result)[-1] == "Unusual links"
    assert result.lines[-1] == ""
    assert "✓" not in result.out
    assert "✗" not in result.out
    assert result.said.startswith("✗ attnviz and transformers differ by ")
    assert "in float64: this is a mistake, not rounding" in result.said
    assert "Do not rely on this picture" in result.said


@pytest.mark.usefixtures("wrong_kernel")
def test_a_failed_check_is_in_the_json_too(run: Run) -> None:
    result = run("show", S, "--json")
    assert result.code == 5
    found = document(result)["check"]
    assert (found["passed"], found["wider"]["passed"]) == (False, False)
    assert found["max_abs_diff"] > 1e-4
    assert result.said.startswith("✗")


@pytest.mark.usefixtures("wrong_kernel")
@pytest.mark.parametrize("command", [("show", S, "--json"), ("check", S)], ids=["show", "check"])
def test_a_failed_check_is_the_exit_code_where_nothing_can_be_printed(
    command: tuple[str, ...], tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    err = streams.text()
    for error in (streams.FULL, streams.GONE):
        assert streams.ended(monkeypatch, *command, "-m", tiny_bert, out=streams.failing(error), err=err) == 5
    assert streams.written(err).count("✗ attnviz and transformers differ by ") == 2


@pytest.mark.usefixtures("wrong_kernel")
def test_a_check_that_is_skipped_can_not_fail(run: Run) -> None:
    assert run("show", S, "--no-check").code == 0


def test_a_text_typed_where_the_locale_knows_ascii_alone_is_that_text(run: Run) -> None:
    as_python_reads_it = "café bank".encode().decode("ascii", "surrogateescape")
    result = run("show", as_python_reads_it, "--pair", as_python_reads_it, "--json", "--no-check")
    document = json.loads(result.out)
    assert (document["text"], document["pair"]) == ("café bank", "café bank")
    assert run("show", "caf\udce9 bank").code == 3  # Latin-1, which nobody has said


@pytest.mark.parametrize("name", ["norm", "norm+heads", "norm+residual", "rollout", "flow", "zeroing"])
def test_where_information_comes_from(name: WeightsName, run: Run) -> None:
    """Every number is named, and none that is no share is written in percent."""
    shown, measure = run("show", S, "--weights", name, "--no-check"), MEASURES[name]
    assert measure.title in " ".join(shown.out.split())
    assert "attention" not in shown.out
    assert (" in %" in shown.out) == measure.share
    if measure.by_layer:
        assert not re.search(r"L\d H\d| heads", shown.out)
    found = document(run("show", S, "--weights", name, "--json"))
    assert found["measure"]["name"] == name
    assert found["check"]["passed"]  # of the attention weights below
    sums = np.array(found["maps"][0]["weights"]).sum(-1)
    assert measure.share or (sums > 1).any() or name == "zeroing"


def test_links_are_ranked_by_lift_unless_it_is_asked_otherwise(run: Run) -> None:
    lifts = [link["lift"] for link in document(run("show", S, "--json", "--no-check"))["links"]]
    assert lifts == sorted(lifts, reverse=True)
    weights = document(run("show", S, "--json", "--no-check", "--rank", "weight"))["links"]
    assert [link["weight"] for link in weights] == sorted((link["weight"] for link in weights), reverse=True)
    assert not any("lift" in link for link in weights)


def test_the_lift_of_a_link_is_that_of_find(run: Run) -> None:
    (link, *_) = document(run("show", S, "--json", "--no-check"))["links"]
    rows = json.loads(run("find", S, "--from", link["query"], "--to", link["key"], "--json").out)["rows"]
    (row,) = [row for row in rows if all(row[name] == link[name] for name in ("layer", "head", "query_index"))]
    assert (row["weight"], row["lift"]) == pytest.approx((link["weight"], link["lift"]), rel=1e-6)


@pytest.mark.parametrize("options", [["--unit", "sentence"], ["--per-token", "--unit", "sentence"]])
def test_what_has_no_lift_is_ranked_by_weight(run: Run, options: list[str]) -> None:
    assert titles(run("show", f"{S} It paid. {S}", "--no-check", *options))[-2] == "Strongest links"


def test_a_rank_that_does_not_go_with_the_rest_is_refused(run: Run) -> None:
    result = run("show", S, "--per-token", "--rank", "lift")
    assert result.code == 2
    assert "--per-token is given" in result.err


@pytest.mark.parametrize("survey", [False, True])
def test_what_looks_at_a_word(
    run: Run, tiny_attention: Attention, monkeypatch: pytest.MonkeyPatch, survey: bool
) -> None:
    if survey:
        monkeypatch.setattr("attnviz.model.backends.MAX_KEPT_BYTES", 0)
    (row,) = document(run("show", S, "--json", "--no-check", "--received", "--token", "loan"))["top_received"]
    words, weights = tiny_attention.words, np.stack([
        [tiny_attention.matrix(layer, head).values for head in range(4)] for layer in range(3)
    ])  # fmt: skip
    column = weights[..., words.index("loan")]
    counted = [i for i, word in enumerate(words) if word in ("bank", "approved", "company", "strong", "financials")]
    best = sorted(counted, key=lambda i: -column[..., i].max())[:3]
    average = sorted(counted, key=lambda i: -column[..., i].mean())[:3]
    assert [link["query_index"] for link in row["best"]] == best
    assert [link["weight"] for link in row["best"]] == pytest.approx([column[..., i].max() for i in best], rel=1e-5)
    assert [each["query_index"] for each in row["average"]] == average
    shown = run("show", S, "--no-check", "--received", "--token", "loan").out
    assert "What looks at each word most" in shown
    assert "What each word looks at most" not in shown

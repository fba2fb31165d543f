"""``show`` and ``export`` in sentences, lines and paragraphs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.schemas import validate

PROMPT = "The bank approved the loan. It had it.\n\nA river bank had financials!\n\nThe company of the loan"


def test_passages_are_named_with_their_number_and_line(run: Run, tiny_llama: Path) -> None:
    shown = run("show", PROMPT, "--model", tiny_llama, "--unit", "paragraph", "--generate", 4, "--no-check")
    assert shown.code == 0
    assert "each pair of paragraphs once" in shown.out
    assert "2 (line 3) A" in shown.out
    assert "in brackets: other tokens on average" in shown.out
    assert "What each new token looked at when it was made" in shown.out


def test_columns_that_are_no_rows_are_told(run: Run, tiny_llama: Path) -> None:
    shown = run(
        "show", PROMPT, "--model", tiny_llama, "--unit", "paragraph", "--generate", 4, "--from", "generated",
        "--per-token", "--no-check",
    )  # fmt: skip
    assert shown.code == 0
    assert "% of its attention per token" in shown.out
    assert any(line.split()[:3] == ["2", "line", "3"] for line in shown.out.splitlines())


def test_the_document_says_where_the_units_stand(run: Run, tiny_bert: Path) -> None:
    shown = run("show", PROMPT, "--model", tiny_bert, "--unit", "sentence", "--per-token", "--json", "--no-check")
    found = json.loads(shown.out)
    validate(found)
    assert (found["unit"], found["per_token"], found["from_generated"]) == ("sentence", True, False)
    assert [unit["label"] for unit in found["units"]][:3] == ["[CLS]", "The bank approved the loan.", "It had it."]
    assert [unit["line"] for unit in found["units"] if not unit["special"]] == [1, 1, 3, 5]
    stops = [unit["stop"] for unit in found["units"]]
    assert [unit["start"] for unit in found["units"]] == [0, *stops[:-1]]
    assert stops[-1] == len(found["tokens"])
    baselines = [best["baseline"] for row in found["top_attended"] for best in row["best"]]
    assert all(baseline is not None for baseline in baselines)


def test_a_saved_record_is_shown_in_any_unit(run: Run, tiny_llama: Path, tmp_path: Path) -> None:
    saved = tmp_path / "record.json"
    assert run("export", PROMPT, saved, "--model", tiny_llama, "--generate", 3).code == 0
    shown = [
        run(*command, "--unit", "line", "--json", "--no-check").out
        for command in (("show", PROMPT, "--model", tiny_llama, "--generate", 3), ("show", "--from", saved))
    ]
    first, second = map(json.loads, shown)
    assert first["links"] == second["links"]
    assert first["units"] == second["units"]
    assert first["generated"] == second["generated"]
    shown = run("show", "--from", saved, "--from", "generated", "--unit", "line", "--json", "--no-check")
    assert json.loads(shown.out)["from_generated"]
    shown = run("show", "--from", saved, "--from", "river bank", "--from", "loan")
    assert shown.code == 2
    assert "--from names 2 passages: river bank, loan" in shown.err
    assert run("export", "--from", saved, "--from", "loan", tmp_path / "other.json").code == 2


@pytest.mark.parametrize("more", [(), ("--per-token",), ("--from", "river bank")])
def test_pictures_are_drawn_in_any_unit(more: tuple[str, ...], run: Run, tiny_llama: Path, tmp_path: Path) -> None:
    for heads in ((), ("--layer", 1, "--head", 2)):
        wanted = PROMPT, tmp_path / "a.svg", "--model", tiny_llama, "--unit", "sentence", "--force", *heads, *more
        assert run("export", *wanted).code == 0


def test_what_does_not_go_together_is_said(run: Run, tiny_bert: Path, tiny_llama: Path) -> None:
    shown = run("show", PROMPT, "--model", tiny_bert, "--unit", "line", "--tokens")
    assert shown.code == 2
    assert "both --tokens and --unit line are given" in shown.err
    shown = run("show", PROMPT, "--model", tiny_llama, "--from", "generated", "--no-check")
    assert shown.code == 2
    assert "the model wrote none of the text" in shown.err
    assert "--generate 20" in shown.err
    shown = run("show", PROMPT, "--model", tiny_bert, "--unit", "sentances")
    assert shown.code == 2
    assert "Did you mean sentence?" in shown.err

"""``--language``: which function words do not count, on the screen, in JSON, and in the tables of a corpus."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.batch.jobs import facts, table, without_picture
from tests.cli.conftest import Run

TEXT = "der river und the bank of it company"


@pytest.mark.parametrize(
    ("options", "left_out", "known", "code"),
    [
        ((), {"the", "of"}, True, "en"),
        (("--language", "German"), {"der", "und"}, True, "de"),
        (("--language", "swh_Latn"), set(), False, "swh"),
        (("--language", "none"), set(), False, "none"),
    ],
)
def test_function_words_of_the_language_do_not_count(
    run: Run, options: tuple[str, ...], left_out: set[str], known: bool, code: str
) -> None:
    found = json.loads(run("show", TEXT, "--json", "--no-check", "--links", "100", *options).out)
    assert {"der", "river", "und", "the", "bank", "of", "it", "company"} - {link["key"] for link in found["links"]} == (
        left_out
    )
    assert found["function_words"] == {"language": code, "known": known}


def test_what_is_left_out_is_said(run: Run) -> None:
    german = run("show", TEXT, "--no-check", "--language", "de").out
    assert "Also left out: function words of German (der, und …)" in " ".join(german.split())
    assert "No function words of Swahili are known: all words count." in run("show", TEXT, "--language", "swahili").out
    wrong = run("show", TEXT, "--language", "germn")
    assert (wrong.code, "Did you mean german?" in wrong.said) == (2, True)


def test_links_of_a_corpus_are_those_of_the_language(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_picture(monkeypatch)
    tmp_path.joinpath("a.txt").write_text(TEXT)
    out = tmp_path / "out"
    result = run("batch", tmp_path / "a.txt", "-o", out, "--top", "500", "--language", "deu", "--check", "none")
    assert result.code == 0
    keys = set(table(out, "links").column("key").to_pylist())
    assert "the" in keys
    assert not keys & {"der", "und"}
    assert facts(out)["options"]["language"] == "de"
    assert json.loads(out.joinpath("summary.json").read_bytes())["function_words"] == {"language": "de", "known": True}
    assert "was de, is en" in run("batch", tmp_path / "a.txt", "-o", out, "--top", "500", "--check", "none").said
    other = run("batch", tmp_path / "a.txt", "-o", tmp_path / "sw", "--language", "sw", "--check", "none")
    assert "no function words of Sw are known: all words count" in other.out

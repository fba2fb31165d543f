"""``attnviz cost``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from attnviz.analysis.corpus import cost as corpus_cost
from attnviz.analysis.corpus.cost import GPU_PEAK, GPU_SHARE
from attnviz.render.terminal.cost import duration
from tests import tiny
from tests.cli.conftest import Run
from tests.schemas import validate


def test_the_cost_of_a_number_of_tokens(run: Run, tiny_llama: Path) -> None:
    result = run("cost", "-m", tiny_llama, "--tokens", 100_000, "--no-measure")
    assert (result.code, result.err) == (0, "")
    assert result.lines[0] == f"{tiny_llama.name} · llama · native · 100,000 tokens"
    said = " ".join(result.out.split())
    assert "10¹⁰ a head and layer (100,000²)" in said
    assert "1.2 × 10¹¹ in 3 layers, 6 × 10¹⁰ of them seen" in said
    assert "all weights 480 GB" in said
    assert "time not measured" in said
    assert "limit" not in said


def test_a_time_is_measured_unless_told_not_to(run: Run) -> None:
    result = run("cost", "--tokens", 50, "--json")
    assert (result.code, result.err) == (0, "")
    validate(found := json.loads(result.out), "cost")
    assert (found["tokens"], found["all_scores"]) == (50, 12 * 50 * 50)
    assert isinstance(found["model"], str)
    assert found["peak"] == found["model_bytes"] + found["activations"] + found["kept"]
    assert 0 < found["seconds"] < 10
    assert found["fits"] is True
    assert json.loads(run("cost", "--tokens", 50, "--json", "--no-measure").out)["seconds"] is None


def test_a_text_or_a_file_is_counted(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(tiny.SENTENCE)
    counts = {
        json.loads(run("cost", *given, "--json", "--no-measure", stdin=tiny.SENTENCE.encode()).out)["tokens"]
        for given in ((tiny.SENTENCE,), ("-",), ("--file", path))
    }
    assert len(counts) == 1
    assert counts.pop() > 12


def test_a_limit_of_positions_is_said_where_the_text_is_longer(run: Run) -> None:
    result = run("cost", "bank " * 99, "--no-measure")
    assert result.code == 0
    assert "limit the model has positions for 64 tokens only: --windows slides over" in " ".join(result.out.split())


def test_a_hosted_model_is_measured_too(run: Run, tiny_hosted: Path) -> None:
    result = run("cost", "-m", tiny_hosted, "--tokens", 2000, "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert (found["backend"], found["unknown"]) == ("hosted", [])
    assert found["seconds"] > 0


def test_what_does_not_fit_is_an_answer_and_no_error(run: Run) -> None:
    result = run("cost", "--tokens", 10**12, "--no-measure")
    assert result.code == 0
    assert "it does not fit" in result.out


# Of a corpus


def corpus(run: Run, *given: object) -> dict[str, Any]:
    result = run("cost", *given, "--json")
    assert (result.code, result.err) == (0, "")
    validate(found := json.loads(result.out), "cost")
    return found


@pytest.mark.parametrize(
    ("written", "documents"), [("1e9", 10**9), ("1_000_000", 10**6), ("2.5e6", 2_500_000), ("7", 7), ("1e15", 10**15)]
)
def test_documents_are_counted_as_people_write_numbers(run: Run, written: str, documents: int) -> None:
    assert corpus(run, "--documents", written, "--no-measure")["documents"] == documents


@pytest.mark.parametrize(
    "written", ["0", "-3", "1.5", "0.9", "nan", "sNaN", "inf", "1e16", "1e999999999", "1,000", "many", ""]
)
def test_other_numbers_of_documents_are_refused(run: Run, written: str) -> None:
    result = run("cost", "--documents", written, "--no-measure")
    assert (result.code, result.out) == (2, "")
    assert result.said == (
        f"error: --documents is {written!r}, expected a whole number from 1 to 1e15 "
        "Write it such as 1000000, 1_000_000, 1e9 or 2.5e6."
    )


def test_more_tokens_than_there_are_are_refused(run: Run) -> None:
    result = run("cost", "--documents", "1e15", "--tokens", 1001, "--no-measure")
    assert result.code == 2
    assert "1,000,000,000,000,000 documents of 1,001 tokens are more than there is: 1e18 tokens at most" in result.said
    assert run("cost", "--documents", "1e15", "--tokens", 1000, "--no-measure").code == 0


def test_top_belongs_to_a_corpus(run: Run) -> None:
    result = run("cost", "--tokens", 5, "--top", 3)
    assert (result.code, "--top is given, and no --documents" in result.said) == (2, True)
    assert corpus(run, "--documents", 5, "--top", 3, "--no-measure")["rows"]["links"] == 5 * 3 * 3


def test_the_help_names_what_belongs_to_a_corpus(run: Run) -> None:
    on_progress = run("cost", "--help").out.split("─ Corpus ─")[1].split("─ Model ─")[0]
    assert ("--documents" in on_progress, "--top" in on_progress, "(8)" in on_progress) == (True, True, True)


def test_of_an_encoder_decoder_the_encoder_reads_a_corpus(run: Run, tiny_t5: Path) -> None:
    found = corpus(run, "-m", tiny_t5, "--documents", 5)
    assert found["rows"]["heads"] == 5 * 3 * 4
    assert found["attention_flops"] == 5 * 3 * 4 * 4 * 8 * 25 * 25
    assert found["seconds"] > 0


def test_the_document_of_a_corpus_adds_up(run: Run) -> None:
    found = corpus(run, "--documents", "1e6", "--tokens", 40, "--no-measure")
    assert found["gpu"] == {"name": "H100", "flops_per_second": GPU_PEAK[4], "share": GPU_SHARE}
    assert found["all_tokens"] == 40 * 10**6
    assert found["bytes"]["total"] == sum(found["bytes"][name] for name in ("documents", "heads", "links"))
    assert found["peak"] == found["model_bytes"] + found["activations"] + found["results"]
    assert (found["seconds"], found["machines_day"], found["machines_hour"]) == (None, None, None)


def test_a_time_is_measured_and_parted_among_machines(run: Run) -> None:
    found = corpus(run, "--documents", "1e9")
    assert found["seconds"] > 3600
    for within, seconds in (("day", 86_400), ("hour", 3_600)):
        machines = found[f"machines_{within}"]
        assert (machines - 1) * seconds < found["seconds"] <= machines * seconds
        assert found[f"gpus_{within}"] == max(1, -(-found["gpu_seconds"] // seconds))


@pytest.mark.parametrize(
    ("each", "said"),
    [(0.002, "about 2.0 s on this machine, 500 documents a second"), (30, "8.3 h on this machine, 30 s a")],
)
def test_the_pace_is_said_in_the_larger_number(
    run: Run, monkeypatch: pytest.MonkeyPatch, each: float, said: str
) -> None:
    monkeypatch.setattr(corpus_cost, "pace", lambda *_: each)
    assert said in " ".join(run("cost", "--documents", 1000).out.split())


def test_documents_are_as_long_as_the_text_that_is_given(run: Run) -> None:
    alone = json.loads(run("cost", tiny.SENTENCE, "--json", "--no-measure").out)
    found = corpus(run, tiny.SENTENCE, "--documents", "1e3", "--no-measure")
    assert found["tokens"] == alone["tokens"]
    assert found["linear_flops"] == 1000 * alone["linear_flops"]
    assert corpus(run, "--documents", "1e3", "--no-measure")["tokens"] == 25


def test_the_table_of_a_corpus(run: Run, tiny_llama: Path) -> None:
    result = run("cost", "-m", tiny_llama, "--documents", "1e9", "--no-measure")
    assert (result.code, result.err) == (0, "")
    assert result.lines[0] == f"{tiny_llama.name} · llama · native · 10⁹ documents of 25 tokens"
    said = " ".join(result.out.split())
    for words in (
        "tokens 2.5 × 10¹⁰ computing",
        "documents 80 GB, 10⁹ rows",
        "heads 660 GB, 1.2 × 10¹⁰ rows",
        "links 240 GB, 2.4 × 10¹⁰ rows",
        "parts 976,563 files of each table, 1,024 documents each",
        "time not measured in a day 1 H100 GPU in an hour 1 H100 GPU",
        "estimated, not measured, at 30% of 67 TFLOP/s:",
    ):
        assert words in said


def test_long_documents_are_read_in_windows(run: Run) -> None:
    said = " ".join(run("cost", "--documents", 10, "--tokens", 1000, "--no-measure").out.split())
    assert "tokens 10,000, each document in 31 windows" in said
    assert "1 file of each table" in said


def test_what_a_config_leaves_open_is_said_of_a_corpus_too(run: Run, tiny_hosted: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_hosted, tmp_path / "open")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["Dots1Model"]}))
    said = " ".join(run("cost", "-m", folder, "--documents", 10, "--no-measure").out.split())
    assert "unknown which keys a query sees: all are counted" in said


# In words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0001, "less than 1 ms"),
        (0.0094, "9 ms"),
        (0.0949, "95 ms"),
        (0.096, "0.1 s"),
        (0.32, "0.3 s"),
        (12, "12 s"),
        (99.4, "99 s"),
        (120, "2.0 min"),
        (7200, "2.0 h"),
        (259_200, "3.0 days"),
    ],
)
def test_durations_are_said(seconds: float, said: str) -> None:
    assert duration(seconds) == said

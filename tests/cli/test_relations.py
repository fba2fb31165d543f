from __future__ import annotations

import json
from pathlib import Path

import pytest

from attnviz.errors import ExitCode
from tests.analysis.treebanks import TREEBANK, WORDS, sentence
from tests.cli.conftest import Run
from tests.schemas import validate


@pytest.fixture
def treebank(tmp_path: Path) -> Path:
    path = tmp_path / "a.conllu"
    path.write_text(TREEBANK, "utf-8")
    return path


def test_each_relation_has_its_head(run: Run, treebank: Path) -> None:
    result = run("relations", treebank, "--least", "1", "--top", "2")
    assert (result.code, result.err) == (0, "")
    assert result.lines[0].startswith("Which head knows which relation?")
    assert len([line for line in result.lines if line.startswith("  L")]) == 3  # and the note on what is left out
    assert "2 of 8 rows; --top all lists them all." in result.out


def test_the_document_is_as_the_schema_says(run: Run, treebank: Path) -> None:
    document = json.loads(run("relations", treebank, "--least", "1", "--json").out)
    validate(document, "answer")
    assert document["about"]["sentences"] == len(WORDS)
    margins = [row["margin"] for row in document["rows"]]
    assert margins == sorted(margins, reverse=True)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "html", "png", "svg"])
def test_each_file_is_written(run: Run, treebank: Path, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"r.{suffix}"
    assert run("relations", treebank, "--least", "1", "-o", file).out == f"wrote {file}\n"
    assert file.stat().st_size > 500


def test_folders_packed_files_and_standard_input_are_read(run: Run, treebank: Path) -> None:
    import gzip

    treebank.with_name("notes.txt").write_text("no treebank")
    packed = treebank.with_name("b.conllu.gz")
    packed.write_bytes(gzip.compress(TREEBANK.encode()))
    given = ("relations", "--least", "1", "--json")
    one, gz = (json.loads(run(*given, path).out)["rows"] for path in (treebank, packed))
    piped = json.loads(run(*given, "-", stdin=TREEBANK.encode()).out)["rows"]
    assert one == gz == piped
    both = json.loads(run(*given, treebank.parent).out)
    assert both["about"]["sentences"] == 2 * len(WORDS)


def test_broken_sentences_are_named_and_the_rest_goes_on(run: Run, treebank: Path) -> None:
    treebank.write_text(f"{TREEBANK}1\tbank\t_\n\n{sentence(WORDS[0], '# text = The river')}\n", "utf-8")
    result = run("relations", treebank, "--least", "1", "--top", "all")
    assert result.code == ExitCode.SOME_FAILED
    assert "1 of 8 sentences can't be read as trees" in result.said
    assert f"{treebank}:52: no CoNLL-U: '1\\tbank\\t_' has 3 columns" in result.err.replace("\n", "")
    assert "Left out, since their words do not spell their # text: 1 of 8 sentences" in " ".join(result.out.split())


def test_a_table_of_pairs_is_a_treebank_too(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    rows = ["The bank had the loan.,bank,had,agreement", "It had loans.,It,had,agreement", "It had it.,it,had,x"]
    file.write_text("\n".join(["text,from,to,relation", *rows]))
    result = run("relations", file, "--least", "1")
    assert result.code == ExitCode.SOME_FAILED
    assert f"{file}:4: 'it' occurs 2 times" in result.err.replace("\n", "")
    assert "agreement" in result.out


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (("{0}", "--relation", "nsub"), ExitCode.USAGE, "no relation 'nsub' Did you mean nsubj?"),
        (("{0}", "--top", "x"), ExitCode.USAGE, "--top is 'x'"),
        (("{0}x",), ExitCode.USAGE, "there is no file or folder"),
        (("{1}",), ExitCode.INPUT, "there is no tree to ask"),
        (("-",), ExitCode.INPUT, "there is no tree to ask (there are no sentences)"),
    ],
)
def test_bad_input_says_what_to_do(
    run: Run, treebank: Path, given: tuple[str, ...], code: ExitCode, message: str
) -> None:
    text = treebank.with_name("plain.txt")
    text.write_text("The bank approved the loan.\nIt rained.\n")
    result = run("relations", *(each.format(treebank, text) for each in given))
    assert result.code == code
    assert message in result.said
    assert "Traceback" not in result.err

"""A corpus is run: its tables hold what the definitions say of each document, whatever it was run with."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from attnviz.analysis.corpus import alone
from attnviz.analysis.corpus.alone import measure_alone
from attnviz.attention import block_sizes as sizes
from attnviz.attention.kernel import Tile
from attnviz.batch.engine import run as runs
from attnviz.batch.engine import work
from attnviz.batch.engine.job import run_job
from attnviz.batch.engine.run import prefetch
from attnviz.batch.engine.work import Worker, WorkOptions
from attnviz.encoding import encode, slide_windows
from attnviz.errors import SomeFailed, UnsupportedModel
from attnviz.interface import load
from attnviz.record import Request
from tests import tiny
from tests.batch.jobs import (
    LONG,
    SENTENCES,
    Seen,
    assert_rows,
    by_definition,
    facts,
    job,
    lines,
    rows,
    table,
    without_picture,
)

TEXTS = [*SENTENCES[:3], LONG, *SENTENCES[3:]]


@pytest.fixture(autouse=True)
def _without_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    without_picture(monkeypatch)


@pytest.mark.parametrize("name", ["tiny_bert", "tiny_llama", "tiny_hosted", "tiny_t5"])
def test_the_rows_of_each_document_are_those_of_its_weights(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    asked = Request(links=4)
    out, seen = tmp_path / "out", Seen()
    run_job(job(lines(tmp_path / "a.txt", SENTENCES), out, folder, how=WorkOptions(asked), chunk=4), seen)
    model = load(folder)
    documents = table(out, "documents").to_pylist()
    assert len(documents) == len(SENTENCES)
    for number, (text, row) in enumerate(zip(SENTENCES, documents, strict=True)):
        encoding = model.encode(text)
        assert_rows(out, number, encoding, by_definition(model, encoding, asked))
        assert (row["document"], row["line"], row["status"], row["windows"]) == (number, number + 1, "ok", 1)
        assert (row["tokens"], row["characters"]) == (len(encoding), len(text))
    assert (seen.documents, seen.tokens, seen.failures) == (6, sum(row["tokens"] for row in documents), 0)
    assert seen.bytes == tmp_path.joinpath("a.txt").stat().st_size


def test_a_document_that_is_longer_than_the_model_is_read_in_windows(tiny_bert: Path, tmp_path: Path) -> None:
    out, asked = tmp_path / "out", Request(links=5)
    run_job(job(lines(tmp_path / "a.txt", TEXTS), out, tiny_bert, how=WorkOptions(asked, stride=10)), Seen())
    model = load(tiny_bert)
    encoding = encode(model.checkpoint.tokenizer, LONG)
    windows = slide_windows(model.checkpoint.tokenizer, encoding, limit=64, causal=False, stride=10)
    assert table(out, "documents")["windows"].to_pylist() == [1, 1, 1, len(windows), 1, 1, 1]
    assert len(windows) > 4
    assert_rows(out, 3, encoding, measure_alone(model.backend, encoding, asked, windows))
    assert_rows(out, 4, model.encode(TEXTS[4]), by_definition(model, model.encode(TEXTS[4]), asked))


def test_a_model_without_a_limit_reads_it_whole(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "TILE", 4 * 30**2)  # so that it is not run with others
    run_job(job(lines(tmp_path / "a.txt", TEXTS), tmp_path / "out", tiny_llama), Seen())
    model = load(tiny_llama)
    for number in (3, 4):
        encoding = model.encode(TEXTS[number])
        assert_rows(tmp_path / "out", number, encoding, by_definition(model, encoding, Request()))
    assert table(tmp_path / "out", "documents")["windows"].to_pylist() == [1] * 7


def test_how_a_corpus_is_cut_changes_no_row(tiny_bert: Path, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.txt", TEXTS)
    found = []
    for chunk in (1, 2, 100):
        seen = Seen()
        run_job(job(path, tmp_path / str(chunk), tiny_bert, chunk=chunk), seen)
        assert seen.documents == len(TEXTS)
        found.append(rows(tmp_path / str(chunk)))
    for other in found[1:]:
        assert (
            other["documents"]
            .select(["document", "id", "tokens"])
            .equals(found[0]["documents"].select(["document", "id", "tokens"]))
        )
        for name in ("heads", "links"):
            assert other[name].num_rows == found[0][name].num_rows
            for column in other[name].column_names:
                mine, theirs = other[name][column], found[0][name][column]
                if column in ("document", "layer", "head", "query", "key", "query_position", "key_position"):
                    assert mine.equals(theirs), column
                else:
                    ours = np.array(mine.to_pylist(), float)
                    np.testing.assert_allclose(ours, np.array(theirs.to_pylist(), float), rtol=1e-4, atol=1e-6)


def broken(folder: Path, tiny_bert: Path, token: str) -> Path:
    """The random BERT, of which one ``token`` has no number."""
    shutil.copytree(tiny_bert, folder)
    state = load_file(folder / "model.safetensors")
    state["embeddings.word_embeddings.weight"][tiny.VOCABULARY.index(token)] = torch.nan
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_a_document_of_which_the_model_makes_nan_fails_alone(tiny_bert: Path, tmp_path: Path) -> None:
    model = broken(tmp_path / "broken", tiny_bert, "river")
    texts = [*SENTENCES, LONG]
    out, seen = tmp_path / "out", Seen()
    done = run_job(job(lines(tmp_path / "a.txt", texts), out, model, check="all"), seen)
    documents = table(out, "documents").to_pylist()
    assert [row["document"] for row in documents if row["status"] == "failed"] == [1, 6]
    assert all("NaN" in row["reason"] and row["tokens"] for row in documents if row["status"] == "failed")
    assert set(table(out, "heads")["document"].to_pylist()) == {0, 2, 3, 4, 5}
    assert (done.corpus.counts.failed, seen.failures, facts(out)["facts"]["failed"]) == (2, 2, 2)
    assert done.checked.passed
    assert_rows(
        out, 5, load(model).encode(texts[5]), by_definition(load(tiny_bert), load(model).encode(texts[5]), Request())
    )


def test_strict_ends_at_the_first_and_keeps_what_was_whole(tiny_bert: Path, tmp_path: Path) -> None:
    path, out = lines(tmp_path / "a.txt", [*SENTENCES[:4], LONG, *SENTENCES]), tmp_path / "out"
    strict = job(path, out, tiny_bert, how=WorkOptions(windows=False), strict=True, chunk=2)
    with pytest.raises(SomeFailed, match=r"a\.txt:5: the text has \d+ tokens, the model takes 64") as ended:
        run_job(strict, Seen())
    assert "`strict`" in ended.value.hint
    assert sorted(path.name for path in out.glob("*.parquet/*")) == [
        name for name in ("part-00000000.parquet", "part-00000001.parquet") for _ in range(3)
    ]
    assert facts(out)["complete"] is False
    done = run_job(replace(strict, strict=False), Seen())
    assert (done.corpus.counts.documents, done.corpus.counts.failed) == (11, 1)


def test_a_text_for_which_torch_has_no_room_fails_alone(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("no memory is left on the device")

    monkeypatch.setattr(work, "measure_alone", full)
    out = tmp_path / "out"
    run_job(job(lines(tmp_path / "a.txt", TEXTS), out, tiny_bert), Seen())
    reasons = table(out, "documents")["reason"].to_pylist()
    assert reasons.pop(3) == "the model can't run this text (no memory is left on the device)"
    assert reasons == [None] * 6


def test_parts_are_measured_once(tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out = lines(tmp_path / "a.txt", SENTENCES), tmp_path / "out"
    run_job(job(path, out, tiny_bert, chunk=2), Seen())
    out.joinpath("links.parquet/part-00000001.parquet").unlink()
    measured = []
    monkeypatch.setattr(
        runs.Bench, "measure", lambda self, chunk, *given: measured.append(chunk.number) or measure(self, chunk, *given)
    )
    seen = Seen()
    run_job(job(path, out, tiny_bert, chunk=2), seen)
    assert measured == [1]
    assert seen.documents == 6


measure = runs.Bench.measure


def test_a_model_of_uneven_layers_is_refused_before_a_folder_is_made(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone._Heads, "tile", lambda self, tile: self.heads.update({tile.layer: uneven(tile)}))
    with pytest.raises(UnsupportedModel, match="its layers have 4, 5 heads"):
        run_job(job(lines(tmp_path / "a.txt", SENTENCES), tmp_path / "out", tiny_bert), Seen())
    assert not tmp_path.joinpath("out").exists()


def uneven(tile: Tile) -> int:
    return tile.shape[0] + (tile.layer == 2)


def test_the_heads_are_known(tiny_t5: Path) -> None:
    assert Worker(load(tiny_t5), WorkOptions()).heads == {0: 4, 1: 4, 2: 4}


def test_what_goes_wrong_while_reading_ahead_is_raised() -> None:
    def items() -> object:
        yield 1
        yield 2
        raise KeyError("three")

    found = []
    with pytest.raises(KeyError):
        found.extend(prefetch(items()))  # type: ignore[arg-type]
    assert found == [1, 2]
    assert [*prefetch(iter([1, 2]))] == [1, 2]

"""The same work on a Ray cluster: the same rows, whichever worker is lost, and errors as they are without it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attnviz.batch.engine import finish
from attnviz.batch.engine.cluster import Cluster, joined
from attnviz.batch.engine.job import run_job
from attnviz.errors import UsageError
from tests.batch.jobs import LONG, SENTENCES, Seen, facts, job, lines, rows, without_picture

CORPUS = [f"{SENTENCES[i % 6]} {i}" for i in range(40)]
CORPUS[7], CORPUS[19] = LONG, "\0"
"""The second of these fails."""
GROUP = 4
"""So many parts are summed up at once, on the cluster by one worker."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def corpus(home: Path) -> Path:
    return lines(home / "a.txt", CORPUS)


@pytest.fixture(scope="module")
def local(home: Path, corpus: Path, tiny_bert: Path) -> Path:
    """What this machine makes of the corpus without Ray."""
    with pytest.MonkeyPatch.context() as patch:
        without_picture(patch)
        patch.setattr(finish, "GROUP", GROUP)
        run_job(job(corpus, home / "local", tiny_bert, chunk=3), Seen())
    return home / "local"


@pytest.fixture(scope="module")
def found(home: Path, corpus: Path, local: Path, tiny_bert: Path) -> Any:
    """What all cases have found on one cluster; nothing else is said meanwhile, by Ray or anyone."""
    pytest.importorskip("ray.data")
    shutil.copytree(local, home / "stopped")
    for number in (0, 5):
        home.joinpath("stopped", "documents.parquet", f"part-{number:08}.parquet").unlink()
    command = [sys.executable, "-m", "tests.batch.on_cluster", *map(str, (corpus, tiny_bert, home, GROUP))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.ray
def test_two_workers_one_of_which_is_killed_make_the_same_rows(
    found: Any, home: Path, local: Path, corpus: Path
) -> None:
    out, read = home / "killed", corpus.stat().st_size
    assert found["killed"] == [[40, facts(local)["facts"]["tokens"], 1, 40, read], True, 3]
    assert rows(out) == rows(local)
    assert out.joinpath("summary.parquet").read_bytes() == local.joinpath("summary.parquet").read_bytes()
    assert summary(out) == summary(local)
    assert sorted(path.name for path in out.rglob("*")) == sorted(path.name for path in local.rglob("*"))
    for name in ("parts", "documents", "failed", "tokens", "links"):
        assert facts(out)["facts"][name] == facts(local)["facts"][name]


def summary(where: Path) -> Any:
    """All that summary.json says but how long it took."""
    said = json.loads(where.joinpath("summary.json").read_bytes())
    return {name: part for name, part in said.items() if name != "run"}


@pytest.mark.ray
def test_either_engine_goes_on_where_the_other_was_stopped(
    found: Any, home: Path, local: Path, corpus: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, expected = home / "stopped", rows(local)
    tokens = expected["documents"]["tokens"].to_pylist()
    assert found["resumed"] == [40, sum(tokens[:3]) + sum(tokens[15:18]), 1, 40, corpus.stat().st_size]
    assert rows(stopped) == expected
    written = {part.relative_to(local): part.stat().st_mtime_ns for part in local.glob("*.parquet/*.parquet")}
    again = {part.name for part, when in written.items() if (stopped / part).stat().st_mtime_ns != when}
    assert again == {f"part-{number:08}.parquet" for number in (0, 5)}

    stopped.joinpath("heads.parquet", "part-00000003.parquet").unlink()
    without_picture(monkeypatch)
    seen = Seen()
    run_job(job(corpus, stopped, tiny_bert, chunk=3), seen)
    assert (rows(stopped), seen.tokens) == (expected, sum(tokens[9:12]))


@pytest.mark.ray
@pytest.mark.parametrize(
    ("case", "kind", "message", "hint"),
    [
        ("deadly", "ModelError", "workers died 2 times over the same documents", "higher `cpus`"),
        ("broken", "ModelError", "a worker failed with the documents 0 to 0 (KeyError: 'no such thing', at ", "stays"),
        ("too_large", "UsageError", "a worker needs 10000 CPUs, but no machine of the cluster has that: 2 CPUs", "few"),
        ("without_gpu", "UsageError", "a worker needs 1 CPU and 1 GPU, but no machine of the cluster has", "`device`"),
        ("not_installed", "ModelError", "a worker of the cluster can't load what it is to do (No module named 'not_in",
         "needs attnviz, Python and the packages"),
        ("strict", "SomeFailed", "{corpus}:20: ", "Without `strict`"),
        ("empty", "InputError", "there are no documents in what is to be read", "empty?"),
    ],
)  # fmt: skip
def test_errors_come_out_as_they_are_and_without_traces(
    found: Any, corpus: Path, case: str, kind: str, message: str, hint: str
) -> None:
    assert found[case][0] == kind
    assert found[case][1].startswith(message.format(corpus=corpus))
    assert hint in found[case][2]


@pytest.mark.ray
def test_what_is_refused_leaves_run_json_as_it_was(found: Any) -> None:
    kind, message, _, same = found["refused"]
    assert (kind, same) == ("UsageError", True)
    assert "is of others" in message


@pytest.mark.ray
def test_each_of_several_is_done_by_some_worker(found: Any) -> None:
    assert found["each"] == [[10, 5, 2], ["InputError", "0 has no tenth", "Give others."]]


@pytest.mark.ray
def test_texts_are_not_read_far_ahead_nor_to_their_end(found: Any) -> None:
    assert found["closed"] == [[0, 1, 2], True]


def test_ray_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="needs Ray") as caught:
        joined(Cluster(), "cpu").__enter__()
    assert "pip install 'attnviz[ray]'" in caught.value.hint


def test_each_worker_has_a_gpu_of_its_own() -> None:
    with pytest.raises(UsageError, match="`device` is 'cuda:1', but on a cluster each"):
        joined(Cluster(), "cuda:1").__enter__()

"""The same work on a Ray cluster: the same rows, whichever worker is lost, and errors as they are without it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from attnviz.batch.chunk import Chunk
from attnviz.batch.cluster import Cluster, run
from attnviz.batch.job import run_job
from attnviz.batch.run import Bench
from attnviz.errors import UsageError
from tests.batch.jobs import LONG, SENTENCES, Seen, facts, job, lines, rows, without_picture

pytest.importorskip("ray")

CORPUS = [f"{SENTENCES[i % 6]} {i}" for i in range(40)]
CORPUS[7], CORPUS[19] = LONG, "\0"
"""The second of these fails."""

# Ray sets signals and warnings as it likes, and leaves threads behind: it has a process of its own.
HEAD = """
import os, sys, time
from contextlib import nullcontext
from pathlib import Path
from attnviz.batch import cluster, job as jobs
from attnviz.batch.chunk import Chunk
from attnviz.batch.cluster import Cluster
from attnviz.batch.connection import connected
from attnviz.batch.document import Document
from attnviz.batch.job import run_job
from attnviz.batch.parts import PartFacts
from attnviz.errors import AttnvizError
from attnviz.render import figure
from tests.batch.jobs import Seen, job
figure.draw_maps, figure.to_png = lambda *_: None, lambda _: b"no picture"
corpus, model, out = sys.argv[1:]
"""

# Both workers have begun before one does anything; then the first to come to its third part dies as it writes that.
KILLED = """
folder = Path(out).parent
begun, killed = folder / "begun", folder / "killed"
bench = jobs.bench

def dying(job, keeper):
    with begun.open("a") as file:
        file.write(f"{os.getpid()}\\n")
    while len(begun.read_text().split()) < 2:
        time.sleep(0.05)
    made, written = bench(job, keeper), []
    write = made.keeper.storage.write

    def writing(name, content):
        written.append(name)
        if name.startswith("documents") and len(written) > 6 and not killed.exists():
            killed.touch()
            Path(out, "documents.parquet", ".part-00000000.parquet.0123abcd.partial").touch()
            os.kill(os.getpid(), 9)
        write(name, content)

    made.keeper.storage.write = writing
    return made

jobs.bench = dying
seen = Seen()
run_job(job(corpus, out, model, chunk=3, cluster=Cluster(cpus=1)), seen)
print(seen.documents, seen.tokens, seen.failures)
print(killed.exists(), len(set(begun.read_text().split())))
"""

RESUMED = """
seen = Seen()
run_job(job(corpus, out, model, chunk=3, cluster=Cluster()), seen)
print(seen.documents, seen.tokens, seen.failures)
"""

ERRORS = """
def read(count=3):
    for number in range(count):
        with Path(out).open("a") as read_so_far:
            read_so_far.write(".")
        yield Chunk(number, (Document(number, "a.txt", None, "a"),))

class Fake:
    def do(self, chunk, told):
        if what == "deadly" and chunk.number == 1:
            os._exit(1)
        if what == "broken":
            raise KeyError("no such thing")
        told(1, 3)
        return PartFacts(chunk.number, "", 1, 0, 3, 0, 0.0, {}, {})

def told(found):
    try:
        print("parts", [part.number for part in found])
    except AttnvizError as error:
        print(type(error).__name__, error.message, error.hint, sep="|", flush=True)

def parts(to, read=read, device="cpu"):
    return cluster.run(read, lambda: Fake(), to, lambda *_: None, device=device)

def whole(corpus):
    run_job(job(corpus, out + "put", model, chunk=3, strict=True, overwrite=True, cluster=Cluster()), Seen())
    yield

told(parts(Cluster("127.0.0.1:1")))
told(parts(Cluster("ray://127.0.0.1:10001")))
told(parts(Cluster(), device="cuda:1"))
with connected(None) as ray:
    cluster.connected = lambda _: nullcontext(ray)
    cluster.RETRIES = 1
    for what in ("deadly", "broken"):
        told(parts(Cluster()))
    what = "fine"
    told(parts(Cluster(cpus=10_000)))
    told(parts(Cluster(), device="cuda") if "GPU" not in ray.cluster_resources() else [])
    told(whole(corpus))
    Path(corpus).write_text("")
    told(whole(corpus))
    found = parts(Cluster(), lambda: read(10_000))
    print([next(found).number for _ in range(3)], 0 < Path(out).stat().st_size < 1000)
    found.close()
"""


def ran(script: str, *arguments: object) -> list[str]:
    """What a script prints; nothing else is said, by Ray or anyone."""
    command = [sys.executable, "-c", HEAD + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return lines(tmp_path / "a.txt", CORPUS)


@pytest.fixture
def local(corpus: Path, tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What this machine makes of the corpus without Ray."""
    without_picture(monkeypatch)
    run_job(job(corpus, tmp_path / "local", tiny_bert, chunk=3), Seen())
    return tmp_path / "local"


def test_two_workers_one_of_which_is_killed_make_the_same_rows(
    local: Path, corpus: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    said = ran(KILLED, corpus, tiny_bert, out)
    assert said == [f"40 {facts(local)['facts']['tokens']} 1", "True 3"]
    assert rows(out) == rows(local)
    assert sorted(path.name for path in out.rglob("*")) == sorted(path.name for path in local.rglob("*"))
    for name in ("parts", "documents", "failed", "tokens", "links"):
        assert facts(out)["facts"][name] == facts(local)["facts"][name]


def test_either_engine_goes_on_where_the_other_was_stopped(local: Path, corpus: Path, tiny_bert: Path) -> None:
    expected, parts = rows(local), sorted(local.glob("*.parquet/*.parquet"))
    written = {part: part.stat().st_mtime_ns for part in parts}
    tokens = rows(local)["documents"]["tokens"].to_pylist()
    gone = [local / "documents.parquet" / f"part-{number:08}.parquet" for number in (0, 5)]
    for part in gone:
        part.unlink()
    assert ran(RESUMED, corpus, tiny_bert, local) == [f"40 {sum(tokens[:3]) + sum(tokens[15:18])} 1"]
    assert rows(local) == expected
    again = {part for part in parts if part.stat().st_mtime_ns != written[part]}
    assert {part.name for part in again} == {part.name for part in gone}

    local.joinpath("heads.parquet", "part-00000003.parquet").unlink()
    seen = Seen()
    run_job(job(corpus, local, tiny_bert, chunk=3), seen)
    assert (rows(local), seen.tokens) == (expected, sum(tokens[9:12]))


def test_errors_come_out_as_they_are_and_without_traces(corpus: Path, tiny_bert: Path, tmp_path: Path) -> None:
    said = ran(ERRORS, corpus, tiny_bert, tmp_path / "out")
    kinds = [line.split("|")[0] for line in said]
    expected = [
        ("UsageError", "no Ray cluster answers at 127.0.0.1:1 (Connection refused)"),
        ("UsageError", "the address is ray://127.0.0.1:10001, but"),
        ("UsageError", "--device is cuda:1, but on a cluster each worker has a GPU of its own"),
        ("ModelError", "workers died 2 times over the same documents"),
        ("ModelError", "a worker failed with the documents 0 to 0 (KeyError: 'no such thing', at <string>:"),
        ("UsageError", "a worker needs 10000 CPUs, but no machine of the cluster has that: "),
        ("UsageError", "a worker needs 1 CPU and 1 GPU, but no machine of the cluster has that: "),
        ("SomeFailed", f"{corpus}:20: "),
        ("InputError", "there are no documents in what is to be read"),
        ("[0, 1, 2] True", ""),
    ]
    assert kinds == [kind for kind, _ in expected]
    for line, (kind, message) in zip(said, expected, strict=True):
        assert line.startswith(f"{kind}|{message}" if message else kind)
        assert not message or line.split("|")[2]  # what to do next


def test_ray_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> Iterator[Chunk]:
        yield from ()

    def none() -> Bench:
        raise AssertionError

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="needs Ray") as caught:
        next(run(nothing, none, Cluster(), lambda *_: None, device="cpu"))
    assert "pip install 'attnviz[ray]'" in caught.value.hint

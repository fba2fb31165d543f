"""All that the tests ask of Ray, in one process and on one cluster of two CPUs, since to start these takes longest.

Ray sets signals and warnings as it likes, and leaves threads behind, so that it has a process of its own. That prints
as JSON, for each of ``CASES`` by its name, what it has found.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import ray

from attnviz.batch.document import Document
from attnviz.batch.engine import cluster, finish
from attnviz.batch.engine import job as jobs
from attnviz.batch.engine.chunk import Chunk
from attnviz.batch.engine.cluster import Cluster
from attnviz.batch.engine.connection import connected
from attnviz.batch.engine.job import Job, run_job
from attnviz.batch.engine.run import Bench
from attnviz.batch.output.parts import PartFacts, PartFiles
from attnviz.errors import AttnvizError, InputError
from attnviz.render import figure
from tests.batch.jobs import Seen, job


@dataclass(frozen=True)
class Given:
    """What is read and run, and where there is room: also for the folder ``stopped``, of which some parts are gone."""

    corpus: Path
    model: Path
    home: Path

    def job(self, name: str, **more: Any) -> Job:
        return replace(job(self.corpus, self.home / name, self.model, chunk=3, cluster=Cluster(cpus=2)), **more)


def _seen(work: Job) -> list[int]:
    seen = Seen()
    run_job(work, seen)
    return [seen.documents, seen.tokens, seen.failures, seen.known, seen.bytes]


def killed(given: Given) -> Any:
    """Both workers have begun before one does anything; the first to come to its third part dies as it writes that."""
    begun, dead = given.home / "begun", given.home / "dead"
    bench = jobs.make_bench

    def dying(work: Job, keeper: PartFiles, **more: Any) -> Bench:
        with begun.open("a") as file:
            file.write(f"{os.getpid()}\n")
        while len(begun.read_text().split()) < 2:
            time.sleep(0.05)
        made, written = bench(work, keeper, **more), list[str]()
        write = keeper.storage.write

        def writing(name: str, content: bytes | memoryview) -> None:
            written.append(name)
            if name.startswith("documents") and len(written) > 6 and not dead.exists():
                dead.touch()
                Path(work.output, "documents.parquet", ".part-00000000.parquet.0123abcd.partial").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            write(name, content)

        keeper.storage.write = writing
        return made

    jobs.make_bench = dying
    try:
        counted = _seen(given.job("killed", cluster=Cluster(cpus=1)))
    finally:
        jobs.make_bench = bench
    return [counted, dead.exists(), len(set(begun.read_text().split()))]


def resumed(given: Given) -> Any:
    """What another engine has left is gone on with."""
    return _seen(given.job("stopped"))


def _read(so_far: Path, count: int, _: Callable[[int], None]) -> Iterator[Chunk]:
    for number in range(count):
        with so_far.open("a") as file:
            file.write(".")
        yield Chunk(number, (Document(number, "a.txt", None, "a"),))


class _Fake:
    """A bench that does nothing, or goes wrong as it is told."""

    def __init__(self, wrong: str = "") -> None:
        self._wrong = wrong

    def do(self, chunk: Chunk, on_progress: Callable[[int, int], None]) -> PartFacts:
        if self._wrong == "deadly" and chunk.number == 1:
            os._exit(1)
        if self._wrong == "broken":
            raise KeyError("no such thing")
        on_progress(1, 3)
        return PartFacts(chunk.number, "", 1, 0, 3, 0, 0, 0.0, {}, {})


class _Elsewhere:
    """Can't be loaded by a worker."""

    def __reduce__(self) -> Any:
        return importlib.import_module, ("not_installed_there",)


def _tenth(numbers: list[int]) -> int:
    if 0 in numbers:
        raise InputError("0 has no tenth", hint="Give others.")
    time.sleep(0.5 / numbers[0])
    return 10 // numbers[0]


def each(_: Given) -> Any:
    """What comes of each comes in their order, though the later ones are done sooner; an error is as it was."""
    with cluster.joined(Cluster(cpus=2), "cpu") as found:
        return [list(found.each(_tenth, [[1], [2], [5]])), _said(found.each(_tenth, [[0], [1]]))]


def _said(found: Iterable[Any]) -> Any:
    """The error that comes out: its kind, what was wrong, and what to do next."""
    try:
        return [type(each).__name__ for each in found]
    except AttnvizError as error:
        return [type(error).__name__, error.message, error.hint]


def _parts(given: Given, to: Cluster, wrong: str = "", count: int = 3, device: str = "cpu") -> Iterator[PartFacts]:
    read = partial(_read, given.home / "read", count)
    with cluster.joined(to, device) as found:
        yield from found.run(read, lambda: _Fake(wrong), Seen())


def deadly(given: Given) -> Any:
    return _said(_parts(given, Cluster(cpus=2), "deadly"))


def broken(given: Given) -> Any:
    return _said(_parts(given, Cluster(cpus=2), "broken"))


def too_large(given: Given) -> Any:
    return _said(_parts(given, Cluster(cpus=10_000)))


def without_gpu(given: Given) -> Any:
    return _said(_parts(given, Cluster(), device="cuda"))


def not_installed(_: Given) -> Any:
    with cluster.joined(Cluster(cpus=2), "cpu") as found:
        return _said(found.run(lambda _: [], _Elsewhere(), Seen()))


def strict(given: Given) -> Any:
    return _said(run_job(work, Seen()) for work in [given.job("strict", strict=True)])


def empty(given: Given) -> Any:
    """What is to be replaced stays: the next case goes on with it."""
    nothing = given.home / "empty.txt"
    nothing.write_text("")
    return _said(run_job(work, Seen()) for work in [given.job("stopped", inputs=(str(nothing),), overwrite=True)])


def refused(given: Given) -> Any:
    """A run that has not come to its end keeps its run.json where the texts are others."""
    shutil.copytree(given.home / "local", given.home / "refused")
    about = given.home / "refused" / "run.json"
    about.write_text(about.read_text().replace('"complete": true', '"complete": false'))
    before, other = about.read_bytes(), given.home / "other.txt"
    other.write_text("others\n" * 40)
    said = _said(run_job(work, Seen()) for work in [given.job("refused", inputs=(str(other),))])
    return [*said, about.read_bytes() == before]


def closed(given: Given) -> Any:
    """Who does not want the rest of many chunks need not wait for them."""
    so_far = given.home / "read"
    so_far.unlink(missing_ok=True)
    found = _parts(given, Cluster(cpus=2), count=10_000)
    first = [next(found).number for _ in range(3)]
    read = so_far.stat().st_size
    found.close()
    return [first, 0 < read < 1000]


CASES = (killed, empty, refused, resumed, strict, broken, each, not_installed, too_large, without_gpu, closed, deadly)
"""The last of them leaves a worker behind that Ray starts anew for a while: one more would wait for its CPUs."""


def main(corpus: str, model: str, home: str, group: str) -> None:
    given = Given(Path(corpus), Path(model), Path(home))
    finish.GROUP = int(group)
    figure.draw_maps, figure.to_png = lambda *_: None, lambda _: b"no picture"
    ray.init = partial(ray.init, num_cpus=2)
    cluster.RETRIES = 1
    found = {}
    with connected(None):
        cluster.connected = lambda _: nullcontext(ray)
        for case in CASES:
            found[case.__name__] = case(given)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A job: a corpus, a model and a folder, from the first text to the last page."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, BinaryIO, Protocol

from attnviz.analysis.corpus import Corpus
from attnviz.batch import cluster
from attnviz.batch.checking import Checked, Checker, Mode, together
from attnviz.batch.chunk import Chunk, chunks
from attnviz.batch.cluster import Cluster
from attnviz.batch.finish import finish
from attnviz.batch.folder import Folder, opened
from attnviz.batch.manifest import Identity, versions
from attnviz.batch.parts import PartFacts, PartFiles
from attnviz.batch.reading import Reading
from attnviz.batch.run import Bench, run
from attnviz.batch.source import STANDARD_INPUT, documents
from attnviz.batch.work import How, Worker
from attnviz.checkpoint.digest import digest, revision
from attnviz.errors import UsageError
from attnviz.interface import Model, load
from attnviz.render.about import About


class Watch(Protocol):
    """Who looks on while a job runs."""

    def began(self, folder: Folder) -> None:
        """The folder is open."""

    def read(self, count: int) -> None:
        """So many bytes more were read."""

    def worked(self, documents: int, tokens: int) -> None:
        """So many documents and tokens more are done."""

    def failed(self, documents: int) -> None:
        """So many documents more have failed."""


@dataclass(frozen=True)
class Job:
    """What is asked for.

    Args:
        inputs: files, folders, patterns, addresses; ``-`` is standard input.
        output: the folder of the results, or its address.
        model: the keyword arguments of ``load``.
        formats: those of the tables beside Parquet.
        check: which documents are compared with transformers.
        strict: the first document that fails ends the run.
        overwrite: begin anew where there is another run.
        cluster: the Ray cluster that runs it; None is this machine without Ray.
        command: the command line, as run.json remembers it.
    """

    inputs: tuple[str, ...]
    output: str
    model: Mapping[str, Any]
    reading: Reading = Reading()
    how: How = How()
    formats: tuple[str, ...] = ()
    check: Mode = "sample"
    strict: bool = False
    overwrite: bool = False
    cluster: Cluster | None = None
    command: str = ""

    def identity(self, model: Model) -> Identity:
        """What its rows depend on, beside the texts."""
        asked, checkpoint = self.how.asked, model.checkpoint
        options = {
            "top": asked.top,
            "special": asked.special,
            "all": asked.everything,
            "windows": self.how.windows,
            "stride": self.how.stride,
            "split": self.reading.split,
            "text_field": self.reading.field,
            "read_as": self.reading.format,
        }
        device = model.options.device or "cpu"
        dtype = str(model.options.dtype).removeprefix("torch.")
        return Identity(model.name, revision(checkpoint), digest(checkpoint), dtype, device, versions(), options)


@dataclass(frozen=True, eq=False)
class Done:
    """What came of a job; ``corpus`` is None where no document could be analysed."""

    where: str
    documents: int
    failed: int
    checked: Checked
    corpus: Corpus | None
    about: About


def run_job(job: Job, watch: Watch, stdin: BinaryIO | None = None) -> Done:
    """Do a job, or go on with it where it was stopped.

    Raises:
        UsageError: an input or a folder that can't be; a folder of another run; what can't be written.
        InputError: a folder without texts.
        ModelError: a model that can't be loaded.
        SomeFailed: the job is strict, and a document failed.
    """
    found = documents(job.inputs, job.reading, stdin=stdin, leave_out=job.output, meter=watch.read)
    if job.cluster and STANDARD_INPUT in job.inputs:
        raise UsageError(
            "a cluster does not read standard input: what a lost worker had could not be read again",
            hint="Save it in a file, and give that.",
        )
    model = load(**job.model)
    with opened(job.output, job.identity(model), formats=job.formats, overwrite=job.overwrite) as folder:
        watch.began(folder)
        start, before = time.monotonic(), float(folder.manifest.facts.get("seconds", 0))
        folder.note(inputs=list(job.inputs), command=job.command, check_mode=job.check)
        parts = list(_parts(job, model, folder.files, found, watch))
        folder.require_last(len(parts) - 1)
        checked = together(Checked(**part.check) for part in parts if part.check)
        facts = _counts(parts) | {"check": asdict(checked) | {"passed": checked.passed, "verdict": str(checked)}}
        seconds = before + time.monotonic() - start
        about = _about(job, model, folder, checked, seconds)
        corpus = finish(folder, model, about)
        ended = datetime.now(UTC).isoformat(timespec="seconds")
        folder.note(complete=True, seconds=round(seconds, 3), ended=ended, **facts)
        return Done(folder.where, facts["documents"], facts["failed"], checked, corpus, about)


def _parts(job: Job, model: Model, files: PartFiles, found: Iterable[Any], watch: Watch) -> Iterator[PartFacts]:
    """What there is of each chunk, by the engine that was asked for."""
    if job.cluster is None:
        done = run(bench(job, files, model), chunks(found), watch.worked)
    else:
        gpus = (model.options.device or "cpu").startswith("cuda")
        done = cluster.run(partial(read, job), partial(bench, job, files), job.cluster, watch.worked, gpus=gpus)
    for part in done:
        watch.failed(part.failed)
        yield part


def read(job: Job) -> Iterator[Chunk]:
    """The chunks of a job, which are the same whoever reads them."""
    return chunks(documents(job.inputs, job.reading, leave_out=job.output))


def bench(job: Job, files: PartFiles, model: Model | None = None) -> Bench:
    """What works on the chunks of a job; loads the model where it is not given."""
    worker = Worker(model or load(**job.model), job.how)
    return Bench(worker, Checker(worker, job.check), files, job.strict)


def _counts(parts: Sequence[PartFacts]) -> dict[str, int]:
    return {name: sum(getattr(part, name) for part in parts) for name in ("documents", "failed", "tokens", "links")}


def _about(job: Job, model: Model, folder: Folder, checked: Checked, seconds: float) -> About:
    identity = folder.manifest.identity
    options = {name: str(value) for name, value in identity.options.items() if value not in (None, False, ())}
    return About(
        model=model.name,
        way=model.way.path,
        dtype=identity.dtype,
        inputs=job.inputs,
        revision=identity.revision or "",
        device=identity.device,
        check=str(checked),
        passed=checked.passed,
        options=options,
        versions=identity.versions,
        started=str(folder.manifest.facts.get("started", "")),
        seconds=seconds,
    )

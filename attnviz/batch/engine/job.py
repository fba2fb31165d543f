"""A job: a corpus that is measured with a model, from its inputs to the output folder."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from typing import Any, BinaryIO

from attnviz.analysis.corpus.accumulation import Corpus
from attnviz.batch.document import Document
from attnviz.batch.engine import cluster
from attnviz.batch.engine.checking import Checked, Checker, Mode, merge_checks
from attnviz.batch.engine.chunk import SIZE, Chunk, chunks, read_chunks
from attnviz.batch.engine.cluster import Cluster, Joined
from attnviz.batch.engine.finish import finish
from attnviz.batch.engine.progress import JobProgress
from attnviz.batch.engine.quoting import Passing, Reread
from attnviz.batch.engine.run import Bench, PartStore, run_chunks
from attnviz.batch.engine.work import Worker, WorkOptions
from attnviz.batch.input.keeping import kept_columns
from attnviz.batch.input.options import ReadOptions
from attnviz.batch.input.source import STANDARD_INPUT, read_documents
from attnviz.batch.kept import KeptColumn
from attnviz.batch.output.columns import DOCUMENTS
from attnviz.batch.output.folder import RunFolder, open_folder
from attnviz.batch.output.manifest import Identity, versions
from attnviz.batch.output.parts import PartFacts
from attnviz.checkpoint.digest import digest, revision
from attnviz.errors import InputError, UsageError
from attnviz.interface import Model, load
from attnviz.render.about import About

FAR_AHEAD = 1 << 20
"""The parts that are claimed in run.json before a cluster begins, since its workers can't claim any."""
_NOTED = 10.0
"""Seconds between two notes of the progress in run.json, so that the time of a run that is killed is not lost."""


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Args:
        inputs: files, folders, patterns or addresses; ``-`` is standard input.
        output: the output folder, or its address.
        model: the keyword arguments of ``load``.
        formats: the formats of the tables beside Parquet.
        check: which documents are compared with transformers.
        strict: whether the first document that fails ends the run.
        overwrite: whether the results of another run are replaced.
        cluster: the Ray cluster that runs it; None for this machine without Ray.
        command: the command line that run.json notes.
        chunk: the most documents of a part.
    """

    inputs: tuple[str, ...]
    output: str
    model: Mapping[str, Any]
    reading: ReadOptions = field(default_factory=ReadOptions)
    how: WorkOptions = field(default_factory=WorkOptions)
    formats: tuple[str, ...] = ()
    check: Mode = "sample"
    strict: bool = False
    overwrite: bool = False
    cluster: Cluster | None = None
    command: str = ""
    chunk: int = SIZE

    def identity(self, model: Model) -> Identity:
        """All that the rows depend on, beside the texts."""
        request, checkpoint = self.how.request, model.checkpoint
        options: dict[str, Any] = {
            "top": request.links,
            "special": request.special,
            "all": request.everything,
            "language": request.language,
            "words": self.how.words and self.how.words.name,
            "windows": self.how.windows,
            "stride": self.how.stride,
            "split": self.reading.split,
            "text_field": self.reading.field,
            "read_as": self.reading.format,
            "keep": self.reading.keep or None,
            "target_field": self.reading.target,
            "chunk": None if self.chunk == SIZE else self.chunk,
        }
        if checkpoint.languages is not None:
            options["source_lang"] = checkpoint.languages.source
        device = model.options.device or "cpu"
        dtype = str(model.options.dtype).removeprefix("torch.")
        return Identity(model.name, revision(checkpoint), digest(checkpoint), dtype, device, versions(), options)


@dataclass(frozen=True, eq=False)
class JobResult:
    """The result of a job: its output folder, the verdict of the check, and the figures of the corpus."""

    where: str
    checked: Checked
    corpus: Corpus
    about: About


def run_job(job: Job, progress: JobProgress, stdin: BinaryIO | None = None) -> JobResult:
    """Run a job, or resume it where it was stopped.

    Raises:
        UsageError: an input does not exist; the output folder is of another run, or can't be written to.
        InputError: a folder has no texts, or there is no document at all.
        ModelError: the model can't be loaded.
        SomeFailed: a document failed in a strict job.
    """
    found = read_documents(job.inputs, job.reading, stdin=stdin, leave_out=job.output, meter=progress.read)
    if job.cluster and STANDARD_INPUT in job.inputs:
        raise UsageError(
            "a cluster does not read standard input: what a lost worker had could not be read again",
            hint="Save it in a file, and give that.",
        )
    passing = Passing()
    cut = chunks(_counted(passing.keep(found), progress), job.chunk)
    cut, columns = _keeping(cut, job)
    model = load(**job.model)
    worker = Worker(model, job.how)
    with open_folder(job.output, job.identity(model), formats=job.formats, overwrite=job.overwrite) as folder:
        progress.began(folder)
        with _joined(job, worker) as joined:
            with folder.unchanged_if_refused():
                total = _work(
                    job, _parts(job, worker, folder, cut, columns, progress, joined), folder, progress, joined
                )
            about = _about(job, model, folder, total)
            corpus = finish(folder, worker, about, joined.each if joined else map, _rereading(job, passing))
        ended = datetime.now(UTC).isoformat(timespec="seconds")
        folder.end(ended=ended, **total.facts)
        return JobResult(folder.where, total.checked, corpus, about)


def _rereading(job: Job, passing: Passing) -> Reread | None:
    """What reads the documents of a job again: those that are kept, or the inputs; None of what is gone."""
    if (kept := passing.all) is not None:
        return lambda: iter(kept)
    if STANDARD_INPUT in job.inputs:
        return None
    return lambda: read_documents(job.inputs, job.reading, leave_out=job.output)


@contextlib.contextmanager
def _joined(job: Job, worker: Worker) -> Iterator[Joined | None]:
    """The cluster that runs the job; None for this machine without Ray."""
    if job.cluster is None:
        yield None
        return
    with cluster.joined(job.cluster, worker.model.options.device or "cpu") as found:
        yield found


def _keeping(cut: Iterator[Chunk], job: Job) -> tuple[Iterator[Chunk], tuple[KeptColumn, ...]]:
    """The chunks of a job, and the columns that are kept, which the first chunk decides.

    Raises:
        InputError: there are no chunks, if that must be known before anything is written.
    """
    if not job.reading.keep and not job.cluster:
        return cut, ()
    if job.cluster:  # which reads by itself
        cut = read_chunks(job.inputs, job.reading, job.output, job.chunk, lambda _: None)
    first = [*islice(cut, 1)]
    if not first:
        raise _nothing()
    names = [column.name for column in DOCUMENTS.columns]
    kept = kept_columns(first[0].documents, job.reading, names) if job.reading.keep else ()
    return chain(first, cut), kept


def _nothing() -> InputError:
    return InputError("there are no documents in what is to be read", hint="Blank lines are none. Is it empty?")


def _work(
    job: Job, made: Iterable[PartFacts], folder: RunFolder, progress: JobProgress, joined: Joined | None
) -> JobTotals:
    """Make all parts that are not there yet, note the progress in run.json, and return the totals."""
    earlier, ended = folder.manifest.facts, folder.complete
    start = noted = time.monotonic()
    folder.expect(inputs=list(job.inputs), command=job.command, check_mode=job.check)
    if joined:
        folder.begin(FAR_AHEAD)  # its workers can't
    total, before = JobTotals(), float(earlier.get("seconds", 0))
    for part in made:
        progress.failed(part.failed)
        total.add(part)
        if part.check and part.check["failed"]:
            progress.differs(str(total.checked))
        total.seconds = round(before + time.monotonic() - start, 3)
        if time.monotonic() - noted > _NOTED:
            folder.progress(**total.facts)
            noted = time.monotonic()
    if job.cluster:
        folder.files.sweep()  # a worker may have been lost while it wrote
    folder.require_last(total.parts - 1)
    if not total.documents:
        raise _nothing()
    if ended and total.parts == earlier.get("parts"):  # all was there
        total.seconds = before
    return total


def _parts(
    job: Job,
    worker: Worker,
    folder: RunFolder,
    cut: Iterable[Chunk],
    columns: tuple[KeptColumn, ...],
    progress: JobProgress,
    joined: Joined | None,
) -> Iterator[PartFacts]:
    """Yield the facts of each part, from the engine that was asked for."""
    if joined is None:
        return run_chunks(make_bench(job, folder, worker, columns=columns), cut, progress.worked)
    reading = partial(read_chunks, job.inputs, job.reading, job.output, job.chunk)
    return joined.run(reading, partial(make_bench, job, folder.files, columns=columns), progress)


def _counted(found: Iterable[Document], progress: JobProgress) -> Iterator[Document]:
    for each in found:
        progress.found(1)
        yield each


@dataclass
class JobTotals:
    """The totals of all parts, and the ``seconds`` that the run took."""

    parts: int = 0
    documents: int = 0
    failed: int = 0
    tokens: int = 0
    links: int = 0
    seconds: float = 0.0
    checked: Checked = field(default_factory=Checked)

    def add(self, part: PartFacts) -> None:
        """Add the facts of a part."""
        self.parts += 1
        for name in ("documents", "failed", "tokens", "links"):
            setattr(self, name, getattr(self, name) + getattr(part, name))
        if part.check:
            self.checked = merge_checks([self.checked, Checked(**part.check)])

    @property
    def facts(self) -> dict[str, Any]:
        """The totals as run.json notes them."""
        counts = {name: value for name, value in vars(self).items() if name != "checked"}
        return counts | {"check": asdict(self.checked) | {"passed": self.checked.passed, "verdict": str(self.checked)}}


def make_bench(
    job: Job, keeper: PartStore, worker: Worker | None = None, *, columns: tuple[KeptColumn, ...] = ()
) -> Bench:
    """Make what processes the chunks of a job; the model is loaded if there is no ``worker``."""
    worker = worker or Worker(load(**job.model), job.how)
    return Bench(worker, Checker(worker, job.check), keeper, job.strict, columns)


def _about(job: Job, model: Model, folder: RunFolder, total: JobTotals) -> About:
    identity = folder.manifest.identity
    given = {
        name: value for name, value in identity.options.items() if value not in (None, (), []) and value is not False
    }
    options = {
        name: " ".join(value) if isinstance(value, list | tuple) else str(value) for name, value in given.items()
    }
    return About(
        model=model.name,
        backend=model.backend.name,
        dtype=identity.dtype,
        inputs=job.inputs,
        revision=identity.revision or "",
        device=identity.device,
        check=str(total.checked),
        passed=total.checked.passed,
        options=options,
        versions=identity.versions,
        started=str(folder.manifest.facts.get("started", "")),
        seconds=total.seconds,
    )

"""The end of a run: its tables are read once and summed up, and the summary is written beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeAlias

from attnviz.analysis.corpus.accumulation import Collector, Corpus
from attnviz.analysis.corpus.induction import induction
from attnviz.batch.engine.quoting import Reread, quotations
from attnviz.batch.engine.run import release_memory
from attnviz.batch.engine.work import Worker
from attnviz.batch.output.folder import RunFolder
from attnviz.batch.output.parts import PartFiles
from attnviz.batch.output.summary import add_part, summary_files
from attnviz.render.about import About

GROUP = 256
"""The parts of a group. Groups are summed up one by one and then merged, so that the sums of a corpus are rounded the
same on one machine and on a cluster."""

Numbers: TypeAlias = Sequence[int]
Each: TypeAlias = Callable[[Callable[[Numbers], Collector], Sequence[Numbers]], Iterable[Collector]]
"""Calls a function on each group of parts, and returns the results in order, as ``map`` does."""


def finish(folder: RunFolder, worker: Worker, about: About, each: Each = map, reread: Reread | None = None) -> Corpus:
    """Sum up the parts of a run, and write its summary, picture and page if anything was measured.

    Args:
        folder: the output folder.
        worker: what measured the documents.
        about: the facts of the run.
        each: calls a function on each group of parts.
        reread: reads the documents again, some of which the page quotes; None if that is impossible.

    Raises:
        UsageError: a part is damaged, or the files can't be written.
        UnsupportedModel: the layers have different numbers of heads.
    """
    pronouns = worker.how.request.everything
    group = _Group(folder.files, tuple(worker.heads), max(worker.heads.values()), pronouns)
    corpus = _summed(folder.files.numbers(), group, each).corpus()
    if not corpus.counts.measured:
        return corpus
    backend, tokenizer = worker.model.backend, worker.model.checkpoint.tokenizer
    if not worker.how.pairs:
        corpus = replace(corpus, induction=induction(backend, tokenizer))
    for name, content in summary_files(corpus, about, quotations(corpus, reread)).items():
        folder.put(name, content)
    return corpus


def _summed(numbers: Numbers, group: _Group, each: Each) -> Collector:
    """The sums of all parts, of which there is at least one."""
    groups = [[*some] for _, some in groupby(numbers, lambda number: number // GROUP)]
    found: Iterator[Collector] = iter((each if len(groups) > 1 else map)(group, groups))
    first = next(found)  # what is added to nothing would be rounded
    for other in found:
        first.merge(other)
    return first


@dataclass(frozen=True)
class _Group:
    """Sums up a group of parts, in this process or another."""

    files: PartFiles
    layers: tuple[int, ...]
    heads: int
    pronouns: bool

    def __call__(self, numbers: Numbers) -> Collector:
        collector = Collector(self.layers, self.heads, pronouns=self.pronouns)
        for number in numbers:
            part = self.files.read(number)
            add_part(collector, part.documents, part.heads, part.links)
            release_memory()
        return collector

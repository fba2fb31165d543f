"""The end of a run: its tables are read once, and what they have in common is written beside them."""

from __future__ import annotations

from dataclasses import replace

from attnviz.analysis.corpus import Collector, Corpus
from attnviz.analysis.induction import induction
from attnviz.batch.folder import Folder
from attnviz.batch.run import give_back
from attnviz.batch.summary import add_part, summary_files
from attnviz.batch.work import Worker
from attnviz.render.about import About


def finish(folder: Folder, worker: Worker, about: About) -> Corpus:
    """Collect the parts of a run, and write its summary, picture and page where anything was measured.

    Raises:
        UsageError: a part is damaged, or the files can't be written.
        UnsupportedModel: the layers have different numbers of heads.
    """
    collector = Collector(tuple(worker.heads), max(worker.heads.values()))
    for part in folder.parts():
        add_part(collector, part.documents, part.heads, part.links)
        give_back()
    way, tokenizer = worker.model.way, worker.model.checkpoint.tokenizer
    corpus = collector.corpus()
    if not corpus.counts.measured:
        return corpus
    corpus = replace(corpus, induction=induction(way, tokenizer))
    for name, content in summary_files(corpus, about).items():
        folder.put(name, content)
    return corpus

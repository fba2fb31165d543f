"""Read the documents again whose sentences the report quotes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attnviz.analysis.corpus.accumulation import Corpus
from attnviz.analysis.corpus.quotes import Quotation, Quotations, links_of, quote
from attnviz.analysis.corpus.typical_links import Occurrence
from attnviz.batch.document import Document
from attnviz.errors import AttnvizError

MOST_READ = 50_000_000
"""So many characters are read at most; documents behind them are not quoted, since reading would take too long."""

Reread = Callable[[], Iterator[Document]]
"""Reads the documents of the corpus again, from the first."""


def quotations(corpus: Corpus, reread: Reread | None) -> Quotations:
    """Return the sentences of typical and longest links; none of inputs that can't be read again."""
    wanted = links_of([pair.strongest for pair in corpus.typical], corpus.longest)
    found: dict[Occurrence, Quotation] = {}
    if reread is None or not wanted:
        return {}
    read, last = 0, max(wanted)
    try:
        for document in reread():
            for link in wanted.get(document.number, ()):
                if text := quote(document.text, link):
                    found[link] = Quotation(text, document.where)
            read += document.size
            if document.number >= last or read > MOST_READ:
                break
    except AttnvizError:
        pass  # what was there is there no more: the report does without
    return found

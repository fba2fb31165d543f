"""Read the documents again whose sentences the report quotes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attnviz.analysis.corpus.accumulation import Corpus
from attnviz.analysis.corpus.quotes import Quotation, Quotations, links_of, quote
from attnviz.analysis.corpus.typical_links import Occurrence
from attnviz.batch.document import Document
from attnviz.errors import AttnvizError

MOST_READ = 50_000_000
"""So many characters are read at most; documents behind them are not quoted, since reading would take too long."""

MOST_KEPT = 8_000_000
"""So many characters of documents are kept as they pass by, so that a small corpus need not be read again."""

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


class Passing:
    """Keeps the documents that pass by, as long as they are few.

    Attributes:
        documents: those that passed; None if they were too many.
    """

    def __init__(self) -> None:
        self.documents: list[Document] | None = []
        self._room = MOST_KEPT
        self._ended = False

    def keep(self, documents: Iterable[Document]) -> Iterator[Document]:
        """Hand on the ``documents``."""
        for document in documents:
            self._room -= document.size
            if self._room < 0:
                self.documents = None
            elif self.documents is not None:
                self.documents.append(document)
            yield document
        self._ended = True

    @property
    def all(self) -> list[Document] | None:
        """All documents; None if they were too many, or did not pass here to the end."""
        return self.documents if self._ended else None

"""Documents and what was found of them, made up: their numbers say which they are, the same in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from attnviz.analysis.corpus.metrics import METRICS, Measured, WordLinks
from attnviz.batch.document import Document
from attnviz.batch.output.manifest import Identity
from attnviz.batch.output.result import DocumentResult
from attnviz.batch.output.tables import PartTables, build_tables
from attnviz.encoding import Encoding, Word

LAYERS, HEADS, TOP = (1, 3), 4, 2
TEXT = "The bank approved the loan"


def identity(**options: Any) -> Identity:
    return Identity("tiny", None, "d1", "float32", "cpu", {"torch": "2.6"}, {"top": TOP, **options})


def encoding(text: str = TEXT) -> Encoding:
    """[CLS], a token a word, [SEP]; the last word has two tokens."""
    words = text.split()
    tokens = ("[CLS]", *words, "##s", "[SEP]")
    n = len(tokens)
    spans = [*(Word(token, i, i + 1) for i, token in enumerate(tokens[:-3])), Word(words[-1], n - 3, n - 1)]
    return Encoding(
        text=text,
        pair=None,
        ids=tuple(sum(token.encode("utf-8", "replace")) for token in tokens),
        type_ids=(0,) * n,
        tokens=tokens,
        special=(True, *(False,) * (n - 2), True),
        words=(*spans, Word("[SEP]", n - 1, n)),
    )


def found(number: int, text: str = TEXT, **about: Any) -> DocumentResult:
    """A document with random figures and links."""
    rng, some = np.random.default_rng(number), len(LAYERS) * TOP
    figures = rng.random((len(LAYERS), HEADS, len(METRICS)))
    figures[..., [metric.kind == "position" for metric in METRICS]] *= -9
    encoded = encoding(text)
    links = WordLinks(
        np.repeat(np.arange(len(LAYERS), dtype=np.int16), TOP),
        rng.integers(0, HEADS, some).astype(np.int16),
        rng.integers(0, len(encoded.words), some).astype(np.int32),
        rng.integers(0, len(encoded.words), some).astype(np.int32),
        rng.random(some).astype(np.float32),
    )
    document = Document(number, **({"source": f"{number}.txt", "line": None, "text": text} | about))
    return DocumentResult(document, encoded, Measured(figures, links), windows=1, seconds=0.25)


def chunk(number: int, size: int = 3) -> tuple[str, PartTables]:
    """The texts' digest, and the tables, of a part; one document of each has failed."""
    first = number * size
    some = [
        *(found(first + i) for i in range(size - 1)),
        DocumentResult(Document(first + size - 1, "x", 7, "", "is empty")),
    ]
    return hashlib.sha256("".join(one.document.id for one in some).encode()).hexdigest(), build_tables(some, LAYERS)


def chunks(count: int) -> Iterator[tuple[int, str, PartTables]]:
    for number in range(count):
        yield number, *chunk(number)

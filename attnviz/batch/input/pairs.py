"""Pairs of texts: of one input that has both, or of two parallel files, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import BinaryIO

from attnviz.batch.document import Document
from attnviz.batch.input.options import ReadOptions
from attnviz.batch.input.source import read_documents
from attnviz.errors import InputError, UsageError, count_of


def read_pairs(
    inputs: Sequence[str],
    reading: ReadOptions,
    *,
    stdin: BinaryIO | None = None,
    meter: Callable[[int], None] | None = None,
) -> Iterator[Document]:
    """Read pairs of texts, each a document with its ``target``; one that can't be read keeps its place, with a reason.

    Args:
        inputs: one input, in whose fields or lines both texts stand; or two parallel ones, a text in each line.
        reading: how they are read; ``target`` names the field of the second text.
        stdin, meter: as for ``read_documents``.

    Raises:
        UsageError, InputError: as ``read_documents``; more than two inputs; parallel ones of different lengths.
    """
    if len(inputs) not in (1, 2) or len(set(inputs)) < len(inputs):
        raise UsageError(
            f"{len(inputs)} inputs of pairs are given, expected one that has both texts, or two parallel files",
            hint="Give --pairs FILE, or --pairs SOURCES --pairs TARGETS.",
        )
    if len(inputs) == 1:
        yield from read_documents(inputs, replace(reading, blank=True), stdin=stdin, meter=meter)
        return
    alone = replace(reading, split="line", target=None, blank=True)
    sides = [read_documents([name], alone, stdin=stdin, meter=meter) for name in inputs]
    counts = [0, 0]
    for source, target in zip_longest(*sides):
        counts = [count + (each is not None) for count, each in zip(counts, (source, target), strict=True)]
        if source is not None and target is not None:
            yield _joined(source, target)
    if counts[0] != counts[1]:
        raise InputError(
            f"{inputs[0]} has {count_of(counts[0], 'line')} and {inputs[1]} has {counts[1]:,}: line "
            f"{min(counts) + 1:,} has no counterpart",
            hint="Parallel files have a text in each line, line by line the same; blank lines count too.",
        )


def _joined(source: Document, target: Document) -> Document:
    """The pair of two lines."""
    if source.reason or target.reason:
        wrong = source if source.reason else target
        return replace(wrong, number=source.number)
    note = "; ".join(filter(None, (source.note, target.note)))
    return replace(source, target=target.text, note=note)

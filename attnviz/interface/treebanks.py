"""What a model's heads know of the trees of a treebank."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnviz.analysis.corpus.cost import PART
from attnviz.analysis.corpus.together import nobody
from attnviz.analysis.corpus.trees import Given, Tree, Treebank, paragraphs_of, read_trees
from attnviz.encoding import decoder_start
from attnviz.errors import AttnvizError, InputError, UsageError, few

if TYPE_CHECKING:
    from attnviz.analysis.corpus.relations import RelationCounts
    from attnviz.interface.opened import Opened
    from attnviz.interface.tables import Table

Sentences = str | os.PathLike[str] | Iterable[Any]
"""A file in CoNLL-U, its text, or its sentences: as text, or as ``conllu`` has them."""
_NAMED = 3
"""Of how many sentences that were left out the reason is said."""


def open_treebank(sentences: Treebank | Sentences) -> Treebank:
    """Read a treebank.

    Raises:
        InputError: the file can't be read, or there is no tree at all.
    """
    return sentences if isinstance(sentences, Treebank) else read_trees(_given(sentences))


def _given(sentences: Sentences) -> Iterator[Given]:
    if isinstance(sentences, str) and ("\n" in sentences or "\t" in sentences):
        yield from paragraphs_of(sentences, "line")
    elif isinstance(sentences, str | os.PathLike):
        path = Path(sentences)
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise InputError(f"{path} can't be read ({why})", hint="Give a file in CoNLL-U.") from None
        yield from paragraphs_of(text, str(path))
    else:
        for number, sentence in enumerate(sentences, 1):
            lines = sentence if isinstance(sentence, str) else sentence.serialize()
            yield Given(f"sentence {number}", lines.strip())


def find_relations(
    model: Opened,
    treebank: Treebank,
    *,
    relations: Sequence[str] = (),
    merge_subtypes: bool = False,
    least: int | None = None,
    on_progress: Callable[[int, int], None] = nobody,
    source: str = "",
) -> Table:
    """The table of ``Model.relations``; ``on_progress`` is told how many more sentences and tokens are done."""
    from attnviz.analysis.corpus.relations import LEAST, RelationCounts, name_of, relations_table, require_relations
    from attnviz.analysis.text.observing import is_causal
    from attnviz.interface.tables import Table

    known = (name_of(name, merge=merge_subtypes) for tree in treebank.trees for name in tree.known)
    require_relations(relations, known)
    if least is not None and least < 1:
        raise UsageError(f"`least` is {least}, expected 1 or more words")
    model.follow()
    backend, start = model.backend, decoder_start(model.checkpoint.tokenizer, 0)
    kind = backend.kinds[0]
    causal = is_causal(backend, start, None if kind == "self" else start, kind)
    counts = RelationCounts(causal=causal, merge_subtypes=merge_subtypes, least=LEAST if least is None else least)
    failed = list[str]()
    for first in range(0, len(treebank.trees), PART):
        failed += _count(model, counts, first, treebank.trees[first : first + PART], on_progress)
    if len(failed) == len(treebank.trees):
        raise InputError(f"none of the {len(failed):,} sentences can be read by the model ({failed[0]})")
    about = {"model": model.name, "treebank": source, "map": kind, "sentences": len(treebank.trees) - len(failed),
             "words": counts.words, "subtypes": "merged" if merge_subtypes else "kept"}  # fmt: skip
    return Table.of(relations_table(counts, about, _notes(treebank, failed, kind), tuple(dict.fromkeys(relations))))


def _count(
    model: Opened, counts: RelationCounts, first: int, trees: Sequence[Tree], on_progress: Callable[[int, int], None]
) -> Iterator[str]:
    """Count the sentences from number ``first`` on, and yield why some could not be run."""
    from attnviz.analysis.corpus.aligned_words import Aligned, align
    from attnviz.analysis.corpus.looks import find_peaks

    tokenizer = model.checkpoint.tokenizer
    aligned = align(tokenizer, trees)
    readable = [(number, each) for number, each in enumerate(aligned, first) if isinstance(each, Aligned)]
    yield from (each.message for each in aligned if isinstance(each, AttnvizError))
    on_progress(len(aligned) - len(readable), 0)
    encodings = [each.encoding for _, each in readable]
    found = find_peaks(model.backend, tokenizer, encodings, causal=counts.causal, on_progress=on_progress)
    for (number, each), peaks in zip(readable, found, strict=True):
        if isinstance(peaks, AttnvizError):
            yield peaks.message
        else:
            counts.add(number, each.pairs, peaks)


def _notes(treebank: Treebank, failed: Sequence[str], kind: str) -> list[str]:
    """What was left out, a sentence each."""
    notes = []
    if kind == "encoder":
        notes.append("These are the heads of the encoder.")
    for places, what in (
        (treebank.broken, "can't be read as trees"),
        (treebank.unaligned, "have words that do not spell their # text"),
        (failed, "can't be run"),
    ):
        if places:
            of = f"{len(places):,} of {treebank.sentences:,} sentences {what} and are left out"
            notes.append(f"{of}: {few(places, _NAMED)}.")
    return notes

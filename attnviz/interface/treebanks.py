"""What a model's heads know of the trees of a treebank."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnviz.analysis.corpus.cost import PART
from attnviz.analysis.corpus.together import nobody
from attnviz.analysis.corpus.treebank import Given, Treebank, paragraphs_of, read_trees
from attnviz.analysis.corpus.trees import Tree
from attnviz.errors import AttnvizError, InputError, UsageError, count_of, few

if TYPE_CHECKING:
    from attnviz.analysis.corpus.relations import RelationCounts
    from attnviz.attention.peaks import Peaks
    from attnviz.attention.texts import Bools
    from attnviz.encoding import Encoding
    from attnviz.interface.opened import Opened
    from attnviz.interface.tables import Table

Sentences = str | os.PathLike[str] | Iterable[Any]
"""A file in CoNLL-U, its text, or its sentences: as text, or as ``conllu`` has them; or pairs of words, as mappings."""
_PASSAGE = 512
"""The most tokens of a passage in which mentions are looked for."""
_PASSAGES = 64
"""How many passages are encoded at once."""
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
            where = f"sentence {number}"
            if isinstance(sentence, Mapping):
                yield Given(where, str(sentence.get("text") or ""), fields=sentence)
            else:
                yield Given(where, (sentence if isinstance(sentence, str) else sentence.serialize()).strip())


def find_relations(
    model: Opened,
    treebank: Treebank,
    *,
    relations: Sequence[str] = (),
    merge_subtypes: bool = False,
    least: int | None = None,
    all_heads: bool = False,
    on_progress: Callable[[int, int], None] = nobody,
    source: str = "",
) -> Table:
    """The table of ``Model.relations``; ``on_progress`` is told how many more sentences and tokens are done."""
    from attnviz.analysis.corpus.coreference import NAME
    from attnviz.analysis.corpus.relations import LEAST, RelationCounts, name_of, relations_table, require_relations
    from attnviz.analysis.text.observing import is_causal
    from attnviz.interface.tables import Table

    trees = treebank.trees
    known = {name_of(name, merge=merge_subtypes) for tree in trees for name in tree.known}
    require_relations(relations, known | ({NAME} if any(tree.mentions for tree in trees) else set()))
    if least is not None and least < 1:
        raise UsageError(f"`least` is {least}, expected 1 or more words")
    model.follow()
    kind = model.backend.kinds[0]
    causal = is_causal(model.backend, kind)
    counts = RelationCounts(causal=causal, merge_subtypes=merge_subtypes, least=LEAST if least is None else least)
    reading = _Reading(model, counts, on_progress)
    for first in range(0, len(trees), PART):
        reading.count_trees(first, trees[first : first + PART])
    failed = reading.failed
    if len(failed) == len(trees):
        raise InputError(f"none of the {len(failed):,} sentences can be read by the model ({failed[0]})")
    if not relations or NAME in relations:
        reading.count_mentions(trees)
    about = {
        "model": model.name, "treebank": source, "map": kind, "sentences": len(trees) - len(failed),
        "words": counts.words, "subtypes": "merged" if merge_subtypes else "kept",
        "heads": "all" if all_heads else "best",
    }  # fmt: skip
    notes, wanted = _notes(treebank, failed, kind), tuple(dict.fromkeys(relations))
    return Table.of(relations_table(counts, about, notes, wanted, all_heads=all_heads))


class _Reading:
    """Runs the sentences of a treebank and counts what the heads find; ``failed`` says why some could not be run."""

    def __init__(self, model: Opened, counts: RelationCounts, on_progress: Callable[[int, int], None]) -> None:
        self._backend, self._tokenizer = model.backend, model.checkpoint.tokenizer
        self._counts, self._on_progress = counts, on_progress
        self._tokens: list[int] = []
        self.failed: list[str] = []

    def count_trees(self, first: int, trees: Sequence[Tree]) -> None:
        """Count the sentences from number ``first`` on."""
        from attnviz.analysis.corpus.aligned_words import Aligned, align

        aligned = align(self._tokenizer, trees)
        self._tokens += [len(each.encoding) if isinstance(each, Aligned) else 0 for each in aligned]
        self.failed += [each.message for each in aligned if isinstance(each, AttnvizError)]
        readable = [(number, each) for number, each in enumerate(aligned, first) if isinstance(each, Aligned)]
        self._on_progress(len(aligned) - len(readable), 0)
        found = self._peaks([each.encoding for _, each in readable])
        for (number, each), peaks in zip(readable, found, strict=True):
            if isinstance(peaks, AttnvizError):
                self.failed.append(peaks.message)
            else:
                self._counts.add(number, each.pairs, peaks)

    def count_mentions(self, trees: Sequence[Tree]) -> None:
        """Count the mentions of the sentences, in passages of as many as the model reads at once."""
        from attnviz.analysis.corpus.aligned_words import Aligned, align
        from attnviz.analysis.corpus.coreference import Passage, passages

        joined = passages(trees, self._tokens, min(self._backend.limit or _PASSAGE, _PASSAGE))
        told = [(number, tree) for number, tree in enumerate(joined) if tree.mentions]
        for first in range(0, len(told), _PASSAGES):
            some = told[first : first + _PASSAGES]
            aligned = align(self._tokenizer, [tree for _, tree in some])
            found = [
                (number, Passage(each))
                for (number, _), each in zip(some, aligned, strict=True)
                if isinstance(each, Aligned)
            ]
            masks = [passage.keys for _, passage in found]
            peaks = self._peaks([passage.aligned.encoding for _, passage in found], masks)
            for (number, passage), each in zip(found, peaks, strict=True):
                if not isinstance(each, AttnvizError):
                    self._counts.add_mentions(number, passage, each)

    def _peaks(self, encodings: Sequence[Encoding], keys: Sequence[Bools] | None = None) -> list[Peaks | AttnvizError]:
        from attnviz.analysis.corpus.looks import find_peaks

        return find_peaks(
            self._backend, self._tokenizer, encodings, causal=self._counts.causal, keys=keys,
            on_progress=self._on_progress,
        )  # fmt: skip


def _notes(treebank: Treebank, failed: Sequence[str], kind: str) -> list[str]:
    """What was left out, a sentence each."""
    notes = []
    if kind == "encoder":
        notes.append("These are the heads of the encoder.")
    for places, why in (
        (treebank.broken, "since they can't be read as trees"),
        (treebank.unaligned, "since their words do not spell their # text"),
        (failed, "since the model can't read them"),
    ):
        if places:
            of = f"{len(places):,} of {count_of(treebank.sentences, 'sentence')}"
            notes.append(f"Left out, {why}: {of} ({few(places, _NAMED)}).")
    return notes

"""Small treebanks, written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Word = tuple[str, int, str]
"""A word, the number of its head from 1 on (0 for the root), and its relation."""
WORDS: list[list[Word]] = [
    [("the", 2, "det"), ("bank", 3, "nsubj"), ("approved", 0, "root"), ("the", 5, "det"), ("loans", 3, "obj"),
     (".", 3, "punct")],
    [("it", 2, "nsubj"), ("had", 0, "root"), ("a", 5, "det"), ("strong", 5, "amod"), ("river", 2, "obj"),
     (".", 2, "punct")],
    [("the", 2, "det"), ("loan", 4, "nsubj:pass"), ("was", 4, "aux"), ("approved", 0, "root"), (".", 4, "punct")],
    [("companies", 2, "nsubj"), ("had", 0, "root"), ("loans", 2, "obj"), ("of", 6, "case"), ("the", 6, "det"),
     ("bank", 3, "nmod"), (".", 2, "punct")],
    [("strong", 2, "amod"), ("rivers", 3, "nsubj"), ("flooded", 0, "root"), ("the", 5, "det"), ("bank", 3, "obj"),
     ("of", 8, "case"), ("the", 8, "det"), ("company", 5, "nmod")],
    [("the", 2, "det"), ("loan", 6, "nsubj:pass"), ("of", 5, "case"), ("the", 5, "det"), ("bank", 2, "nmod"),
     ("approved", 0, "root"), (".", 6, "punct")],
]  # fmt: skip


def sentence(words: Sequence[Word], *comments: str, entities: Mapping[int, str] | None = None) -> str:
    """A sentence in CoNLL-U, with spaces between all words; ``entities`` has marks of words by their numbers."""
    marks = {number: f"Entity={mark}" for number, mark in (entities or {}).items()}
    rows = [
        f"{number}\t{form}\t_\t_\t_\t_\t{head}\t{relation}\t_\t{marks.get(number, '_')}"
        for number, (form, head, relation) in enumerate(words, 1)
    ]
    return "\n".join([*comments, *rows])


TREEBANK = "\n\n".join(sentence(words, f"# sent_id = {number}") for number, words in enumerate(WORDS)) + "\n\n"
"""The sentences of ``WORDS``."""

MENTIONS = [
    ("# newdoc id = a", WORDS[0], {1: "(e1-org-2", 2: "e1)", 4: "(e2-abs-2", 5: "e2)"}),
    ("# sent_id = 2", [("it", 2, "nsubj"), ("had", 0, "root"), ("it", 2, "obj")], {1: "(e1)", 3: "(e2)"}),
    ("# sent_id = 3", WORDS[5], {1: "(e2-abs-2", 3: "(e1[1/1]-org", 4: "(e1-org-2", 5: "e1)e1[1/1])e2)"}),
    ("# newdoc", WORDS[3], {1: "(e9)", 3: "(e8-abs(e7-abs)", 6: "e8)"}),
    ("# sent_id = 5", [("banks", 2, "nsubj"), ("had", 0, "root"), ("loans", 2, "obj")], {1: "(e9)", 3: "(e8)"}),
]
"""Sentences of two documents, with the marks of CorefUD."""
COREFERENCE = "\n\n".join(sentence(words, comment, entities=marks) for comment, words, marks in MENTIONS) + "\n\n"

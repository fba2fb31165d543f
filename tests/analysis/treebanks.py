"""Small treebanks, written by hand."""

from __future__ import annotations

from collections.abc import Sequence

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


def sentence(words: Sequence[Word], *comments: str) -> str:
    """A sentence in CoNLL-U, with spaces between all words."""
    rows = [
        f"{number}\t{form}\t_\t_\t_\t_\t{head}\t{relation}\t_\t_"
        for number, (form, head, relation) in enumerate(words, 1)
    ]
    return "\n".join([*comments, *rows])


TREEBANK = "\n\n".join(sentence(words, f"# sent_id = {number}") for number, words in enumerate(WORDS)) + "\n\n"
"""The sentences of ``WORDS``."""

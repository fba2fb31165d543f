"""Which words of one text correspond to which of another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from difflib import SequenceMatcher


def match_words(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """Pair the words of two texts, in order of the first.

    The same words in the same order come first (difflib's longest matching blocks), then the same words in another
    order. Last, where as many words of one text stand in place of words of the other, they are paired one by one:
    *approved* and *refused* in two sentences that are otherwise alike. Letters count in any case.
    """
    ours, theirs = ([word.casefold() for word in words] for words in (first, second))
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    found = {a + i: b + i for a, b, size in matcher.get_matching_blocks() for i in range(size)}
    taken = set(found.values())
    free: dict[str, list[int]] = defaultdict(list)
    for j in reversed([j for j in range(len(theirs)) if j not in taken]):
        free[theirs[j]].append(j)
    for i, word in enumerate(ours):
        if i not in found and free[word]:
            found[i] = free[word].pop()
    taken = set(found.values())
    for name, a, b, c, d in matcher.get_opcodes():
        if name == "replace" and b - a == d - c:
            pairs = zip(range(a, b), range(c, d), strict=True)
            found |= {i: j for i, j in pairs if i not in found and j not in taken}
    return sorted(found.items())

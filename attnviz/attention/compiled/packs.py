"""The strongest links of packed documents on the CPU, compiled by numba: each pair of words in its best head.

``attention.packs`` computes the same with torch where numba is missing, on other devices and in other types, and says
what each array is; the tests hold one to the other. numba takes long to compile its own numpy: there are plain loops.
"""

# Its imports, for numba's cache: 245221e5c453
from __future__ import annotations

from typing import Any

from numba import njit

from attnviz.attention.compiled.passes import INLINE, PLAIN
from attnviz.attention.compiled.passes import weigh_pack as weigh_pack


@njit(**PLAIN)  # type: ignore[untyped-decorator]
def find_links(
    a: Any, first: int, texts: Any, counts: Any, words: Any, masks: Any, itself: bool, rules: Any, heads: Any,
    usual: Any, values: Any, found: Any, weights: Any,
) -> None:  # fmt: skip
    """Fill in the strongest links of the documents from ``first`` on, whose weights ``a`` (B, H, n, width) are.

    Args:
        texts: (2, B + 1), where the documents begin among the tokens, and how many of these are text.
        counts: how often each offset has the largest weight, as ``Sums`` has it.
        words: where the words of the documents begin among all, and which token each begins with.
        masks: (2, W), which words look, and which are looked at; ``itself``: whether a word looks at itself.
        rules: the fields of ``OffsetRules``.
        heads: room for numbers of heads (2, H); ``usual``: for keys (H,).
        values: room for the weights (top,), of more bits than are kept.
        found: the heads, queries and keys of the links, (B, top) each; ``weights``: theirs (B, top).
    """
    n = a.shape[2]
    for b in range(a.shape[0]):
        d = first + b
        count = _choose_heads(counts, 2 * texts[0, d], n, texts[1, d], rules, heads)
        for place in range(len(values)):
            values[place] = 0.0
        if count and len(values):
            _read_words(a, b, d, count, words, masks, itself, heads, usual, values, found)
        for place in range(len(values)):
            weights[d, place] = values[place]


@njit(**INLINE)  # type: ignore[untyped-decorator]
def _choose_heads(counts: Any, begin: int, n: int, text: int, rules: Any, heads: Any) -> int:
    """Fill in which heads are read, and the offset at which each always looks, or ``n``; say how many are read."""
    least, positional, many, habit, few = rules
    dominant = habit if text >= many else few
    count = 0
    for h in range(counts.shape[0]):
        best = begin
        for offset in range(begin, begin + 2 * n):
            if counts[h, offset] > counts[h, best]:
                best = offset
        share = counts[h, best] / text if text else 0.0
        if share < positional or text < least:
            heads[0, count] = h
            heads[1, count] = best - begin - n + 1 if share >= dominant and text >= least else n
            count += 1
    return count


@njit(**INLINE)  # type: ignore[untyped-decorator]
def _read_words(
    a: Any, b: int, d: int, count: int, words: Any, masks: Any, itself: bool, heads: Any, usual: Any, values: Any,
    found: Any,
) -> None:  # fmt: skip
    """Read the words of the document ``d`` in ``count`` heads: of equals the first head, and the first pair."""
    bounds, edges = words
    n, first = a.shape[2], bounds[d]
    begin, last = first + d, bounds[d + 1] - first
    for q in range(last):
        if not masks[0, first + q]:
            continue
        low, high = edges[begin + q], edges[begin + q + 1]
        for place in range(count):
            offset = heads[1, place]
            usual[place] = -1 if offset == n else (low if offset <= 0 else high - 1) + offset
        for k in range(last):
            start, stop = edges[begin + k], edges[begin + k + 1]
            if not masks[1, first + k] or (start == low and not itself):
                continue
            most, head = 0.0, 0
            for place in range(count):
                if start <= usual[place] < stop:
                    continue
                weight = 0.0
                for row in range(low, high):
                    for column in range(start, stop):
                        weight += a[b, heads[0, place], row, column]
                if weight > most:
                    most, head = weight, heads[0, place]
            most /= high - low
            if most > values[len(values) - 1]:
                _insert(most, head, q, k, d, values, found)


@njit(**INLINE)  # type: ignore[untyped-decorator]
def _insert(value: float, head: int, query: int, key: int, d: int, values: Any, found: Any) -> None:
    """Put a link of the document ``d`` in its place among those that are ``found``, behind its equals."""
    heads, queries, keys = found
    place = len(values) - 1
    while place > 0 and values[place - 1] < value:
        values[place], heads[d, place] = values[place - 1], heads[d, place - 1]
        queries[d, place], keys[d, place] = queries[d, place - 1], keys[d, place - 1]
        place -= 1
    values[place], heads[d, place], queries[d, place], keys[d, place] = value, head, query, key

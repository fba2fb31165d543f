"""The weights to compare with: by transformers' eager attention, or by its SDPA where that one can't serve."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from attnviz.attention.kernel import Kind
from attnviz.encoding import Encoding
from attnviz.errors import ModelError
from attnviz.model.check.report import Against

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted, Reference


Examined = TypeVar("Examined")


class NoReferenceWeights(Exception):
    """transformers' eager attention returns no weights to compare with, or contradicts its SDPA."""


def attentions_disagree(eager: Reference, sdpa: Reference) -> bool:
    """Whether transformers' eager attention and SDPA differ by more than rounding, in the last layer of any stack."""
    from attnviz.model.hosted.attention_call import contexts_differ

    pairs = [(eager[kind][1], sdpa[kind][1]) for kind in sdpa if kind in eager]
    last = [(a[-1], b[-1]) for a, b in pairs if a is not None and b is not None]
    return any(contexts_differ(a, b) for a, b in last)


def examine_by_either(
    examine: Callable[[Against], Examined], agrees: Callable[[Examined], bool], contradicts: Callable[[], bool]
) -> tuple[Examined, Against]:
    """Examine transformers' eager attention, or its SDPA if the eager one can't serve as the reference.

    It can't if it returns no weights, or if the result does not agree and ``contradicts`` says that it contradicts
    SDPA.

    Raises:
        NoReferenceWeights: there are no weights by SDPA either.
    """
    try:
        found = examine("eager")
    except NoReferenceWeights:
        return examine("sdpa"), "sdpa"
    if not agrees(found) and contradicts():
        with contextlib.suppress(NoReferenceWeights):
            return examine("sdpa"), "sdpa"
    return found, "eager"


def contradicts_itself(
    judge: Hosted, texts: tuple[Encoding, Encoding | None], kind: Kind, numbers: Sequence[int]
) -> bool:
    """Whether transformers' eager attention and its SDPA contradict each other for a text."""
    return attentions_disagree(judge.reference(*texts), judge.by_sdpa(*texts, {kind: numbers}) or {})


SeeRows = Callable[[int, Tensor], None]
SeeHeads = Callable[[int, Sequence[int], int, int, Tensor], None]


def show_reference(
    judge: Hosted,
    texts: tuple[Encoding, Encoding | None],
    kind: Kind,
    rows: Tensor,
    heads: Mapping[int, Sequence[int]],
    see_rows: SeeRows,
    see_heads: SeeHeads,
    *,
    whole: bool,
    by: Against = "eager",
) -> None:
    """Pass the weights of one ``kind`` by transformers' attention to callbacks, layer by layer.

    Args:
        judge: the transformers model.
        texts: the inputs of the model and of its decoder.
        kind: the kind of map.
        rows: the queries (Q,) whose weights in all heads, (H, Q, M), go to ``see_rows``, with the layer's number.
        heads: the heads of each layer whose weights go to ``see_heads`` in full, some rows at a time: (layer, heads,
            query, key, (h, n, m)).
        see_rows: the callback for rows.
        see_heads: the callback for heads.
        whole: whether transformers computes all weights at once, as models must that attend by themselves.
        by: its eager attention, or its SDPA, which is probed.

    Raises:
        NoReferenceWeights: there are none, or wrong ones.
        InputError, UnsupportedModel, ModelError: as ``Hosted.run``.
    """
    if whole:
        _show_whole(judge, texts, kind, rows, heads, see_rows, see_heads, by)
        return
    every = {each: rows if each == kind else torch.arange(1) for each in judge.kinds}
    seen = set()

    def see(each: Kind, number: int, theirs: Tensor | None) -> None:
        if each != kind:
            return
        if theirs is None:
            raise NoReferenceWeights
        if number not in heads:
            raise ModelError(f"transformers attends in layer {number}, ours are {sorted(heads)}")
        seen.add(number)
        see_rows(number, theirs)

    _, contradicts = judge.sampled(
        texts[0],
        every,
        see,
        texts[1],
        whole={(kind, number): some for number, some in heads.items()},
        see_whole=lambda _, *given: see_heads(*given),
        asked=by == "sdpa",
    )
    if contradicts:
        raise NoReferenceWeights
    if seen != set(heads):
        raise ModelError(f"transformers attends in {len(seen)} layers, ours are {len(heads)}")


def _show_whole(
    judge: Hosted,
    texts: tuple[Encoding, Encoding | None],
    kind: Kind,
    rows: Tensor,
    heads: Mapping[int, Sequence[int]],
    see_rows: SeeRows,
    see_heads: SeeHeads,
    by: Against,
) -> None:
    """``show_reference`` where transformers computes all weights at once."""
    from attnviz.model.hosted.attention_call import CHUNK

    theirs = judge.reference(*texts) if by == "eager" else judge.by_sdpa(*texts, {kind: sorted(heads)})
    weights = theirs[kind][0] if theirs else None
    if weights is None or len(weights) != len(heads):
        raise NoReferenceWeights
    for number, layer in zip(sorted(heads), weights, strict=True):
        see_rows(number, layer[:, rows])
        some = list(heads[number])
        for query, key, part in _in_parts(layer[some], CHUNK):
            see_heads(number, some, query, key, part)


def _in_parts(weights: Tensor, most: int) -> Iterator[tuple[int, int, Tensor]]:
    """Cut ``weights`` (h, N, M) into some rows at a time, of about ``most`` weights and without keys that none of them
    sees: the first query, the first key, and (h, n, m).
    """
    heads, queries, keys = weights.shape
    seen = (weights > 0).any(0)  # (N, M)
    first = seen.int().argmax(-1)
    reach = int((keys - seen.flip(-1).int().argmax(-1) - first).max()) if heads else 0
    # So many rows r that r · (r + reach) weights of each head are about as many: in a window they see a slope.
    step = max(1, int(math.sqrt((reach / 2) ** 2 + most / max(1, heads)) - reach / 2))
    for query in range(0, queries if heads else 0, step):
        columns = seen[query : query + step].any(0).nonzero().flatten()
        low, high = (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (0, 1)
        yield query, low, weights[:, query : query + step, low:high]

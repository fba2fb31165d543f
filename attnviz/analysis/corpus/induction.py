"""Random tokens that repeat: does a head look at what followed the same token before, at it, or at the last token?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.alone import count_workers, run_alone
from attnviz.analysis.corpus.distribution import Distribution
from attnviz.attention.kernel import Observer, Tile
from attnviz.attention.observers import HeadSums
from attnviz.attention.pipeline import in_order
from attnviz.attention.texts import Texts, earlier_tokens
from attnviz.encoding import Encoding, Word

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

Found = TypeVar("Found")

PERIOD, REPEATS, EXAMPLES = 25, 4, 10
"""How many random tokens there are, how often they come, and how many such texts are read (Olsson et al. 2022)."""
LEAST = 5
"""With fewer tokens, a head that looks at a fixed distance could not be told from an induction head."""
_ENDS = 0.1
"""The share of the vocabulary at either end that is left out."""


def induction(backend: Native | Hosted, tokenizer: Tokenizer, *, seed: int = 0) -> Distribution | None:
    """How well each head matches prefixes (Olsson et al. 2022), (L, H) between 0 and 1; None where no text fits.

    A text is 25 random tokens, four times over, behind the special tokens that the tokenizer puts in front of any
    text. The query at position i finds its own token at i − 25, i − 50 … before it: what counts is the weight that it
    gives to the tokens that followed it there, at i − 25k + 1, summed over k ≥ 1. The score is the mean of this over
    all queries whose token came before, and over ten texts, whose distribution it is. Of an encoder–decoder it is the
    encoder that reads.

    Tokenizers number their tokens about as often as they occur, so the tenth of the ids at either end is never chosen,
    nor is a special token.

    Where the model takes too few tokens the text repeats less often, down to twice, and then it is of fewer tokens,
    down to 5; so is it where there are not 25 to choose from.

    Raises:
        InputError, ModelError: as ``backend.run``.
    """
    made = _repeating(backend, tokenizer, seed)
    if made is None:
        return None

    def score(text: Encoding) -> NDArray[np.float64]:
        matching = made.matching()
        run_alone(backend, text, [matching])
        return matching.score

    return Distribution.of(np.stack(run_each(backend, made.texts, score)))


def repeats(
    backend: Native | Hosted, tokenizer: Tokenizer, *, seed: int = 0, causal: bool = True
) -> Mapping[str, Distribution] | None:
    """``induction`` and, of the same random texts, ``previous`` and ``duplicate`` as ``METRICS`` define them.

    Args:
        backend, tokenizer: the model.
        seed: of the random tokens.
        causal: whether no query sees a later key.

    Raises:
        InputError, ModelError: as ``backend.run``.
    """
    made = _repeating(backend, tokenizer, seed)
    if made is None:
        return None

    def scores(text: Encoding) -> list[NDArray[np.float64]]:
        matching = made.matching()
        before = np.array(earlier_tokens(text.ids), np.int64)
        sums = HeadSums(Texts.one(len(text), before=before, causal=causal), many=True)
        run_alone(backend, text, [matching, sums])
        return [matching.score, sums.figures["previous"], sums.figures["duplicate"]]

    each = zip(*run_each(backend, made.texts, scores), strict=True)
    return {
        name: Distribution.of(np.stack(found))
        for name, found in zip(("induction", "previous", "duplicate"), each, strict=True)
    }


def run_each(backend: Native | Hosted, texts: Sequence[Encoding], run: Callable[[Encoding], Found]) -> list[Found]:
    """What ``run`` returns of each of the ``texts``, several of which run at once, in order."""
    import torch

    workers = count_workers(backend, len(texts))
    return [*in_order(lambda text, _: run(text), texts, [torch.empty(0)] * (workers + 1), workers)]


@dataclass(frozen=True)
class _Repeating:
    """Random ``texts`` of ``lead`` tokens, and ``period`` tokens ``times`` over."""

    texts: list[Encoding]
    lead: int
    period: int
    times: int

    def matching(self) -> _Matching:
        return _Matching(self.lead, self.period, self.times)


def _repeating(backend: Native | Hosted, tokenizer: Tokenizer, seed: int) -> _Repeating | None:
    """The random texts; None where none fits."""
    tokens = neither_common_nor_rare(tokenizer)
    lead = _in_front(tokenizer, tokens)
    room = PERIOD * REPEATS if backend.limit is None else backend.limit - len(lead)
    period = min(PERIOD, len(tokens), room // 2)
    if period < LEAST:
        return None
    times = min(REPEATS, room // period)
    generator = np.random.default_rng(seed)
    chosen = [generator.choice(tokens, period, replace=False).tolist() for _ in range(EXAMPLES)]
    texts = [of_tokens(tokenizer, each * times, lead) for each in chosen]
    return _Repeating(texts, len(lead), period, times)


def neither_common_nor_rare(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """The ids that a text may have."""
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    ids = np.array(sorted(set(tokenizer.get_vocab().values()) - special), np.int64)
    ends = math.ceil(_ENDS * len(ids))
    return ids[ends : len(ids) - ends]


def _in_front(tokenizer: Tokenizer, tokens: NDArray[np.int64]) -> list[int]:
    """The special tokens that the tokenizer puts in front of a text, such as BOS."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    text = tokenizer.encode(tokenizer.decode(tokens[:LEAST].tolist()))
    return [
        number for number, _ in takewhile(lambda both: both[1], zip(text.ids, text.special_tokens_mask, strict=True))
    ]


def of_tokens(tokenizer: Tokenizer, chosen: Sequence[int], lead: Sequence[int] = ()) -> Encoding:
    """A text of chosen tokens, each a word, behind special ones."""
    ids = (*lead, *chosen)
    tokens = tuple(tokenizer.id_to_token(number) or "" for number in ids)
    special = (*(True for _ in lead), *(False for _ in chosen))
    words = tuple(Word(token, place, place + 1) for place, token in enumerate(tokens))
    return Encoding("", None, ids, (0,) * len(ids), tokens, special, words)


class _Matching(Observer):
    """Sums the weight of each head on what followed the query's token before."""

    def __init__(self, lead: int, period: int, repeats: int) -> None:
        """A text of ``lead`` tokens, and ``period`` tokens ``repeats`` times over."""
        place = np.arange(lead + period * repeats) - lead
        apart = place[:, None] - place + 1  # from each key's predecessor to the query
        self._pairs = np.nonzero((place > 0) & (apart > 0) & (apart % period == 0))
        self._queries = period * (repeats - 1)
        self._sums: dict[int, NDArray[np.float64]] = {}

    def tile(self, tile: Tile) -> None:
        """Add the weights of the tile that count."""
        h, n, m = tile.weights.shape
        queries, keys = (each - first for each, first in zip(self._pairs, (tile.query, tile.key), strict=True))
        inside = (queries >= 0) & (queries < n) & (keys >= 0) & (keys < m)
        weights = tile.weights.cpu().numpy()[:, queries[inside], keys[inside]]
        sums = self._sums.setdefault(tile.layer, np.zeros(tile.shape[0]))
        sums[tile.head : tile.head + h] += weights.sum(1, dtype=np.float64)

    @property
    def score(self) -> NDArray[np.float64]:
        """The sums divided by the number of queries, (L, H)."""
        return np.stack([self._sums[number] for number in sorted(self._sums)]) / self._queries

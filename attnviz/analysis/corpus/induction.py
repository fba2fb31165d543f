"""Induction: does a head look at what followed the same token before? Asked of random tokens that repeat."""

from __future__ import annotations

import math
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.alone import count_workers, run_alone
from attnviz.attention.kernel import Observer, Tile
from attnviz.attention.pipeline import in_order
from attnviz.encoding import Encoding, Word

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

PERIOD, REPEATS, EXAMPLES = 25, 4, 10
"""How many random tokens there are, how often they come, and how many such texts are read (Olsson et al. 2022)."""
LEAST = 5
"""With fewer tokens, a head that looks at a fixed distance could not be told from an induction head."""
_ENDS = 0.1
"""The share of the vocabulary at either end that is left out."""


def induction(backend: Native | Hosted, tokenizer: Tokenizer, *, seed: int = 0) -> NDArray[np.float64] | None:
    """How well each head matches prefixes (Olsson et al. 2022), (L, H) between 0 and 1; None where no text fits.

    A text is 25 random tokens, four times over, behind the special tokens that the tokenizer puts in front of any
    text. The query at position i finds its own token at i − 25, i − 50 … before it: what counts is the weight that it
    gives to the tokens that followed it there, at i − 25k + 1, summed over k ≥ 1. The score is the mean of this over
    all queries whose token came before, and over ten texts. Of an encoder–decoder it is the encoder that reads.

    Tokenizers number their tokens about as often as they occur, so the tenth of the ids at either end is never chosen,
    nor is a special token.

    Where the model takes too few tokens the text repeats less often, down to twice, and then it is of fewer tokens,
    down to 5; so is it where there are not 25 to choose from.

    Raises:
        InputError, ModelError: as ``backend.run``.
    """
    import torch

    tokens = _neither_common_nor_rare(tokenizer)
    lead = _in_front(tokenizer, tokens)
    room = PERIOD * REPEATS if backend.limit is None else backend.limit - len(lead)
    period = min(PERIOD, len(tokens), room // 2)
    if period < LEAST:
        return None
    repeats = min(REPEATS, room // period)
    generator = np.random.default_rng(seed)
    chosen = [generator.choice(tokens, period, replace=False).tolist() for _ in range(EXAMPLES)]
    texts = [_encoding(tokenizer, lead, each * repeats) for each in chosen]

    def score(text: Encoding, _: Tensor) -> NDArray[np.float64]:
        matching = _Matching(len(lead), period, repeats)
        run_alone(backend, text, [matching])
        return matching.score

    workers = count_workers(backend, EXAMPLES)
    scores = np.stack([*in_order(score, texts, [torch.empty(0)] * (workers + 1), workers)])
    return np.asarray(scores.mean(0))


def _neither_common_nor_rare(tokenizer: Tokenizer) -> NDArray[np.int64]:
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


def _encoding(tokenizer: Tokenizer, lead: list[int], chosen: list[int]) -> Encoding:
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

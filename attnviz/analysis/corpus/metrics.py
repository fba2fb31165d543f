"""What is measured of one document: figures of every head, and the strongest links of every layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Metric:
    """One figure of a head: its name, its unit, and what it is, with the source of the definition.

    An ``amount`` has a mean over a corpus; a ``position`` (of a key, or relative to the query) has a commonest value.
    ``of_one_text``: it compares places of one text, so that it is null of pairs.
    """

    name: str
    unit: str
    meaning: str
    kind: Literal["amount", "position"] = "amount"

    @property
    def of_one_text(self) -> bool:
        """Whether it compares the places of queries and keys, which two texts count apart."""
        return self.name in _OF_ONE_TEXT


_OF_ONE_TEXT = (
    "distance", "signed_distance", "self", "previous", "next", "duplicate", "offset", "offset_share",
)  # fmt: skip
METRICS = (
    Metric("entropy", "nats", "−Σ A ln A, the mean over the queries (Clark et al. 2019)"),
    Metric("normalised_entropy", "share", "entropy by ln n of each query, n the keys that it may see; 0 for n = 1"),
    Metric("distance", "tokens", "Σ A·|q − k|, the mean over the queries (Vig & Belinkov 2019)"),
    Metric("signed_distance", "tokens", "Σ A·(q − k), the mean over the queries: above 0 the head looks back"),
    Metric("self", "share", "weight of a token to itself, the mean (Clark et al. 2019)"),
    Metric("previous", "share", "weight to the token before, the mean over the queries that have one"),
    Metric("next", "share", "weight to the token after, the mean over the queries that have one"),
    Metric("first", "share", "weight to the first token, the mean over the queries"),
    Metric("cls", "share", "weight to the special tokens in front of the text ([CLS], BOS); null without any"),
    Metric("sep", "share", "weight to the special tokens behind the text ([SEP], EOS); null without any"),
    Metric("special", "share", "weight to all special tokens; null without any"),
    Metric("punctuation", "share", "weight to the tokens of punctuation and of white space; null without any"),
    Metric("sink", "share", "the largest mean weight that one key takes: of all queries, in a decoder of those from it "
           "on, where these are half of all; a sink where above 0.3 (Gu et al. 2025)"),
    Metric("sink_position", "token", "which key that is, from 0", "position"),
    Metric("confidence", "share", "the largest weight of a query, the mean over the queries; the special tokens behind "
           "the text neither look nor are looked at here (Voita et al. 2019)"),
    Metric("received", "queries", "the most that one key receives: the sum of the weights that all queries give it"),
    Metric("received_position", "token", "which key that is, from 0", "position"),
    Metric("duplicate", "share", "weight to earlier tokens of the same id, the mean over the queries that have some "
           "(Wang et al. 2022); null without any"),
    Metric("offset", "tokens", "key − query that holds the largest weight of most of the text's tokens", "position"),
    Metric("offset_share", "share", "of the text's tokens whose largest weight is at that offset (Voita et al. 2019: "
           "positional from 0.9)"),
)  # fmt: skip
"""All figures, in the order of their columns."""
INDUCTION = Metric("induction", "share", "weight to the tokens that followed this one before, on repeated random "
                   "tokens (Olsson et al. 2022)")  # fmt: skip
"""The metric of the heads' scores on repeated random tokens, which are not a figure of documents."""
POSITIONAL = Metric("positional", "share", "of a document's tokens whose largest weight is at the head's commonest "
                    "offset of the corpus; 0 in documents with another offset (Voita et al. 2019)")  # fmt: skip
"""The score of the role of that name, of which the mean and the deviation are known."""
NAMES = tuple(metric.name for metric in METRICS)


def stacked(figures: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """The ``figures`` of heads (…) as columns (…, METRICS)."""
    return np.stack([figures[name] for name in NAMES], axis=-1)


@dataclass(frozen=True, eq=False)
class WordLinks:
    """Links between words, one entry each: the indices of layer and head, and the words' numbers in the document.

    They are ordered by layer, the strongest first in each. A layer has each pair of words once, in its best head.
    """

    layer: NDArray[np.int16]
    head: NDArray[np.int16]
    query: NDArray[np.int32]
    key: NDArray[np.int32]
    weight: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.weight)


@dataclass(frozen=True, eq=False)
class Measured:
    """The ``figures`` (L, H, METRICS) of one document, NaN for missing ones, and its strongest ``links``."""

    figures: NDArray[np.float64]
    links: WordLinks

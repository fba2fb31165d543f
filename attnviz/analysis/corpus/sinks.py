"""How many heads are sinks, as Gu et al. (2025) count them: of natural text, random tokens, and one repeated token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.alone import run_alone
from attnviz.analysis.corpus.distribution import Distribution
from attnviz.analysis.corpus.induction import neither_common_nor_rare, of_tokens, run_each
from attnviz.attention.observers import HeadSums
from attnviz.attention.texts import Texts
from attnviz.encoding import Encoding

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

LENGTH, EXAMPLES = 64, 10
"""The tokens of a text, T in the paper, and how many texts there are of each kind at most."""
THRESHOLD = 0.3
"""A head is a sink on a key that takes more than this on average, ε in the paper."""
Kind = Literal["natural", "random", "repeated"]
NATURAL = Path(__file__).with_name("natural.txt")
"""English prose that was written for this."""


@dataclass(frozen=True, eq=False)
class Sinks:
    """For each kind of text, the mean weight on its first token α₁ of each head (L, H), over texts of ``length``.

    ``rates`` are the shares of heads whose α₁ is above ``THRESHOLD``, the mean over the texts.
    """

    length: int
    first: Mapping[Kind, Distribution]
    rates: Mapping[Kind, float]


def natural_text() -> list[str]:
    """The paragraphs of the natural text that comes with attnviz."""
    return NATURAL.read_text(encoding="utf-8").strip().split("\n\n")


def sinks(backend: Native | Hosted, tokenizer: Tokenizer, *, seed: int = 0) -> Sinks | None:
    """How much the first token takes of three kinds of text, in a causal model; None where no text fits.

    α₁ is the mean of A[i, 1] over all i ≥ 1 (counted from 1), and a head is a sink where that is above 0.3; the sink
    rate is the share of heads that are (Gu et al. 2025, section 3). A text is 64 tokens, without any special token:
    of natural text, random ones, or one random token 64 times. All hidden states of the latter are alike where
    positions are rotary, biases that only tell distances, or none, so that no head attends to one token more than to
    another: its sink rate is 0 (their theorem, table 1).

    Raises:
        InputError, ModelError: as ``backend.run``.
    """
    length = LENGTH if backend.limit is None else min(LENGTH, backend.limit)
    texts = {kind: [*made] for kind, made in _texts(tokenizer, length, seed)}
    if length < 2 or not all(texts.values()):
        return None

    def first(text: Encoding) -> NDArray[np.float64]:
        sums = HeadSums(Texts.one(len(text), causal=True), many=True)
        run_alone(backend, text, [sums])
        return sums.figures["first"]

    found = {kind: np.stack(run_each(backend, made, first)) for kind, made in texts.items()}
    rates = {kind: float((values > THRESHOLD).mean()) for kind, values in found.items()}
    return Sinks(length, {kind: Distribution.of(values) for kind, values in found.items()}, rates)


def _texts(tokenizer: Tokenizer, length: int, seed: int) -> Iterator[tuple[Kind, list[Encoding]]]:
    """The texts of each kind."""
    read = tokenizer.encode("\n\n".join(natural_text()), add_special_tokens=False).ids
    starts = range(0, min(len(read), EXAMPLES * length) - length + 1, length)
    yield "natural", [of_tokens(tokenizer, read[start : start + length]) for start in starts]
    generator, tokens = np.random.default_rng(seed), neither_common_nor_rare(tokenizer)
    if not len(tokens):
        return
    chosen = generator.choice(tokens, (EXAMPLES, length)).tolist()
    yield "random", [of_tokens(tokenizer, each) for each in chosen]
    yield "repeated", [of_tokens(tokenizer, [each[0]] * length) for each in chosen]

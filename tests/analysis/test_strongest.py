"""The strongest links of a document, of which only some are kept on the way, against all of its word weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnviz.analysis.corpus import strongest
from attnviz.analysis.corpus.metrics import NAMES
from attnviz.analysis.corpus.strongest import Strongest
from attnviz.analysis.text.links import counting
from attnviz.analysis.text.units import read_in
from attnviz.attention.kernel import Tile
from attnviz.encoding import Encoding, Word
from attnviz.record import Request
from tests.analysis import naive

HEADS = 4


def document(generator: np.random.Generator, tokens: int) -> Encoding:
    """Words of 1, 2 or 4 tokens, so that the means over them are exact; some are no content."""
    words: list[Word] = []
    while not words or words[-1].stop < tokens:
        start = words[-1].stop if words else 0
        size = int(generator.choice([1, 1, 2, 4]))
        label = str(generator.choice([*["bank", "river", "loan"] * 3, "the", "."]))
        words.append(Word(label, start, min(tokens, start + size) if tokens - start not in (3, 5) else start + 1))
    none = (0,) * tokens
    return Encoding("", None, none, none, ("t",) * tokens, (False,) * tokens, tuple(words))


def weights_of(generator: np.random.Generator, tokens: int) -> np.ndarray:
    """Heads of a layer that look one back, two ahead, or nowhere in particular, with many equal weights."""
    weights = generator.integers(0, 16, (2, HEADS, tokens, tokens)) / 1024
    offsets = ((-1, 0.7), (2, 0.6), (-1, 0.97), (5, 0.0))
    for layer in range(2):
        for head, (offset, share) in enumerate(offsets):
            for query in range(tokens):
                if 0 <= query + offset < tokens and generator.random() < share:
                    # What such a query looks at besides is the strongest that is left of its head.
                    other = generator.choice([query + offset - 1, query + offset + 1, generator.integers(tokens)])
                    weights[layer, head, query, other % tokens] = generator.integers(400, 480) / 1024
                    weights[layer, head, query, query + offset] = generator.integers(500, 600) / 1024
    return weights


@pytest.mark.parametrize(
    "asked", [Request(links=3), Request(links=1), Request(links=5, everything=True), Request(special=True)]
)
@pytest.mark.parametrize("tokens", [260, 90])
def test_what_is_left_out_on_the_way_is_not_among_the_strongest(
    asked: Request, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(tokens)
    text, weights = document(generator, tokens), weights_of(generator, tokens)
    expected = naive.measured(weights, text, asked, causal=False, seen=np.ones((tokens, tokens), bool))
    offset, share = (expected.figures[..., NAMES.index(name)] for name in ("offset", "offset_share"))
    assert (share[:, 2] >= 0.9).all()
    assert ((share[:, :2] > 0.5) & (share[:, :2] < 0.9)).all()
    for room in (8, 1 << 14):
        monkeypatch.setattr(strongest, "_ROOM", room)
        found = show(text, weights, asked)
        links = found.links_of(offset, share)
        for name, theirs in vars(expected.links).items():
            np.testing.assert_array_equal(getattr(links, name), theirs, err_msg=name)
        kept = sum(len(layer.joined()) for layer in found._found.values())
        assert (kept < 2 * HEADS * len(text.words)) == (room == 8)


def show(text: Encoding, weights: np.ndarray, asked: Request) -> Strongest:
    """Show all weights in tiles of some heads and rows."""
    words, n = read_in("word", text, None, ()), len(text)
    query_mask, key_mask, itself = counting(words, causal=False, special=asked.special, everything=asked.everything)
    found = Strongest(text.words, asked, n, query_mask, key_mask, itself=itself)
    for layer, maps in enumerate(torch.from_numpy(weights)):
        for head in range(0, HEADS, 2):
            for query in range(0, n, 7):
                part = maps[head : head + 2, query : query + 7].contiguous()
                found.tile(Tile(layer, query, 0, part, (HEADS, n, n), head=head))
    return found

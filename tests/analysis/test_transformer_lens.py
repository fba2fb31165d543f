"""Our scores of heads beside TransformerLens' ``detect_head`` on the same weights; needs the extra ``lens``.

It divides the weight on the pairs that a head should look at by all weight, which is the number of queries; we, by the
number of queries that have such a pair.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attnviz.analysis.corpus.induction import _Matching
from attnviz.attention.observers import HeadSums
from attnviz.attention.texts import Texts, earlier_tokens
from attnviz.attention.tile import Tile
from attnviz.attention.window import CAUSAL
from tests.records import random_weights

detector = pytest.importorskip("transformer_lens.head_detector")

PERIOD, REPEATS, LAYERS, HEADS = 7, 4, 2, 3
TOKENS = PERIOD * REPEATS
WEIGHTS = random_weights((LAYERS, HEADS, TOKENS), causal=True, dtype="float64")


def theirs(name: str) -> np.ndarray:
    """What ``detect_head`` says of our weights, (L, H)."""
    cfg = SimpleNamespace(
        device="cpu", n_ctx=TOKENS + 1, n_layers=LAYERS, n_heads=HEADS, dtype=torch.float64, d_head=1, d_model=1
    )
    ids = torch.arange(PERIOD).repeat(REPEATS)[None]
    model = SimpleNamespace(cfg=cfg, to_tokens=lambda _: ids)
    cache = {("pattern", layer, "attn"): torch.from_numpy(WEIGHTS[layer]) for layer in range(LAYERS)}
    return np.asarray(detector.detect_head(model, "x", name, cache=cache))


def tiles() -> list[Tile]:
    shape = HEADS, TOKENS, TOKENS
    return [Tile(layer, 0, 0, torch.from_numpy(WEIGHTS[layer]), shape, window=CAUSAL) for layer in range(LAYERS)]


def figures(name: str) -> np.ndarray:
    """The figure of a text that repeats ``PERIOD`` tokens, (L, H)."""
    ids = np.tile(np.arange(PERIOD), REPEATS).tolist()
    sums = HeadSums(Texts.one(TOKENS, before=np.array(earlier_tokens(ids)), causal=True))
    for tile in tiles():
        sums.tile(tile)
    return sums.figures[name]


def test_previous_and_duplicate_heads() -> None:
    np.testing.assert_allclose(figures("previous"), theirs("previous_token_head") * TOKENS / (TOKENS - 1), rtol=1e-9)
    repeated = TOKENS - PERIOD
    np.testing.assert_allclose(figures("duplicate"), theirs("duplicate_token_head") * TOKENS / repeated, rtol=1e-9)


def test_induction_heads() -> None:
    matching = _Matching(0, PERIOD, REPEATS)
    for tile in tiles():
        matching.tile(tile)
    np.testing.assert_allclose(matching.score, theirs("induction_head") * TOKENS / (TOKENS - PERIOD), rtol=1e-9)

"""Measure a pair of texts: the attention of an encoder–decoder's target to its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnviz.analysis.corpus.alone import key_sets
from attnviz.analysis.corpus.metrics import METRICS, Measured, stacked
from attnviz.analysis.corpus.strongest import Strongest
from attnviz.analysis.text.links import counting
from attnviz.analysis.text.units import read_in
from attnviz.attention.observers import HeadSums, Only
from attnviz.attention.texts import Texts
from attnviz.encoding import Encoding
from attnviz.record import Request

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native


def measure_pair(backend: Native | Hosted, source: Encoding, target: Encoding, request: Request) -> Measured:
    """Run a pair and measure its cross-attention: queries are the target's tokens, keys the source's.

    Figures that compare positions of one text are NaN, and no link is left out because of its offset. ``confidence``
    counts special tokens as well.

    Raises:
        InputError: as ``backend.run``.
        ModelError: as ``backend.run``; the layers have different numbers of heads.
    """
    words = read_in("word", target, source, (), request.language)
    query_mask, key_mask, _ = counting(words, causal=False, special=request.special, everything=request.everything)
    sums = HeadSums(_texts(source, target), many=True)
    strongest = Strongest(
        target.words, request, target.special.count(False), query_mask, key_mask, itself=True, keys=source.words
    )
    backend.run(source, [Only("cross", [sums, *([strongest] if request.links else [])])], target)
    found = sums.figures
    nothing = np.full_like(found["entropy"], np.nan)
    figures = stacked(found | {metric.name: nothing for metric in METRICS if metric.of_one_text})
    return Measured(figures, strongest.links_of(nothing, nothing))


def _texts(source: Encoding, target: Encoding) -> Texts:
    """What counts in a pair: all queries; the sets of keys are those of the source."""
    # No query and no key is behind this: the places of the two texts have nothing to do with each other.
    stop = max(len(source), len(target))
    return Texts.one(len(target), len(source), telling=~np.array(target.special), sets=key_sets(source), stop=stop)

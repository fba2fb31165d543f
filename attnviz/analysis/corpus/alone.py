"""Measure one document of any length by itself, at once or in windows, without any N × N array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attnviz.analysis.corpus.metrics import NAMES, Measured, stacked
from attnviz.analysis.corpus.strongest import Strongest
from attnviz.analysis.text.links import counting
from attnviz.analysis.text.observing import is_causal
from attnviz.analysis.text.units import Mask, read_in
from attnviz.attention.kernel import Observer, Tile
from attnviz.attention.observers import HeadSums, Only, Sliding
from attnviz.attention.pipeline import in_order
from attnviz.attention.tile import require_equal_heads
from attnviz.attention.totals import DocumentMasks, Total
from attnviz.encoding import Encoding, Window, Windows, decoder_start
from attnviz.model.inputs import require_finite
from attnviz.record import Request

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native


def measure_alone(
    backend: Native | Hosted,
    encoding: Encoding,
    request: Request,
    windows: Windows | None = None,
    *,
    causal: bool | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Measured:
    """Run one document and measure it, exactly. Memory grows with its length times the heads.

    Of an encoder–decoder it is the encoder's attention that is measured.

    A document that is longer than the model is run in its ``windows`` (``slide_windows``), on the CPU as many at once
    as torch has threads, and then memory is that of these windows. Each query counts once, with all that it sees in the
    window that keeps it. Positions and words are those of the document. ``first`` is the share of the window's first
    token, and ``duplicate`` that of the window's earlier tokens. The special tokens around a window are taken for those
    at the document's ends, so ``received`` adds up what they get in all windows, as it does for a token that is in
    several. ``sink`` is the mean over the windows, by how many queries are kept of each, and ``sink_position`` the key
    that is the sink of the windows with most queries. Links join words that one window has; a window's first token gets
    none in a causal model that has no special token in front of it, unless special tokens are asked for.

    Args:
        causal: whether no query sees a later key; None finds out, for which a hosted model runs a few tokens.
        told: is told after each window how many more tokens are done.

    Raises:
        InputError: as ``backend.run``.
        ModelError: as ``backend.run``; the layers have different numbers of heads.
    """
    import torch

    if causal is None:
        causal = is_causal(backend, backend.kinds[0])
    windows = windows or Windows.of_one(encoding)
    document = _document(encoding, causal=causal)
    # Without windows the first token is the document's first word, which does not count as a key.
    sinks = not causal or request.special or request.everything or windows.lead > 0
    strongest = _strongest(encoding, request, causal=causal)

    def run(window: Window, _: Tensor) -> tuple[Window, HeadSums]:
        sums = HeadSums(document.texts(window), many=True)
        links = Sliding([strongest], len(encoding), sinks=sinks)
        links.enter(window)
        run_alone(backend, window.encoding, [sums, *([links] if request.links else [])])
        return window, sums

    total = Total(windows.widest)
    # Windows that cut words run one by one, since the parts of a word are added up.
    workers = count_workers(backend, len(windows)) if windows.whole_words else 1
    for window, sums in in_order(run, windows, [torch.empty(0)] * (workers + 1), workers):
        total.add(window, sums.sums)
        if on_progress:
            on_progress(window.last - window.first)
    figures = stacked(total.figures())
    offset, share = (figures[..., NAMES.index(name)] for name in ("offset", "offset_share"))
    return Measured(figures, strongest.links_of(offset, share))


def count_workers(backend: Native | Hosted, texts: int) -> int:
    """Return how many of the ``texts`` run at once: as many as torch has threads on the CPU, each in one of these."""
    if backend.name != "native" or backend.network.device.type != "cpu":
        return 1
    import torch

    return min(torch.get_num_threads(), texts)


def run_alone(backend: Native | Hosted, encoding: Encoding, observers: Sequence[Observer]) -> None:
    """Run a text and show ``observers`` its self-attention; in an encoder–decoder that of the encoder.

    Raises:
        InputError, ModelError: as ``backend.run``.
    """
    kind = backend.kinds[0]
    if kind == "self":
        backend.run(encoding, observers)
    elif backend.name == "native":
        memory = backend.run_encoder(encoding, observers)
        if memory is not None:
            require_finite(memory, backend.network.tensors)
    else:
        backend.run(encoding, [Only(kind, observers)], _written(backend, encoding))


def heads_of(backend: Native | Hosted, tokenizer: Tokenizer, *, cross: bool = False) -> dict[int, int]:
    """The number of heads of each layer that attends to itself, which a run of one token shows, or of a few where
    transformers runs the model; of an encoder–decoder those of the encoder, or of its ``cross`` attention.

    Raises:
        InputError, ModelError: as ``backend.run``; the layers have different numbers of heads.
    """
    seen, one = _Heads(), decoder_start(tokenizer, 0)
    if backend.name != "native":
        read, written = backend.few_tokens()
        backend.run(read, [Only("cross" if cross else backend.kinds[0], [seen])], written)
    elif cross:
        backend.run(one, [Only("cross", [seen])], one)
    else:
        run_alone(backend, one, [seen])
    require_equal_heads(seen.heads.values())
    return dict(sorted(seen.heads.items()))


class _Heads(Observer):
    """Sees how many heads there are."""

    def __init__(self) -> None:
        self.heads: dict[int, int] = {}

    def tile(self, tile: Tile) -> None:
        self.heads[tile.layer] = tile.shape[0]


def _written(backend: Native | Hosted, encoding: Encoding) -> Encoding | None:
    """The decoder's input, if there is a decoder: any token will do, since no weight of the encoder depends on it."""
    if backend.kinds[0] == "self":
        return None
    return replace(encoding, ids=encoding.ids[:1], type_ids=encoding.type_ids[:1])


def _strongest(encoding: Encoding, request: Request, *, causal: bool) -> Strongest:
    """The observer of the strongest links between words that count."""
    words = read_in("word", encoding, None, (), request.language)
    query_mask, key_mask, itself = counting(
        words, causal=causal, special=request.special, everything=request.everything
    )
    text = encoding.special.count(False)
    return Strongest(encoding.words, request, text, query_mask, key_mask, itself=itself)


def key_sets(encoding: Encoding) -> dict[str, Mask]:
    """Which tokens are of each set; ``cls`` and ``sep`` are the special tokens before and after the text."""
    tokens = read_in("token", encoding, None, ()).queries
    positions, text = np.arange(len(encoding)), np.flatnonzero(~tokens.special)
    first, last = (text[0], text[-1]) if len(text) else (len(encoding), len(encoding))
    return {
        "cls": positions < first,
        "sep": positions > last,
        "special": tokens.special,
        "punctuation": tokens.punctuation,
    }


def _document(encoding: Encoding, *, causal: bool) -> DocumentMasks:
    """The masks of the tokens."""
    sets = key_sets(encoding)
    all_ = np.ones(len(encoding), np.bool_)
    return DocumentMasks(all_, ~sets["special"], sets, causal, tail=sets["sep"], repeats=True)

"""Measure many short documents together: figures of all heads and strongest links, as if each was run alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from attnviz.analysis.corpus.metrics import Measured, WordLinks, stacked
from attnviz.analysis.corpus.together import nobody, run_together
from attnviz.analysis.text.offsets import DOMINANT, FREQUENT, MANY_QUERIES, MIN_QUERIES, POSITIONAL
from attnviz.analysis.text.units import is_function_word
from attnviz.encoding import Encoding, Word, is_blank, is_punctuation
from attnviz.errors import AttnvizError
from attnviz.record import Request

if TYPE_CHECKING:
    from attnviz.attention.packs import Marks, PackLayer
    from attnviz.attention.texts import Bools, Texts
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native
    from attnviz.model.native.forward import Network

Found = Measured | AttnvizError


def measure(
    backend: Native | Hosted,
    encodings: Sequence[Encoding],
    request: Request,
    on_progress: Callable[[int, int], None] = nobody,
    *,
    many: bool = True,
) -> list[Found]:
    """Measure each of the ``encodings``; return the results in their order, or the error of a document.

    Where our own forward pass runs the model, short documents run together (``run_together``). Of an encoder–decoder
    the encoder is measured. ``on_progress`` is told how many more documents and tokens are done. Unless there are
    ``many`` documents, the compiled passes are not worth their loading.
    """
    if backend.name == "native" and not backend.interventions:
        return run_together(backend, encodings, partial(_pack, request=request, many=many), on_progress)
    return [_told(on_progress, encoding, _alone(backend, encoding, request)) for encoding in encodings]


def _told(on_progress: Callable[[int, int], None], encoding: Encoding, found: Found) -> Found:
    on_progress(1, len(encoding))
    return found


def _pack(
    network: Network, encodings: Sequence[Encoding], *, request: Request, many: bool
) -> tuple[Sequence[Measured], Bools]:
    from attnviz.attention.packs import Measure
    from attnviz.model.native.packed import run_packed

    seen = Measure(marks(encodings, request, causal=network.spec.causal), request.links, compiled=many)
    ids, type_ids = [each.ids for each in encodings], [each.type_ids for each in encodings]
    run_packed(network, ids, type_ids, seen, compiled=many)
    layers = [layer for _, layer in sorted(seen.layers.items())]
    return _documents(layers, seen.texts), np.logical_and.reduce([layer.finite for layer in layers])


def _alone(backend: Native | Hosted, encoding: Encoding, request: Request) -> Found:
    """Measure a document from all of its weights, as a hosted model gives them, or one that is intervened in."""
    from attnviz.attention.observers import Only, Weights
    from attnviz.attention.packs import Group, Measure

    kind, kept = backend.kinds[0], Weights()
    start = Encoding("", None, (backend.start or 0,), (0,), ("",), (True,), (Word("", 0, 1),))
    try:
        backend.run(encoding, [Only(kind, [kept])], start if len(backend.kinds) > 1 else None)
        seen = Measure(marks([encoding], request, causal=backend.causal(kind)), request.links)
        group = Group(0, 0, 1, len(encoding))
        for layer in kept.layers(kind):
            seen.weights(layer, kept.window(layer, kind), group, kept.layer(layer, kind)[None])
        return _documents([layer for _, layer in sorted(seen.layers.items())], seen.texts)[0]
    except AttnvizError as error:
        return error


def _documents(layers: Sequence[PackLayer], texts: Texts) -> list[Measured]:
    """The results of each document of a pack.

    Raises:
        UnsupportedModel: the layers have not the same number of heads.
    """
    from attnviz.attention.figures import figures as read_figures
    from attnviz.attention.tile import require_equal_heads

    require_equal_heads(len(layer.sums.counts) for layer in layers)
    tables = [stacked(read_figures(layer.sums, texts)) for layer in layers]  # (H, B, METRICS) each
    figures = np.stack(tables).transpose(2, 0, 1, 3)  # (L, H, B, METRICS) → (B, L, H, METRICS)
    columns = [np.stack([getattr(layer, name) for layer in layers], axis=1) for name in _LINK]  # (B, L, top) each
    numbers = np.broadcast_to(np.arange(len(layers), dtype=np.int16)[:, None], columns[0].shape[1:])
    found = []
    for own, *links in zip(figures, *columns, strict=True):
        there = links[-1] > 0
        found.append(Measured(own, WordLinks(numbers[there], *(column[there] for column in links))))
    return found


_LINK = ("heads", "queries", "keys", "weights")


def marks(encodings: Sequence[Encoding], request: Request, *, causal: bool) -> Marks:
    """The masks of the documents of a pack, for the self-attention of a model that is ``causal`` or not."""
    from attnviz.attention.packs import Marks, OffsetRules
    from attnviz.attention.texts import Texts, earlier_tokens

    starts, lead, tail, words = [0], [], [], [0]
    before, edges = list[int](), list[int]()
    special, punctuation, query_mask, key_mask = (list[bool]() for _ in range(4))
    for encoding in encodings:
        n, marked = len(encoding), encoding.special
        text = [i for i, mark in enumerate(marked) if not mark]
        first, stop = (text[0], text[-1] + 1) if text else (n, n)
        lead += [i < first for i in range(n)]
        tail.append(stop)
        starts.append(starts[-1] + n)
        special += marked
        before += earlier_tokens(encoding.ids)
        counted = len(key_mask)
        for word in encoding.words:
            (dots, function), mark = _class(word.text, request.language), marked[word.start]
            parts = zip(marked[word.start : word.stop], encoding.tokens[word.start : word.stop], strict=True)
            punctuation += [(dots or is_blank(token)) and not one for one, token in parts]
            # As ``links.counting`` says.
            content = (request.special or not (mark or dots)) and (mark or not function)
            query_mask.append(content or request.everything)
            edges.append(word.start)
        key_mask += query_mask[counted:]
        if causal and not (request.special or request.everything):
            key_mask[counted] = False
        edges.append(n)
        words.append(len(query_mask))
    starts_, tail_, before_, words_, edges_ = (
        np.array(each, np.int64) for each in (starts, tail, before, words, edges)
    )
    lead_, special_, punctuation_, looking, looked_at = (
        np.array(each, np.bool_) for each in (lead, special, punctuation, query_mask, key_mask)
    )
    behind = np.arange(starts[-1]) >= np.repeat(starts_[:-1] + tail_, np.diff(starts_))
    sets = {"cls": lead_, "sep": behind, "special": special_, "punctuation": punctuation_}
    all_ = np.ones(len(special_), np.bool_)
    texts = Texts(starts_, starts_, all_, ~special_, tail_, sets, before_, causal)
    rules = OffsetRules(_NEVER if request.everything else MIN_QUERIES, POSITIONAL, MANY_QUERIES, DOMINANT, FREQUENT)
    return Marks(texts, words_, edges_, looking, looked_at, itself=request.everything, rules=rules)


_NEVER = 1 << 31
"""More tokens than any text has."""


@lru_cache(maxsize=1 << 16)
def _class(word: str, language: str) -> tuple[bool, bool]:
    """Whether a word is punctuation, and whether a function word."""
    return is_punctuation(word), is_function_word(word, language)
